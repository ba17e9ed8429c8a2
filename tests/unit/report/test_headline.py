"""What a sweep shows, in words."""

import math

import pandas as pd
from made_up import made_up_sweep

from transience.report.headline import headline, main_result, missing_runs


def outcomes(*rows: tuple[float, int, float, float, bool]) -> pd.DataFrame:
    names = ["num_tasks", "seed", "least_ood_loss", "rise", "transient"]
    return pd.DataFrame(rows, columns=names).assign(initial_ood_loss=4.0, ridge_ood_loss=2.0)


def test_the_main_result_names_the_diversities_that_are_transient_in_every_seed() -> None:
    table = outcomes(
        (4, 0, 3.0, 1.5, True), (4, 1, 2.5, 1.25, True),
        (8, 0, 2.5, 1.2, True), (8, 1, 2.5, 1.05, False),
        (math.inf, 0, 2.1, 1.0, False), (math.inf, 1, 2.1, 1.004, False),
    )  # fmt: skip
    assert main_result(table) == (
        "Trained on M = 4 tasks, in each of 2 seeds, models first get better at new tasks, "
        "50 to 75 % of the way to ridge regression, and then worse again: their loss on new tasks "
        "ends 25 to 50 % above its least value, which is 1.2 to 1.5 times that of ridge. At "
        "M = 8 it ends 5 to 20 % above its least. At M = ∞ it ends 0.0 to 0.4 % above its least."
    )
    assert headline(table) == "Better at new tasks, and then worse again"
    near = table.assign(least_ood_loss=2.4)
    assert headline(near) == "Ridge regression, learnt and then left again"


def test_the_main_result_says_so_if_there_is_none() -> None:
    table = outcomes((4, 0, 3.0, 1.0, False), (math.inf, 0, 2.1, 1.0, False))
    assert main_result(table) == (
        "At no finite task diversity does the loss on new tasks fall and then rise again, by 10 % "
        "or more, in the only seed. At M = ∞ it falls to the end."
    )
    assert headline(table) == "No transient ridge at this scale"
    some = outcomes((4, 0, 3.0, 1.5, True), (4, 1, 3.0, 1.0, False))
    assert headline(some) == "Transient ridge, but not in every seed"


def test_a_sweep_of_infinity_alone_is_said_to_be_one() -> None:
    table = outcomes((math.inf, 0, 2.1, 1.0, False))
    assert headline(table) == "No finite task diversity in this sweep"
    assert main_result(table) == (
        "The sweep has M = ∞ only, in the only seed, and nothing to leave ridge for. At M = ∞ it "
        "falls to the end."
    )


def test_runs_that_a_table_lacks_are_named() -> None:
    tables = made_up_sweep([1.0, 8.0, math.inf], 2)
    runs = [("baseline", m, seed) for m in (1.0, 8.0, math.inf) for seed in (0, 1)]
    assert missing_runs(tables, runs) == []
    llc = tables["llc"].query("num_tasks != 8")
    assert missing_runs(tables | {"llc": llc}, runs) == [
        "2 of 6 runs are missing from the table llc: baseline M = 8 seed 0; baseline M = 8 seed 1."
    ]
