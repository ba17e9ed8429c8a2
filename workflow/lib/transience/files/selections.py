"""What figures, claims and the report all read out of the tables of a sweep."""

import pandas as pd

from transience.files.tables import RUN_KEYS


def mean_over_positions(frame: pd.DataFrame, distribution: str) -> pd.DataFrame:
    """Rows of an evaluation or predictors table for one distribution, mean over positions."""
    return frame[(frame["distribution"] == distribution) & frame["position"].isna()]


def of_last_step(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of each run's last checkpoint in the frame."""
    return frame[frame["step"] == frame.groupby(RUN_KEYS)["step"].transform("max")]
