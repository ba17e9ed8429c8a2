"""Files: what a YAML reader stops at or passes over in silence gets its line."""

from pathlib import Path

import pytest

from transience.errors import InputError
from transience.planning import yaml_files


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n",
            ", line 5: expected key 'c' once; found it in line 3",
        ),
        ("a: [{b: 1, b: 2}]\n", ", line 1: expected key 'b' once; found it in line 1 as well"),
        ("a: 1\n b: 2\n", ", line 2, column 3: expected YAML; mapping values are not allowed"),
        ("a: [1, 2\n", ", line 2, column 1: expected YAML; "),
        ("a:\n\t- 1\n", ", line 2, column 1: expected YAML; found character '\\t'"),
        ("a: !x 1\n", ", line 1, column 4: expected YAML; could not determine a constructor"),
        ("a: 2025-13-01\n", ": expected a readable YAML file; month must be in 1..12"),
        ("a: 1:30\n", ", line 1: expected a decimal number; found 1:30, which YAML reads as 90"),
        (
            "a:\n- 7\n- 010\n",
            ", line 3: expected a decimal number; found 010, which YAML reads as 8",
        ),
        ("b: 1\na: &a\n  - [1, *a]\n", ", line 2: expected values; found an alias that stands"),
        ("- a\n- b\n", ": expected keys with values, found a list"),
        ("", ": expected keys with values, found nothing"),
    ],
)
def test_a_file_with_a_slip_is_named_with_its_line(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        yaml_files.load(str(path))
    (problem,) = str(caught.value).splitlines()
    assert problem.startswith(f"{path}{line}")


def test_files_are_checked_together(tmp_path: Path) -> None:
    good, latin, missing = (tmp_path / name for name in ("good.yaml", "latin.yaml", "no.yaml"))
    good.write_text("a: &x {b: 1}\nc: *x\nd: {<<: *x, b: 2}\n")
    latin.write_bytes(b"a: \xe9\n")
    assert yaml_files.check_files([str(good)]) == []
    first, second = yaml_files.check_files([str(good), str(latin), str(missing)])
    assert first.startswith(f"{latin}: expected a readable YAML file; 'utf-8' codec")
    assert second == f"{missing}: expected a readable YAML file; No such file or directory"


@pytest.mark.parametrize("number", ["0", "-3", "+12", "1_000", "12.5", "1.0e-3", ".inf"])
def test_decimal_numbers_are_no_slip(tmp_path: Path, number: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"a: {number}\n")
    assert yaml_files.check_files([str(tmp_path / "mine.yaml")]) == []


def test_what_the_command_line_gives_is_read_as_in_a_file() -> None:
    given = {"training": {"num_steps": "400", "learning_rate": "1e-3"}, "experiment": "a: b: c"}
    given["sweep"] = {"num_tasks": ["1", "inf"], "seeds": [0]}
    given["task"] = {"num_examples": "010", "noise_variance": "2025-13-01"}
    assert yaml_files.from_command_line(given) == {
        "training": {"num_steps": 400, "learning_rate": "1e-3"},
        "experiment": "a: b: c",
        "sweep": {"num_tasks": [1, "inf"], "seeds": [0]},
        "task": {"num_examples": "010", "noise_variance": "2025-13-01"},
    }


def test_the_name_of_a_sweep_is_that_of_the_last_file_with_one(tmp_path):
    files = {
        "flow.yaml": "{experiment: flowy, sweep: {}}",
        "next.yaml": "experiment:\n  next\n",
        "none.yaml": "sweep: {seeds: [1]}\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    flow, next_line, none = (str(tmp_path / name) for name in files)
    for paths, name in {
        (): "laptop",
        (none,): "laptop",
        (flow,): "flowy",
        (flow, none): "flowy",
        (flow, next_line): "next",
    }.items():
        assert yaml_files.experiment([*paths]) == name


def test_values_that_are_shared_again_and_again_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    more = [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    path.write_text("\n".join(["a0: &a0 [1]", *more]))
    assert len(yaml_files.load(str(path))) == 40
