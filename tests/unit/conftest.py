"""The made-up sweep as a fixture."""

import pytest
from made_up import made_up_sweep as of


@pytest.fixture
def made_up_sweep():
    """Factory: see `made_up`."""
    return of
