"""Counting memory in processes of their own: forked from one that imported everything and measured nothing."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import torch

from dsbench.config import RunConfig, from_dict, to_dict
from dsbench.measuring.plan import Cell
from dsbench.outside.trust import handed_over, received, using
from dsbench.stopping import asked

LOOK_UP_S = 0.2  # seconds between two looks at whether a signal has come
_PRELOADED = {"cpu": "dsbench.measuring.preloaded", "cuda": "dsbench.measuring.memory"}


class Apart:
    """Makes a fresh process for every cell.

    Args:
        seconds_limit: after which one is ended.
    """

    def __init__(self, device: torch.device, threads: int, seconds_limit: float) -> None:
        self.device, self.threads, self.seconds_limit = device, threads, seconds_limit
        # A process that has used CUDA, or even asked for it, cannot be forked; importing torch does neither.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([_PRELOADED[device.type]])

    def occupied(self, cell: Cell, config: RunConfig) -> tuple[dict[str, Any], str | None]:
        """What `dsbench.measuring.memory.occupied` gives, or nothing and why."""
        receiving, sending = self._context.Pipe(duplex=False)
        settings = (to_dict(config), handed_over())
        arguments = (sending, cell.to_json(), settings, str(self.device), self.threads)
        process = self._context.Process(target=_count, args=arguments, daemon=True)
        process.start()
        sending.close()
        try:
            end = time.monotonic() + self.seconds_limit
            while not receiving.poll(min(LOOK_UP_S, max(0.0, end - time.monotonic()))):
                if asked() is not None:
                    return {}, "memory: stopped before it was counted"
                if time.monotonic() >= end:
                    return {}, f"memory: not counted within {self.seconds_limit:g} s"
            found: dict[str, Any] | str = receiving.recv()
        except EOFError:
            process.join()
            killed = process.exitcode is not None and process.exitcode < 0
            why = f"ended by signal {-(process.exitcode or 0)}, which the system sends when memory is short"
            return {}, f"memory: the process {why if killed else f'ended with exit code {process.exitcode}'}"
        finally:
            if process.is_alive() and asked() is None:
                process.join(1.0)
            if process.is_alive():
                process.kill()
                process.join()
            receiving.close()
        return (found, None) if isinstance(found, dict) else ({}, f"memory: {found}")


def _count(
    sending: Connection,
    cell: dict[str, Any],
    settings: tuple[dict[str, Any], dict[str, Any]],
    device: str,
    threads: int,
) -> None:
    from dsbench.measuring.memory import occupied

    torch.set_num_threads(threads)
    try:
        config, sources = settings
        with using(received(sources)):
            sending.send(occupied(Cell(**cell), from_dict(config), torch.device(device)))
    except Exception as error:
        sending.send(f"{type(error).__name__}: {' '.join(str(error).split())}")
