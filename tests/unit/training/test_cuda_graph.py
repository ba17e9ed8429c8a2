"""The training step as a GPU runs it: compiled, recorded once, replayed.

What can be tested without a GPU is that the step *can* be recorded, see `recording`.
"""

import warnings

import pytest
import torch
from recording import in_place_of_cuda_graphs
from small import TASK, small_run

from transience.errors import InputError
from transience.model.transformer import initial_parameters
from transience.problem.tasks import SequenceSampler
from transience.training import cuda_graph
from transience.training.cuda_graph import WARM_UP, Replayed
from transience.training.phases import Segment, learning_rate
from transience.training.settings import TrainingSettings
from transience.training.state import TrainingState
from transience.training.step import INDUCTOR, ISOLATED, Step, loss_and_gradient
from transience.training.train import train

RUN = small_run(seed=0, output_projection=True)
SETTINGS = TrainingSettings(
    num_steps=12, batch_size=16, learning_rate=1e-2, warmup_steps=10, beta1=0.9, beta2=0.999,
    precision="float32", log_every=4, divergence_loss=1e3,
)  # fmt: skip
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def recording(monkeypatch):
    in_place_of_cuda_graphs(monkeypatch)


def a_step(run=RUN, precision="float32"):
    """A step that computes as a GPU's does, on the CPU, and its state."""
    state = TrainingState.initial(initial_parameters(run.architecture, 0))
    batches = SequenceSampler(tasks=run.tasks(), num_sequences=16, **TASK)
    model = loss_and_gradient(run.architecture, precision, torch.device("cuda"))
    settings = SETTINGS.model_copy(update={"precision": precision})
    return Step(state, batches, model, settings), state


def go(step, launch, number):
    """Step ``number`` of a run."""
    step.batches.seed(0, "training", number)
    step.rate.fill_(learning_rate(number, SETTINGS, Segment(0, 12)))
    launch()


def test_a_recorded_step_does_what_the_step_does(recording):
    plain, expected = a_step()
    step, state = a_step()
    launch = Replayed(step, step.batches.generators.values())
    for number in range(WARM_UP + 6):
        if number == WARM_UP:  # recording a CUDA graph runs nothing, but that on the CPU does
            before = [tensor.clone() for tensor in tensors(step, state)]
            launch.graph = launch._record()
            for tensor, value in zip(tensors(step, state), before, strict=True):
                tensor.copy_(value)
        go(plain, plain, number)
        go(step, launch, number)
        torch.testing.assert_close(step.losses, plain.losses, rtol=0, atol=0)
    torch.testing.assert_close(state.vector, expected.vector, rtol=0, atol=0)
    assert len(launch.graph.generators) == 3


def tensors(step, state):
    adam = step.optimiser.state[state.vector]
    return [state.vector, state.first_moment, state.second_moment, adam["step"]]


def test_work_that_waits_for_the_device_is_refused(recording):
    total = torch.zeros(())
    launch = Replayed(lambda: total.add_(1).item(), [])
    for _ in range(WARM_UP):
        launch()
    assert total == WARM_UP
    with pytest.raises(AssertionError, match="the host waits"):
        launch()


# Of losses and gradient, in norm: Adam makes large steps of small differences, so parameters
# are not compared
ROUNDING = {"float32": 1e-5, "tf32": 1e-5, "bf16": 0.02}


@pytest.mark.parametrize("precision", ROUNDING)
def test_a_compiled_step_computes_the_same(precision):
    """Traced whole, without a break, and once: the C++ or GPU code of the backend is left out."""
    plain, expected = a_step(precision=precision)
    step, state = a_step(precision=precision)
    step.compile(backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for number in range(4):
            state.vector.copy_(expected.vector)
            go(plain, plain, number)
            go(step, step, number)
            assert_close(step, plain, ROUNDING[precision])


def assert_close(step, plain, rounding):
    """Losses and gradient of two steps that had the same parameters and batch."""
    for found, exact in (
        (step.losses, plain.losses), (step.vector.grad, plain.vector.grad)
    ):  # fmt: skip
        assert (found - exact).norm() <= rounding * exact.norm()


def warning_compiler(graph, inputs):
    """As Inductor on a GPU, where a step in float32 leaves units idle."""
    warnings.warn("TensorFloat32 tensor cores available but not enabled", stacklevel=1)
    warnings.warn("a function of the compiler is old", FutureWarning, stacklevel=1)
    return graph.forward


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_warning_is_not_taken_for_a_failure(precision):
    """Though all are errors here; what the setting asks for is not warned of."""
    step, _ = a_step(precision=precision)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("error")
        step.compile(backend=warning_compiler)
        assert warnings.filters[0][0] == "error"
    assert [str(one.message) for one in heard] == ["a function of the compiler is old"]
    go(step, step, 0)


@pytest.mark.skipif(not ISOLATED, reason="needs PyTorch 2.13")
def test_many_architectures_are_compiled_in_one_process():
    """More than the limit of recompilations of one function, for which all steps would count."""
    steps = [a_step(small_run(num_layers=1, mlp_width=4 + more))[0] for more in range(3)]
    with torch._dynamo.config.patch(recompile_limit=2):
        for step in steps:
            step.compile(backend="eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for step in steps:
            go(step, step, 0)


def wrong_compiler(graph, inputs):
    """As a fused kernel that has the losses right, and not the gradient."""

    def work(*arguments):
        losses, gradient = graph(*arguments)
        return losses, gradient + gradient.roll(1)

    return work


def test_a_wrong_gradient_is_found_before_a_training_begins():
    step, _ = a_step()
    with pytest.raises(InputError, match=r"wrong gradient: in float32 expected"):
        step.compile(backend=wrong_compiler)


def test_the_compiler_knows_what_it_is_told():
    """Above all not to do what leaves gradients of norms unwritten."""
    assert INDUCTOR["triton.mix_order_reduction"] is False
    assert INDUCTOR.keys() <= set(torch._inductor.list_options())


def no_compiler(graph, inputs):
    raise RuntimeError("no C compiler\nwas found")


def test_a_step_that_cannot_be_compiled_ends_in_one_line():
    step, _ = a_step()
    with pytest.raises(InputError, match=r"no C compiler was found.*TORCHDYNAMO_DISABLE=1"):
        step.compile(backend=no_compiler)


def test_compilation_can_be_switched_off(monkeypatch):
    """As the message says, and with no compiler at all."""
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
    plain, expected = a_step()
    step, state = a_step()
    step.compile(backend=no_compiler)
    go(plain, plain, 0)
    go(step, step, 0)
    assert torch.equal(state.vector, expected.vector)


@gpu
@pytest.mark.parametrize("precision", ROUNDING)
def test_training_on_a_gpu_is_replayed_as_it_would_run(precision, monkeypatch):
    """Bit by bit, against the same steps one by one."""

    def run():
        vector = initial_parameters(RUN.architecture, 0).cuda()
        settings = SETTINGS.model_copy(update={"precision": precision})
        *_, state = train(TrainingState.initial(vector), RUN, settings)
        return state

    replayed = run()
    monkeypatch.setattr("transience.training.train.Replayed", lambda work, generators: work)
    assert torch.equal(replayed.vector, run().vector)


# The units for tf32 round to ten bits, bfloat16 to seven; sums of a few dozen terms, two blocks
ON_A_GPU = {"float32": 1e-4, "tf32": 0.02, "bf16": 0.05}


@gpu
@pytest.mark.parametrize("precision", ON_A_GPU)
def test_a_gpu_computes_what_a_cpu_computes(precision):
    """Compiled and not, on the same batch: a GPU's own draws are others."""
    plain, expected = a_step()
    batch = plain.batches.draw()
    plain.losses, plain.vector.grad = plain.evaluate(plain.vector, *batch)
    on_gpu = TrainingState.initial(expected.vector.cuda())
    model = loss_and_gradient(RUN.architecture, precision, torch.device("cuda"))
    sampler = SequenceSampler(tasks=RUN.tasks(), num_sequences=16, device="cuda", **TASK)
    settings = SETTINGS.model_copy(update={"precision": precision})
    step = Step(on_gpu, sampler, model, settings)
    step.batches.draw = lambda: tuple(part.cuda() for part in batch)
    for make in (lambda: None, step.compile):
        make()
        on_gpu.vector.copy_(expected.vector)
        step()
        for found, exact in zip(
            (step.losses, step.vector.grad), (plain.losses, plain.vector.grad), strict=True
        ):
            assert (found.cpu() - exact).norm() <= ON_A_GPU[precision] * exact.norm()


def test_warm_up_is_long_enough_for_libraries_to_choose():
    assert cuda_graph.WARM_UP >= 3  # what PyTorch's documentation asks for
