"""Power laws that are known, from settings of variants to what they foretell."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats
from small import MODEL, TASK, TRAINING

from transience.departure.scaling import (
    AT,
    LENGTH,
    MAIN,
    OTHER,
    PAPER,
    POINTS,
    TASKS,
    design,
    fit,
    knobs,
    numbers,
    points_table,
    scaling_tables,
)
from transience.model.settings import ModelSettings
from transience.problem.settings import TaskSettings
from transience.training.settings import TrainingSettings

START = {
    "task.task_dimension": 4.0,
    "task.num_examples": 16.0,
    "task.noise_variance": 0.125,
    "model.width": 48.0,
    "model.num_layers": 2.0,
    "training.batch_size": 64.0,
    "training.learning_rate": 4.0e-3,
    LENGTH: 16_000.0,
}
TRIED = {
    "task.task_dimension": [2.0, 3.0],
    "model.width": [24.0, 96.0],
    "training.batch_size": [16.0],
    "training.learning_rate": [1.0e-3],
    LENGTH: [4_000.0, 8_000.0],
}
EXPONENTS = {
    "task.task_dimension": 1.5,
    "model.width": 0.4,
    "training.batch_size": 0.3,
    "training.learning_rate": -0.2,
    LENGTH: 0.5,
}


def law(knob: str, value: float) -> float:
    return 24.0 * (value / START[knob]) ** EXPONENTS[knob] if knob else 24.0


def points(
    error: Callable[[], float] = lambda: 0.0, seeds: int = 2, spread: float = 2.0
) -> pd.DataFrame:
    """Thresholds by `law`, ``spread`` times as high in each next seed."""
    tried = [(MAIN, math.nan), *((knob, value) for knob in TRIED for value in TRIED[knob])]
    rows = [
        ("threshold", f"{knob}{value}", 0.0, seed, 16_000, knob, value, found, found, found)
        for seed in range(seeds)
        for knob, value in tried
        for found in [law(knob, value) * spread**seed * math.exp(error())]
    ]
    return pd.DataFrame(rows, columns=POINTS)


def test_exponents_are_found_and_carry_to_the_paper():
    fitted, foretold = scaling_tables(points(), START)
    assert dict(zip(fitted["knob"], fitted["exponent"], strict=True)) == pytest.approx(EXPONENTS)
    assert dict(zip(fitted["knob"], fitted["num_values"], strict=True)) == {
        knob: len(values) + 1 for knob, values in TRIED.items()
    }
    expected = 24.0 * math.sqrt(2.0)  # between the seeds
    for knob, exponent in EXPONENTS.items():
        expected *= (PAPER[knob] / START[knob]) ** exponent
    assert foretold["value"].tolist() == pytest.approx([expected])


def test_intervals_are_those_of_one_knob_by_the_book():
    rng = np.random.default_rng(0)
    made = points(lambda: 0.1 * rng.standard_normal(), seeds=1)
    own = made[made["knob"].isin([MAIN, "model.width"])]
    fitted, _ = scaling_tables(own, START)
    logs = np.log(own["knob_value"].fillna(48.0) / 48.0)
    line = stats.linregress(logs, np.log(own["value"]))
    half = stats.t.ppf(0.975, 1) * line.stderr
    row = fitted.iloc[0]
    assert (row["exponent"], row["low"], row["high"]) == pytest.approx(
        (line.slope, line.slope - half, line.slope + half)
    )


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 200 sweeps with errors of 10 %; the laws' and what they foretell for one more sweep."""
    rng, inside, ahead = np.random.default_rng(1), [], []
    for _ in range(200):
        made = points(lambda: 0.1 * rng.standard_normal(), spread=1.0)
        fitted, foretold = scaling_tables(made, START)
        truth = fitted["knob"].map(EXPONENTS)
        inside += ((fitted["low"] <= truth) & (truth <= fitted["high"])).tolist()
        value = math.prod((PAPER[k] / START[k]) ** e for k, e in EXPONENTS.items()) * 24.0
        value *= math.exp(0.1 * rng.standard_normal())
        ahead.append(bool(foretold["low"].iloc[0] <= value <= foretold["high"].iloc[0]))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)
    assert np.mean(ahead) == pytest.approx(0.95, abs=0.04)


def test_times_go_with_the_number_of_tasks_too():
    tried = [(MAIN, math.nan), ("training.batch_size", 16.0), ("training.batch_size", 256.0)]
    rows = [
        ("departure", f"{value}", m, 0, 9, knob, value, found, found, found)
        for knob, value in tried
        for m in (8.0, 16.0)
        for found in [3.0 * m**2 * ((value if knob else 64.0) / 64.0) ** -0.5]
    ]
    fitted, foretold = scaling_tables(pd.DataFrame(rows, columns=POINTS), START)
    found = dict(zip(fitted["knob"], fitted["exponent"], strict=True))
    assert found == pytest.approx({"training.batch_size": -0.5, TASKS: 2.0})
    assert foretold.empty  # the paper differs in width, of which nothing is known


def test_of_the_paper_nothing_is_foretold_if_a_setting_was_not_varied():
    made = points()
    _, foretold = scaling_tables(made[made["knob"] != "task.task_dimension"], START)
    assert foretold.empty


def test_knobs_that_cannot_be_told_apart_have_no_law():
    rows = design(points(seeds=1), START)
    twice = rows.assign(again=2 * rows["model.width"])
    assert fit(rows) is not None
    assert fit(twice) is None
    assert fit(rows[["seed", "value"]]) is None
    assert fit(rows.iloc[:0]) is None


def test_as_many_numbers_as_points_have_no_interval():
    made = points(seeds=1)
    own = made[made["knob"].eq(MAIN) | made["knob_value"].eq(96.0)]
    fitted, _ = scaling_tables(own, START)
    assert fitted["exponent"].tolist() == pytest.approx([0.4])
    assert fitted[["low", "high"]].isna().all(axis=None)


def sections(**own: dict) -> dict:
    base = {
        "task": TaskSettings(**TASK),
        "model": ModelSettings(**MODEL),
        "training": TrainingSettings(**TRAINING),
    }
    return {
        name: type(section).model_validate(
            section.model_dump(exclude_unset=True) | own.get(name, {})
        )
        for name, section in base.items()
    }


def test_a_knob_is_what_changes_by_one_factor():
    wide = {key: 2 * MODEL[key] for key in ("width", "mlp_width")}
    settings = {
        "baseline": sections(),
        "wide": sections(model=wide),
        "uneven": sections(model=wide | {"mlp_width": 3 * MODEL["mlp_width"]}),
        "rate": sections(training={"learning_rate": TRAINING["learning_rate"] / 4}),
        "phases": sections(training={"phases": [{"fresh_fraction": 0.1}]}),
        "features": sections(task={"family": "features"}),
        "other_seeds": sections(),
    }
    found = knobs(settings)
    assert {name: knob for name, (knob, _) in found.items()} == {
        "baseline": MAIN,
        "wide": "model.width",
        "uneven": OTHER,
        "rate": "training.learning_rate",
        "phases": OTHER,
        "features": OTHER,
        "other_seeds": MAIN,
    }
    assert found["wide"][1] == 2 * MODEL["width"]
    assert numbers(settings["rate"])["training.learning_rate"] == found["rate"][1]


def test_the_papers_settings_are_those_of_its_configuration(pytestconfig):
    text = (pytestconfig.rootpath / "config/paper.yaml").read_text(encoding="utf-8")
    whole = yaml.safe_load(text)
    for key, value in PAPER.items():
        section, _, name = key.partition(".")
        assert whole[section][name] == value


def made_up_runs(lengths: dict[str, int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of variants that leave ridge at step 10 M, with t_crit at M."""
    names = ["variant", "num_tasks", "seed", "step", "distribution", "position"]
    rows = []
    for variant, length in lengths.items():
        for m in (8.0, 16.0, 32.0, math.inf):
            for step in range(0, length + 1, 20):
                # At ridge from step 40 on, and far from both before.
                r = 0.3 if step > 10 * m else 0.8
                scale = 1.0 if step < 40 else 0.05
                rows.append((variant, m, 0, step, "training", pd.NA, r * scale, (1 - r) * scale))
    evaluation = pd.DataFrame(rows, columns=[*names, "distance_to_dmmse", "distance_to_ridge"])
    runs = evaluation.groupby(["variant", "num_tasks", "seed"]).size().index.to_frame(index=False)
    runs = runs.assign(t_crit=runs["num_tasks"].replace(math.inf, 0).astype(int), transient=True)
    return evaluation.astype({"position": "Int64"}), runs


def test_points_of_a_sweep():
    turned = {
        "baseline": (MAIN, math.nan),
        "longer": (LENGTH, 800.0),
        "rate": ("training.learning_rate", 1.0e-3),
        "phases": (OTHER, math.nan),
    }
    runs = made_up_runs({"baseline": 400, "longer": 800, "rate": 400, "phases": 400})
    table = points_table(*runs, turned)
    assert list(table) == POINTS
    of = {name: rows for name, rows in table.groupby("quantity")}
    read = of["threshold"].set_index(["variant", "step"])
    assert set(read.index) == {
        *(("baseline", step) for step in (100, 200, 400)),
        *(("longer", 800), ("rate", 400), ("phases", 400)),
    }
    assert read["knob"].to_dict() == {
        ("baseline", 100): LENGTH,
        ("baseline", 200): LENGTH,
        ("baseline", 400): MAIN,
        ("longer", 800): LENGTH,
        ("rate", 400): "training.learning_rate",
        ("phases", 400): OTHER,
    }
    assert read["knob_value"].fillna(0).tolist() == [100.0, 200.0, 0.0, 800.0, 0.0, 1.0e-3]
    assert read.loc[("baseline", 400), ["low", "high"]].tolist() == [32.0, math.inf]
    left = of["departure"].set_index(["variant", AT])
    assert left.loc[("rate", 16.0), ["low", "high"]].tolist() == [160.0, 180.0]
    assert left.loc[("rate", 16.0), "value"] == pytest.approx(math.sqrt(160 * 180))
    for times in (of["t_crit"], of["departure"]):
        assert set(times.loc[times["variant"] == "longer", "knob"]) == {OTHER}
        assert np.isfinite(times[AT]).all()
