"""Commands: flags, one line for what a user can mend, progress, provenance."""

import argparse
import errno
import io
import json
import math

import pytest

from transience import command
from transience.errors import InputError

# Flags


def parse(*extra: str) -> argparse.Namespace:
    flags = command.parser("A test.")
    command.add_run_flags(flags)
    run = ("--variant", "baseline", "--num-tasks", "inf", "--seed", "3")
    return flags.parse_args(["--settings", '{"experiment": "test"}', *run, *extra])


def test_flags_of_a_run():
    args = parse("--device", "cpu")
    assert args.settings == {"experiment": "test"}
    assert (args.variant, args.num_tasks, args.seed) == ("baseline", math.inf, 3)
    assert (args.device, args.threads) == ("cpu", 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--settings", "{"), "expected JSON, found '{'"),
        (("--settings", "[1]"), "expected a JSON object, found '[1]'"),
        (("--num-tasks", "0"), "expected a whole number >= 1 or inf, found '0'"),
        (("--num-tasks", "many"), "expected a whole number >= 1 or inf, found 'many'"),
        (("--device", "tpu"), "invalid choice"),
    ],
)
def test_a_wrong_flag_is_named(flags: tuple[str, ...], message: str, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(*flags)
    assert stopped.value.code == 2
    assert flags[0] in (said := capsys.readouterr().err) and message in said


def test_cpu_is_always_there():
    assert command.resolve_device("cpu").type == "cpu"


# Errors


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("a.parquet: expected b, found c"), "error: a.parquet: expected b, found c"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "free some disk space"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "check who may write there"),
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
        command.run(main)
    said = capsys.readouterr().err
    assert stopped.value.code == 1
    assert message in said and said.count("\n") == 1


def test_an_error_of_ours_keeps_its_traceback():
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command.run(main)


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_few_lines(clock: list[float]):
    log = io.StringIO()
    progress = command.Progress(2400, "train M=8 seed=0", "step", stream=log)
    for step in range(1, 2401):  # 5 minutes, 8 steps a second
        clock[0] += 0.125
        progress.update(step, "loss 1.83")
    lines = log.getvalue().splitlines()
    assert len(lines) == 30
    assert lines[11] == "train M=8 seed=0  step 960/2400 (40%)  loss 1.83  3.0 min left"
    assert lines[-1] == "train M=8 seed=0  step 2400/2400 (100%)  loss 1.83  5.0 min in all"


def test_a_short_stage_says_one_line(clock: list[float]):
    log = io.StringIO()
    progress = command.Progress(50, "evaluate", "checkpoint", stream=log)
    for done in range(1, 51):
        clock[0] += 0.02
        progress.update(done)
    assert log.getvalue() == "evaluate  checkpoint 50/50 (100%)  1 s in all\n"


def test_a_long_stage_says_at_most_a_line_each_percent(clock: list[float]):
    log = io.StringIO()
    progress = command.Progress(10_000, "train", "step", stream=log)
    for step in range(1, 10_001):  # 5 hours and a half
        clock[0] += 2
        progress.update(step)
    assert len(log.getvalue().splitlines()) == 100


def test_a_terminal_gets_one_line_rewritten(clock: list[float]):
    terminal = Terminal()
    progress = command.Progress(10, "train", "step", stream=terminal)
    for step in range(1, 11):
        clock[0] += 1
        progress.update(step)
    assert terminal.getvalue().count("\r") == 10
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith("step 10/10 (100%)  10 s in all\n")


def test_time_left_counts_from_the_first_update(clock: list[float]):
    log = io.StringIO()
    progress = command.Progress(1000, "train", "step", done=900, stream=log)
    for seconds, step in ((17, 901), (10, 951)):  # the first step is slow
        clock[0] += seconds
        progress.update(step)
    assert log.getvalue().splitlines()[-1] == "train  step 951/1000 (95%)  10 s left"


# Provenance


def test_provenance_says_what_was_run_and_with_what():
    found = command.provenance(parse("--code", "abc", "--device", "cpu"))
    expected = {"experiment": "test", "variant": "baseline", "num_tasks": "inf", "seed": 3}
    assert expected.items() <= found.items()
    assert found["code"] == "abc" and found["settings"] == {"experiment": "test"}
    assert {"python", "torch", "numpy", "pandas", "pyarrow"} == set(found["versions"])
    assert found["device"] and found["threads"] == 1 and found["created"].endswith("+00:00")
    json.dumps(found, allow_nan=False)


def test_provenance_of_a_stage_that_is_no_run():
    args = command.parser("A test.").parse_args(["--settings", "{}"])
    assert not {"variant", "num_tasks", "seed", "experiment"} & set(command.provenance(args, "cpu"))
