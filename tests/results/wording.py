"""How pages write numbers, for tests that compute what they say."""

from pathlib import Path

import numpy as np
import pandas as pd

from transience.files.tables import read_table

ROOT = Path(__file__).parents[2]


def flat(text: str) -> str:
    """In one line."""
    return " ".join(text.split())


def page(name: str) -> str:
    """A page of workflow/docs in one line."""
    return flat((ROOT / "workflow/docs" / name).read_text(encoding="utf-8"))


def reference(experiment: str, name: str) -> pd.DataFrame:
    """A table of a sweep whose results are kept here."""
    return read_table(ROOT / f"results/reference/{experiment}/tables/{name}.parquet", name)


def span(values: pd.Series | np.ndarray, form: str = ".0f", word: str = "to") -> str:
    """The least and the greatest, or the one that both are."""
    low, high = f"{values.min():{form}}", f"{values.max():{form}}"
    return low if low == high else f"{low} {word} {high}"


def counted(claims: pd.DataFrame) -> str:
    """How many claims have each verdict."""
    counts = claims["verdict"].value_counts()
    hold, fail, untested = (counts.get(one, 0) for one in ("holds", "fails", "not testable"))
    return f"Of {counts.sum()} claims {hold} hold, {fail} fail, {untested} can't be tested."


def late(losses: pd.Series) -> float:
    """Mean of the last five checkpoints, of losses in the order of steps."""
    return losses.iloc[-5:].mean()
