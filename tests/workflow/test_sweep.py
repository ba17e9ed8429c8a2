"""The smoke sweep from end to end: everything declared is there and can be read."""

import json
import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from transience.figures.captions import captions
from transience.files import tables
from transience.files.checkpoints import CheckpointReader

ROOT = Path(__file__).parents[2]
RUNS = [f"M{num_tasks}_seed{seed}" for num_tasks in ("1", "4", "inf") for seed in (0, 1)]
ON_DEMAND = {"llc_calibration", "llc_curvature", "llc_ordering"}  # made by `make calibrate`
MADE = {name: schema for name, schema in tables.schemas().items() if name not in ON_DEMAND}
OF_RUNS = [name for name, schema in MADE.items() if "runs" in schema.files]
OF_SWEEP = [name for name, schema in MADE.items() if "tables" in schema.files]


def runs_of(frame):
    """The (num_tasks, seed) in a table."""
    return frame[["num_tasks", "seed"]].drop_duplicates().itertuples(index=False)


@pytest.fixture(scope="module")
def results(finished):
    return finished[0].results


@pytest.mark.parametrize("name", OF_RUNS)
@pytest.mark.parametrize("run", RUNS)
def test_every_run_has_every_table(results, run, name):
    path = results / f"runs/baseline/{run}/{name}.parquet"
    frame = tables.read_table(path, name)  # checks columns, dtypes, nulls and keys
    assert set(frame["variant"]) == {"baseline"}
    assert {f"M{m:g}_seed{s}" for m, s in runs_of(frame)} == {run}


@pytest.mark.parametrize("name", OF_SWEEP)
def test_the_sweep_has_every_table(results, name):
    frame = tables.read_table(results / f"tables/{name}.parquet", name)
    if "num_tasks" in frame and not (frame.empty and MADE[name].may_be_empty):
        assert {f"M{m:g}_seed{s}" for m, s in runs_of(frame)} == set(RUNS)


def test_no_table_is_undeclared(results):
    assert {path.stem for path in (results / "tables").iterdir()} == set(OF_SWEEP)
    for run in RUNS:
        files = {path.name for path in (results / "runs/baseline" / run).iterdir()}
        kept = {"checkpoints.safetensors", "states.safetensors"}
        assert files == kept | {f"{name}.parquet" for name in OF_RUNS}


@pytest.mark.parametrize("run", RUNS)
def test_checkpoints_are_those_of_the_schedule(results, run):
    reader = CheckpointReader(results / f"runs/baseline/{run}/checkpoints.safetensors")
    assert reader.steps == sorted({*range(0, 301, 50), *(int(300 ** (j / 7)) for j in range(7))})
    assert reader.metadata["settings"]["training"]["num_steps"] == 300


def test_every_file_says_where_it_comes_from(results):
    for path in results.rglob("*.parquet"):
        metadata = tables.read_metadata(path)
        assert metadata["experiment"] == "smoke", path
        assert {"settings", "code", "versions", "device", "threads", "created"} <= set(metadata)


def test_figures_are_those_of_the_report(results):
    names = {path.stem for path in (results / "figures").glob("*.png")}
    assert names == set(captions())
    for name in names:
        picture = matplotlib.image.imread(results / f"figures/{name}.png")
        assert min(picture.shape[:2]) > 100 and np.ptp(picture) > 0.5
        assert (results / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")


def test_report_stands_alone(results):
    page = (results / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(list((results / "figures").glob("*.png")))
    assert not re.search(r'(src|href)="(https?:|/|\.\.)[^"]*\.(js|css|png)"', page)


def test_the_effective_configuration_is_kept(results):
    kept = json.loads((results / "config.json").read_text())
    assert kept["configuration_files"] == ["config/config.yaml", "config/smoke.yaml"]
    assert kept["training"]["num_steps"] == 300
    assert kept["sweep"]["num_tasks"] == [1, 4, "inf"]


def test_nothing_is_left_to_resume(results):
    assert not [path for path in (results / ".resume").rglob("*") if path.is_file()]


def test_there_is_a_line_for_each_job(finished):
    lines = finished[1].splitlines()
    jobs = [line for line in lines if re.match(r"\[ *\d+/\d+\]", line)]
    assert len(jobs) == int(re.match(r"\[ *\d+/(\d+)\]", jobs[-1])[1])
    assert len(lines) == len(jobs) + 2  # what is planned, and what was done
    assert any(
        re.search(r"  train baseline M=4 seed=1 +in .*; about .* left$", line) for line in jobs
    )
    assert re.search(r"\d+ jobs finished in ", lines[-1])


def test_stages_log_their_progress(results):
    for stage, what in {"train": "step 300/300", "evaluate": "checkpoint", "llc": "draw"}.items():
        for log in (results / "logs" / stage).iterdir():
            assert what in log.read_text()


def test_times_are_kept(results):
    times = json.loads((results / "logs/sweep.json").read_text())
    seconds = [
        float(path.read_text().splitlines()[1].split("\t")[0])
        for path in (results / "benchmarks").rglob("*.tsv")
    ]
    assert times["jobs"] == len(seconds)
    assert times["seconds"] * times["cores"] > sum(seconds)


def test_snakemake_makes_a_report_with_captions(finished, tmp_path):
    run = finished[0].snakemake("--report", str(tmp_path / "report.html"))
    assert run.returncode == 0 and "ERROR" not in run.stdout, run.stdout
    page = (tmp_path / "report.html").read_text()
    for figure in (finished[0].results / "figures").glob("*.png"):
        assert f"Adding {figure.name} " in run.stdout
    for text in ("Look for curves that fall towards ridge", "300 steps of"):
        assert text in page
    assert "Adding report.html " in run.stdout


# What pages say how to do with the results


@pytest.mark.parametrize("page", ["README.md", "workflow/docs/library.md"])
def test_code_of_pages_runs_on_the_results(results, page, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (code,) = [block for block in blocks if "open_run" in block]
    for here, there in {"laptop": "smoke", "M8_": "M4_", "step=16000": "step=300"}.items():
        assert here in code
        code = code.replace(here, there)
    monkeypatch.chdir(results.parents[1])
    exec(compile(code, page, "exec"), {})
    numbers = [float(one) for one in re.findall(r"\d+\.\d+", capsys.readouterr().out)]
    assert numbers and min(numbers) > 0.1
