"""What an edit redoes: exactly what it touches.

Most edits are looked up, without a process: what each job of a plan is told of the configuration,
and which modules it runs, say what an edit makes stale, with all that follows from its files. A
dozen plans of edited sweeps then show that Snakemake sees it the same way.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from transience.command.flags import Reads
from transience.planning.code_digest import closure, code_digest

RUNS = 6
COLLECT = {"collect": 9, "indicator_agreement": 1}
AFTER_TRANSIENCE = {"transient_ridge": 1, "claims": 1, "figure": 4, "report": 1, "scaling": 1}
PCA = {"trajectory_pca": 1, "branch_trajectories": 1}
AFTER_PCA = AFTER_TRANSIENCE | {"trajectory_subspace": 1}
FREE_ENERGY = {"free_energy": 1, "departure_prediction": 1}
AFTER_RUNS = (
    COLLECT | PCA | FREE_ENERGY | AFTER_PCA | {"figure": 13, "interventions": 1, "alarms": 1}
)
RECORDED = {"configuration": 1, "report": 1}  # an edit of the configuration goes to config.json
EVALUATION = (
    {"evaluate": RUNS, "collect": 3, "interventions": 1, "alarms": 1, "trajectory_pca": 1}
    | {"branch_trajectories": 1}
    | FREE_ENERGY
    | AFTER_PCA
)
EVALUATION |= {"figure": 12}
AFTER_PREDICTORS = {"collect": 1} | FREE_ENERGY | AFTER_TRANSIENCE | {"figure": 8}
OF_LLC = {"llc": 6, "collect": 2, "indicator_agreement": 1} | FREE_ENERGY | {"claims": 1}
OF_LLC |= {"figure": 6, "report": 1}
CURVE = {"llc_curve": 6, "collect": 1, "claims": 1, "figure": 1, "report": 1}
LLC = OF_LLC | {"llc_curve": 6, "collect": 3}
INDICATORS = {"indicators": 6, "collect": 1, "indicator_agreement": 1, "figure": 1, "report": 1}
DRAWN = {"figure": 13, "report": 1}
BESIDE = {"figure": 20, "figure_of_variant": 13}  # where there are two variants
PROPOSED = {"propose_llc": 1, "llc_calibration_figure": 1}
CALIBRATION = {"calibrate_llc": 6, "collect_llc_calibration": 2} | PROPOSED
LIBRARY = "workflow/lib/transience"
PAGE = Path(__file__).parents[2] / "workflow/report"
PAGE_PARTS = [
    PAGE / name
    for name in (
        "template.html",
        "look.css",
        "captions.yaml",
        "variants.js",
        "explorer.js",
        "sorting.js",
    )
]


def runs(number: int) -> dict[str, int]:
    return dict.fromkeys(("train", "evaluate", "llc", "llc_curve", "indicators"), number)


ALL = runs(RUNS) | AFTER_RUNS


# Looked up


def stale(jobs, touched: Callable) -> Counter[str]:
    """Jobs of each rule that are touched, or that read what a stale one writes."""
    written: set[str] = set()
    found: set[int] = set()
    while new := {
        number
        for number, job in enumerate(jobs)
        if number not in found and (touched(job) or job.inputs & written)
    }:
        found |= new
        written |= {path for number in new for path in jobs[number].outputs}
    return Counter(jobs[number].rule for number in found)


def told(key: str) -> Callable:
    """Whether a job is told of `section.key`."""
    section, name = key.split(".")
    return lambda job: name in job.settings.get(section, {})


def running(module: str) -> Callable:
    """Whether a job runs a module of the package."""
    name = f"transience.{module}"
    assert find_spec(name)
    return lambda job: job.rule != "configuration" and name in _closure(*job.modules)


_closure = cache(closure)


@pytest.fixture
def jobs(planned_jobs):
    """Those of a plain sweep."""
    return [job for job in planned_jobs if job.rule not in CALIBRATION]


@pytest.fixture
def calibration(planned_jobs):
    """Those of a calibration only."""
    return [job for job in planned_jobs if job.rule in CALIBRATION]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("task.noise_variance", ALL),
        ("model.width", ALL),
        ("training.num_steps", ALL),
        ("training.beta1", ALL),
        ("checkpoints.linear_every", ALL),
        ("evaluation.num_sequences", EVALUATION),
        ("probe.num_sequences", EVALUATION),
        ("llc.num_draws", LLC),
        ("llc.step_size", LLC),
        ("llc.nbeta", LLC | {"indicators": 6, "collect": 4}),
        ("llc.gamma", LLC | {"indicators": 6, "collect": 4}),
        ("llc_curve.num_probes", CURVE),
        ("indicators.num_probes", INDICATORS),
        ("trajectory_pca.num_components", PCA | AFTER_PCA),
        ("figures.dpi", DRAWN),
        ("figures.smoothing_window", DRAWN),
        ("figures.variant", DRAWN),
        ("execution.threads", {}),
        ("execution.device", {}),
        ("execution.save_state_every_seconds", {}),
        ("llc_calibration.num_sequences", {}),
    ],
)
def test_edits_of_the_configuration(jobs, key, expected):
    assert stale(jobs, told(key)) == RECORDED | expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("task.noise_variance", CALIBRATION),
        ("model.width", CALIBRATION),
        ("llc.num_draws", CALIBRATION),
        ("llc_calibration.num_sequences", CALIBRATION),
        ("figures.dpi", {"llc_calibration_figure": 1}),
        ("evaluation.num_sequences", {}),
        ("execution.threads", {}),
    ],
)
def test_edits_of_the_configuration_and_the_calibration(calibration, key, expected):
    assert stale(calibration, told(key)) == expected


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("training.train", ALL),
        ("model.kernels.layers", ALL),
        ("run", ALL),
        ("evaluation.evaluate", EVALUATION),
        ("complexity.llc", LLC),
        ("complexity.estimator", LLC),
        ("complexity.llc_curve", CURVE),
        ("complexity.indicators", INDICATORS),
        ("trajectories.joint_pca", PCA | AFTER_PCA),
        (
            "trajectories.robustness",
            {"trajectory_subspace": 1, "claims": 1, "figure": 1, "report": 1},
        ),
        ("departure.transient_ridge", AFTER_TRANSIENCE | {"interventions": 1}),
        ("departure.alarms", {"alarms": 1, "figure": 1, "report": 1}),
        ("departure.scaling", {"scaling": 1}),
        ("departure.pareto", {"interventions": 1, "claims": 1, "report": 1}),
        ("departure.branch_trajectories", {"branch_trajectories": 1}),
        ("departure.free_energy", FREE_ENERGY | {"claims": 1, "figure": 2, "report": 1}),
        ("departure.laws", {"departure_prediction": 1, "claims": 1, "figure": 1, "report": 1}),
        ("claims.behaviour", {"claims": 1, "report": 1}),
        ("claims.interventions", {"claims": 1, "report": 1}),
        (
            "collect",
            COLLECT
            | FREE_ENERGY
            | AFTER_TRANSIENCE
            | {"figure": 13, "interventions": 1, "alarms": 1},
        ),
        ("figures.style", DRAWN),
        ("figures.draw", DRAWN),
        ("figures.figure1", {"figure": 1, "report": 1}),
        ("figures.llc_diagnostics", {"figure": 1, "report": 1}),
        ("figures.llc_calibration", {}),
        ("report.headline", {"report": 1}),
        ("complexity.calibration.propose", {}),
        *((f"command.{name}", {}) for name in ("device", "entry", "flags", "progress")),
        ("command.provenance", {}),
    ],
)
def test_edits_of_the_code(jobs, module, expected):
    assert stale(jobs, running(module)) == expected


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("complexity.sgld", CALIBRATION),
        ("complexity.calibration.calibrate", CALIBRATION),
        ("complexity.calibration.propose", PROPOSED),
        ("figures.llc_calibration", {"llc_calibration_figure": 1}),
        ("figures.figure1", {}),
    ],
)
def test_edits_of_the_code_and_the_calibration(calibration, module, expected):
    assert stale(calibration, running(module)) == expected


def test_a_job_keeps_the_digest_of_what_it_runs(planned_jobs):
    for job in planned_jobs:
        if job.rule != "configuration":
            data_files = PAGE_PARTS if job.rule == "report" else []
            assert job.after("--code") == code_digest(*job.modules, data_files=data_files), job.rule


def test_a_command_reads_what_its_rule_lists(planned_jobs):
    """Nothing more and nothing less, or the command would refuse it in the middle of a sweep."""
    for rule, job in {job.rule: job for job in planned_jobs}.items():
        if rule == "configuration":
            continue
        name = job.after("-m")
        package = find_spec(name).submodule_search_locations
        module = import_module(f"{name}.__main__" if package else name)
        parts = [part for part in vars(module).values() if isinstance(part, type)]
        reads = [part for part in parts if issubclass(part, Reads)] or [Reads]
        reads[0].model_validate_json(job.after("--settings"))


def test_a_variants_own_setting_retrains_that_variant(project):
    project.edit("config/smoke.yaml", "variants:", "variants:\n  one: {sweep: {seeds: [5]}}")
    before = {job.outputs: job.settings for job in project.jobs()}
    for old, new, number in [
        ("one: {", "one: {model: {width: 20}, ", 3),
        ("num_steps: 300", "num_steps: 301", RUNS + 3),
    ]:
        project.edit("config/smoke.yaml", old, new)
        found = stale(project.jobs(), lambda job: job.settings != before[job.outputs])
        assert found == RECORDED | runs(number) | AFTER_RUNS | BESIDE


def test_another_variant_to_show_redraws(project):
    """Claims are of every variant already; figures/ is of another one."""
    project.edit("config/smoke.yaml", "variants:", "variants:\n  one: {sweep: {seeds: [5]}}")
    before = {job.outputs: job.settings for job in project.jobs()}
    project.edit("config/smoke.yaml", "variant: main", "variant: one")
    found = stale(project.jobs(), lambda job: job.settings != before.get(job.outputs))
    assert found == RECORDED | DRAWN | BESIDE
    assert "results/smoke/figures/baseline/figure1.pdf" in {
        path for job in project.jobs() for path in job.outputs
    }


# Planned


def test_touched_files_redo_nothing(sweep):
    for folder in ("config", "workflow", "results/smoke/runs"):
        for path in (sweep.folder / folder).rglob("*.*"):
            os.utime(path)
    assert not sweep.planned()


def test_a_moved_checkout_redoes_nothing(sweep, tmp_path):
    place = tmp_path / "new home, é"
    sweep.folder.rename(place)
    assert not replace(sweep, folder=place).planned()


def test_copies_without_their_times_are_redone_until_touched(sweep):
    """Copied in any order, what is read may be younger than what was made of it."""
    shutil.rmtree(sweep.folder / ".snakemake/metadata")
    for path in sorted(sweep.results.rglob("*.parquet"), reverse=True):
        os.utime(path)
    assert sweep.planned()
    assert sweep.snakemake("--touch").returncode == 0
    assert not sweep.planned()


def test_edits_without_meaning_redo_nothing(sweep):
    for file, old, new in [
        ("config/smoke.yaml", "# A few seconds a run.", "# Some seconds a run."),
        ("config/smoke.yaml", "  width: 16\n  num_layers: 2\n", "  num_layers: 2\n  width: 16\n"),
        (f"{LIBRARY}/training/train.py", '"""', '"""In other words: '),
        (f"{LIBRARY}/training/train.py", "\n\n\n", "\n\n\n# A comment.\n"),
        (f"{LIBRARY}/training/kept.py", "resuming at", "going on at"),
        (f"{LIBRARY}/files/tables.py", "expected a table '", "expected table '"),
        (f"{LIBRARY}/command/progress.py", "seconds >= 10", "seconds >= 20"),
        (f"{LIBRARY}/command/provenance.py", "\n\n\n", "\n\n\nADDED = 1\n"),
        ("workflow/rules/1_training.smk", "mem_mb=4000", "mem_mb=5000"),
        ("workflow/rules/1_training.smk", "logs/train/", "logs/training/"),
        ("workflow/rules/3_complexity.smk", "threads: config", "threads: 1 or config"),
        ("workflow/rules/1_training.smk", "# Train one", "# Here, train one"),
    ]:
        sweep.edit(file, old, new)
    assert not sweep.planned()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("num_tasks: [1, 4, inf]", "num_tasks: [1, 2, 4, inf]", runs(2) | AFTER_RUNS),
        ("seeds: [0, 1]", "seeds: [1]", AFTER_RUNS),
        ("num_draws: 60", "num_draws: 61", LLC),
        ("beta1: 0.9\n  beta2: 0.999", "beta1: 0.999\n  beta2: 0.9", ALL),
        ("baseline: {}", "baseline: {}\n  wide: {model: {width: 20}}", ALL | BESIDE),
        ("variants:", "variants:\n  one: {sweep: {seeds: [5]}}", runs(3) | AFTER_RUNS | BESIDE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_plans_after_edits_of_the_configuration(sweep, old, new, expected):
    sweep.edit("config/smoke.yaml", old, new)
    assert sweep.planned() == RECORDED | expected


@pytest.mark.parametrize(
    ("module", "expected"),
    [("evaluation/evaluate", EVALUATION), ("figures/figure1", {"figure": 1, "report": 1})],
)
def test_plans_after_edits_of_the_code(sweep, module, expected):
    sweep.edit(f"{LIBRARY}/{module}.py", "\n\n\n", "\n\n\nADDED = 1\n")
    assert sweep.planned() == expected


def test_the_llc_is_turned_off_and_on_again(sweep):
    """Of the runs nothing is redone, and the estimates that were there are taken again."""
    shows_it = {"indicator_agreement": 1, "claims": 1, "figure": 6, "report": 1} | FREE_ENERGY
    on, off = ("checkpoints: [0.3, final]", "checkpoints: []")
    sweep.edit("config/smoke.yaml", on, off)
    assert sweep.planned() == RECORDED | shows_it | {"no_llc": 1}
    run = sweep.watched()
    assert run.returncode == 0, run.stdout
    page = (sweep.results / "report.html").read_text()
    assert "LLC is off (llc.checkpoints is empty): claims that need it are not tested" in page
    checked = subprocess.run(
        [sys.executable, "-m", "transience.verify", "results/smoke"],
        cwd=sweep.folder, env=os.environ | {"PYTHONPATH": "workflow/lib"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count("from before the LLC was turned off") == 3 * RUNS
    sweep.edit("config/smoke.yaml", off, on)
    assert sweep.planned() == RECORDED | shows_it | {"collect": 3}


def test_an_edited_template_redoes_the_report(sweep):
    with (sweep.folder / "workflow/report/sorting.js").open("a") as script:
        script.write("// the end\n")
    assert sweep.planned() == {"report": 1}


def test_deleted_checkpoints_are_not_missed_until_they_are_needed(sweep):
    for path in sweep.results.glob("runs/*/*/checkpoints.safetensors"):
        path.unlink()
    assert not sweep.planned()
    sweep.edit("config/smoke.yaml", "num_draws: 60", "num_draws: 61")
    assert sweep.planned()["train"] == RUNS


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("runs/baseline/M4_seed0/llc.parquet", OF_LLC | {"llc": 1}),
        ("tables/predictors.parquet", AFTER_PREDICTORS),
        ("figures/figure1.pdf", {"figure": 1, "report": 1}),
    ],
)
def test_a_deleted_file_is_made_again(sweep, file, expected):
    (sweep.results / file).unlink()
    assert sweep.planned() == expected
