"""Cheap indicators of complexity: closed forms, a small transformer by autograd, the command."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from fake_cuda import fake_cuda
from recording import in_place_of_cuda_graphs
from small import DRIFT, FLAGS, MODEL, TASK, small_run, write_checkpoints

from transience.command.entry import ends_in_one_line
from transience.complexity import indicators
from transience.complexity.estimator import flatten
from transience.complexity.settings import IndicatorSettings, PerturbationScales
from transience.files import tables
from transience.files.checkpoints import CheckpointReader
from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import (
    initial_parameters,
    num_parameters,
    sequence_losses,
    unflatten,
)
from transience.problem.drift import Drift
from transience.training.cuda_graph import WARM_UP

SMALLER = {"width": 4, "num_layers": 1, "mlp_width": 4}
RUN = small_run(**SMALLER)
ARCHITECTURE = RUN.architecture
SECTIONS = {
    "task": TASK,
    "model": MODEL | SMALLER,
    "llc": {"nbeta": 30.0, "gamma": 600.0},
    "indicators": {"num_probes": 3, "batch_size": 4},
}
SCALES = PerturbationScales(**SECTIONS["llc"])


def measure(loss, parameters, batches, scales=SCALES) -> pd.DataFrame:
    losses_of, value_and_gradient, vector = flatten(loss, parameters)
    return measured(value_and_gradient, losses_of, vector, batches, scales, seed=0)


def measured(value_and_gradient, losses_of, vector, batches, scales, *, seed) -> pd.DataFrame:
    probes = indicators.draw_probes(batches, vector, scales, seed=seed)
    found = indicators.indicators(value_and_gradient, losses_of, vector, probes, scales)
    return indicators.summed_up(found.detach().numpy()[None]).set_index("indicator")


def numbers(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_unbiased(found: pd.Series, expected: float) -> None:
    """Within four standard errors, and these are small enough to tell."""
    assert found["standard_error"] < 0.1 * abs(expected)
    assert abs(found["value"] - expected) < 4 * found["standard_error"]


# Closed forms


def test_a_diagonal_quadratic():
    h = torch.tensor([0.0, 1.0, 5.0, 20.0], dtype=torch.float64)
    found = measure(
        lambda p, rows: (h * p["w"] ** 2).sum() / 2 + 0 * rows,
        {"w": torch.tensor([3.0, 2.0, 0.0, -0.1], dtype=torch.float64)},
        [(torch.zeros(2, dtype=torch.float64),)] * 2000,
    )
    assert found.at["batch_loss", "value"] == pytest.approx(2.1)
    assert found.at["squared_gradient", "value"] == pytest.approx(8.0)  # |(0, 2, 0, -2)|²
    assert found.at["squared_weight_norm", "value"] == pytest.approx(13.01)
    assert found.at["gradient_noise", "value"] == 0
    # signs meet a diagonal Hessian: each probe is exact
    assert found.at["hessian_trace", "value"] == pytest.approx(26, rel=1e-6)
    assert found.at["hessian_trace", "standard_error"] < 1e-6
    assert_unbiased(found.loc["perturbation_rise"], 30 / 600 / 2 * 26)
    llc = (h / (h + 600 / 30)).sum() / 2
    assert found.at["perturbation_rise", "value"] > llc


def test_linear_regression():
    """Per-sample loss (w·x - y)² with x ~ N(0, S), y = u·x + noise of variance v, e = w - u.

    H = 2 S; the gradient 2 x (e·x - noise) has E|g|² = 4 [tr S (e·S e + v) + 2 e·S² e].
    """
    deviations = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    w = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    batches = []
    for seed in range(3000):
        xs, noise = numbers(8, 3, seed=seed) * deviations, numbers(8, seed=10_000 + seed)
        batches.append((xs, 0.5 * noise))
    found = measure(lambda p, xs, ys: (xs @ p["w"] - ys) ** 2, {"w": w}, batches)
    S = deviations**2
    curved, squared = (S * w**2).sum().item(), (2 * S * w).square().sum().item()
    second = 4 * (S.sum().item() * (curved + 0.25) + 2 * (S**2 * w**2).sum().item())
    assert_unbiased(found.loc["batch_loss"], curved + 0.25)
    assert_unbiased(found.loc["squared_gradient"], squared)
    assert_unbiased(found.loc["gradient_noise"], second - squared)
    assert_unbiased(found.loc["hessian_trace"], 2 * S.sum().item())
    assert_unbiased(found.loc["perturbation_rise"], 30 / 600 * S.sum().item())


# A small transformer


def transformer(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, tuple]:
    """Weights and six sequences."""
    sequences = small_run(math.inf, 0, **SMALLER).sequences("test", num_sequences=6)
    vector = initial_parameters(ARCHITECTURE, 0) + 0.3 * numbers(num_parameters(ARCHITECTURE))
    return vector.to(dtype), tuple(tensor.to(dtype) for tensor in sequences)


def losses_of(vector: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    return sequence_losses(unflatten(vector, ARCHITECTURE), xs, ys, ARCHITECTURE)


def measure_transformer(vector: torch.Tensor, batches: list, seed: int = 0) -> pd.DataFrame:
    model = LossAndGradient(ARCHITECTURE)
    return measured(model, losses_of, vector, batches, SCALES, seed=seed)


def test_gradients_against_those_of_each_sequence():
    """The mean over all pairs of sequences is the sample covariance, and the mean dot product."""
    vector, (xs, ys) = transformer()
    pairs = [list(pair) for pair in itertools.combinations(range(6), 2)]
    found = measure_transformer(vector, [(xs[pair], ys[pair]) for pair in pairs])
    leaf = vector.clone().requires_grad_()
    each = [
        torch.autograd.grad(loss, leaf, retain_graph=True)[0] for loss in losses_of(leaf, xs, ys)
    ]
    gradients = torch.stack(each)
    covariance = gradients.var(dim=0).sum().item()
    products = gradients @ gradients.T
    dots = (products.sum() - products.trace()).item() / 30
    assert found.at["gradient_noise", "value"] == pytest.approx(covariance, rel=1e-9)
    assert found.at["squared_gradient", "value"] == pytest.approx(dots, rel=1e-9)
    assert found.at["batch_loss", "value"] == pytest.approx(losses_of(vector, xs, ys).mean().item())


def test_curvature_against_the_dense_hessian():
    """In double precision, and in the single precision in which checkpoints come."""
    vector, batch = transformer()
    loss = losses_of(vector, *batch).mean()
    hessian = torch.autograd.functional.hessian(lambda w: losses_of(w, *batch).mean(), vector)
    found = measure_transformer(vector, [batch] * 60).loc["hessian_trace"]
    assert abs(found["value"] - hessian.trace().item()) < 4 * found["standard_error"]
    off_diagonal = hessian - torch.diag(hessian.diag())
    hutchinson = math.sqrt(2 * off_diagonal.square().sum().item() / 60)
    assert found["standard_error"] == pytest.approx(hutchinson, rel=0.3)
    for seed in range(5):
        d = indicators.DISPLACEMENT * numbers(len(vector), seed=seed).sign()
        expected = (d @ hessian @ d).item()
        exact = indicators.second_difference(losses_of, vector, d, batch, loss)
        assert exact.item() == pytest.approx(expected, rel=1e-3)
        single = [tensor.float() for tensor in (vector, d, *batch)]
        rounded = indicators.second_difference(losses_of, *single[:2], tuple(single[2:]), loss)
        assert rounded.item() == pytest.approx(expected, abs=0.05 * abs(expected))


def test_relative_noise_is_that_over_the_loss():
    vector, batch = transformer()
    found = measure_transformer(vector, [batch])["value"]
    expected = found["gradient_noise"] / found["batch_loss"]
    assert found["relative_gradient_noise"] == pytest.approx(expected)


def test_directions_depend_on_the_seed_and_the_probe_only():
    vector, batch = transformer()
    first, again = (measure_transformer(vector, [batch] * 2) for _ in range(2))
    other = measure_transformer(vector, [batch] * 2, seed=1)
    pd.testing.assert_frame_equal(first, again)
    random = ["hessian_trace", "perturbation_rise"]
    assert (first.loc[random, "standard_error"] > 0).all()
    assert (first.loc[random, "value"] != other.loc[random, "value"]).all()
    fixed = first.index.difference(random)
    pd.testing.assert_frame_equal(first.loc[fixed], other.loc[fixed])


def test_without_a_pull_there_is_no_perturbation():
    rows = (torch.zeros(2, dtype=torch.float64),)
    parameters = {"w": torch.ones(1, dtype=torch.float64)}
    scales = PerturbationScales(nbeta=30.0, gamma=0.0)
    found = measure(lambda p, rows: p["w"] ** 2 + rows, parameters, [rows] * 2, scales)
    assert found["value"].isna().to_dict() == {
        name: name == "perturbation_rise" for name in found.index
    }


def test_checkpoints_summed_up_together_or_alone_give_the_same_bits():
    found = numbers(5, 9, 7).numpy()
    found[:, :, 5] = math.nan
    alone = [indicators.summed_up(one[None]) for one in found]
    pd.testing.assert_frame_equal(
        indicators.summed_up(found), pd.concat(alone, ignore_index=True), check_exact=True
    )
    one = pd.DataFrame(found[3], columns=list(indicators.INDICATORS))
    assert alone[3]["value"].equals(one.mean().reset_index(drop=True))
    assert alone[3]["standard_error"].equals(one.sem(ddof=1).reset_index(drop=True))


def test_nothing_waits_for_the_device():
    """Numbers of tensors without any would be asked for; on a GPU that is not there."""
    sizes = [tensor.shape for tensor in (transformer()[0], *transformer()[1])]
    with fake_cuda():
        vector, *batch = (torch.empty(size, device="cuda:0") for size in sizes)
        probes = [indicators.Probe(tuple(batch), vector * 1e-3, vector * 1e-2)] * 2
        model = LossAndGradient(ARCHITECTURE)
        found = indicators.indicators(model, model.losses, vector, probes, SCALES)
        assert found.shape == (2, len(indicators.INDICATORS)) and found.dtype == torch.float64
        assert found.device == vector.device


def test_recorded_once_they_are_those_of_every_checkpoint(monkeypatch):
    """To the bit, by what stands in for a CUDA graph on a CPU."""
    in_place_of_cuda_graphs(monkeypatch)
    vector, (xs, ys) = transformer()
    batches = [(xs[:4], ys[:4]), (xs[2:], ys[2:])]
    probes = indicators.draw_probes(batches, vector, SCALES, seed=0)
    model = LossAndGradient(ARCHITECTURE)
    recorded = indicators.Recorded(model, probes, SCALES)
    found, expected = [], []
    for number in range(WARM_UP + 4):
        w = vector + 0.1 * numbers(len(vector), seed=number)
        found.append(recorded(w))
        expected.append(indicators.indicators(model, model.losses, w, probes, SCALES))
    assert torch.stack(found).equal(torch.stack(expected))
    assert recorded.launch.graph is not None


# The command


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A run of two checkpoints at steps 0 and 9."""
    write_checkpoints(tmp_path / "checkpoints.safetensors", RUN, [0, 9])
    return tmp_path / "checkpoints.safetensors"


def run_command(checkpoints: Path, monkeypatch, **sections: dict) -> pd.DataFrame:
    output = checkpoints.with_name("indicators.parquet")
    words = ["--settings", json.dumps({"experiment": "test"} | SECTIONS | sections)]
    words += ["--checkpoints", str(checkpoints), "--indicators", str(output)]
    monkeypatch.setattr("sys.argv", ["indicators", *FLAGS, *words])
    ends_in_one_line(indicators.main)
    return tables.read_table(output, "indicators")


def test_the_command_measures_every_checkpoint(checkpoints: Path, monkeypatch, capsys):
    table = run_command(checkpoints, monkeypatch)
    assert table["step"].value_counts().to_dict() == {0: 7, 9: 7}
    assert (table["num_probes"] == 3).all() and table["standard_error"].notna().all()
    assert "indicators baseline M=4 seed=1  checkpoint 2/2 (100%)" in capsys.readouterr().err
    metadata = tables.read_metadata(checkpoints.with_name("indicators.parquet"))
    assert metadata["settings"]["indicators"] == SECTIONS["indicators"]


def test_the_command_gives_the_same_numbers_again(checkpoints: Path, monkeypatch):
    first, again = (run_command(checkpoints, monkeypatch) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    more = run_command(checkpoints, monkeypatch, indicators={"num_probes": 4, "batch_size": 4})
    measured = first["indicator"] != "squared_weight_norm"
    assert (more["value"] != first["value"])[measured].all()


def test_weights_that_are_not_finite_are_one_line(checkpoints: Path, monkeypatch, capsys):
    not_finite = torch.full((num_parameters(ARCHITECTURE),), math.nan)
    monkeypatch.setattr(CheckpointReader, "parameters", lambda self, index: not_finite)
    with pytest.raises(SystemExit):
        run_command(checkpoints, monkeypatch)
    said = capsys.readouterr().err
    assert said.startswith(f"error: {checkpoints}, step 0: loss: expected finite values")
    assert said.count("\n") == 1


def measured_run(folder: Path, run, monkeypatch, **metadata):
    """Indicators of a run at steps 0, 3 and 9, and the probes they were measured by."""
    used, original = [], indicators.indicators

    def measure(*given, **options):
        used.append(options["probes"] if "probes" in options else given[3])
        return original(*given, **options)

    monkeypatch.setattr(indicators, "indicators", measure)
    write_checkpoints(folder / "of_a_run", run, [0, 3, 9], **metadata)
    settings = IndicatorSettings(**SECTIONS["indicators"]), SCALES, torch.device("cpu")
    reader = run.open_checkpoints(folder / "of_a_run")
    return pd.concat(indicators.measure_run(run, reader, *settings)), used


def test_where_tasks_wander_probes_have_the_checkpoints_tasks_and_the_same_directions(
    tmp_path: Path, monkeypatch
):
    run = replace(RUN, drift=tuple(Drift(*one) for one in DRIFT))
    table, used = measured_run(tmp_path, RUN, monkeypatch, drift=DRIFT)
    for step, probes in zip((0, 3, 9), used, strict=True):
        for number, probe in enumerate(probes):
            expected = run.at(step).sequences("indicators", number, num_sequences=4)
            assert all(map(torch.equal, probe.batch, expected))
            assert probe.short is used[0][number].short and probe.long is used[0][number].long
    without, same = measured_run(tmp_path, RUN, monkeypatch)
    assert same[0] is same[1] is same[2]
    losses = [one.query("indicator == 'batch_loss'")["value"] for one in (table, without)]
    assert (losses[0] == losses[1]).tolist() == [True, False, False]
