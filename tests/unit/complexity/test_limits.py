"""Flags are those that a reader finds explained."""

import re

from transience.complexity import estimate
from transience.complexity.limits import FLAGS


def test_every_flag_is_explained_and_no_other():
    assert re.findall(r"^- ([A-Z_]+): ", estimate.__doc__, re.MULTILINE) == list(FLAGS)
