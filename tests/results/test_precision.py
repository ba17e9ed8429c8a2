"""bf16 and tf32 leave t_crit and the final losses of the default sweep within seed noise."""

from pathlib import Path

import pandas as pd
import pytest
from precision import compare, quantities

from transience.files.tables import RUN_KEYS, read_table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return pd.read_csv(ROOT / "results/reference/precision/precision.csv")


def test_precisions_differ_by_less_than_seeds(runs):
    found = compare(runs)
    for name in ("t_crit (step)", "final OOD loss", "final loss on q_M"):
        rows = found[found["quantity"] == name]
        assert len(rows) == 4  # M
        for precision in ("bf16", "tf32"):
            assert (rows[f"{precision} differs by"] < rows["seeds differ by"]).all()


def test_m_8_is_transient_in_every_seed_and_precision(runs):
    eight = runs[(runs["num_tasks"] == 8) & (runs["variant"] != "elsewhere")]
    assert len(eight) == 18
    assert (eight["final OOD loss"] > 1.1 * eight["least OOD loss"]).all()
    assert (eight["t_crit (step)"] < 8000).all()


def test_float32_is_that_of_the_reference_results_to_the_bit(runs):
    """Two sweeps of the same settings on the same kind of processor, a day and a rewrite apart."""
    table = read_table(ROOT / "results/reference/laptop/tables/evaluation.parquet", "evaluation")
    expected = pd.DataFrame([quantities(rows) for _, rows in table.groupby(RUN_KEYS)])
    expected = expected[expected["num_tasks"].isin(runs["num_tasks"])]
    kept = runs[(runs["variant"] == "baseline") & runs["seed"].isin(expected["seed"])]
    pd.testing.assert_frame_equal(
        kept.reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False
    )


def test_compare_takes_differences_within_and_between_seeds():
    values = {"baseline": [1.0, 2.0, 4.0], "bf16": [2.0, 1.0], "elsewhere": [1.5]}
    rows = [
        {"variant": variant, "num_tasks": 8.0, "seed": seed, "loss": value}
        for variant, found in values.items()
        for seed, value in enumerate(found)
    ]
    (row,) = compare(pd.DataFrame(rows)).to_dict("records")
    assert row["bf16 differs by"] == 1.0 and row["bf16 mean"] == 0.0
    assert row["elsewhere differs by"] == row["elsewhere mean"] == 0.5
    assert row["seeds differ by"] == pytest.approx(((1 + 9 + 4) / 3) ** 0.5)
