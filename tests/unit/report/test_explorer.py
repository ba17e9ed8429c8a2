"""The explorer's data: every checkpoint with its losses, colours of the figures, bounded size."""

import json
import math

import matplotlib.colors
import pandas as pd
import pytest
from made_up import Tables, made_up_sweep

from transience.figures.curves import smooth
from transience.figures.style import RIDGE_COLOUR, DiversityScale
from transience.files.selections import mean_over_positions
from transience.report import explorer

NUM_TASKS = [1.0, 8.0, 16.0, math.inf]


@pytest.fixture
def tables() -> Tables:
    return made_up_sweep(NUM_TASKS, 2)


def path_of(tables: Tables, num_tasks: float, seed: int) -> pd.DataFrame:
    chosen = f"num_tasks == {num_tasks} and seed == {seed} and predictor.isna()"
    return tables["trajectory_pca"].query(chosen).sort_values("step")


def test_a_run_holds_the_rows_of_the_tables(tables: Tables) -> None:
    data = explorer.explorer(tables, 1)
    assert data["shown"] == data["of"] == tables["trajectory_pca"]["predictor"].isna().sum()
    assert [(plane["variant"], plane["seed"]) for plane in data["planes"]] == [
        ("baseline", 0), ("baseline", 1),
    ]  # fmt: skip
    run = data["planes"][1]["runs"][1]
    path = path_of(tables, 8.0, 1)
    assert run["m"] == "8"
    assert run["steps"] == path["step"].tolist()
    assert run["at"][1] == pytest.approx(path["pc2"].tolist(), rel=1e-3)
    assert run["line"] is None
    for name, distribution in (("own", "training"), ("ood", "gaussian")):
        rows = mean_over_positions(tables["evaluation"], distribution)
        rows = rows.query("num_tasks == 8 and seed == 1")
        expected = [float(f"{loss:.4g}") for loss in rows.sort_values("step")["loss"]]
        assert run[name] == expected
    own = mean_over_positions(tables["evaluation"], "training")
    own = own.query("num_tasks == 8 and seed == 1").sort_values("step")
    assert run["toRidge"] == [float(f"{one:.4g}") for one in own["distance_to_ridge"]]
    assert run["toDmmse"] == [float(f"{one:.4g}") for one in own["distance_to_dmmse"]]
    t_crit = tables["transient_ridge"].query("num_tasks == 8 and seed == 1")["t_crit"].item()
    assert run["tCrit"] == t_crit


def test_colours_are_those_of_the_figures(tables: Tables) -> None:
    data = explorer.explorer(tables, 1)
    scale = DiversityScale.of(NUM_TASKS)
    colours = [matplotlib.colors.to_hex(scale.colour(m)) for m in NUM_TASKS]
    runs = data["planes"][0]["runs"]
    assert [run["colour"] for run in runs] == colours
    assert [run["infinite"] for run in runs] == [False, False, False, True]
    assert [len(run["dmmse"]) > 0 for run in runs] == [True, True, True, False]
    assert data["ridge"] == RIDGE_COLOUR


def test_lines_are_smoothed_as_in_the_figures_and_points_are_not(tables: Tables) -> None:
    raw, smoothed = (explorer.explorer(tables, window)["planes"][0] for window in (1, 5))
    assert raw["runs"][0]["at"] == smoothed["runs"][0]["at"]
    expected = smooth(path_of(tables, 1.0, 0)["pc1"], 5).tolist()
    assert smoothed["runs"][0]["line"][0] == pytest.approx(expected, rel=1e-3)


def test_a_large_sweep_is_thinned_and_keeps_ends_and_t_crit(tables: Tables) -> None:
    whole, thin = (explorer.explorer(tables, 5, max_checkpoints=n) for n in (10**6, 64))
    assert thin["shown"] <= 64 + len(NUM_TASKS) * 2 < thin["of"] == whole["shown"]
    for plane, all_of_it in zip(thin["planes"], whole["planes"], strict=True):
        for run, every in zip(plane["runs"], all_of_it["runs"], strict=True):
            assert {every["steps"][0], every["steps"][-1], run["tCrit"]} <= {*run["steps"]}
            kept = [every["steps"].index(step) for step in run["steps"]]
            for name in ("at", "line"):
                assert run[name][0] == [every[name][0][i] for i in kept]
            assert run["ood"] == [every["ood"][i] for i in kept]


def test_missing_values_and_markup_are_safe(tables: Tables) -> None:
    tables["evaluation"].loc[tables["evaluation"]["step"] == 0, "loss"] = math.nan
    frames = {name: frame.assign(variant="</script>") for name, frame in tables.items()}
    text = explorer.as_script(explorer.explorer(frames, 1))
    assert "<" not in text
    plane = json.loads(text)["planes"][0]
    assert plane["variant"] == "</script>"
    assert plane["runs"][0]["own"][0] is None


def test_the_main_variant_comes_first(tables: Tables) -> None:
    other = {name: frame.assign(variant="a") for name, frame in tables.items()}
    both = {name: pd.concat([frame, other[name]]) for name, frame in tables.items()}
    for first, second in (("baseline", "a"), ("a", "baseline")):
        planes = explorer.explorer(both, 1, first=first)["planes"]
        assert [plane["variant"] for plane in planes] == [first, first, second, second]
