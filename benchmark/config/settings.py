"""Settings of a run: typed, frozen, checked before any work.

Options of a backbone (``backbone.<option>``) and of an environment (``env.<option>``) are checked against their owner by
the worker. Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from dsbench.config.matching import parse_match
from dsbench.config.presets import DEFAULT
from dsbench.text import is_text, shown

LEARNED, SCRIPTED = "learned", ("random", "optimal")  # who acts: a trained backbone, or a policy without one

# In which a run draws at random: initial weights; batches and dropout; the data; the evaluation's episodes and actions.
Role: TypeAlias = Literal["init", "batches", "data", "eval"]
ROLES: tuple[Role, ...] = ("init", "batches", "data", "eval")

DEVICE = "(auto|cpu|cuda(:[0-9]{1,4})?)"  # as a regular expression
_EVALUATIONS = 10  # while a training goes on, where nothing is said
_DEEPEST, _LARGEST = 8, 2**63 - 1  # of an option: lists in lists, and a whole number of either sign

Count: TypeAlias = Annotated[int, Field(ge=1, le=10**12)]
CountOrZero: TypeAlias = Annotated[int, Field(ge=0, le=10**12)]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
Quantile: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
NonNegative: TypeAlias = Annotated[float, Field(ge=0)]
TargetReturn: TypeAlias = Annotated[float, Field(ge=-1e9, le=1e9)]  # single precision must hold it


def _as_tuple(value: Any) -> Any:
    """Lists of JSON and YAML, and a single word, become the tuple that strict checking asks for."""
    return tuple(value) if isinstance(value, list) else (value,) if isinstance(value, str) else value


def _each_once(roles: tuple[Role, ...]) -> tuple[Role, ...]:
    """In the order of `ROLES`, so that equal settings are written alike."""
    return tuple(role for role in ROLES if role in roles)


def _says_a_size(text: str) -> str:
    parse_match(text)
    return text


class Section(BaseModel):
    """One part of the configuration: immutable, unknown keys refused, no conversions, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)


class _Named(Section):
    """A name from a catalogue, with options of its own under further keys."""

    name: str = Field(
        min_length=1, description="as it is listed, or package.module:attribute or path/file.py:attribute"
    )
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, Mapping):
            return value
        own = {key: item for key, item in value.items() if key in cls.model_fields}
        rest = {key: item for key, item in value.items() if key not in cls.model_fields}
        if isinstance(own.get("options", {}), Mapping):
            own["options"] = {**own.get("options", {}), **rest}
            _check_keys(own["options"], cls.model_fields)
        return own

    @model_validator(mode="after")
    def _options_are_plain(self) -> _Named:
        for key, item in self.options.items():
            if not _is_plain(item):
                raise ValueError(
                    f"{key} is {shown(item)}; expected a finite number, true, false, null, text or a list of these"
                )
        return self

    @model_serializer(mode="wrap")
    def _spread_options(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = handler(self)
        return {**{key: item for key, item in fields.items() if key != "options"}, **fields["options"]}


class BackboneConfig(_Named):
    """Which backbone; every further key is an option of its constructor."""

    d_model: Count = Field(default=64, le=65_536, description="width of tokens, hidden vectors and outputs")


class EnvConfig(_Named):
    """Which environment; every further key is an option of it."""


class DataConfig(Section):
    """Offline episodes to learn from."""

    recipe: str = Field(
        default="random", min_length=1,
        description="behaviour that made the episodes, or d4rl:FILE, minari:ID, imported:NAME, folder:FOLDER",
    )  # fmt: skip
    episodes: Count = Field(default=10_000, description="how many, where no timesteps are given")
    timesteps: Count | None = Field(
        default=None, description="as many whole episodes as have so many timesteps between them; null: data.episodes"
    )
    seed: Seed | None = Field(default=None, description="holds the data still whatever the run's seed; null: vary")
    permute_returns: bool = Field(default=False, description="control: deal the returns out to the episodes at random")
    top_percent: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=None, description="keep the best x % of the episodes by return; null: all (%BC: condition none and 10)"
    )
    allow_other_physics: bool = Field(
        default=False,
        description="learn from data that another version or form of the environment made; the row says so",
    )


class WrapperConfig(Section):
    """How observations, actions and returns become tokens."""

    tokens: Literal["joint", "separate"] = Field(default="joint", description="one token a timestep, or one a kind")
    condition: Literal["return", "none"] = Field(default="return", description="return-to-go, or behaviour cloning")
    previous_action: bool | None = Field(
        default=None, description="feed the last action; null: to all but mlp, framestack and their like"
    )
    time: Literal["sinusoidal", "none", "table"] = Field(default="sinusoidal", description="encoding of the timestep")
    max_timestep: Count | None = Field(default=None, description="size of the table of timesteps")
    time_std: NonNegative = Field(default=0.02, description="spread of the table of timesteps at the start")
    return_scale: Positive | None = Field(
        default=None, description="divisor of the return-to-go and no more; null: centred too, in spreads of the data's"
    )
    combine: Literal["sum", "concat"] = Field(default="sum", description="how the parts of a joint token are joined")
    encoder_width: Count | None = Field(default=None, description="hidden width of the encoder; null: linear")
    encoder_activation: Literal["none", "relu", "gelu", "tanh"] = Field(default="none", description="of the encoder")
    token_activation: Literal["none", "relu", "gelu", "tanh"] = Field(default="none", description="of joined tokens")
    embedding_norm: bool = Field(default=False, description="layer norm on the tokens")
    action_tanh: bool = Field(default=False, description="bound continuous actions by tanh")
    head_bias: bool = Field(default=True, description="whether the map to actions has a bias")
    embedding_dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout on the tokens")


class TrainConfig(Section):
    """Offline training: AdamW with warm-up and clipping."""

    updates: Count = Field(default=500, description="optimiser updates, where no seconds are given")
    seconds: Positive | None = Field(
        default=None,
        description="CPU seconds of all threads (on a GPU those of the clock) that updates may take; warm-up and evaluations "
        "keep their shares of updates, which end nothing then; null: train.updates",
    )
    batch_size: Count = Field(default=128, description="segments in a batch")
    lr: Positive = Field(default=3e-3, le=1e3, description="learning rate")
    warmup: CountOrZero = Field(default=50, description="updates of linear warm-up")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="learning rate after the warm-up")
    clip: Positive | None = Field(default=1.0, description="largest norm of the gradient; null: no clipping")
    weight_decay: NonNegative = Field(default=0.01, description="AdamW's")
    weight_decay_on: Literal["matrices", "all"] = Field(
        default="matrices", description="matrices but those of dynamics, or every parameter"
    )
    one_rate: bool = Field(default=False, description="dynamics (A, dt) at the same learning rate as all else")
    window: Count | None = Field(default=None, description="timesteps in a segment; null: whole episodes")
    window_anchor: Literal["end", "start"] = Field(
        default="end", description="which end of a window is drawn, each timestep of the data equally likely"
    )
    length_weighted: bool = Field(
        default=False, description="draw whole episodes by their length, as windows always are"
    )
    row_length: Count | None = Field(
        default=None, description="timesteps in a row of segments that fit; null: the longest"
    )
    mean_last_k: Count = Field(default=5, description="last evaluations that the mean-of-last-k score averages")
    balance_returns: bool = Field(
        default=False, description="where a return is asked for, draw batches evenly over the range of returns"
    )
    objective: Literal["action", "probe"] = Field(
        default="action", description="learn to act, or to answer the environment's probe question from memory"
    )
    log_every: Count = Field(default=20, description="updates between recorded losses")
    eval_every: Count | None = Field(default=None, description="updates between evaluations; null: ten in all")
    checkpoint_every: Count = Field(default=200, description="updates between checkpoints")

    @property
    def evaluated_every(self) -> int:
        """Updates between evaluations: as asked for, or ten in all."""
        return self.eval_every or max(1, self.updates // _EVALUATIONS)

    @model_validator(mode="after")
    def _warmup_fits(self) -> TrainConfig:
        if self.warmup > self.updates:
            raise ValueError(
                f"warmup is {self.warmup} and updates is {self.updates}; warm-up cannot outlast the training"
            )
        return self


class EvalConfig(Section):
    """Acting in the environment after training."""

    episodes: Count = Field(default=500, description="held-out episodes that are reported")
    selection_episodes: Count = Field(default=100, description="other episodes that choose the best checkpoint")
    seed: Seed | None = Field(default=None, description="holds the episodes still whatever the run's seed; null: vary")
    target_return: TargetReturn | None = Field(
        default=None, description="target return; null: by the environment's rule"
    )
    target_sweep: Annotated[tuple[TargetReturn, ...], BeforeValidator(_as_tuple)] = Field(
        default=(), max_length=1000, description="further target returns, played at the end and reported apart"
    )
    target_quantile: Quantile = Field(default=0.95, description="target return, as a quantile of the data's returns")
    opposite_quantile: Quantile = Field(default=0.05, description="the same for the opposite target")
    decode: Annotated[tuple[Literal["argmax", "sample"], ...], BeforeValidator(_as_tuple)] = Field(
        default=("argmax", "sample"), min_length=1, description="ways to choose an action; the first is the headline"
    )
    acting: Literal["stateful", "windowed"] | None = Field(default=None, description="null: as the backbone allows")
    window: Count | None = Field(default=None, description="timesteps re-read when windowed; null: the training window")


class MeasureConfig(Section):
    """Timing single decisions."""

    warmup: CountOrZero = Field(default=50, description="decisions before timing starts, at most")
    steps: Count = Field(default=500, description="timed decisions, at least")


class RunConfig(Section):
    """Everything that one run depends on, and the few things that it does not (see `run_id`)."""

    backbone: BackboneConfig
    env: EnvConfig
    data: DataConfig = DataConfig()
    wrapper: WrapperConfig = WrapperConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()
    measure: MeasureConfig = MeasureConfig()
    seed: Seed = Field(default=0, description="moves everything that vary names")
    vary: Annotated[tuple[Role, ...], BeforeValidator(_as_tuple), AfterValidator(_each_once)] = Field(
        default=ROLES, min_length=1, description="what the seed moves: weights, batches and dropout, data, episodes"
    )
    threads: int = Field(default=1, ge=1, le=4096, description="threads of the worker")
    device: str = Field(default="auto", pattern=f"^{DEVICE}$", description="auto, cpu, cuda or cuda:<i>")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="arithmetic of the training pass; acting is fp32"
    )
    policy: Literal["learned", "random", "optimal"] = Field(
        default="learned", description="who acts: the trained backbone, or a scripted policy as a control"
    )
    match: Annotated[str, AfterValidator(_says_a_size)] | None = Field(
        default=None, description="size that chooses backbone.d_model: params=100k or state=16KiB; null: none"
    )
    time_limit_s: Positive | None = Field(default=None, description="seconds after which the run is ended; null: none")
    stall_limit_s: Positive | None = Field(
        default=600.0, description="seconds without any progress after which the run is ended; null: none"
    )
    preset: str = Field(default=DEFAULT, description="preset that the settings began from")

    @model_validator(mode="after")
    def _a_script_has_no_size(self) -> RunConfig:
        if self.match is not None and self.policy != LEARNED:
            raise ValueError(
                f"match is {self.match!r} and policy is {self.policy!r}, which has no size; leave out match"
            )
        return self

    @model_validator(mode="after")
    def _training_ends_before_the_run(self) -> RunConfig:
        seconds, limit = self.train.seconds, self.time_limit_s
        if seconds is not None and limit is not None and seconds >= limit * self.threads:
            raise ValueError(
                f"train.seconds is {seconds:g} and time_limit_s is {limit:g}, which would end the run before its training; "
                "raise time_limit_s"
            )
        return self

    @model_validator(mode="after")
    def _probe_sees_no_return(self) -> RunConfig:
        if self.train.objective == "probe" and self.wrapper.condition != "none":
            raise ValueError(
                "train.objective is 'probe' and wrapper.condition is 'return', which would tell the answer; "
                "add wrapper.condition=none"
            )
        return self


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Nested dictionaries of JSON values; `from_dict` gives the same configuration back."""
    return config.model_dump(mode="json")


def _check_keys(options: Mapping[Any, Any], fields: Iterable[str]) -> None:
    """`ValueError` where an option could be no argument of its owner, or would hide a setting of ours."""
    for key in options:
        if not (isinstance(key, str) and key.isidentifier()):
            raise ValueError(f"{shown(key)} is no name of an option; expected letters, digits and _ alone")
        if key in fields:
            raise ValueError(f"options.{key} would hide {key}; give {key} beside the options")


def _is_plain(value: Any, depth: int = 0) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return depth < _DEEPEST and all(_is_plain(item, depth + 1) for item in value)
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    return value is None or (isinstance(value, str) and is_text(value))
