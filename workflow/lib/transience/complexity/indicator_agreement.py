"""How well cheap indicators follow the centred LLC: rank correlations, with intervals (ours).

Spearman's correlation, as indicator and LLC need not be proportional, in four scopes:

- `all`: every checkpoint with an LLC of every run.
- `training`: within a run, over its checkpoints; the mean over runs. Time alone orders checkpoints
  well, as most of what is measured falls during training: see how `batch_loss` does.
- `end`: across runs, at the last checkpoint.
- `beyond_loss`: as `all`, but partial, the ranks of `batch_loss` held fixed: what an indicator says
  of the LLC that the loss does not.

Intervals of 95 % are percentiles of a bootstrap over runs, which keeps the checkpoints of a run
together. Runs of one seed share tasks, inputs and the directions of probes, so intervals are too
narrow.
"""

import numpy as np
import pandas as pd

from transience.command import flags, provenance
from transience.command.entry import ends_in_one_line
from transience.complexity.summary import llc_by_checkpoint
from transience.files.tables import RUN_KEYS, read_metadata, read_table, write_table

KEYS = [*RUN_KEYS, "step"]
ESTIMATE = ["centred_llc", "flags"]
SCOPES = ("all", "training", "end", "beyond_loss")
LOSS = "batch_loss"
NUM_RESAMPLES = 1000
MIN_POINTS = 3


def matched(indicators: pd.DataFrame, llc: pd.DataFrame) -> pd.DataFrame:
    """Checkpoints with a centred LLC: `KEYS`, `ESTIMATE`, and a column for each indicator.

    ``indicators`` and ``llc`` are those tables; an LLC that is missing (diverged) is left out.
    """
    values = indicators.pivot(index=KEYS, columns="indicator", values="value").reset_index()
    estimates = llc_by_checkpoint(llc).dropna(subset="centred_llc")
    return estimates[KEYS + ESTIMATE].merge(values, on=KEYS, validate="one_to_one")


def rank_correlations(columns: np.ndarray) -> np.ndarray:
    """Spearman's correlations of all pairs of columns: (n, c) -> (c, c).

    NaN for a column with one value only or a missing one, and for fewer than `MIN_POINTS` rows.
    """
    if len(columns) < MIN_POINTS:
        return np.full((columns.shape[1],) * 2, np.nan)
    whole = ~np.isnan(columns).any(axis=0)
    ranks = np.where(whole, pd.DataFrame(columns).rank(), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.corrcoef(ranks, rowvar=False)


def holding_fixed(correlations: np.ndarray, fixed: int) -> np.ndarray:
    """Partial correlations (c, c) of all pairs, with column number ``fixed`` held fixed.

    NaN where a column is a function of that one.
    """
    with_fixed = correlations[:, fixed]
    rest = np.clip(1 - with_fixed**2, 0, None)
    product = np.sqrt(np.outer(rest, rest))
    difference = correlations - np.outer(with_fixed, with_fixed)
    return np.divide(difference, product, out=np.full_like(product, np.nan), where=product > 1e-9)


def agreement(points: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Rows of the table `indicator_agreement` from the checkpoints of one variant.

    ``points`` come from `matched`; the same ``seed`` gives the same intervals.
    """
    names = [name for name in points if name not in KEYS + ESTIMATE]
    columns, last = [*names, "centred_llc"], points["step"].max()
    runs = [run for _, run in points.groupby(RUN_KEYS)]
    each = [run[columns].to_numpy() for run in runs]
    ends = [run.loc[run["step"] == last, columns].to_numpy() for run in runs]
    none = np.empty((0, len(columns)))
    within = pd.DataFrame([rank_correlations(run)[:-1, -1] for run in each], columns=names)

    def statistics(chosen: np.ndarray) -> np.ndarray:  # scopes names
        pooled = rank_correlations(np.concatenate([none, *(each[run] for run in chosen)]))
        end = rank_correlations(np.concatenate([none, *(ends[run] for run in chosen)]))
        beyond = holding_fixed(pooled, names.index(LOSS))
        training = within.iloc[chosen].mean().to_numpy()
        return np.stack([pooled[:-1, -1], training, end[:-1, -1], beyond[:-1, -1]])

    size = (NUM_RESAMPLES, len(runs))
    picks = np.random.default_rng(seed).integers(max(1, len(runs)), size=size)
    resampled = pd.DataFrame([statistics(pick).ravel() for pick in picks])
    points_of = {"end": sum(map(len, ends))}
    table = pd.DataFrame(
        {
            "scope": np.repeat(SCOPES, len(names)),
            "indicator": names * len(SCOPES),
            "rank_correlation": statistics(np.arange(len(runs))).ravel(),
            "low": resampled.quantile(0.025).to_numpy(),
            "high": resampled.quantile(0.975).to_numpy(),
            "num_runs": len(runs),
        }
    )
    table["num_checkpoints"] = [points_of.get(scope, len(points)) for scope in table["scope"]]
    return table[(table["scope"] != "beyond_loss") | (table["indicator"] != LOSS)]


def main() -> None:
    """Compare cheap indicators with the LLC of all runs and write the table indicator_agreement."""
    parser = flags.parser(main.__doc__)
    flags.add_files(parser, "indicators", "llc", "indicator_agreement")
    args = parser.parse_args()
    indicators, llc = (read_table(getattr(args, name), name) for name in ("indicators", "llc"))
    points = matched(indicators, llc)
    frames = [
        agreement(points[points["variant"] == variant]).assign(variant=variant)
        for variant in indicators["variant"].unique()
    ]
    metadata = provenance.of_sweep(args, [read_metadata(args.indicators)])
    write_table(args.indicator_agreement, "indicator_agreement", pd.concat(frames), metadata)


if __name__ == "__main__":
    ends_in_one_line(main)
