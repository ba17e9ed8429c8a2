"""Tests of finished tables: those in git, or others with `pytest tests/results --results DIR`."""

from pathlib import Path

import pandas as pd
import pytest

from transience.files.tables import read_table

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "laptop"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--results",
        type=Path,
        default=REFERENCE,
        metavar="DIR",
        help="results of a sweep to test, such as results/laptop",
    )


@pytest.fixture(scope="session")
def sweep_tables(request: pytest.FixtureRequest) -> dict[str, pd.DataFrame]:
    """The tables of the sweep by name."""
    # pytest knows the option only if it is started on this folder
    folder = request.config.getoption("results", default=REFERENCE)
    if folder == REFERENCE and not folder.exists():
        pytest.skip("no reference tables yet")
    if (folder / "tables").is_dir():
        folder = folder / "tables"
    return {path.stem: read_table(path, path.stem) for path in folder.glob("*.parquet")}
