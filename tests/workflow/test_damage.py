"""Damaged or foreign files, and places that can't be written to: one clear line, nothing lost."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = "runs/baseline/M4_seed0"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("file", "log"),
    [
        ("evaluation.parquet", "collect/evaluation.log"),
        ("probe.parquet", "trajectory_pca/sweep.log"),
        ("checkpoints.safetensors", "evaluate/baseline_M4_seed0.log"),
    ],
)
def test_a_truncated_file_is_named(sweep, file, log):
    damaged = sweep.results / RUN / file
    others = {
        path: content
        for path, content in contents(sweep.results / "runs").items()
        if path.parent.name != "M4_seed0"
    }
    truncate(damaged)
    run = sweep.watched()
    assert run.returncode == 1
    (line,) = (sweep.results / "logs" / log).read_text().splitlines()
    assert line.startswith(f"error: results/smoke/{RUN}/{file}: expected ")
    assert line in run.stdout
    assert "Traceback" not in run.stdout
    assert {path: path.read_bytes() for path in others} == others


def test_what_is_damaged_is_made_again(sweep):
    damaged = sweep.results / RUN / "predictors.parquet"
    before = damaged.read_bytes()
    truncate(damaged)
    assert sweep.watched().returncode == 1
    damaged.unlink()
    assert sweep.watched().returncode == 0
    assert damaged.stat().st_size == len(before)


def test_a_report_is_made_without_a_figure_that_fails(sweep):
    """It says so at its head, Snakemake fails all the same, and the next run makes it whole."""
    page = sweep.results / "report.html"
    whole, module = page.read_text(), "workflow/lib/transience/figures/subspace.py"
    right = (sweep.folder / module).read_text()
    sweep.edit(
        module,
        "    variance, loadings, bends = figure.subplots(1, 3)\n",
        '    raise ValueError("no ink")\n',
    )
    run = sweep.watched()
    assert run.returncode == 1
    assert "FAILED  figure subspace" in run.stdout
    assert "Report: results/smoke/report.html, without subspace" in run.stdout
    assert not (sweep.results / "figures/subspace.png").exists()
    head = page.read_text().partition('<section aria-labelledby="claims">')[0]
    assert "ValueError: no ink. Its log is results/smoke/logs/figure/subspace.log." in head
    assert page.read_text().count("data:image/png;base64,") == whole.count("image/png;base64,") - 1
    assert sweep.planned() == {"figure": 1, "report": 1}
    (sweep.folder / module).write_text(right)
    assert sweep.watched().returncode == 0
    assert "is not complete" not in page.read_text()
    assert page.read_text().count("image/png;base64,") == whole.count("image/png;base64,")


def test_a_report_never_mixes_old_tables_with_new_figures(sweep):
    page = sweep.results / "report.html"
    before = page.read_bytes()
    truncate(sweep.results / RUN / "predictors.parquet")
    run = sweep.watched()
    assert run.returncode == 1 and "Report:" not in run.stdout
    assert page.read_bytes() == before


def test_results_of_another_configuration_file_are_not_overwritten(sweep):
    mine = sweep.folder / "config/mine.yaml"
    mine.write_text((sweep.folder / "config/smoke.yaml").read_text().replace("300", "301"))
    run = sweep.snakemake(config="config/mine.yaml")
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == (
        "results/smoke: expected results of config/config.yaml + config/mine.yaml, found results of"
        " config/config.yaml + config/smoke.yaml with other settings (training.num_steps: expected"
        " 301, found 300); give your sweep another `experiment`, or delete"
        " results/smoke/config.json to overwrite what is there"
    )
    (sweep.results / "config.json").unlink()
    assert sweep.planned(config="config/mine.yaml")["train"] == 6


def test_copied_results_of_other_settings_are_not_taken_for_ours(sweep):
    shutil.rmtree(sweep.folder / ".snakemake")
    assert not sweep.planned()  # the same settings: welcome
    shutil.rmtree(sweep.folder / ".snakemake", ignore_errors=True)
    sweep.edit("config/smoke.yaml", "num_steps: 300", "num_steps: 301")
    run = sweep.snakemake("--dry-run")
    assert run.returncode == 1
    assert "training.num_steps: expected 301, found 300" in run.stdout.splitlines()[-1]


def test_a_damaged_record_is_named(project):
    project.results.mkdir(parents=True)
    (project.results / "config.json").write_text("{")
    run = project.watched()
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == (
        "results/smoke/config.json: expected the configuration of the results, found damage; "
        "delete the file"
    )


def test_a_checkpoint_file_of_another_run_is_refused(sweep):
    runs = sweep.results / "runs/baseline"
    shutil.copy(runs / "M1_seed0/checkpoints.safetensors", runs / "M4_seed0")
    run = sweep.watched()
    assert run.returncode == 1
    assert f"error: results/smoke/{RUN}/checkpoints.safetensors: expected " in run.stdout


def test_a_file_in_place_of_a_folder(project):
    project.results.mkdir(parents=True)
    (project.results / "runs").touch()
    run = project.watched()
    assert run.returncode == 1
    assert run.stdout.splitlines() == [
        "Nothing was started:",
        "results/smoke/runs: expected a folder to write to, found a file; move it away",
    ]


# Root may write anywhere and nobody else may mount, so these use mounts of their own.


def in_own_mounts(project, mount: str, *targets: str) -> subprocess.CompletedProcess[str]:
    """Run the sweep where `mount`, a shell command, has changed what is mounted."""
    unshare = ("unshare", "--mount", "--map-root-user", "--user")
    shell = ("sh", "-ec", f'{mount}; exec "$@"', "sh")
    if subprocess.run([*unshare, *shell, "true"], cwd=project.folder).returncode:
        pytest.skip("this machine does not allow mounts in a namespace")
    return project.watched(*targets, before=(*unshare, *shell))


def test_a_folder_without_write_permission(sweep):
    sweep.edit("config/smoke.yaml", "num_draws: 60", "num_draws: 61")
    before = contents(sweep.results)
    run = in_own_mounts(sweep, "mount --bind results results && mount -o remount,ro,bind results")
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == (
        "results/smoke: expected a folder to write to, found no permission to write there"
    )
    assert contents(sweep.results) == before


def test_a_full_disk(sweep):
    """With 4 KiB left, an LLC is estimated again with more draws than there is room for."""
    sweep.edit("config/smoke.yaml", "num_draws: 60", "num_draws: 6000")
    run = in_own_mounts(
        sweep,
        "mkdir -p old && mount --bind results old && mount -t tmpfs -o size=16m t results && "
        "cp -a old/. results && free=$(df --output=avail --block-size=1 results | tail -n 1) && "
        "fallocate --length $((free - 4096)) results/filler",
        f"results/smoke/{RUN}/llc_trace.parquet",
    )
    assert run.returncode == 1
    assert "FAILED  llc baseline M=4 seed=0" in run.stdout
    assert "no space left on" in run.stdout.lower()
    assert "Traceback" not in run.stdout


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "device: cpu",
            "device: cuda",
            "execution.device: expected a (GPU|PyTorch) .*, found .*, or .*",
        ),
        (
            "num_sequences: 128",
            "num_sequences: 4000000000",
            r"evaluation.num_sequences: expected at most .* \(half of this machine's memory\) .*",
        ),
    ],
)
def test_a_machine_that_lacks_what_was_asked_for(project, monkeypatch, old, new, line):
    """Nothing is started, so nothing is tried again."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # on a machine that has a GPU
    project.edit("config/smoke.yaml", old, new)
    run = project.watched(f"results/smoke/{RUN}/evaluation.parquet", "--retries", "3")
    assert run.returncode == 1
    *_, nothing, last = run.stdout.splitlines()
    assert nothing.endswith("Nothing was started:") or "mistakes in" in nothing
    assert re.fullmatch(line, last), run.stdout
    assert "FAILED" not in run.stdout and "Traceback" not in run.stdout


@pytest.mark.parametrize("before", ["", "print('step 1', flush=True)"])
def test_a_job_killed_from_outside_says_so(project, before):
    """Whether it had said anything or not."""
    start = f'if __name__ == "__main__":\n    {before}\n    import os; os.kill(os.getpid(), 9)'
    project.edit(
        "workflow/lib/transience/training/__main__.py", 'if __name__ == "__main__":', start
    )
    run = project.watched(f"results/smoke/{RUN}/training.parquet")
    assert run.returncode == 1
    lines = run.stdout.splitlines()
    failed = lines.index("FAILED  train baseline M=4 seed=0")
    assert lines[failed + 1].startswith("    ended by signal 9 (SIGKILL), mostly the system, when")
    assert lines[failed + 2 : -2] == (["    step 1"] if before else [])
    assert len(lines) == 5 + bool(before)
