"""Lines are appended at once here."""

import pytest

from transience.files import lines


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Else a writer keeps back for a second what comes fast."""
    monkeypatch.setattr(lines, "AT_MOST_EVERY", 0)
