"""Two processes do one run at once, as on two hosts whose locks do not hold between them: ``two_hosts RESULTS REQUEST``.

Prints the exit codes of both.
"""

from __future__ import annotations

import os
import sys

import torch

from dsbench import temporaries
from dsbench.records import lock
from dsbench.running import worker


def main(results: str, request: str) -> None:
    torch.set_num_threads(1)
    lock._take = lambda descriptor, path: True
    children = []
    for host in ("a" * 12, "b" * 12):
        child = os.fork()
        if child == 0:
            temporaries._place = lambda host=host: host  # type: ignore[misc]
            os._exit(worker.main(["--results", results, "--request", request]))
        children.append(child)
    print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


if __name__ == "__main__":
    main(*sys.argv[1:])
