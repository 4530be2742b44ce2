"""What an error or a death was caused by: too little memory, the machine around the run, or the run itself."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator

from dsbench.errors import CannotWrite, DsbenchError, EnvironmentFault

REFUSALS = (
    "can't allocate memory", "not enough memory: you tried to allocate", "Cannot allocate memory", "MemoryError",
    "CUDA out of memory",
)  # fmt: skip
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no code of a user's raises these of its own
BROKEN = (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO)
# A process does these to itself; every other signal comes from outside.
CRASHES = (
    signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP,
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused; also where that is but the cause of another error."""
    return any(_refuses_memory(one) for one in _chain(error))


def says_out_of_memory(text: str) -> bool:
    """The same of what was printed last."""
    return any(words in text for words in REFUSALS)


def is_machine_fault(error: BaseException) -> bool:
    """Whether the machine is to blame, so that the same run may well go on later: a full, broken or read-only disk.

    What a user's environment or backbone raises of its own, such as a file that it does not find, is the run's.
    """
    if any(isinstance(one, CannotWrite) for one in _chain(error)):
        return True
    ours = isinstance(error, DsbenchError) and not isinstance(error, EnvironmentFault)
    known = (*FULL, *BROKEN) if ours else FULL
    return any(isinstance(one, OSError) and one.errno in known for one in _chain(error))


def _refuses_memory(error: BaseException) -> bool:
    # torch.OutOfMemoryError by its name, as torch need not be there; on the CPU torch raises a plain RuntimeError
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    refused = isinstance(error, RuntimeError | ImportError) and says_out_of_memory(str(error))
    return named or refused or isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
