"""Inputs that a reader of files accepts and a command must not; workflow tests damage others."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import small_run, write_checkpoints

from transience.command import flags
from transience.command.inputs import check
from transience.errors import InputError
from transience.files.tables import METADATA_KEY, schemas, write_table

METADATA = {"experiment": "mine", "variant": "baseline", "num_tasks": ["4", "inf"], "seed": 0}


def training(**changes: object) -> pd.DataFrame:
    columns = {"variant": "baseline", "num_tasks": [4.0, math.inf], "seed": 0, "step": 0}
    numbers = dict.fromkeys(
        ("batch_loss", "learning_rate", "gradient_norm", "seconds", "sequences"), 1.0
    )
    return pd.DataFrame(columns | numbers | changes)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as raised:
        check(path, "mine")
    assert str(raised.value).startswith(f"{path}: expected ")
    return str(raised.value)


def test_a_table_of_the_experiment_is_welcome(tmp_path):
    write_table(tmp_path / "t.parquet", "training", training(), METADATA)
    check(tmp_path / "t.parquet", "mine")


def test_what_is_not_there_or_not_read_is_left_alone(tmp_path):
    (tmp_path / "page.html").write_text("")
    for name in ("t.parquet", "figure.png", "page.html"):
        check(tmp_path / name, "mine")


@pytest.mark.parametrize(
    ("changes", "metadata", "found"),
    [
        ({}, {"experiment": "other"}, "found one of other"),
        ({}, {"num_tasks": "4"}, "expected rows of num_tasks 4, found those of 4, inf"),
        ({"seed": [0, 1]}, {}, "expected rows of seed 0, found those of 0, 1"),
        ({}, {"variant": ["baseline", "wide"]}, "expected rows of variant baseline, wide, found"),
    ],
)
def test_rows_are_those_that_the_metadata_name(tmp_path, changes, metadata, found):
    path = tmp_path / "t.parquet"
    write_table(path, "training", training(**changes), METADATA | metadata)
    assert found in refusal(path)


def test_an_infinite_loss_is_a_number_and_nan_is_none(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, "training", training(batch_loss=math.inf), METADATA)
    check(path, "mine")
    table = pq.ParquetFile(path).read()
    column = table.column_names.index("batch_loss")
    pq.write_table(table.set_column(column, "batch_loss", pa.array([1.0, np.nan])), path)
    assert "numbers in column 'batch_loss', found 1 that are none (nan)" in refusal(path)


def test_the_estimate_of_a_diverged_chain_may_be_missing(tmp_path):
    path = tmp_path / "t.parquet"
    keys = {"variant": "baseline", "num_tasks": [4.0, math.inf], "seed": 0, "step": 0, "chain": 0}
    frame = pd.DataFrame(keys | {"draw": 0, "loss": math.nan, "baseline_loss": 1.0})
    write_table(path, "llc_trace", frame, METADATA)
    check(path, "mine")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"table": "other"}'])
def test_metadata_that_name_no_table(tmp_path, text):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({METADATA_KEY: text}), path)
    assert "found metadata that name none" in refusal(path)


def test_checkpoints_of_another_experiment(tmp_path):
    path = tmp_path / "c.safetensors"
    write_checkpoints(path, small_run(), [0, 9])
    check(path, "mine")  # it doesn't say
    content = path.read_bytes()
    path.write_bytes(content.replace(b'{\\"variant', b'{\\"experiment\\": \\"x\\", \\"variant'))
    length = int.from_bytes(content[:8], "little") + len(path.read_bytes()) - len(content)
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    assert "found one of x" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"experiment": "mine"}', b"\xff"])
def test_a_configuration_that_is_none(tmp_path, content):
    assert "found no such file" in refusal(tmp_path / "config.json")
    (tmp_path / "config.json").write_bytes(content)
    assert "found something else, or damage" in refusal(tmp_path / "config.json")


def test_a_figure_cut_off(tmp_path):
    (tmp_path / "f.png").write_bytes(b"\x89PNG\r\n")
    assert "one that is cut off" in refusal(tmp_path / "f.png")


def test_flags_check_the_files_that_they_name(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, "training", training(), METADATA)
    parser = flags.parser("A test.")
    flags.add_files(parser, "output", lists=["inputs"])
    words = ["--inputs", str(path), "--output", str(tmp_path / "o.parquet"), "--settings"]
    parser.parse_args([*words, json.dumps({"experiment": "mine"})])
    with pytest.raises(InputError, match="of experiment other, found one of mine"):
        parser.parse_args([*words, json.dumps({"experiment": "other"})])


def test_looking_at_a_table_takes_no_torch(tmp_path):
    write_table(tmp_path / "training.parquet", "training", training(), METADATA)
    code = (
        "import sys; from pathlib import Path; from transience.command.inputs import check; "
        "check(Path(sys.argv[1]), 'mine'); sys.exit('torch' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "training.parquet")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "workflow/lib")}
    assert subprocess.run(words, env=environment).returncode == 0


@pytest.mark.parametrize("settings", [{"llc": {"checkpoints": ["final"]}}, {}, []])
def test_a_table_of_the_llc_without_rows_says_that_it_is_off(tmp_path, settings):
    """An LLC that was estimated has rows, whatever became of the chains."""
    path = tmp_path / "llc.parquet"
    empty = pd.DataFrame(columns=[column.name for column in schemas()["llc"].columns])
    write_table(path, "llc", empty, {"experiment": "e", "settings": settings})
    assert refusal(path) == f"{path}: expected rows, found none"
    off = {"llc": {"checkpoints": []}}
    write_table(path, "llc", empty, {"experiment": "e", "settings": off})
    check(path, "e")
