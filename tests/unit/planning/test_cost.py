"""What jobs would cost: the model's counts, measured rates, and the lines that say it."""

import json
from pathlib import Path

import pytest
import torch
from snakemake.utils import update_config
from torch.utils.flop_counter import FlopCounterMode

from transience.model.settings import ModelSettings
from transience.model.transformer import (
    Architecture,
    initial_parameters,
    sequence_losses,
    unflatten,
)
from transience.model.transformer import num_parameters as exactly
from transience.planning import cost
from transience.planning.configuration import completed, variant_settings
from transience.planning.yaml_files import DEFAULTS, load
from transience.problem.settings import TaskSettings
from transience.training.phases import kept_steps
from transience.training.settings import CheckpointSettings, TrainingSettings

CONFIG = Path(DEFAULTS).parent
# Seconds of all jobs of the default sweep's 16 runs on two quiet cores of an AMD EPYC, 2026-11-26
MEASURED = {"train": 1066, "llc": 337, "llc_curve": 344, "evaluate": 164, "indicators": 135}


@pytest.fixture(autouse=True)
def listed(monkeypatch, tmp_path):
    """Make up what Linux lists of the processor, None on another system; AVX-512 at first."""

    def listed(text: str | None) -> None:
        monkeypatch.setattr(cost, "CPUINFO", tmp_path / "none" if text is None else file)
        file.write_text(text or "")
        cost.lacks_avx512.cache_clear()

    file = tmp_path / "cpuinfo"
    listed("flags : avx2 avx512f\n")
    yield listed
    cost.lacks_avx512.cache_clear()


def sweep(name: str = "config", **changes) -> dict:
    whole = load(DEFAULTS)
    update_config(whole, load(str(CONFIG / f"{name}.yaml")))
    update_config(whole, changes)
    return completed(whole)


def settings(name: str = "config", **changes) -> dict:
    return variant_settings(sweep(name, **changes), "baseline")


def architecture(of: dict) -> Architecture:
    return Architecture.of(TaskSettings(**of["task"]), ModelSettings(**of["model"]))


@pytest.mark.parametrize("name", ["config", "smoke", "paper"])
def test_counts_are_near_those_of_the_model_and_the_schedule(name):
    of = settings(name)
    assert cost.num_parameters(of) == pytest.approx(exactly(architecture(of)), rel=0.1)
    training = TrainingSettings(**of["training"])
    saved, _ = kept_steps(training, CheckpointSettings(**of["checkpoints"]))
    assert cost.num_checkpoints(of) == pytest.approx(len(saved), rel=0.35)


@pytest.mark.parametrize("name", ["config", "smoke"])
def test_operations_are_those_that_pytorch_counts(name):
    """By autograd, which multiplies a little more than is needed."""
    of = settings(name)
    shape, task = architecture(of), of["task"]
    vector = initial_parameters(shape, 0).requires_grad_()
    xs = torch.randn(4, task["num_examples"], task["task_dimension"])
    with FlopCounterMode(display=False) as counter:
        named = unflatten(vector, shape)
        sequence_losses(named, xs, xs[..., 0], shape).mean().backward()
    assert cost.operations(of) == pytest.approx(counter.get_total_flops() / 4, rel=0.25)


@pytest.mark.parametrize("rule", MEASURED)
def test_stated_rates_give_what_the_default_sweep_took_within_a_factor(rule):
    found = 16 * cost.cost(rule, settings(), {}).seconds
    assert MEASURED[rule] / 1.5 < found < MEASURED[rule] * 1.5


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        ({}, 16_000),
        ({"step": 4_000}, 12_000),
        ({"step": 0.75}, 4_000),
        ({"step": "t_crit"}, 8_000),
        ({"step": "t_crit", "num_steps": 500}, 500),
    ],
)
def test_a_branch_costs_its_own_steps(branch, expected):
    of = settings()
    of["training"]["branch"] = {"variant": "baseline"} | branch if branch else {}
    assert cost.steps(of) == expected


def test_states_and_predictions_take_disk():
    plain, kept = settings(), settings(checkpoints={"states": ["all"]})
    size = 4 * cost.num_parameters(plain) * cost.num_checkpoints(plain)
    assert cost.cost("train", plain, {}).disk == size
    assert cost.cost("train", kept, {}).disk == pytest.approx(3 * size, rel=0.05)
    assert cost.cost("evaluate", plain, {}).disk > 0 == cost.cost("llc", plain, {}).disk


def test_a_gpu_is_faster_and_fastest_in_bfloat16():
    of, rounded = settings("paper"), settings("paper", training={"precision": "bf16"})
    cpu, gpu = (cost.cost("train", of, {}, device).seconds for device in ("cpu", "cuda"))
    assert gpu < cpu / 50
    assert cost.cost("train", rounded, {}, "cuda").seconds < gpu / 2


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("processor : 0\nflags\t\t: fpu avx avx2\n\nflags : avx512f\n", True),
        ("flags : avx2 avx512f\n", False),
        ("flags :\n", False),
        ("Features\t: fp asimd\n", False),
        (None, False),
    ],
)
def test_a_processor_without_avx512_takes_longer(listed, text, lacking):
    rules = ("train", "llc", "figure")
    before = {rule: cost.cost(rule, settings(), {}).seconds for rule in rules}
    listed(text)
    times = {rule: cost.cost(rule, settings(), {}).seconds / before[rule] for rule in rules}
    assert times["figure"] == 1
    assert 1.4 < times["train"] < 1.7 if lacking else times["train"] == 1
    assert 1.3 < times["llc"] < 1.7 if lacking else times["llc"] == 1


# Rates of this machine


def finished(folder: Path, of: dict, seconds: dict[str, str]) -> Path:
    """A sweep that has benchmark files of jobs."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(of))
    for number, (rule, value) in enumerate(seconds.items()):
        file = folder / f"benchmarks/{rule}/baseline_M8_seed{number}.tsv"
        file.parent.mkdir(parents=True)
        file.write_text(f"s\th:m:s\n{value}\t-\n")
    return folder


def test_a_rate_that_was_measured_takes_the_place_of_the_stated(tmp_path):
    finished(tmp_path / "one", sweep(), {"train": "321.0", "llc": "9.0", "evaluate": "what"})
    rates = cost.measured(tmp_path)
    assert set(rates) == {"train"}  # the LLC's was too short, evaluation's no number
    assert cost.cost("train", settings(), rates).seconds == pytest.approx(321)
    wide = settings(model={"width": 96, "mlp_width": 192, "num_heads": 2})
    assert cost.cost("train", wide, rates).seconds > 900


def test_a_rate_is_that_of_the_processor_time(tmp_path):
    """Of a job that others kept waiting for four fifths of its time."""
    folder = finished(tmp_path / "one", sweep(), {"train": "1000.0"})
    (file,) = folder.glob("benchmarks/train/*.tsv")
    for used, expected in (("197.0", 200), ("NA", 1000)):  # seen last after 985 seconds
        file.write_text(f"s\th:m:s\tcpu_time\n1000.0\t-\t{used}\n")
        rates = cost.measured(tmp_path)
        assert cost.cost("train", settings(), rates).seconds == pytest.approx(expected)


def test_a_short_job_goes_by_the_clock():
    """What Snakemake saw of it may be a third."""
    assert cost._of_a_core({"s": "47.1", "cpu_time": "17.2"}) == 47.1


@pytest.mark.parametrize(("precision", "ms"), [("float32", 11.6), ("tf32", 4.1), ("bf16", 2.1)])
def test_a_training_of_the_paper_on_a_gpu_takes_what_its_steps_did(precision, ms):
    """Milliseconds of a step on an H200 (workflow/docs/speed.md)."""
    of = settings("paper")
    of["training"] = of["training"] | {"precision": precision}
    found = cost.cost("train", of, {}, device="cuda").seconds
    assert found == pytest.approx(of["training"]["num_steps"] * ms / 1000, rel=0.25)


def test_damaged_and_older_results_are_passed_over(tmp_path):
    finished(tmp_path / "cut", sweep(), {"train": "300"})
    (tmp_path / "cut/config.json").write_text('{"variants": {')
    finished(tmp_path / "older", {"variants": {"baseline": {}}}, {"train": "300"})
    (finished(tmp_path / "gpu", sweep(execution={"device": "cuda"}), {"train": "300"}))
    assert cost.measured(tmp_path) == cost.measured(tmp_path / "nothing") == {}


# In words


def test_the_lines_sum_up_the_jobs(tmp_path):
    jobs = [("train", "baseline")] * 4 + [("figure", "baseline"), ("claims", None)]
    where = {"cores": 2, "device": "cpu", "results": tmp_path / "none"}
    first, second = cost.estimate(sweep(), jobs, **where)
    one = cost.cost("train", settings(), {}).seconds
    total = 4 * one + 2 * cost.OTHER
    assert first.startswith(
        f"Estimate: {cost.duration(total)} of a core, so {cost.duration(total / 2)} on 2 cores "
        f"(train {cost.duration(4 * one)}, all else {cost.duration(2 * cost.OTHER)}); "
    )
    assert "nothing has been measured" in second
    finished(tmp_path / "one", sweep(), {"train": "321.0"})
    first, second = cost.estimate(sweep(), jobs, **where | {"results": tmp_path})
    assert "(train 21 min, all else 6 s)" in first and second.startswith(
        "Rates of train were measured"
    )
    assert cost.estimate(sweep(), [], **where) == []
    assert "one H200" in cost.estimate(sweep(), jobs, **where | {"device": "cuda"})[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0.4 s"), (80, "80 s"), (100, "1.7 min"), (5400, "1.5 h"), (900_000, "250 h")],
)
def test_durations_have_two_digits(seconds, text):
    assert cost.duration(seconds) == text
