"""``dsbench data``: make, list, look at, import and export offline data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Optional

import typer

from dsbench.cli import completing
from dsbench.cli.data_asked import data_asked, load_asked, spec_asked
from dsbench.text import json_text, say

app = typer.Typer(
    name="data",
    help="Offline data: make, list, look at, import, export.",
    epilog="Example: dsbench data make --env umbrella --recipe mixed",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Env = Annotated[str, typer.Option("--env", metavar="NAME", help="Environment.", autocompletion=completing.env)]
Options = Annotated[
    Optional[list[str]],  # noqa: UP045  (typer reads the annotation)
    typer.Option("--set", metavar="env.X=VALUE", help="Option of the environment. Repeatable."),
]
Count = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--episodes", min=1, help="How many; by default as many as a run of this environment takes."),
]
Timesteps = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--timesteps", min=1, help="Instead: as many whole episodes as have so many timesteps between them."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command()
def make(
    env: Env,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", metavar="NAME", help="Behaviour that makes the episodes.", autocompletion=completing.recipes
        ),
    ],
    episodes: Count = None,
    timesteps: Timesteps = None,
    seed: Seed = 0,
    set_: Options = None,
) -> int:
    """Make a data set and keep it in the cache, where runs find it; what is there already is not made again.

    Examples:

    dsbench data make --env umbrella --recipe mixed

    dsbench data make --env umbrella --recipe expert --episodes 1000 --seed 3 --set env.chain_length=20

    dsbench data make --env hopper --recipe medium --timesteps 100000
    """
    from dsbench.cli.data_summary import beside_published, described
    from dsbench.cli.tables import print_pairs

    spec, default = spec_asked(env, set_)
    spec.recipe(recipe)
    data = data_asked(default, recipe, seed, episodes, timesteps)
    made, info = load_asked(spec, data)
    size = f"data.episodes={info.episodes}" if data.timesteps is None else f"data.timesteps={data.timesteps}"
    asked = [word for one in (*(set_ or ()), size) for word in ("--set", one)]
    again = ["dsbench", "run", "--backbone", "s4", "--env", env, "--data", recipe, "--seed", str(seed), *asked]
    print_pairs([*described(info), *beside_published(info, made), ("next", shlex.join(again))])
    return 0


@app.command("list")
def list_sets(as_json: AsJson = False) -> int:
    """Show the sets in the cache, made and imported.

    Examples:

    dsbench data list

    dsbench data list --json
    """
    from dsbench.cli.tables import print_table
    from dsbench.envs.data import data_folder
    from dsbench.envs.data.browse import stored_sets

    found = stored_sets(data_folder())
    if as_json:
        say(*json_text(found).split("\n"))
        return 0
    if not found:
        say(f"no data in {data_folder()}; make some with dsbench data make")
        return 0
    header = ("set", "env", "recipe", "episodes", "timesteps", "bytes", "mean return")
    rows = [
        (one["set"], one["problem"], "-", "-", "-", f"{one['bytes']:,}", "-")
        if one["problem"]
        else (
            one["set"], one["env"], one["recipe"], f"{one['episodes']:,}", f"{one['timesteps']:,}",
            f"{one['bytes']:,}", f"{one['mean_return']:.3f}",
        )
        for one in found
    ]  # fmt: skip
    print_table(header, rows)
    say("", f"in {data_folder()}")
    return 0


@app.command("info")
def show(
    which: Annotated[str, typer.Argument(metavar="SET|FOLDER", help="As in dsbench data list, or a folder.")],
    as_json: AsJson = False,
) -> int:
    """What a set is, with every hash of it compared.

    Examples:

    dsbench data info imported/mine

    dsbench data info exported/umbrella-mixed --json
    """
    from dsbench.cli.data_summary import beside_published, described, reported, settings
    from dsbench.cli.tables import print_pairs
    from dsbench.envs.data import data_folder
    from dsbench.envs.data.browse import find_set
    from dsbench.envs.data.folder import load_folder, read_manifest

    folder = find_set(which, data_folder())
    episodes, info = load_folder(folder)
    manifest = read_manifest(folder)
    if as_json:
        say(*json_text({**manifest, "path": str(folder), "verified": True}).split("\n"))
        return 0
    pairs = described(info) + beside_published(info, episodes)
    pairs += [("options", settings(info.options)), ("made with", settings(info.libraries))]
    if info.source is not None:
        pairs += reported(info.source)
    pairs += [(f"sha256 of {name}", f"{digest}, verified") for name, digest in manifest["arrays"].items()]
    print_pairs(pairs)
    return 0


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="d4rl:FILE, minari:ID or minari:FOLDER.")],
    env: Env,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call it: imported:NAME in runs.")],
    set_: Options = None,
    drop_bad_episodes: Annotated[
        bool, typer.Option("--drop-bad-episodes", help="Leave out episodes with a fault, whole, and count them.")
    ] = False,
    download: Annotated[bool, typer.Option("--download", help="Let Minari fetch an id that is not here.")] = False,
    max_gb: Annotated[float, typer.Option("--max-gb", min=0.001, help="Read no more than so many GiB.")] = 8.0,
    max_episode_steps: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--max-episode-steps", min=1, help="Where a D4RL file does not say when episodes were cut."),
    ] = None,
    sha256: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--sha256", metavar="HEX", help="What the sum of the file must be."),
    ] = None,
    allow_other_physics: Annotated[
        bool, typer.Option("--allow-other-physics", help="Take what another version or form of the environment made.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a set of that name.")] = False,
) -> int:
    """Read a data set from elsewhere, check all of it, keep it.

    Examples:

    dsbench data import d4rl:hopper_medium-v2.hdf5 --env my-hopper --name hopper-medium

    dsbench data import minari:dsbench/umbrella/mixed-v0 --env umbrella --name mine --drop-bad-episodes
    """
    from dsbench.cli.arguments import finite
    from dsbench.cli.data_summary import described, reported
    from dsbench.cli.tables import print_pairs
    from dsbench.envs.data.faults import GIB
    from dsbench.envs.data.source import import_source
    from dsbench.running.progress import display

    spec, _ = spec_asked(env, set_)
    with display() as shown:

        def on_episode(done: int, total: int) -> None:
            shown.event("data", {"phase": "episodes", "done": done, "total": total})

        shown.event("data", {"phase": f"reading {source}", "done": 0, "total": 1})
        info, _ = import_source(
            spec,
            source,
            name,
            force=force,
            drop_bad_episodes=drop_bad_episodes,
            download=download,
            max_bytes=int(finite("--max-gb", max_gb) * GIB),
            max_episode_steps=max_episode_steps,
            sha256=sha256,
            allow_other_physics=allow_other_physics,
            on_episode=on_episode,
        )
    assert info.source is not None
    run = f"dsbench run --backbone s4 --env {env} --data imported:{name}"
    more = ["data.allow_other_physics=true"] if allow_other_physics else []
    run += "".join(f" --set {shlex.quote(one)}" for one in [*(set_ or ()), *more])
    print_pairs([*described(info), *reported(info.source), ("next", run)])
    return 0


@app.command()
def export(
    env: Env,
    recipe: Annotated[str, typer.Option("--recipe", metavar="SOURCE", help="A recipe, or imported:NAME.")],
    to: Annotated[str, typer.Option("--to", metavar="minari:ID|folder:PATH", help="Where to.")],
    episodes: Count = None,
    timesteps: Timesteps = None,
    seed: Seed = 0,
    set_: Options = None,
) -> int:
    """Write a data set for others: as a Minari data set, or as a plain folder of arrays with a manifest.

    Examples:

    dsbench data export --env umbrella --recipe mixed --to minari:dsbench/umbrella/mixed-v0

    dsbench data export --env umbrella --recipe mixed --episodes 500 --to folder:umbrella-mixed
    """
    from dsbench.envs.data.minari_export import export_minari
    from dsbench.envs.data.source import export_folder
    from dsbench.errors import UsageError
    from dsbench.running.progress import display

    kind, _, place = to.partition(":")
    if kind not in ("minari", "folder") or not place:
        raise UsageError(f"--to {to!r} is not of the form minari:ID or folder:PATH")
    spec, default = spec_asked(env, set_)
    loaded, info = load_asked(spec, data_asked(default, recipe, seed, episodes, timesteps))
    if kind == "folder":
        folder = export_folder(spec, loaded, info, Path(place))
    else:
        with display() as shown:
            total = len(loaded)
            folder = export_minari(
                spec,
                loaded,
                info,
                place,
                lambda done: shown.event("data", {"phase": "exporting", "done": done, "total": total}),
            )
    say(f"Saved   {folder} ({info.episodes:,} episodes)")
    return 0
