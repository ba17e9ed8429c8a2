"""Precision of products is that of the step that runs, whatever the process had before."""

import pytest
import torch
from small import small_run

from transience.model.loss_and_gradient import LossAndGradient
from transience.model.transformer import initial_parameters
from transience.problem.tasks import SequenceSampler
from transience.training import step as steps
from transience.training.arithmetic import products
from transience.training.settings import TrainingSettings
from transience.training.state import TrainingState
from transience.training.train import train

SETTINGS = TrainingSettings(
    num_steps=2, batch_size=4, learning_rate=1e-2, warmup_steps=0, beta1=0.9, beta2=0.999,
    precision="float32", log_every=1, divergence_loss=1e3,
)  # fmt: skip
CUBLAS = torch.backends.cuda.matmul


def seen() -> tuple[str, bool, bool]:
    """Precision of float32 products, and whether bfloat16 ones add up rounded parts, or split."""
    return (
        torch.get_float32_matmul_precision(),
        CUBLAS.allow_bf16_reduced_precision_reduction,
        CUBLAS.allow_bf16_reduced_precision_reduction_split_k,
    )


@pytest.fixture(params=["highest", "high"])
def process(request):
    """What the process had before a step runs; undone at the end."""
    before = seen()
    torch.set_float32_matmul_precision(request.param)
    yield seen()
    torch.set_float32_matmul_precision(before[0])


@pytest.mark.parametrize("tf32", [False, True])
def test_the_process_gets_back_what_it_had(process, tf32):
    with products(tf32=tf32):
        assert seen() == ("high" if tf32 else "highest", False, process[2])
    assert seen() == process
    with pytest.raises(ZeroDivisionError), products(tf32=tf32):
        _ = 1 / 0
    assert seen() == process


@pytest.fixture
def spy(monkeypatch):
    """Let every draw and every gradient of a step note the precision that it sees."""
    notes = []

    def noted(what, method):
        def call(*arguments):
            notes.append((what, *seen()[:2]))
            return method(*arguments)

        return call

    for what, owner, name in (
        ("labels", SequenceSampler, "draw"), ("gradient", LossAndGradient, "__call__"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, noted(what, getattr(owner, name)))
    return notes


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Let steps on this CPU ask for the units that they would ask a GPU for."""
    made = steps.Step.__init__

    def init(step, state, batches, evaluate, settings, decay):
        made(step, state, batches, evaluate, settings, decay)
        step.tf32 = steps.uses_tf32(settings.precision, torch.device("cuda"))

    monkeypatch.setattr(steps.Step, "__init__", init)


def trainings(*precisions):
    """Trainings of small runs, each in another precision."""
    run = small_run()
    for precision in precisions:
        state = TrainingState.initial(initial_parameters(run.architecture, 0))
        yield train(state, run, SETTINGS.model_copy(update={"precision": precision}))


def test_trainings_in_turn_keep_each_its_precision(process, spy, as_on_a_gpu):
    """And labels are drawn in float32 in all of them."""
    names = {"float32": "highest", "tf32": "high", "bf16": "high"}
    taking_turns = list(trainings(*names))
    for _ in range(2):
        for training, expected in zip(taking_turns, names.values(), strict=True):
            next(training)
            assert seen() == process
            # Once more for the signals of a step that is logged, such as the first.
            assert {*spy} == {("labels", "highest", False), ("gradient", expected, False)}
            spy.clear()


def test_a_cpu_is_never_asked_for_tf32(process, spy):
    for training in trainings("float32", "tf32", "bf16"):
        next(training)
    assert {precision for _, precision, _ in spy} == {"highest"}
