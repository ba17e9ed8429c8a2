"""LLC estimates of a sweep, chains together: one row a checkpoint, or one a run."""

import numpy as np
import pandas as pd

from transience.complexity.limits import FLAGS
from transience.files.selections import of_last_step
from transience.files.tables import RUN_KEYS

LLC_IS_OFF = "LLC is off (llc.checkpoints is empty)"  # said by all that has no LLC to show then


def llc_by_checkpoint(llc: pd.DataFrame) -> pd.DataFrame:
    """One row a checkpoint: estimates, errors, diagnostics, and the flags of its chains.

    `centred_llc` and `llc` (at the checkpoint, the paper's form) are means over chains, missing if
    one of them diverged; `error` and `llc_error` are their standard errors from the spread of
    chains.
    """
    groups = llc.groupby([*RUN_KEYS, "step"])
    each = groups["llc"].size()
    columns = {"llc": "llc_error", "centred_llc": "error"}
    errors = {error: groups[name].std(ddof=1) / np.sqrt(each) for name, error in columns.items()}
    sound = ~groups["diverged"].any()
    return pd.DataFrame(
        {
            **{name: groups[name].mean().where(sound) for name in columns},
            **errors,
            "first_half": groups["first_half_llc"].mean(),
            "second_half": groups["second_half_llc"].mean(),
            **{name: groups[name].max() for name in ("rhat", "ess", "descent")},
            **{name: groups[name].mean() for name in ("loss_rise_fraction", "distance")},
            "acceptance": groups["acceptance"].mean(),
            "chains": each,
            "diverged": groups["diverged"].sum(),
            "flags": groups["flags"].agg(_union),
        }
    ).reset_index()


def llc_by_run(llc: pd.DataFrame) -> pd.DataFrame:
    """Rows of `llc_by_checkpoint`, each run's last checkpoint only."""
    return of_last_step(llc_by_checkpoint(llc))


def final_curve(llc: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """The centred LLC of each run's last checkpoint against h*: the table `llc` as one more point.

    Columns of RUN_KEYS, method, h_star, llc and error. Rows of the table `llc_curve` count if they
    are of the last checkpoint in the table `llc`.
    """
    own = llc_by_run(llc)
    scales = llc.groupby(RUN_KEYS)[["nbeta", "gamma"]].first().reset_index()
    own = own.merge(scales, on=RUN_KEYS)
    own = own.assign(method="sgld", h_star=own["gamma"] / own["nbeta"], llc=own["centred_llc"])
    others = curve.merge(own[[*RUN_KEYS, "step"]], on=[*RUN_KEYS, "step"])
    columns = [*RUN_KEYS, "method", "h_star", "llc", "error"]
    both = pd.concat([own[columns], others[columns]], ignore_index=True)
    return both.drop_duplicates([*RUN_KEYS, "method", "h_star"])


def _union(flags: pd.Series) -> str:
    present = {flag for text in flags for flag in text.split(",") if flag}
    return ",".join(flag for flag in FLAGS if flag in present)
