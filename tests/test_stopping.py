"""Signals that mean stop: the first counts, none ends the process, ignored ones stay ignored; and a parent that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dsbench import stopping
from dsbench.stopping import STOPPING, Interrupted, raise_if_asked

LISTENER = """
import time
from dsbench import stopping
stopping.listen()
print("listening", flush=True)
while stopping.asked() is None:
    time.sleep(0.01)
print(int(stopping.asked()), flush=True)
time.sleep(0.5)
print(int(stopping.asked()))
"""


@contextmanager
def listener(*before: str) -> Iterator[subprocess.Popen[str]]:
    command = [*before, sys.executable, "-c", LISTENER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("first", STOPPING)
def test_the_first_signal_counts_and_none_ends_the_process(first: signal.Signals) -> None:
    with listener() as process:
        assert process.stdout is not None
        process.send_signal(first)
        assert process.stdout.readline() == f"{int(first)}\n"
        for number in (*STOPPING, *STOPPING):
            process.send_signal(number)
        assert process.communicate(timeout=20)[0] == f"{int(first)}\n"
        assert process.returncode == 0


def test_a_signal_that_was_ignored_from_the_start_is_not_heard() -> None:
    with listener("nohup") as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20)[0].split() == [str(int(signal.SIGTERM))] * 2


def test_nothing_is_raised_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    raise_if_asked()
    monkeypatch.setattr(stopping, "_asked", signal.SIGINT)
    with pytest.raises(Interrupted):
        raise_if_asked()


def start_module(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "dsbench.running.start", "json.tool", "--help"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)


def test_a_worker_whose_parent_died_before_it_could_say_so_ends_at_once() -> None:
    assert start_module(DSBENCH_PARENT="1").returncode == 128 + signal.SIGTERM
    assert start_module(DSBENCH_PARENT=str(os.getpid())).returncode != 128 + signal.SIGTERM
