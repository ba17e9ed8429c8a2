"""Flags: what every command is told, and mistakes in them."""

import argparse
import json
import math
from pathlib import Path

import pytest
from small import MODEL, TASK

from transience.command import flags
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings

SETTINGS = {"experiment": "test", "task": TASK, "model": MODEL}
RUN = ("--variant", "baseline", "--num-tasks", "inf", "--seed", "3")


class OfRun(flags.Reads):
    task: TaskSettings
    model: ModelSettings


def parse(*words: str) -> argparse.Namespace:
    parser = flags.parser("A test.", OfRun, of_run=True)
    return parser.parse_args(["--settings", json.dumps(SETTINGS), *RUN, *words])


def test_flags_of_a_run():
    args = parse("--device", "cpu")
    assert args.settings == OfRun(**SETTINGS)
    assert (args.variant, args.num_tasks, args.seed) == ("baseline", math.inf, 3)
    assert (args.device, args.threads) == ("cpu", 1)


def test_the_run_that_the_flags_name():
    run = flags.run_of(parse())
    assert run.keys == {"variant": "baseline", "num_tasks": math.inf, "seed": 3}
    assert (run.task, run.model) == (TaskSettings(**TASK), ModelSettings(**MODEL))


def test_files_are_paths_by_the_names_of_tables():
    parser = flags.parser("A test.")
    flags.add_files(parser, "llc", "llc_trace")
    words = ["--settings", '{"experiment": "test"}', "--llc", "a", "--llc-trace", "b"]
    args = parser.parse_args(words)
    assert (args.llc, args.llc_trace) == (Path("a"), Path("b"))
    assert args.settings == flags.Reads(experiment="test")
    with pytest.raises(SystemExit):
        parser.parse_args(words[:-2])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--settings", "{"), "Invalid JSON"),
        (("--settings", "[1]"), "Input should be an object"),
        (("--settings", '{"task": {}}'), "task.task_dimension: Field required"),
        (("--settings", json.dumps(SETTINGS | {"llc": {}})), "llc: Extra inputs are not permitted"),
        (("--num-tasks", "0"), "expected a whole number >= 1 or inf, found '0'"),
        (("--num-tasks", "many"), "expected a whole number >= 1 or inf, found 'many'"),
        (("--device", "tpu"), "invalid choice"),
        (("--thread", "1"), "unrecognized arguments: --thread"),  # no flag may be abbreviated
    ],
)
def test_a_wrong_flag_is_named(words: tuple[str, ...], message: str, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(*words)
    assert stopped.value.code == 2
    assert words[0] in (said := capsys.readouterr().err) and message in said


def test_metadata_has_what_the_flags_say():
    found = flags.as_metadata(parse("--code", "abc", "--threads", "2"))
    assert found == {"experiment": "test", "settings": SETTINGS, "code": "abc", "threads": 2}
