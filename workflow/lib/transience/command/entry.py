"""How a command ends: what a user can mend in one line, what is ours with a traceback."""

import errno
import sys
from collections.abc import Callable

from transience.errors import InputError

HINTS = {
    errno.ENOSPC: "free some disk space and run the same command again; finished files are kept",
    errno.EDQUOT: "free some of the disk quota and run the same command again",
    errno.EACCES: "check who may read and write there, then run the same command again",
    errno.EPERM: "check who may read and write there, then run the same command again",
    errno.EROFS: "the file system is mounted read-only; choose another folder",
}


def ends_in_one_line(main: Callable[[], None]) -> None:
    """Run a command; what a user can mend ends in a line on stderr and exit code 1."""
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)


def _one_line(error: Exception) -> str | None:
    """Message for a user, or None for an error that is ours and deserves its traceback."""
    if isinstance(error, InputError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        hint = HINTS.get(error.errno or 0)
        return f"{text} ({hint})" if hint else text
    # torch reports a lack of memory as a RuntimeError, on the CPU without a class of its own.
    if isinstance(error, MemoryError) or "out of memory" in text or "t allocate memory" in text:
        return f"out of memory: {text or type(error).__name__} (use a smaller batch or machine)"
    return None
