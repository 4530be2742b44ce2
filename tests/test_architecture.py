"""Arrows between the rooms run one way, nothing heavy is imported at the door, and packaging lists every package."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "benchmark": "dsbench",
    "backbones": "dsbench.backbones",
    "envs": "dsbench.envs",
    "reports": "dsbench.reports",
}
MEASURED = ("dsbench.measuring.bench_records", "dsbench.measuring.crossover")  # what reports read of benches; no torch
CONTROLS = "dsbench.config.controls"  # the names of what is compared, which need nothing but the foundation
VARYING = "dsbench.config.varying"  # which roles a seed moves: one rule for a run and for who reads its row
FOUNDATION = {
    f"dsbench.{name}"
    for name in (
        "errors", "installation", "registry", "seeds", "files", "stopping", "temporaries", "episodes", "outside",
        "reading", "text",
    )
}  # fmt: skip


def modules() -> Iterator[tuple[str, Path]]:
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([package, *(part for part in parts if part != "__init__")]), path


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module name (``from a import b`` gives ``a`` and ``a.b``) with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or "", node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def forbidden(module: str, imported: str) -> bool:
    """Whether `module` may not import `imported`, by the arrows of the architecture."""
    if inside(imported, "dsbench.cli") and not inside(module, "dsbench.cli") and module != "dsbench.__main__":
        return True
    if any(inside(module, own) for own in FOUNDATION):
        return inside(imported, "torch") or (
            inside(imported, "dsbench")
            and imported not in FOUNDATION | {"dsbench"}
            and not any(inside(imported, own) for own in FOUNDATION)
        )
    if inside(module, "dsbench.backbones"):
        allowed = ("dsbench.backbones", *FOUNDATION)
    elif inside(module, "dsbench.envs"):
        allowed = ("dsbench.envs", *FOUNDATION)
    elif inside(module, "dsbench.reports"):
        allowed = ("dsbench.reports", "dsbench.records", CONTROLS, VARYING, *MEASURED, *FOUNDATION)
    else:
        return False
    if inside(imported, "torch"):
        return not inside(module, "dsbench.backbones")
    return inside(imported, "dsbench") and imported != "dsbench" and not any(inside(imported, name) for name in allowed)


def test_imports_follow_the_arrows() -> None:
    wrong = [
        f"{module} imports {name} (line {line})"
        for module, path in modules()
        for name, line in imports(path)
        if forbidden(module, name)
    ]
    assert not wrong, "\n".join(wrong)


def test_nobody_imports_a_folder_by_its_bare_name() -> None:
    paths = [path for _, path in modules()] + sorted((ROOT / "tests").rglob("*.py"))
    wrong = [f"{path}:{line}" for path in paths for name, line in imports(path) if name.split(".")[0] in FOLDERS]
    assert not wrong, "\n".join(wrong)


def test_every_package_on_disk_is_in_the_wheel() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    on_disk = {
        ".".join([package, *path.parent.relative_to(ROOT / folder).parts])
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert set(listed) == on_disk


@pytest.mark.parametrize(
    "module",
    ["dsbench", "dsbench.cli", "dsbench.backbones", "dsbench.envs", "dsbench.reports", "dsbench.records.tables"],
)
def test_the_doors_load_neither_torch_nor_transformers(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'transformers', 'pandas', 'bsuite') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert shown.stdout.strip() == "[]"


UNSAFE = {
    "eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load", "yaml.load", "yaml.unsafe_load",
}  # fmt: skip


def unsafe_calls(source: str) -> list[str]:
    """Calls in `source` by which a file could run code."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    pickling = [
        call
        for call in calls
        if any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in call.keywords)
    ]
    return [ast.unparse(call) for call in calls if ast.unparse(call.func) in UNSAFE or call in pickling]


def test_no_file_that_is_read_can_run_code() -> None:
    for call in (*(f"{name}(data)" for name in UNSAFE), "np.load(path, allow_pickle=True)"):
        assert unsafe_calls(f"x = {call}") == [call]
    assert unsafe_calls("model.eval(); np.load(path, allow_pickle=False); yaml.safe_load(text)") == []
    found = [f"{path}: {call}" for _, path in modules() for call in unsafe_calls(path.read_text())]
    assert not found, "\n".join(found)


def test_no_module_draws_from_a_global_generator() -> None:
    banned = ("np.random.seed", "np.random.rand", "random.seed(", "np.random.uniform", "np.random.normal")
    wrong = [
        f"{path}:{number}: {line.strip()}"
        for _, path in modules()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(word in line for word in banned)
    ]
    assert not [line for line in wrong if "RandomState" not in line], "\n".join(wrong)
