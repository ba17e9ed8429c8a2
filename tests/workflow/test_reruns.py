"""What an edit redoes: exactly what it touches."""

import os

import pytest

RUNS = 6
COLLECT = {"collect": 6, "indicator_agreement": 1}
AFTER_TRANSIENCE = {"transient_ridge": 1, "claims": 1, "figure": 4, "report": 1}
AFTER_PCA = AFTER_TRANSIENCE | {"trajectory_subspace": 1}
AFTER_RUNS = COLLECT | {"trajectory_pca": 1, "free_energy": 1} | AFTER_PCA | {"figure": 10}
RECORDED = {"configuration": 1}  # an edit of the configuration is written to config.json
LIBRARY = "workflow/lib/transience"


def runs(number: int) -> dict[str, int]:
    return dict.fromkeys(("train", "evaluate", "llc", "indicators"), number)


def test_finished_is_finished(sweep):
    assert not sweep.planned()


def test_touched_files_redo_nothing(sweep):
    for folder in ("config", "workflow", "results/smoke/runs"):
        for path in (sweep.folder / folder).rglob("*.*"):
            os.utime(path)
    assert not sweep.planned()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("config/smoke.yaml", "# A few seconds a run.", "# Some seconds a run."),
        ("config/smoke.yaml", "  width: 16\n  num_layers: 2\n", "  num_layers: 2\n  width: 16\n"),
        (f"{LIBRARY}/training.py", '"""', '"""In other words: '),
        (f"{LIBRARY}/training.py", "\n\n\n", "\n\n\n# A comment.\n"),
        ("workflow/rules/1_train.smk", "memory(4000)", "memory(5000)"),
        ("workflow/rules/1_train.smk", "logs/train/", "logs/training/"),
        ("workflow/rules/3_llc.smk", "threads: config", "threads: 1 or config"),
        ("workflow/rules/1_train.smk", "# Train one", "# Here, train one"),
    ],
)
def test_edits_without_meaning_redo_nothing(sweep, file, old, new):
    sweep.edit(file, old, new)
    assert not sweep.planned()


EVALUATION = {"evaluate": RUNS, "collect": 2, "trajectory_pca": 1, "free_energy": 1} | AFTER_PCA
EVALUATION |= {"figure": 9}
AFTER_PREDICTORS = {"collect": 1, "free_energy": 1} | AFTER_TRANSIENCE | {"figure": 7}
LLC = {"llc": 6, "collect": 2, "indicator_agreement": 1, "free_energy": 1, "claims": 1}
LLC |= {"figure": 4, "report": 1}
INDICATORS = {"indicators": 6, "collect": 1, "indicator_agreement": 1, "figure": 1, "report": 1}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("num_steps: 300", "num_steps: 301", runs(RUNS) | AFTER_RUNS),
        ("num_tasks: [1, 4, inf]", "num_tasks: [1, 2, 4, inf]", runs(2) | AFTER_RUNS),
        ("seeds: [0, 1]", "seeds: [0, 1, 2]", runs(3) | AFTER_RUNS),
        ("seeds: [0, 1]", "seeds: [1]", AFTER_RUNS),
        ("num_draws: 60", "num_draws: 61", LLC | {"indicators": 6, "collect": 3}),
        ("num_probes: 2", "num_probes: 3", INDICATORS),
        (
            "num_sequences: 32",
            "num_sequences: 33",
            EVALUATION,
        ),
        ("num_components: 4", "num_components: 3", {"trajectory_pca": 1} | AFTER_PCA),
        ("dpi: 80", "dpi: 81", {"figure": 10, "report": 1}),
        ("threads: 1", "threads: 2", {"report": 1}),
        ("save_state_every_seconds: 60", "save_state_every_seconds: 61", {"report": 1}),
        ("baseline: {}", "baseline: {}\n  wide: {model: {width: 20}}", runs(RUNS) | AFTER_RUNS),
        ("variants:", "variants:\n  one: {sweep: {seeds: [5]}}", runs(3) | AFTER_RUNS),
        ("beta1: 0.9\n  beta2: 0.999", "beta1: 0.999\n  beta2: 0.9", runs(RUNS) | AFTER_RUNS),
        ("device: cpu", "device: auto", {"report": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_edits_of_the_configuration(sweep, old, new, expected):
    sweep.edit("config/smoke.yaml", old, new)
    assert sweep.planned() == RECORDED | expected


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("training", runs(RUNS) | AFTER_RUNS),
        ("evaluation", EVALUATION),
        ("llc", LLC),
        ("indicators", INDICATORS),
        ("trajectory_pca", {"trajectory_pca": 1} | AFTER_PCA),
        ("figures/style", {"figure": 10, "report": 1}),
        ("transient_ridge", AFTER_PCA),
        ("free_energy", {"free_energy": 1, "claims": 1, "figure": 10, "report": 1}),
        ("claims/behaviour", {"claims": 1, "report": 1}),
        ("collect", AFTER_RUNS),
        ("command", runs(RUNS) | AFTER_RUNS),
    ],
)
def test_edits_of_the_code(sweep, module, expected):
    sweep.edit(f"{LIBRARY}/{module}.py", "\n\n\n", "\n\n\nADDED = 1\n")
    assert sweep.planned() == expected


def test_a_variants_own_setting_retrains_that_variant(sweep):
    edit = {"one: {": "one: {model: {width: 20}, "}
    sweep.edit("config/smoke.yaml", "variants:", "variants:\n  one: {sweep: {seeds: [5]}}")
    assert sweep.snakemake().returncode == 0
    for old, new in edit.items():
        sweep.edit("config/smoke.yaml", old, new)
    assert sweep.planned() == RECORDED | runs(3) | AFTER_RUNS
    sweep.edit("config/smoke.yaml", "num_steps: 300", "num_steps: 301")
    assert sweep.planned() == RECORDED | runs(RUNS + 3) | AFTER_RUNS


@pytest.mark.parametrize("part", ["template.html", "explorer.js", "sorting.js"])
def test_an_edited_template_redoes_the_report(sweep, part):
    with (sweep.folder / "workflow/report" / part).open("a") as template:
        template.write("<!-- the end -->\n")
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
        ("runs/baseline/M4_seed0/llc.parquet", LLC | {"llc": 1}),
        (
            "tables/predictors.parquet",
            AFTER_PREDICTORS,
        ),
        ("figures/figure1.pdf", {"figure": 1, "report": 1}),
    ],
)
def test_a_deleted_file_is_made_again(sweep, file, expected):
    (sweep.results / file).unlink()
    assert sweep.planned() == expected
