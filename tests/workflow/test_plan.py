"""What Snakemake plans for a configuration, with no results there."""

import inspect
import os
import re

import pytest
import yte
from snakemake.scheduling.job_scheduler import JobScheduler

RUNS = 6  # of the smoke sweep: three task diversities, two seeds
SWEEP = {
    "configuration": 1,
    "collect": 9,
    "indicator_agreement": 1,
    "trajectory_pca": 1,
    "transient_ridge": 1,
    "trajectory_subspace": 1,
    "free_energy": 1,
    "interventions": 1,
    "branch_trajectories": 1,
    "alarms": 1,
    "scaling": 1,
    "departure_prediction": 1,
    "claims": 1,
    "figure": 13,
    "report": 1,
}


RUN_RULES = ("train", "evaluate", "llc", "llc_curve", "indicators")


def with_runs(number: int, variants: int = 1) -> dict[str, int]:
    several = {"figure": 20, "figure_of_variant": 13 * (variants - 1)} if variants > 1 else {}
    return SWEEP | dict.fromkeys(RUN_RULES, number) | several


def test_smoke(project):
    assert project.planned() == with_runs(RUNS)


def test_paper_is_planned_whole(project):
    assert project.planned(config="config/paper.yaml") == with_runs(26)


def test_snakemake_still_looks_where_it_is_told_of_no_limit():
    """Else workflow/rules/common.smk (`onstart`) would do nothing, without a word."""
    source = inspect.getsource(JobScheduler)
    assert source.count("self.job_rate_limiter is not None") == 1
    assert source.count("self.job_rate_limiter is None") == 1


def test_architectures_are_planned_as_variants(project):
    assert project.planned(config="config/architectures.yaml") == with_runs(7 * 3, variants=7)


def test_a_subset_of_the_paper_goes_on_top_of_it(project):
    files = ("config/paper.yaml", "config/paper_subset.yaml")
    assert project.planned(config=files) == with_runs(8)
    assert project.planned(config=(*files, "config/paper_short.yaml")) == with_runs(8)
    assert project.planned(config=(*files, "config/paper_long.yaml")) == with_runs(2)


def test_all_precisions_are_planned(project):
    assert project.planned(config="config/precision.yaml") == with_runs(3 * 4 * 6, variants=3)


def test_a_variant_is_a_sweep_of_its_own(project):
    project.edit(
        "config/smoke.yaml",
        "  baseline: {}",
        "  baseline: {}\n  one: {model: {output_projection: true}, sweep: {seeds: [7]}}",
    )
    assert project.planned() == with_runs(RUNS + 3, variants=2)


MINE = ("experiment: mine\nsweep: {num_tasks: [1, inf], seeds: [0]}\nvariants: {a: {}, b: {}}\n",)
MORE = "variants: {b: {model: {width: 96}}, c: {sweep: {seeds: [1, 2]}}}\n"


@pytest.mark.parametrize(
    ("texts", "words", "runs", "variants"),
    [
        (MINE, (), 4, "ab"),
        ((*MINE, MORE), (), 8, "abc"),
        (MINE, ("--config", "variants={c: {}}"), 6, "abc"),
    ],
)
def test_variants_that_are_listed_are_all_there_are(project, texts, words, runs, variants):
    """None from config.yaml; those of files and of the command line merge with each other."""
    files = tuple(f"config/mine{number}.yaml" for number in range(len(texts)))
    for file, text in zip(files, texts, strict=True):
        (project.folder / file).write_text(text)
    planned = project.planned(*words, config=files)
    assert planned == with_runs(runs, variants=len(variants)) | {"collect": planned["collect"]}
    printed = project.snakemake("--dry-run", *words, config=files).stdout
    assert {*re.findall(r"results/mine/runs/(\w+)/", printed)} == {*variants}


def test_what_goes_on_top_of_the_paper_decides_its_variants(project):
    (project.folder / "config/mine.yaml").write_text("experiment: mine\nvariants: {a: {}, b: {}}\n")
    files = ("config/paper.yaml", "config/mine.yaml")
    assert project.planned(config=files) == with_runs(2 * 26, variants=2)


def test_a_figure_of_any_variant_can_be_asked_for(project):
    project.edit("config/smoke.yaml", "  baseline: {}", "  baseline: {}\n  one: {}")
    for variant in ("baseline", "one"):
        planned = project.planned(f"results/smoke/figures/{variant}/distances.png")
        assert planned == {"train": 12, "evaluate": 12, "collect": 1, "figure_of_variant": 1}
    run = project.snakemake("--dry-run", "results/smoke/figures/two/distances.png")
    assert run.returncode == 1 and "MissingRuleException" in run.stdout


def test_a_run_can_be_asked_for_by_its_path(project):
    target = "results/smoke/runs/baseline/Minf_seed1/training.parquet"
    assert project.planned(target) == {"train": 1}


def test_a_run_outside_the_sweep_is_refused(project):
    run = project.snakemake("--dry-run", "results/smoke/runs/baseline/M3_seed0/training.parquet")
    assert run.returncode == 1
    assert "MissingRuleException" in run.stdout


def test_a_dry_run_writes_nothing(project):
    project.planned()
    assert not (project.folder / "results").exists()


def test_a_calibration_is_planned_on_demand_and_for_the_runs_chosen(project):
    calibration = {"collect_llc_calibration": 2, "propose_llc": 1, "llc_calibration_figure": 1}
    for seeds, runs in (("all", RUNS), ("0", RUNS // 2)):
        project.edit("config/smoke.yaml", "seeds: [all]", f"seeds: [{seeds}]")
        planned = project.planned("llc_calibration")
        assert planned == calibration | {
            "train": runs, "calibrate_llc": runs, "llc_calibration": 1,
        }  # fmt: skip


OFF = ("checkpoints: [0.3, final]", "checkpoints: []")


def test_no_job_of_an_llc_that_is_off_is_planned(project):
    project.edit("config/smoke.yaml", *OFF)
    expected = with_runs(RUNS) | {"collect": 6, "no_llc": 1}
    del expected["llc"], expected["llc_curve"]
    assert project.planned() == expected


def test_an_llc_that_is_off_is_not_calibrated(project):
    project.edit("config/smoke.yaml", *OFF)
    run = project.watched("llc_calibration")
    assert run.returncode == 1
    said = "llc.checkpoints: expected checkpoints whose LLC to calibrate; found none: LLC is off"
    assert run.stdout.splitlines()[-1] == said
    assert "Traceback" not in run.stdout and not project.results.exists()


@pytest.mark.parametrize("a_job_a_run", [False, True])
@pytest.mark.parametrize("edits", [(), OFF], ids=["on", "off"])
def test_the_slurm_profile_groups_every_rule(project, monkeypatch, a_job_a_run, edits):
    """All of a run, if asked for, and all of the sweep but its configuration."""
    if edits:
        project.edit("config/smoke.yaml", *edits)
    monkeypatch.setenv("TRANSIENCE_SLURM_ONE_JOB_A_RUN", "1" if a_job_a_run else "")
    profile = project.folder / "workflow/profiles/slurm/config.yaml"
    groups = yte.process_yaml(profile.read_text())["groups"]
    # Snakemake refuses a group that depends on what depends on it.
    planned = project.planned("--groups", *(f"{rule}={group}" for rule, group in groups.items()))
    expected = {rule: "run" if rule in RUN_RULES else "sweep" for rule in planned}
    del expected["configuration"]
    if not a_job_a_run:
        expected = {rule: group for rule, group in expected.items() if group == "sweep"}
    assert {rule: groups.get(rule) for rule in expected} == expected
    others = {"llc", "llc_curve", "no_llc", "figure_of_variant"}
    assert groups.keys() - planned.keys() <= others
    assert a_job_a_run or not set(RUN_RULES) & groups.keys()


@pytest.mark.parametrize(
    ("words", "there", "device", "gpus", "told"),
    [
        ((), True, "cuda", 1, "auto found a GPU"),
        ((), False, "cpu", 0, None),
        (("--jobs", "4"), True, "cpu", 0, "auto is cpu on a cluster"),
    ],
)
def test_auto_is_a_device_that_is_counted(project, monkeypatch, words, there, device, gpus, told):
    """A program and a version are made up, as no machine of the tests need have a GPU."""
    project.edit("config/smoke.yaml", "device: cpu", "device: auto")
    program = project.folder / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GPU 0: made up'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0" if there else "")
    package = project.folder / "workflow/lib/torch-2.13.0+cu130.dist-info/METADATA"
    package.parent.mkdir()
    package.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cu130\n")
    target = "results/smoke/runs/baseline/M4_seed1/training.parquet"
    run = project.snakemake(target, "--dry-run", "--printshellcmds", *words)
    assert f"--device {device} " in run.stdout
    assert f" gpu={gpus}," in run.stdout
    lines = re.findall(r"^execution\.device: (.*)$", run.stdout, re.MULTILINE)
    assert len(lines) == bool(told) and all(line.startswith(told) for line in lines)


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--jobs", "4"), 1)])
def test_a_job_on_a_cluster_gets_its_threads_or_is_not_submitted(project, words, code):
    project.edit("config/smoke.yaml", "threads: 1", "threads: 3")
    run = project.snakemake("--dry-run", *words)
    assert run.returncode == code
    said = "execution.threads: expected at most the CPUs of a job (2); found 3; add --cores 3"
    assert (said in run.stdout) == bool(code)


@pytest.mark.parametrize(("words", "limit"), [((), 1), (("--resources", "gpu=3"), 3)])
def test_jobs_on_a_gpu_take_turns(project, words, limit):
    """Unless someone says how many may share it; this job needs none."""
    project.edit("config/smoke.yaml", "device: cpu", "device: cuda")
    run = project.snakemake("results/smoke/config.json", *words)
    assert run.returncode == 0
    assert re.search(rf"^Provided resources: .*gpu\W+{limit}\b", run.stdout, re.MULTILINE)


def test_a_dry_run_ends_with_what_it_would_cost(project):
    first, second = project.snakemake("--dry-run", "--quiet", "rules").stdout.splitlines()[-2:]
    assert re.match(
        r"Estimate: .* of a core, so .* on 2 cores \(.*train .*\); .* GB of disk", first
    )
    assert "by stated rates" in second.lower()
    failed = project.snakemake("--dry-run", "--config", "training={num_steps: none}").stdout
    assert "Estimate" not in failed
