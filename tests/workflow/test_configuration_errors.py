"""A wrong configuration stops before any job, with lines that a reader can act on."""

import json

import pytest


def refuse(project, *flags, **options) -> list[str]:
    """What is printed by a run that is to be refused."""
    run = project.snakemake(*flags, **options)
    assert run.returncode == 1
    assert not (project.folder / "results").exists()
    assert "Traceback" not in run.stdout and ".smk" not in run.stdout
    lines = run.stdout.splitlines()
    return lines[lines.index("Nothing was started:") + 1 :]


def test_all_mistakes_are_told_at_once(project):
    for old, new in [
        ("num_steps: 300", "num_stpes: 300"),
        ("learning_rate: 3.0e-3", "learning_rate: 3e-3"),
        ("num_tasks: [1, 4, inf]", "num_tasks: [0, 4, 4]"),
        ("num_heads: 2", "num_heads: 3"),
    ]:
        project.edit("config/smoke.yaml", old, new)
    first, *lines = refuse(project)
    assert first == "mistakes in config/config.yaml + config/smoke.yaml"
    for key in ("num_stpes", "training.learning_rate", "sweep.num_tasks", "model.num_heads"):
        assert any(key in line for line in lines), lines
    assert len(lines) == 5


@pytest.mark.parametrize("logger", [(), ("--logger", "sweep")])
def test_the_message_is_the_same_with_either_output(project, logger):
    project.edit("config/smoke.yaml", "num_heads: 2", "num_heads: 3")
    run = project.snakemake(*logger)
    assert run.stdout.splitlines()[-1].startswith("model.num_heads: ")


def test_a_key_written_twice(project):
    project.edit("config/smoke.yaml", "experiment: smoke", "experiment: smoke\nexperiment: smoke")
    (line,) = refuse(project)
    assert line.startswith("config/smoke.yaml, line ") and "experiment" in line


def test_broken_yaml_in_the_default_configuration(project):
    project.edit("config/config.yaml", "\nsweep:", "\nsweep")
    (line,) = refuse(project)
    assert line.startswith("config/config.yaml, line ")


def test_a_name_that_leaves_the_results_folder(project):
    project.edit("config/smoke.yaml", "experiment: smoke", "experiment: ../smoke")
    assert any(line.startswith("experiment: ") for line in refuse(project))


def test_from_another_folder_what_nobody_wrote_is_called_the_default(project, tmp_path):
    """Where the command line alone makes a default wrong, and neither file stands where we are."""
    (project.folder / "mine.yaml").write_text("experiment: mine\n")
    flags = ("--directory", str(tmp_path / "elsewhere"), "--config", "training={num_steps: 400}")
    assert refuse(project, *flags, config="mine.yaml") == [
        "mistakes in ../project/config/config.yaml + ../project/mine.yaml + --config",
        "checkpoints.linear_every: expected at most training.num_steps (400); found 500 "
        "(the default of config/config.yaml)",
    ]


def test_the_command_line_changes_single_keys(project):
    target = "results/smoke/config.json"
    run = project.snakemake(target, "--config", "training={num_steps: 400, beta1: 0.5}")
    assert run.returncode == 0, run.stdout
    made = json.loads((project.folder / target).read_text())
    assert made["configuration_files"] == ["config/config.yaml", "config/smoke.yaml"]
    changed = {key: made["training"][key] for key in ("num_steps", "beta1", "batch_size")}
    assert changed == {"num_steps": 400, "beta1": 0.5, "batch_size": 32}


def test_a_queued_job_refuses_an_edited_configuration(project, monkeypatch):
    """A cluster's job reads the files when it starts; its submission left the digest of then."""
    monkeypatch.setenv("TRANSIENCE_CONFIGURATION", "that of another configuration")
    assert project.planned()
    run = project.snakemake("--mode", "remote", "--dry-run")
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == (
        "the configuration was edited after this job was submitted; run snakemake again"
    )


@pytest.mark.parametrize(("module", "refused"), [("training", True), ("evaluation", False)])
def test_a_queued_job_refuses_edited_code_of_its_own(project, monkeypatch, module, refused):
    monkeypatch.setenv(f"TRANSIENCE_CODE_transience_{module}_linear", "that of other code")
    target = "results/smoke/runs/baseline/M4_seed0/training.parquet"
    assert project.planned(target)
    run = project.snakemake("--mode", "remote", "--dry-run", target)
    assert run.returncode == refused
    message = "the code of transience.training was edited after this job was submitted; "
    assert (message in run.stdout.splitlines()[-1]) == refused
