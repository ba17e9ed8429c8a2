"""Files that are missing, undeclared or cut off are told, each in a line."""

import json
import math
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

RUN = "runs/baseline/M4_seed0"
AGAIN = "delete it and run the sweep again"


def test_missing_and_undeclared_files(results):
    run = results.folder / RUN
    (run / "llc.parquet").unlink()
    (results.folder / "figures/figure1.pdf").unlink()
    (results.folder / "figures/mine.png").write_text("mine")
    strays = ["tables/training_old.parquet", f"{RUN}/backup.parquet", "runs/baseline/M4 (copy)/a"]
    for path in strays:
        (results.folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(run / "training.parquet", results.folder / path)
    missing = ["figures/figure1.pdf", f"{RUN}/llc.parquet"]
    stray = "expected what the workflow writes, found an undeclared file; move it away"
    assert {*results.problems()} == {
        *(f"small/{path}: expected a file, found none; run the sweep again" for path in missing),
        *(f"small/{path}: {stray}" for path in strays),
    }


@pytest.mark.parametrize(
    "file",
    [
        *("config.json", "report.html", "figures/figure1.png", "figures/figure1.pdf"),
        *("tables/evaluation.parquet", f"{RUN}/probe.parquet", f"{RUN}/checkpoints.safetensors"),
    ],
)
def test_a_truncated_file_is_one_line(results, file):
    path = results.folder / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (line,) = results.problems()
    assert line.startswith(f"small/{file}: expected ")
    assert line.endswith(f"; {AGAIN}")


@pytest.mark.parametrize(("name", "column"), [("training", "batch_loss"), ("probe", "predictions")])
def test_nan_where_a_number_is_wanted(results, name, column):
    path = results.folder / f"{RUN}/{name}.parquet"
    table = pq.ParquetFile(path).read()
    index, type_ = table.column_names.index(column), table.schema.field(column).type
    values = table[column].to_pylist()
    values[0] = [*values[0][1:], math.nan] if name == "probe" else math.nan
    changed = table.set_column(index, column, pa.array(values, type_))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    line = f"small/{RUN}/{name}.parquet: expected numbers in '{column}', found 1 nan; {AGAIN}"
    assert line in results.problems()


def test_metadata_that_is_no_json_is_damage(results):
    path = results.folder / RUN / "llc.parquet"
    path.write_bytes(path.read_bytes().replace(b'{"code"', b'["code"'))
    (line,) = results.problems()
    assert line.startswith(f"{path}: expected llc, found damage (") and line.endswith(AGAIN)


def test_a_configuration_is_valid_and_whole(results):
    results.edit_config("llc", nbeta="much")
    (line,) = results.problems()
    assert line.startswith("small/config.json: llc.nbeta: expected ")
    path = results.folder / "config.json"
    config = json.loads(path.read_text())
    del config["llc"]["nbeta"]
    path.write_text(json.dumps(config))
    missing = "expected every key, found no llc.nbeta; run the sweep again"
    assert results.problems() == [f"small/config.json: {missing}"]
