"""Odd but legitimate sweeps, drawn at random, go through to the end: or one line says why not."""

import re
from pathlib import Path

import pytest
from odd_sweeps import Chain, drawn, save_png_only, small

from transience.errors import InputError
from transience.figures import __main__ as figure_command
from transience.figures.captions import of_sweep
from transience.files.tables import read_table
from transience.verify.inspection import verify

FEW = (24, 32, 36, 88)  # quick: a still run whose chains diverge, M = inf, M = 1, no LLC
MAY_STOP = re.compile(
    r"training diverged at step \d+: batch loss .*"
    r"|.*: expected the state of step \d+, .*; found that its training ended at step \d+ .*",
    re.DOTALL,
)
KNOWN = {  # what the issue on odd sweeps began with
    "infinity alone": {"sweep": {"num_tasks": ["inf"], "seeds": [0]}},
    "a variant of infinity alone": {
        "variants": {"baseline": {"sweep": {"num_tasks": ["inf"]}}, "other": {}}
    },
    "no LLC": {"llc": {"checkpoints": []}},
    "diverged": {"llc": {"step_size": 10.0, "lanczos_steps": 0}},
    "a step that is lowered": {"llc": {"step_size": 10.0}},
    "a step": {"training": {"num_steps": 1}, "checkpoints": {"linear_every": 1}},
    "no move": {"training": {"learning_rate": 1e-30}},
    "width 1": {"model": {"width": 1}},
    "much noise": {"task": {"noise_variance": 1e6}, "training": {"divergence_loss": 1e12}},
    "means": {"task": {"family": "gaussian_means"}},
    "stopped at an alarm": {
        "training": {
            "num_steps": 20,
            "log_every": 1,
            "warmup_steps": 1,
            "stop_when": {"detector": "small_gradient", "threshold": 1e-9, "cooldown_steps": 2},
        },
    },
    "ones": {
        "task": {"task_dimension": 1, "num_examples": 2},
        "evaluation": {"num_sequences": 1},
        "probe": {"num_sequences": 1},
    },
}


def goes_through(chain: Chain) -> None:
    """Run all commands; a line may say that a training diverged or ended before its branch."""
    chain.folder.mkdir()
    for what, command in chain.commands():
        try:
            command()
        except InputError as error:
            assert MAY_STOP.fullmatch(str(error)) and "\n" not in str(error), what
            return
    assert verify(chain.folder).problems == {}
    claims = read_table(chain.table("claims"), "claims")
    judged = claims[claims["verdict"] != "not testable"]
    for text in judged["this_sweep_shows"]:
        assert not re.search(r"\bnan\b", text), text
    page = (chain.folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(of_sweep(chain.config))
    assert "is not complete" not in page
    text = re.sub(r"<script.*?</script>|base64,[^\"]*", "", page, flags=re.DOTALL)
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


@pytest.mark.parametrize("number", FEW)
def test_an_odd_sweep_goes_through(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figure_command, "save", save_png_only)
    goes_through(Chain(tmp_path / "odd", drawn(number)))


@pytest.mark.odd
@pytest.mark.parametrize("case", KNOWN)
def test_known_cases_go_through(case: str, tmp_path: Path) -> None:
    goes_through(Chain(tmp_path / "odd", small(**KNOWN[case])))


@pytest.mark.odd
@pytest.mark.parametrize("number", range(100))
def test_many_odd_sweeps_go_through(number: int, tmp_path: Path) -> None:
    goes_through(Chain(tmp_path / "odd", drawn(number)))
