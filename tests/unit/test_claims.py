"""The paper's claims on made-up tables where the right verdict is known."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from transience import claims, command, tables
from transience.claims import __main__ as claims_command
from transience.claims.sweep import FAILS, HOLDS, NOT_TESTABLE

INF = math.inf
DIVERSITIES = (1.0, 8.0, 16.0, 64.0, 128.0, 256.0, INF)
SEEDS = (0, 1)
RUNS = pd.DataFrame(
    [("baseline", m, s) for m, s in itertools.product(DIVERSITIES, SEEDS)],
    columns=["variant", "num_tasks", "seed"],
)

# A sweep as in the paper, by M in the order above
RELATIVE_AT_END = (0.01, 0.05, 0.1, 0.2, 0.45, 0.8, math.nan)
RISE = (2.0, 1.3, 1.6, 1.4, 1.2, 1.02, 1.01)
LEAST_OOD = (4.1, 3.0, 2.5, 2.0, 1.8, 1.7, 1.65)
DEFLECTION = (0.02, 0.4, 0.6, 0.7, 0.8, 0.9, math.nan)
DMMSE_LOSS = (0.125, 0.5, 0.7, 1.0, 1.1, 1.3, 1.6)
LLC = (20.0, 60.0, 90.0, 95.0, 97.0, 85.0, 80.0)
PC2_OF_DMMSE = (-5.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0)

Tables = dict[str, pd.DataFrame]


def by_m(values: tuple[float, ...]) -> pd.Series:
    return RUNS["num_tasks"].map(dict(zip(DIVERSITIES, values, strict=True)))


def made_up() -> Tables:
    """A sweep in which every claim of the paper holds."""
    transience = RUNS.assign(
        relative_distance_at_end=by_m(RELATIVE_AT_END),
        rise=by_m(RISE),
        least_ood_loss=by_m(LEAST_OOD),
        ridge_ood_loss=1.6,
        ridge_deflection=by_m(DEFLECTION),
        transient=RUNS["num_tasks"].between(8, 128),
        root_distance_to_ridge_at_end=0.1,
        root_distance_to_nearest_dmmse_at_end=0.3,
    )
    llc = RUNS.assign(step=100, chain=0, centred_llc=by_m(LLC), diverged=False)
    llc["llc"] = llc["centred_llc"] - 5
    return {
        "free_energy": _free_energy(),
        "free_energy_agreement": _free_energy_agreement(),
        "transience": transience,
        "llc": llc,
        "predictors": _predictors(),
        "trajectory_pca": _trajectories(),
        "evaluation": _evaluation(),
        "trajectory_pca_components": _components(),
        "trajectory_subspace": _subspace(),
    }


def _subspace() -> pd.DataFrame:
    """Hardly any random order bends as far as the runs do."""
    rows = [
        ("baseline", seed, "reordered_share", f"{m:g}", 1, 0.01)
        for m in DIVERSITIES
        if m < INF
        for seed in SEEDS
    ]
    columns = ["variant", "seed", "quantity", "setting", "number", "value"]
    return pd.DataFrame(rows, columns=columns)


def _free_energy() -> pd.DataFrame:
    """M = 8 to 128 leave ridge after about 1000 M samples, as predicted."""
    left = RUNS[RUNS["num_tasks"].between(8, 128)]
    n = 1000 * left["num_tasks"]
    return left.assign(
        estimate="centred_llc", outcome="left", prediction="crossover", delta_llc=5000.0,
        observed_low=0.9 * n, observed_high=1.1 * n, llc_difference_needed=5000.0,
        predicted_low=0.5 * n, predicted_samples=n, predicted_high=2 * n,
    )  # fmt: skip


def _free_energy_agreement() -> pd.DataFrame:
    names = ["crossover", "ratio", "llc_difference", "loss_gap", "num_tasks"]
    row = {"variant": "baseline", "estimate": "centred_llc", "scope": "all", "num_pairs": 20}
    row |= {"rank_correlation": 0.8, "low": 0.5, "high": 0.95}
    return pd.DataFrame([row | {"predictor": name} for name in names])


def _predictors() -> pd.DataFrame:
    run = RUNS.assign(distribution="training", position=pd.NA)
    dmmse = run.assign(predictor="dmmse", loss=by_m(DMMSE_LOSS))
    return pd.concat([dmmse, run.assign(predictor="ridge", loss=1.6)], ignore_index=True)


def _trajectories() -> pd.DataFrame:
    """From (-9, 0) to dMMSE_M at (3, PC2) or, for M = inf, to ridge at (3, 2), within 10 %."""
    ideal = {"dmmse": (3.0, by_m(PC2_OF_DMMSE)), "ridge": (3.0, 2.0)}
    frames = [
        RUNS.assign(step=step, predictor=None, pc1=-9 + part * 12, pc2=part * by_m(PC2_OF_DMMSE))
        for step, part in ((0, 0.0), (50, 0.5), (100, 0.9))
    ]
    frames += [
        RUNS.assign(step=pd.NA, predictor=name, pc1=pc1, pc2=pc2)
        for name, (pc1, pc2) in ideal.items()
    ]
    frame = pd.concat([one.astype({"predictor": object}) for one in frames], ignore_index=True)
    return frame.assign(pc3=np.nan, pc4=np.nan, step=frame["step"].astype("Int64"))


def _evaluation() -> pd.DataFrame:
    """Losses that fall with PC1 (root) and with PC2 (OOD), and end at the predictor's (q_M)."""
    points = _trajectories().dropna(subset="step")
    base = points[["variant", "num_tasks", "seed", "step"]].assign(position=pd.NA)
    last = points["num_tasks"].map(dict(zip(DIVERSITIES, DMMSE_LOSS, strict=True)))
    losses = {"root": 4 - 0.2 * points["pc1"], "gaussian": 8 - points["pc2"], "training": last}
    frames = [base.assign(distribution=name, loss=loss) for name, loss in losses.items()]
    return pd.concat(frames, ignore_index=True).astype({"step": "int64", "loss": float})


def _components() -> pd.DataFrame:
    rows = itertools.product(SEEDS, (1, 2), range(3), range(4))
    frame = pd.DataFrame(rows, columns=["seed", "component", "sequence", "position"])
    return frame.assign(variant="baseline", loading=1 / (1 + frame["position"]))


def verdicts(made: Tables) -> pd.Series:
    table = claims.check(made)
    assert table["this_sweep_shows"].str.len().gt(20).all()
    return table.set_index("claim")["verdict"]


def change(table: str, column: str, num_tasks: float, value: object, seed: int = 1):
    """A change of one run: one seed is enough to spoil a claim about every seed."""

    def apply(made: Tables) -> None:
        rows = (made[table]["num_tasks"] == num_tasks) & (made[table]["seed"] == seed)
        old = made[table].loc[rows, column]
        made[table].loc[rows, column] = value(old) if callable(value) else value

    return apply


def every(*changes: Callable) -> Callable:
    def apply(made: Tables) -> None:
        for one in changes:
            one(made)

    return apply


def without(*diversities: float) -> Callable[[Tables], None]:
    def apply(made: Tables) -> None:
        for name, table in made.items():
            if "num_tasks" in table:
                made[name] = table[~table["num_tasks"].isin(diversities)]

    return apply


def late_positions_load_more(made: Tables) -> None:
    table = made["trajectory_pca_components"]
    table.loc[table["seed"] == 1, "loading"] = table["position"] + 1.0


def no_order(made: Tables) -> None:
    made["free_energy_agreement"].loc[:, "low"] = -0.1


def chance_bends_as_far(made: Tables) -> None:
    rows = made["trajectory_subspace"]
    rows.loc[rows["setting"].isin(["8", "16", "64", "128"]) & (rows["seed"] == 1), "value"] = 0.2


def no_known_order(made: Tables) -> None:
    made["free_energy_agreement"].loc[:, "rank_correlation"] = math.nan


# Both verdicts


def test_every_claim_holds_in_a_sweep_like_the_papers():
    found = verdicts(made_up())
    assert (found == HOLDS).all(), found[found != HOLDS]
    assert len(found) == len(claims.CLAIMS) == 22


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("low_ends_near_dmmse", change("transience", "relative_distance_at_end", 1, 0.6)),
        (
            "infinity_ends_near_ridge",
            change("transience", "root_distance_to_ridge_at_end", INF, 0.4),
        ),
        (
            "some_end_in_between",
            every(*(change("transience", "relative_distance_at_end", 8, 0.9, s) for s in SEEDS)),
        ),
        (
            "ood_loss_rises_again",
            every(*(change("transience", "transient", m, False) for m in (8, 16, 64))),
        ),
        ("infinity_keeps_ridge", change("transience", "rise", INF, 1.06)),
        ("dip_deepens", change("transience", "least_ood_loss", 128, 4.0)),
        ("rise_fades", change("transience", "rise", 256, 3.0)),
        (
            "intermediate_deflect",
            every(*(change("transience", "ridge_deflection", m, 0.01) for m in (8, 16, 64, 128))),
        ),
        ("deflection_exceeds_chance", chance_bends_as_far),
        (
            "infinity_goes_to_ridge",  # hardly moves
            change("trajectory_pca", "pc1", INF, lambda x: x.where(x == 3, -9.0)),
        ),
        (
            "infinity_goes_to_ridge",  # leaves again
            change("trajectory_pca", "pc1", INF, [-9.0, 3.0, 1.0, 3.0, 3.0]),
        ),
        (
            "pc2_orders_predictors",
            every(*(change("trajectory_pca", "pc2", m, lambda x: -x) for m in (1, 8, 16))),
        ),
        (
            "pc2_follows_ood_loss",
            every(*(change("evaluation", "loss", m, 1.0) for m in DIVERSITIES)),
        ),
        (
            "pc1_follows_root_loss",
            every(*(change("evaluation", "loss", m, lambda x: -x) for m in DIVERSITIES)),
        ),
        ("early_positions_load_on_pc2", late_positions_load_more),
        (
            "loss_gap_shrinks",
            every(
                *(
                    change("predictors", "loss", m, lambda x: 2 - x, s)
                    for m in DIVERSITIES
                    for s in SEEDS
                )
            ),
        ),
        ("models_reach_predictors", change("evaluation", "loss", INF, 2.0)),
        ("models_reach_predictors", change("evaluation", "loss", 1, 0.2)),
        ("llc_rises", change("llc", "centred_llc", 64, 10.0)),
        ("llc_crosses_infinity", change("llc", "centred_llc", 1, 100.0)),
        (
            "llc_crosses_infinity",
            every(*(change("llc", "centred_llc", m, 70.0) for m in (8, 16, 64, 128))),
        ),
        ("llc_plateaus", every(*(change("llc", "centred_llc", 256, 200.0, s) for s in SEEDS))),
        ("llc_converges", change("llc", "centred_llc", 256, 200.0)),
        ("crossover_predicts_departures", change("free_energy", "predicted_high", 64, 50_000.0)),
        ("crossover_orders_departures", no_order),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_fails_where_one_seed_says_otherwise(claim: str, spoil: Callable):
    made = made_up()
    spoil(made)
    assert verdicts(made)[claim] == FAILS


@pytest.mark.parametrize(
    ("claim", "spoil"),
    [
        ("infinity_ends_near_ridge", without(INF)),
        ("infinity_keeps_ridge", without(INF)),
        ("infinity_goes_to_ridge", without(INF)),
        ("models_reach_predictors", without(INF)),
        ("llc_crosses_infinity", without(INF)),
        ("llc_converges", without(INF)),
        ("llc_converges", without(256)),
        ("some_end_in_between", without(128)),
        ("rise_fades", without(64, 128, 256)),
        ("ood_loss_rises_again", without(8, 16, 64, 128)),
        ("intermediate_deflect", without(8, 16, 64, 128)),
        ("dip_deepens", without(16, 64, 128)),
        ("pc2_orders_predictors", without(16, 64, 128, 256)),
        ("loss_gap_shrinks", without(16, 64, 128, 256)),
        ("llc_plateaus", without(256)),
        ("llc_rises", change("llc", "diverged", 1, True)),
        ("crossover_predicts_departures", without(8, 16, 64, 128)),
        ("crossover_orders_departures", no_known_order),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_claim_is_not_testable_where_the_sweep_lacks_what_it_needs(claim: str, spoil: Callable):
    made = made_up()
    spoil(made)
    assert verdicts(made)[claim] == NOT_TESTABLE


@pytest.mark.parametrize("left", [[INF], [1.0], [1.0, INF], [1.0, 8.0]])
def test_a_tiny_sweep_has_a_verdict_for_every_claim(left: list[float], tmp_path):
    made = made_up()
    without(*(m for m in DIVERSITIES if m not in left))(made)
    table = claims.check(made)
    assert set(table["verdict"]) <= {HOLDS, FAILS, NOT_TESTABLE}
    tables.write_table(tmp_path / "claims", "claims", table, {})
    assert len(tables.read_table(tmp_path / "claims", "claims")) == len(claims.CLAIMS)


# What the sentences say


def test_sentences_give_the_numbers_of_every_seed():
    made = made_up()
    change("transience", "rise", INF, 1.0432)(made)
    sentences = claims.check(made).set_index("claim")["this_sweep_shows"]
    assert sentences["infinity_keeps_ridge"].endswith("by seed: 1.01 / 1.04.")
    assert "1.3 / 1.3 (M = 8), 1.6 / 1.6 (M = 16)" in sentences["ood_loss_rises_again"]
    assert sentences["low_ends_near_dmmse"].endswith("in every seed: M = 1, 8, 16, 64, 128.")


def test_an_estimate_with_a_diverged_chain_is_missing():
    made = made_up()
    diverged = made["llc"].assign(chain=1, centred_llc=math.nan, llc=math.nan, diverged=True)
    made["llc"] = pd.concat([made["llc"], diverged])
    of_llc = verdicts(made)[lambda found: found.index.str.startswith("llc_")]
    assert len(of_llc) == 4 and (of_llc == NOT_TESTABLE).all()


def test_only_the_last_measured_checkpoint_counts_for_the_llc():
    made = made_up()
    made["llc"] = pd.concat([made["llc"].assign(step=5, centred_llc=1.0), made["llc"]])
    assert (verdicts(made) == HOLDS).all()


def test_claims_are_about_the_baseline():
    made = made_up()
    for name, table in made.items():
        made[name] = pd.concat([table.assign(variant="another").iloc[:1], table])
    made["claims"] = pd.DataFrame({"claim": ["the table of an earlier check is not looked at"]})
    assert (verdicts(made) == HOLDS).all()


def test_the_command_writes_every_claim(tmp_path, monkeypatch, made_up_sweep):
    sweep = made_up_sweep([1.0, 8.0, 64.0, INF], 2)
    flags = ["claims", "--settings", "{}", "--claims", str(tmp_path / "claims")]
    metadata = {"variant": "baseline", "num_tasks": ["1"], "seed": 0}
    for name in claims_command.INPUTS:
        tables.write_table(tmp_path / name, name, sweep[name], metadata)
        flags += [f"--{name.replace('_', '-')}", str(tmp_path / name)]
    monkeypatch.setattr("sys.argv", flags)
    command.run(claims_command.main)
    found = tables.read_table(tmp_path / "claims", "claims")
    assert found["claim"].tolist() == [one.name for one in claims.CLAIMS]
