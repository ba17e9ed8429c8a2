"""What `make` does before Snakemake starts."""

import os
import re
import subprocess
import sys
from pathlib import Path


def make(project, *words: str) -> subprocess.CompletedProcess[str]:
    # Without the variables of a `make test` above us.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    environment.pop("MFLAGS", None)
    return subprocess.run(
        ["make", *words], cwd=project.folder, env=environment, capture_output=True, text=True
    )


def test_an_old_python_is_refused_in_one_line(project):
    old = project.folder / "python"
    old.write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.9.2 && exit\nexit 1\n")
    old.chmod(0o755)
    run = make(project, "PYTHON=./python")
    assert run.returncode == 2
    assert run.stdout == (
        "make: expected Python 3.11 or newer, found Python 3.9.2;"
        " name another: make PYTHON=python3.12\n"
    )
    assert not (project.folder / ".venv").exists()


def test_a_limit_of_threads_is_none_of_cores(project, monkeypatch):
    """`nproc` takes OMP_NUM_THREADS for one."""
    cores = []
    for threads in ("1", str(os.cpu_count())):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        cores += re.findall(r"--cores (\d+)", make(project, "-n", "sweep").stdout)
    assert cores == [str(len(os.sched_getaffinity(0)))] * 2


MINE = "CONFIG=config/mine.yaml"


def last_line(project, *words: str) -> str:
    """The last command of a target, in words: the name of the sweep is told by the shell."""
    (project.folder / ".venv").unlink(missing_ok=True)
    (project.folder / ".venv").symlink_to(Path(sys.prefix))
    line = make(project, "-n", "-o", ".venv/.installed", *words).stdout.splitlines()[-1]
    command = line if line.startswith("echo") else f'echo "{line}"'
    run = subprocess.run(
        ["sh", "-c", command], cwd=project.folder, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def test_the_report_is_named_at_the_end(project):
    (project.folder / "config/mine.yaml").write_text('experiment: "mine"  # ours\n')
    (project.folder / "config/nameless.yaml").write_text("sweep: {seeds: [1]}\n")
    (project.folder / "config/a name.json").write_text('{"experiment": "jsony"}\n')
    for words, name in {
        (): "laptop",
        ("smoke",): "smoke",
        (MINE,): "mine",
        ("CONFIG=config/nameless.yaml",): "laptop",
        ("CONFIG=config/smoke.yaml config/mine.yaml",): "mine",
        ("CONFIG=config/mine.yaml config/nameless.yaml",): "mine",
        ("CONFIG='config/a name.json'",): "jsony",
    }.items():
        assert last_line(project, *words) == f"Report: results/{name}/report.html"


def test_every_command_for_a_sweep_takes_a_configuration(project):
    (project.folder / "config/mine.yaml").write_text("experiment: mine\n")
    assert "--configfile" not in make(project, "-n").stdout
    for target in ("sweep", "calibrate"):
        command = make(project, "-n", target, MINE).stdout.splitlines()[-2]
        assert command.endswith(" --configfile config/mine.yaml")
    assert last_line(project, "calibrate", MINE) == "Proposal: results/mine/llc_proposal.yaml"


def test_a_file_that_cannot_be_read_is_named_first(project):
    (project.folder / ".venv").symlink_to(Path(sys.prefix))
    mine = project.folder / "config/mine.yaml"
    for content, line in {
        None: "config/mine.yaml: expected a readable YAML file; No such file or directory",
        "sweep: [1\n": "config/mine.yaml, line 2, column 1: expected YAML;",
        "- sweep\n": "config/mine.yaml: expected keys with values, found a list",
    }.items():
        if content is not None:
            mine.write_text(content)
        for target in ("sweep", "calibrate", "watch", "verify"):
            words = "-o", ".venv/.installed", "CONFIG=config/smoke.yaml config/mine.yaml"
            run = make(project, target, *words)
            assert run.returncode == 2
            first, end = run.stderr.splitlines()
            assert first.startswith(line)
            assert end.startswith("make: ***") and "readable" in end
    project.edit("config/config.yaml", "experiment: laptop", "- laptop")
    first = make(project, "verify", "-o", ".venv/.installed").stderr.splitlines()[0]
    assert first.startswith("config/config.yaml, line ")


def test_verify_looks_at_the_sweep(project):
    for words, results in {
        (): "results/laptop",
        ("CONFIG=config/smoke.yaml",): "results/smoke",
    }.items():
        line = last_line(project, "verify", *words)
        assert line.split()[-3:] == ["-m", "transience.verify", results]


def test_watch_takes_a_configuration_or_an_experiment(project):
    for words, results in {
        (): "results/laptop",
        ("CONFIG=config/smoke.yaml",): "results/smoke",
        ("EXPERIMENT=mine", "WATCH=--once"): "results/mine --once",
    }.items():
        assert last_line(project, "watch", *words).endswith(f"-m transience.watch {results}")


def test_snakemake_takes_the_targets_for_targets(project):
    (project.folder / ".venv").symlink_to(Path(sys.prefix))
    first = {"sweep": "train", "smoke": "train", "calibrate": "calibrate_llc"}
    for target, rule in first.items():
        lines = make(project, "-n", target).stdout.splitlines()
        command = next(line for line in lines if "/snakemake " in line) + " --dry-run"
        run = subprocess.run(
            ["sh", "-c", command], cwd=project.folder, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        assert re.search(rf"\b{rule}\b", run.stdout + run.stderr)


def test_a_new_version_in_the_requirements_is_installed(project):
    ready = project.folder / ".venv/.installed"
    ready.parent.mkdir()
    ready.touch()
    assert "pip install" not in make(project, "-n").stdout
    project.edit("envs/requirements.txt", "torch==", "torch==9")
    assert "pip install" in make(project, "-n").stdout
