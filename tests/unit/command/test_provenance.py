"""Provenance: what was run, with what, where and when."""

import json
import math

from small import FLAGS, MODEL, TASK, small_run

from transience.command import flags, provenance
from transience.files.metadata import Metadata
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings

SETTINGS = {"experiment": "test", "task": TASK, "model": MODEL}


class OfRun(flags.Reads):
    task: TaskSettings
    model: ModelSettings


def test_a_file_of_a_run_says_what_was_run_and_with_what():
    words = ["--settings", json.dumps(SETTINGS), "--code", "abc", *FLAGS]
    args = flags.parser("A test.", OfRun, of_run=True).parse_args(words)
    found = provenance.of_run(args, small_run(math.inf, 3), "cpu")
    expected = {"experiment": "test", "variant": "baseline", "num_tasks": "inf", "seed": 3}
    assert expected.items() <= found.items()
    assert found["code"] == "abc" and found["settings"] == SETTINGS
    assert {"python", "torch", "numpy", "pandas", "pyarrow"} == set(found["versions"])
    assert found["device"] and found["threads"] == 1 and found["created"].endswith("+00:00")
    assert found.keys() <= Metadata.__annotations__.keys()
    json.dumps(found, allow_nan=False)


def test_a_file_of_the_sweep_names_all_runs_and_nothing_else_of_them():
    args = flags.parser("A test.").parse_args(["--settings", '{"experiment": "test"}'])
    run = {"variant": "baseline", "num_tasks": "8", "code": "older", "threads": 4}
    found = provenance.of_sweep(args, [run | {"seed": 0}, run | {"seed": 1}])
    expected = {"variant": "baseline", "num_tasks": "8", "seed": [0, 1]}
    assert expected.items() <= found.items()
    assert (found["code"], found["threads"]) == ("unknown", 1)
    assert found["settings"] == {"experiment": "test"}
