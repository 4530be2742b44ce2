"""The learner's view of a MuJoCo task, and a picture of it from the side, drawn without OpenGL."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dsbench.envs.drawing import BLUE, INK, ORANGE, PALE, WIDTH, Canvas

HEIGHT, GROUND = 200, 170  # pixels; the ground's from above
PIXELS = 75.0  # a metre
FAR = ("left", "fthigh", "fshin", "ffoot")  # in the names of the second leg's parts


class SideView(gym.ObservationWrapper[np.ndarray, Any, Any], gym.utils.RecordConstructorArgs):
    """Observations in single precision, as learners see them; ``render()`` draws with Pillow, on any machine."""

    def __init__(self, env: gym.Env[Any, Any], render_mode: str | None = None) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, render_mode=render_mode)
        gym.ObservationWrapper.__init__(self, env)
        assert env.observation_space.shape is not None
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, env.observation_space.shape, np.float32)
        self.metadata = {**env.metadata, "render_modes": ["rgb_array"]}
        self._render_mode = render_mode

    @property
    def render_mode(self) -> str | None:  # type: ignore[override]
        return self._render_mode

    def observation(self, observation: Any) -> np.ndarray:
        """(columns,) float32."""
        return np.asarray(observation, np.float32)

    def render(self) -> Any:
        """(H, W, 3) uint8, or None without a render mode."""
        base: Any = self.env.unwrapped
        return None if self._render_mode is None else side_picture(base.model, base.data)


def side_picture(model: Any, data: Any) -> NDArray[np.uint8]:
    """(H, W, 3) the capsules of a machine that moves in the x-z plane, seen along y; marks on the ground are 1 m apart."""
    canvas, camera = Canvas(WIDTH, HEIGHT), float(data.qpos[0])

    def place(x: float, z: float) -> tuple[float, float]:
        return WIDTH / 2 + (x - camera) * PIXELS, GROUND - z * PIXELS

    canvas.draw.line((0, GROUND, WIDTH, GROUND), fill=INK)
    reach = WIDTH / 2 / PIXELS
    for metre in range(math.ceil(camera - reach), math.floor(camera + reach) + 1):
        x, y = place(metre, 0)
        canvas.draw.line((x, y, x, y + 6), fill=INK)
        canvas.text((x, y + 8), f"{metre} m", size=10, anchor="ma")
    ground = model.geom("floor").id
    for geom in range(model.ngeom):
        if geom == ground:
            continue
        radius, half = model.geom_size[geom][:2]
        axis = data.geom_xmat[geom].reshape(3, 3)[:, 2]
        ends = [place(*(data.geom_xpos[geom] + side * half * axis)[[0, 2]]) for side in (-1, 1)]
        colour = ORANGE if any(word in model.geom(geom).name for word in FAR) else BLUE
        width = max(2, round(2 * radius * PIXELS))
        canvas.draw.line((*ends[0], *ends[1]), fill=colour, width=width)
        for x, y in ends:
            canvas.draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=colour, outline=PALE)
    return canvas.array()
