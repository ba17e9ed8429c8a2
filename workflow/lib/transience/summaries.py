"""What figures and the report both read out of the tables of a sweep."""

import math

import numpy as np
import pandas as pd

RUN = ["variant", "num_tasks", "seed"]
FLAGS = {  # of an LLC estimate, in words
    "DIVERGED": "diverged",
    "NEGATIVE": "negative",
    "NOT_LOCAL": "not local",
    "NOT_EQUILIBRATED": "not equilibrated",
    "RHAT": "R-hat",
    "ESS": "effective draws",
}


def symbol(num_tasks: float) -> str:
    """M as text for a reader: `8`, or the sign of infinity."""
    return "∞" if math.isinf(num_tasks) else f"{num_tasks:g}"


def main_variant(frame: pd.DataFrame) -> str:
    """The variant that figures show: `baseline`, or the first by name where there is none."""
    variants = sorted(frame["variant"].unique())
    return "baseline" if "baseline" in variants else variants[0]


def mean_over_positions(frame: pd.DataFrame, distribution: str) -> pd.DataFrame:
    """Rows of an evaluation or predictors table for one distribution, mean over positions."""
    return frame[(frame["distribution"] == distribution) & frame["position"].isna()]


def of_last_step(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of each run's last checkpoint in the frame."""
    return frame[frame["step"] == frame.groupby(RUN)["step"].transform("max")]


def llc_by_run(llc: pd.DataFrame) -> pd.DataFrame:
    """One row a run: the estimate at its last checkpoint, diagnostics, and its chains' flags.

    `llc` is the mean over chains, missing if one of them diverged; `error` its standard error from
    their spread, missing if there is only one; `ess` is summed over chains.
    """
    runs = of_last_step(llc).groupby(RUN)
    return pd.DataFrame(
        {
            "llc": runs["llc"].mean().where(~runs["diverged"].any()),
            "error": runs["llc"].std(ddof=1) / np.sqrt(runs["llc"].size()),
            "first_half": runs["first_half_llc"].mean(),
            "second_half": runs["second_half_llc"].mean(),
            "rhat": runs["rhat"].max(),
            "ess": runs["ess"].sum(min_count=1),
            "loss_rise_fraction": runs["loss_rise_fraction"].mean(),
            "chains": runs["llc"].size(),
            "diverged": runs["diverged"].sum(),
            "flags": runs["flags"].agg(_union),
        }
    ).reset_index()


def _union(flags: pd.Series) -> str:
    present = {flag for text in flags for flag in text.split(",") if flag}
    return ",".join(flag for flag in FLAGS if flag in present)
