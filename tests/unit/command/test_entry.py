"""How commands end: one line for what a user can mend, a traceback for what is ours."""

import errno

import pytest

from transience.command.entry import ends_in_one_line
from transience.errors import InputError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("a.parquet: expected b, found c"), "error: a.parquet: expected b, found c"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "free some disk space"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            "check who may read and write there",
        ),
        (OSError(errno.EROFS, "Read-only file system", "x"), "read-only"),
        (MemoryError(), "error: out of memory: MemoryError"),
        (
            RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB"),
            "error: out of memory: CUDA",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "error: out of memory"),
    ],
)
def test_what_a_user_can_mend_is_one_line(error: Exception, message: str, capsys):
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stopped:
        ends_in_one_line(main)
    said = capsys.readouterr().err
    assert stopped.value.code == 1
    assert message in said and said.count("\n") == 1


def test_an_error_of_ours_keeps_its_traceback():
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ends_in_one_line(main)


def test_an_interrupted_command_says_so(capsys):
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        ends_in_one_line(main)
    assert stopped.value.code == 130 and capsys.readouterr().err == "interrupted\n"
