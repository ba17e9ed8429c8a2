"""What benchmarks make of their measurements."""

import json
from dataclasses import replace
from pathlib import Path

import gpu_plan
import gpu_work
import numpy as np
import paper_cost
import phases
import pytest
import speed
import torch
from fake_cuda import fake_cuda

from transience.complexity.sgld import PROBE_EVERY
from transience.model.transformer import num_parameters, sequence_losses, unflatten
from transience.planning.configuration import completed, load
from transience.training.cuda_graph import WARM_UP

PAPER = completed(load(str(Path(__file__).parents[2] / "config/paper.yaml")))


def test_a_start_is_paid_once_and_not_for_every_unit():
    """75 s of start-up and compilation, 3.4 ms a step: by division alone a step would be 1.1 s."""
    jobs = [(68, 75.2312, 2400.0), (6800, 98.12, 2500.0)]
    found = paper_cost.cost(jobs)
    assert found.unit == pytest.approx(3.4e-3)
    assert found.start == pytest.approx(75)
    assert found.megabytes == 2500
    assert found.hours(150_000) == pytest.approx((75 + 150_000 * 3.4e-3) / 3600)


def test_noise_makes_no_cost_negative():
    assert paper_cost.cost([(5, 4.0, 1.0), (11, 3.9, 1.0)]) == (4.0, 0.0, 1.0)
    assert paper_cost.cost([(5, 4.0, 1.0), (11, 12.0, 1.0)]).start == 0


@pytest.mark.parametrize("device", paper_cost.LONGER)
def test_two_lengths_differ_in_what_every_rule_does(device):
    short, long = (
        completed(
            {**PAPER, **{key: PAPER[key] | value for key, value in changes.items()}}
        )
        for changes in (paper_cost.few(device, times) for times in (1, paper_cost.LONGER[device]))
    )  # fmt: skip
    fewer, more = paper_cost.units(short), paper_cost.units(long)
    assert set(fewer) == set(paper_cost.TABLES)
    assert all(more[rule] >= 2 * fewer[rule] for rule in fewer)
    assert fewer["train"] > WARM_UP  # so both compile, and record, alike
    if device == "cuda":
        paper = paper_cost.units(PAPER)
        assert more["train"] / more["evaluate"] == pytest.approx(
            paper["train"] / paper["evaluate"], rel=0.05
        )


def test_products_in_place_are_counted():
    """Those of the weights' gradients are, a third of a step."""
    a, b, total = torch.ones(3, 4), torch.ones(4, 5), torch.zeros(3, 5)
    assert speed.products_in(lambda: total.addmm_(a, b)) == 2 * 3 * 4 * 5
    case = speed.Case.of("smoke.yaml", torch.device("cpu"))
    forward, whole = (speed.operations(case, gradient=one) for one in (False, True))
    assert 2.7 * forward < whole <= 3.1 * forward


def test_phases_are_compared_round_by_round():
    """A machine that is three times as slow in some rounds changes no ratio."""
    plain = np.where(np.arange(40) % 3, 1.0, 3.0)
    assert phases.ratio(1.05 * plain, plain) == pytest.approx((1.05, 1.05, 1.05))
    middle, low, high = phases.ratio(np.linspace(0.9, 1.1, 41), np.ones(41))
    assert low < middle < high and middle == pytest.approx(1.0)


def test_every_kind_of_phase_takes_its_turn(monkeypatch, capsys):
    words = ["phases.py", "--file", "smoke.yaml", "--rounds", "2", "--steps", "1"]
    monkeypatch.setattr("sys.argv", words)
    phases.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].removeprefix("| ") for row in rows] == [*phases.PHASES]
    assert all(float(row[1]) > 0 for row in rows)


# A plan without a GPU

SMOKE = str(Path(__file__).parents[2] / "config/smoke.yaml")


def test_work_is_counted_as_by_hand():
    """Bytes of what operations read and write; views and empty tensors are free."""
    on = {"device": "cuda:0"}
    with fake_cuda():
        a, b, target = torch.empty(3, 4, **on), torch.empty(4, 5, **on), torch.empty(3, 5, **on)

        def work():
            product = a @ (2 * b).T.T
            target.copy_(product.relu())
            torch.nn.functional.layer_norm(target, (5,))

        found, fused = (gpu_work.counted(work, fused=one) for one in (False, True))
    out = 4 * 3 * 5
    normed = out + out + 2 * 4 * 3  # and mean and deviation of a row
    assert found.flop == fused.flop == 2 * 3 * 4 * 5
    assert found.product_bytes == fused.product_bytes == 4 * (3 * 4 + 4 * 5) + out
    assert found.other_bytes == 2 * 4 * 4 * 5 + 2 * out + 2 * out + normed
    assert fused.other_bytes == normed
    assert (found.launches, fused.launches) == (5, 5)


def test_a_draw_of_sgld_is_counted_as_by_hand():
    """Forward, and backward twice as much, but for the tokens, of which nobody needs a gradient."""
    plan = gpu_plan.plan_of([SMOKE])
    a, s = plan.architecture, plan.llc
    B, T, V, C, H = s.batch_size, a.num_tokens, a.token_width, a.width, a.mlp_width
    block = T * C * 3 * C + 2 * T * T * C + 2 * T * C * H
    embedding, head = T * V * C, T * C * V
    gradient = 2 * B * (3 * (a.num_layers * block + head) + 2 * embedding)
    directions = 3 * 2 * s.lanczos_steps * num_parameters(a)  # of drift and noise, and back
    expected = gradient * (1 + 1 / PROBE_EVERY) + directions
    assert plan.chain_step().flop == pytest.approx(expected, rel=1e-6)


def test_predictions_take_less_than_the_readable_ones():
    """The last block at half of the tokens, and the first without its map to queries and keys."""
    plan = gpu_plan.plan_of([SMOKE])
    sizes = plan.settings["evaluation"]["num_sequences"], plan.settings["probe"]["num_sequences"]
    a, (xs, ys) = plan.architecture, plan.sequences(3 * sizes[0] + sizes[1], device="meta")
    named = unflatten(plan.weights(device="meta"), a)
    readable = gpu_work.counted(lambda: sequence_losses(named, xs, ys, a)).flop
    assert 0.2 * readable < plan.evaluate().work.flop < readable


def test_a_unit_takes_what_is_slowest():
    rates = gpu_work.Rates(float32=10.0, copy=2.0, launch=1.0, disk=1.0)
    work = gpu_work.Work(flop=100.0, product_bytes=4.0, other_bytes=6.0, launches=5)
    assert work.seconds("float32", rates) == 10 + 3
    assert replace(work, product_bytes=40.0).seconds("float32", rates) == 20 + 3
    assert replace(work, launches=50).seconds("float32", rates) == 50
    assert gpu_plan.Stage("", "", 1, work, disk=70.0).seconds(rates) == 70


def test_measured_seconds_take_the_place_of_the_roofline(tmp_path):
    """As `paper_cost` saves them, or bare."""
    saved, plan = tmp_path / "cost.json", gpu_plan.plan_of([SMOKE])
    paper_cost.save({"train": paper_cost.Cost(60.0, 0.002, 500.0)}, saved)
    measured = json.loads(saved.read_text()) | {"llc": 0.5}
    found = {line.stage.name: line for line in gpu_plan.lines(plan, gpu_work.Rates(), measured)}
    steps = plan.settings["training"]["num_steps"]
    assert found["train"].hours == pytest.approx((60 + 0.002 * steps) / 3600)
    sources = {name: line.source for name, line in found.items()}
    assert [name for name in sources if sources[name] == "measured"] == ["train", "llc"]
    assert {*paper_cost.TABLES} <= {*found}
    with pytest.raises(SystemExit, match="expected stages, found trian"):
        gpu_plan.lines(plan, gpu_work.Rates(), {"trian": 1.0})


@pytest.mark.parametrize("llc", [True, False])
def test_the_plan_is_printed(llc, monkeypatch, capsys, tmp_path):
    off = tmp_path / "off.yaml"
    off.write_text("experiment: mine\n" + ("" if llc else "llc: {checkpoints: []}\n"))
    monkeypatch.setattr("sys.argv", ["gpu_plan.py", SMOKE, str(off), "--precision", "bf16"])
    gpu_plan.main()
    said = capsys.readouterr().out
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {12, 3}
    assert ("| llc" in [row[0] for row in rows]) is llc
    run = gpu_plan.plan_of([SMOKE])
    checkpoints = len(run.steps) * 4 * num_parameters(run.architecture) / 1e9
    assert f"| checkpoints | {checkpoints:.3g} |" in said
