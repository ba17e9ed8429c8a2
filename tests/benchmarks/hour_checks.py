"""Whether a device computes what it should: gradients, replayed steps, a training resumed."""

import math
import shutil
import time
from collections.abc import Callable
from functools import partial

import torch
from hour_record import SIZES, Plan, Record
from hour_run import SEED, VARIANT, OneRun, configuration, stop
from speed import Case

from transience.files.checkpoints import CheckpointReader
from transience.model.settings import ModelSettings
from transience.model.transformer import initial_parameters
from transience.planning.configuration import Config
from transience.problem.diversity import parse_num_tasks
from transience.problem.settings import TaskSettings
from transience.problem.tasks import SequenceSampler
from transience.run import Run
from transience.training.cuda_graph import Replayed
from transience.training.phases import Segment, learning_rate
from transience.training.self_check import (
    OF_A_BLOCK,
    errors_of_blocks,
    in_float64,
    relative_error,
)
from transience.training.settings import TrainingSettings
from transience.training.state import TrainingState
from transience.training.step import Step, loss_and_gradient
from transience.training.train import train

# Largest norm of an error of losses or gradient, in units of their norm. For the gradient, the
# paper's model has on a CPU, at batch 32, up to 1e-5, 2.4e-3 and 5.7e-3.
LIMITS = {"float32": 1e-4, "tf32": 2e-2, "bf16": 5e-2}
STEPS = 100
QUICK = {"num_steps": STEPS, "warmup_steps": 20, "learning_rate": 1e-3}
# Steps of a training, so many that a signal comes amid them.
RESUMED = dict.fromkeys(SIZES, 3000) | {"tiny": 2000}
SAVE_EVERY = 0.3  # seconds


def checks(plan: Plan, record: Record) -> None:
    """Check steps in each precision, then a training that is stopped and resumed."""
    # PyTorch before 2.13 counts the compilations of all precisions together, up to 8.
    torch._dynamo.config.recompile_limit = 64
    case = Case.of(SIZES[plan.size][0], torch.device(plan.device))
    for precision in LIMITS:
        with record.stage(precision):
            record.guard(partial(check_steps, case, precision, record))
    with record.stage("resume"):
        record.guard(partial(check_resumption, plan, record))
    record.finish()


# Steps


def check_steps(case: Case, precision: str, record: Record) -> None:
    """Check a step against float64, and many steps against themselves and their replay."""
    state, step = a_step(case, precision)
    check_gradient(case, step, precision, "at the start", record)
    plain, again = (course(case, state, step, step) for _ in range(2))
    check_equality(f"{STEPS} steps twice, {precision}", plain, again, record)
    name = f"{STEPS} steps replayed, {precision}"
    if case.device.type == "cuda":
        launch = Replayed(step, step.batches.generators.values())
        check_equality(name, plain, course(case, state, step, launch), record)
    else:
        record.check(name, "-", "equal", None)
    check_gradient(case, step, precision, f"after {STEPS} steps", record)


def a_step(case: Case, precision: str) -> tuple[TrainingState, Step]:
    """A step as a training makes it, and the state that it changes."""
    settings = case.training.model_copy(update=QUICK | {"precision": precision})
    size = {"num_sequences": settings.batch_size, **case.run.task.model_dump()}
    batches = SequenceSampler(tasks=case.run.tasks(), device=case.device, **size)
    model = loss_and_gradient(case.run.architecture, precision, case.device)
    state = TrainingState.initial(case.start())
    step = Step(state, batches, model, settings)
    if case.device.type == "cuda":
        step.compile()
    return state, step


def course(
    case: Case, state: TrainingState, step: Step, launch: Callable[[], None]
) -> torch.Tensor:
    """Parameters (P,) after some steps from the start, each of them a call of ``launch``."""
    state.vector.copy_(case.start())
    counters = [one["step"] for one in step.optimiser.state.values()]
    for tensor in (state.first_moment, state.second_moment, *counters):
        tensor.zero_()
    settings = case.training.model_copy(update=QUICK)
    for number in range(STEPS):
        step.batches.seed(case.run.seed, "training", number)
        step.rate.fill_(learning_rate(number, settings, Segment(0, settings.num_steps)))
        launch()
    return state.vector.clone()


def check_gradient(case: Case, step: Step, precision: str, when: str, record: Record) -> None:
    """Compare losses and gradient of a step that moves nothing with those in float64."""
    stream = (case.run.seed, "training", STEPS)
    step.rate.zero_()
    step.batches.seed(*stream)
    step()
    step.batches.seed(*stream)
    exact = in_float64(case.run.architecture, step.vector, *step.batches.draw())
    of_losses, of_gradient = map(relative_error, (step.losses, step.vector.grad), exact)
    blocks = errors_of_blocks(step.vector.grad, exact[1], case.run.architecture)
    worst = max(blocks, key=lambda name: (math.isnan(blocks[name]), blocks[name]))
    limit, of_a_block = LIMITS[precision], OF_A_BLOCK[precision]
    record.check(
        f"gradient, {precision}, {when}",
        f"{of_gradient:.1e} (losses {of_losses:.1e}; at most {blocks[worst]:.1e}, {worst})",
        f"{limit:.0e}",
        of_losses <= limit and of_gradient <= limit and blocks[worst] <= of_a_block,
    )


def check_equality(name: str, one: torch.Tensor, other: torch.Tensor, record: Record) -> None:
    """Check that two vectors of finite numbers are equal to the bit."""
    equal = torch.equal(one, other) and bool(one.isfinite().all())
    found = "equal" if equal else f"{relative_error(other, one.double()):.1e} apart"
    record.check(name, found, "equal", equal)


# Trainings


def check_resumption(plan: Plan, record: Record) -> None:
    """Stop a training by a signal, let it go on, compare its checkpoints with one in one go."""
    one = OneRun(plan, resumed_configuration(plan), plan.num_tasks[0])
    for name in ("checkpoints", "training"):
        one.file(name).unlink(missing_ok=True)
    shutil.rmtree(one.state_folder("train"), ignore_errors=True)
    stopped = stop_amid(one)
    one.job("train").make()
    found = CheckpointReader(one.file("checkpoints"))
    expected = in_one_go(one.config, plan, found.steps)
    wrong = [
        step
        for row, step in enumerate(found.steps)
        if not torch.equal(found.parameters(row), expected[step])
    ]
    said = f"differs from step {wrong[0]} on" if wrong else "equal"
    record.check(
        f"{found.steps[-1]} steps, stopped at {stopped} and resumed", said, "equal", not wrong
    )


def resumed_configuration(plan: Plan) -> Config:
    """A short training at a low rate, with some checkpoints."""
    steps = RESUMED[plan.size]
    config = configuration(plan, steps)
    config["training"] |= {"learning_rate": 5e-4, "warmup_steps": steps}
    config["checkpoints"] |= {"linear_every": steps // 10, "logarithmic_count": 2}
    return config | {"experiment": f"{config['experiment']}-resumed"}


def stop_amid(one: OneRun) -> int:
    """Stop a training by a signal once it has saved its state twice; the step it had come to.

    It saves first as soon as it can, as it has been compiling for so long.
    """
    job, states = one.job("train", save_state_every=SAVE_EVERY), one.state_folder("train")
    process, saved = job.start(), set()
    while process.poll() is None and len(saved) < 2 and one.plan.seconds_left() > 0:
        saved |= {path.stat().st_mtime_ns for path in states.glob("*/state.safetensors")}
        time.sleep(0.02)
    stop(process)
    words = job.last_line().split("stopped at step ")
    if len(words) < 2:
        raise RuntimeError(f"a training was to be stopped, but: {words[0]}")
    return int(words[1].split(";")[0])


def in_one_go(config: Config, plan: Plan, steps: list[int]) -> dict[int, torch.Tensor]:
    """Parameters (P,) at some steps of the same training in this process."""
    kinds = TaskSettings(**config["task"]), ModelSettings(**config["model"])
    run = Run(VARIANT, parse_num_tasks(plan.num_tasks[0]), SEED, *kinds)
    start = initial_parameters(run.architecture, SEED).to(plan.device)
    found, begun = {0: start.cpu().clone()}, TrainingState.initial(start)
    for state in train(begun, run, TrainingSettings(**config["training"])):
        if state.step in steps:
            found[state.step] = state.vector.cpu().clone()
    return found
