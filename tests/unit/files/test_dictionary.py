"""The data dictionary is the one in git."""

from pathlib import Path

from transience.files.dictionary import data_dictionary


def test_the_data_dictionary_is_in_step_with_the_schemas():
    path = Path(__file__).parents[3] / "results" / "README.md"
    assert path.read_text(encoding="utf-8") == data_dictionary()
