"""How a process that computes begins, before torch, which takes seconds, is imported.

``python -m dsbench.running.start MODULE ARGUMENTS`` runs ``main(ARGUMENTS)`` of the module. Until it has something to lose, a
signal ends it at once, and so does the end of its parent.
"""

from __future__ import annotations

import importlib
import signal
import sys

from dsbench.running.pipe import end_with_parent


def main() -> int:
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own raises in the middle of an import
    end_with_parent()
    module, *arguments = sys.argv[1:]
    code: int = importlib.import_module(module).main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
