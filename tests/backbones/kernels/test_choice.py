"""Which implementation runs: the first that can, said with its reason; or the one asked for, or an error with the way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dsbench.backbones import build
from dsbench.backbones.contract import Kernel
from dsbench.backbones.kernels import c_library
from dsbench.backbones.kernels.choice import Operation, Route, c_route, torch_route
from dsbench.errors import UsageError

SOURCE = "math:sqrt"  # any function: nothing here calls it


def route(name: str, device: str | None = None, missing: str | None = None, automatic: bool = True) -> Route:
    return Route(name, device, SOURCE, f"{name} is fast", lambda: missing, automatic)


def operation(*routes: Route) -> Operation:
    return Operation("scan", [*routes, torch_route(SOURCE)])


def test_auto_takes_the_first_route_that_can_run() -> None:
    assert operation(route("quick"), route("slow")).kernel("auto", "cpu") == Kernel("quick", "quick is fast")


def test_the_reason_names_what_was_passed_over() -> None:
    scan = operation(route("quick", missing="no compiler; install one"), route("second", missing="broken"))
    assert scan.kernel("auto", "cpu") == Kernel(
        "torch", "plain torch; no quick: no compiler; install one; no second: broken"
    )


def test_routes_of_another_device_and_those_on_request_only_are_not_worth_a_word() -> None:
    scan = operation(route("card", "cuda"), route("odd", automatic=False))
    assert scan.kernel("auto", "cpu") == Kernel("torch", "plain torch")
    assert scan.kernel("auto", "cuda").name == "card"
    assert scan.kernel("odd", "cpu") == Kernel("odd", "asked for")


def test_asking_for_one_that_is_missing_is_an_error_with_the_way_out() -> None:
    scan = operation(route("quick", missing="not built; pip install it"))
    for ask in (scan.validated, lambda name: scan.choose(name, "cpu")):
        with pytest.raises(UsageError, match=r"'quick' of the scan cannot run here: not built; pip install it"):
            ask("quick")


def test_a_wrong_name_gets_the_closest_and_a_strange_one_the_list() -> None:
    scan = operation(route("triton"))
    with pytest.raises(UsageError, match=r"the scan has no implementation 'tritn'. Did you mean 'triton'\?"):
        scan.validated("tritn")
    with pytest.raises(UsageError, match="'zzz'. Known: auto, triton, torch."):
        scan.validated("zzz")


def test_a_route_refuses_tensors_of_another_device() -> None:
    with pytest.raises(UsageError, match="'card' of the scan runs on cuda, and the tensors are on cpu; .*'auto'"):
        operation(route("card", "cuda")).choose("card", "cpu")


def test_an_operation_without_a_route_for_a_device_says_so() -> None:
    with pytest.raises(UsageError, match="the scan has no implementation for mps"):
        Operation("scan", [route("card", "cuda")]).choose("auto", "mps")


def test_routes_are_probed_once_and_only_when_needed() -> None:
    asked: list[str] = []

    def probe(name: str) -> Callable[[], None]:
        return lambda: asked.append(name)

    scan = operation(*(Route(name, None, SOURCE, name, probe(name)) for name in ("first", "second")))
    assert [scan.kernel("auto", "cpu").name for _ in range(2)] == ["first", "first"]
    scan.validated("first")
    assert asked == ["first"]


def test_an_operation_beside_another_takes_the_route_that_both_have_and_its_fastest_otherwise() -> None:
    beside = operation(route("c"))
    assert [beside.if_known(name) for name in ("c", "torch", "triton", "auto")] == ["c", "torch", "auto", "auto"]


def test_without_the_compiled_library_c_is_refused_with_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_library, "unavailable", lambda: f"it was not built; {c_library.way_out()}")
    scan = operation(c_route(SOURCE))
    assert scan.kernel("auto", "cpu").name == "torch"
    assert "pip install" in scan.kernel("auto", "cpu").reason
    with pytest.raises(UsageError, match="it was not built; .*C compiler.*install"):
        scan.validated("c")


@pytest.mark.parametrize("name", ["mamba", "s4d", "s5", "mingru"])
def test_a_backbone_checks_its_implementation_when_it_is_made(name: str) -> None:
    with pytest.raises(UsageError, match=r"no implementation 'torhc'. Did you mean 'torch'\?"):
        build(name, 8, implementation="torhc")
    assert build(name, 8, implementation="torch").kernel() == Kernel("torch", "asked for")
