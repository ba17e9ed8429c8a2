"""Task diversity M: read and written without loss, shown to a reader, refused in words."""

import math

import pytest

from transience.errors import InputError
from transience.problem.diversity import format_num_tasks, parse_num_tasks, symbol


def test_num_tasks_reads_and_writes():
    assert parse_num_tasks("inf") == math.inf and parse_num_tasks("8") == 8.0
    assert format_num_tasks(math.inf) == "inf" and format_num_tasks(32768.0) == "32768"


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "eight", "nan", "-inf"])
def test_num_tasks_refuses(text):
    with pytest.raises(InputError, match="whole number"):
        parse_num_tasks(text)


def test_num_tasks_shows():
    assert symbol(math.inf) == "∞" and symbol(8.0) == "8"
