"""Where tables come from, and what they cost."""

import math
from pathlib import Path

from made_up import made_up_sweep

from transience.report.origins import origins, stage_times


def test_times_and_costs_are_summed_by_rule(tmp_path: Path) -> None:
    measured = {
        "train/a.tsv": "2.0\t0:00:02\t300.5\t1.5",
        "train/b.tsv": "3.5\t0:00:03\t200.0\t2.5",
        "report.tsv": "1.0\t0:00:01\tNA\tNA",
    }
    for path, row in measured.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{row}\n", encoding="utf-8")
    train, page = stage_times(tmp_path)
    assert train == {
        "rule": "train", "jobs": 2, "seconds": 5.5, "longest": 3.5, "processor": 4.0,
        "memory": 300.5,
    }  # fmt: skip
    assert page["rule"] == "report"
    assert math.isnan(page["processor"]) and math.isnan(page["memory"])


def test_provenance_lists_what_differs_between_runs() -> None:
    tables = made_up_sweep([1.0, 8.0, 16.0, math.inf], 2)
    one = {"commit": "abc", "device": "CPU", "created": "2025-01-01", "versions": {"torch": "2"}}
    both = one | {"commit": ["abc", "def"], "created": ["2025-01-02", "2025-01-03"]}
    found = origins({"training": both, "llc": one}, tables)
    assert found["Commit"] == "abc, def"
    assert found["Device"] == "training: CPU; llc: CPU"
    assert found["Runs"] == "8, seeds 0, 1"
    assert found["Versions"] == "torch 2"
    assert found["Written"] == "2025-01-01 to 2025-01-03"
