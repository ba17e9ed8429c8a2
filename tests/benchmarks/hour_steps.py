"""What a training step takes on a device, and what of it each kind of kernel takes."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from hour_record import SIZES, Plan, Record
from speed import Case, floors, measured_rates, medians, our_step, precisions, seconds, works
from torch.profiler import ProfilerActivity

WARM_UP, PROFILED = 20, 20  # steps
PRECISION = "bf16"
TOP = 25  # kernels by name in the file

# Kinds of kernels by what stands in their names; the first that fits. Inductor's are named after
# all that they do, copies too; `aten::` are operations on a CPU.
KINDS = (
    ("optimiser", r"adam|multi_tensor"),
    ("random numbers", r"philox|distribution_|random_from|aten::(normal|randn|randint|random)"),
    ("attention", r"attention|attn|flash|fmha|sdpa|softmax|cudnn"),
    ("matrix products", r"gemm|gemv|cutlass|nvjet|cublas|splitk|dot_kernel|triton_(tem|mm)"),
    ("matrix products", r"aten::(mm|addmm|addmm_|bmm|baddbmm|matmul|mv|addmv|addmv_|dot)$"),
    ("norms, pointwise", r"^triton_"),
    (
        "copies, memset",
        r"memcpy|memset|copy|fill|catarray|aten::(cat|clone|contiguous|zeros?|to)\b",
    ),
    ("norms, pointwise", r"elementwise|reduce|norm|vectorized|gather|aten::"),
)
OTHER = "other"
OF_A_GPU = ("kernel", "gpu_memcpy", "gpu_memset")  # categories of a trace


class Kernel(NamedTuple):
    """A kernel of a profile, or a copy; on a CPU an operation."""

    name: str
    start: float  # µs
    duration: float  # µs


def speed(plan: Plan, record: Record) -> None:
    """Time steps in each precision beside what their products and their traffic need at least."""
    case = Case.of(SIZES[plan.size][0], torch.device(plan.device))
    with record.stage("rates"):
        rates = measured_rates(case.device)
        floor = floors(case, works(case)["training step"], rates)
    record.measure("rates", rates)
    record.measure("parameters", len(case.start()))
    record.measure("batch", case.training.batch_size)
    for precision in precisions(case.device):
        with record.stage(precision):
            record.guard(partial(time_steps, case, precision, floor, record))
    record.finish()


def time_steps(case: Case, precision: str, floor: dict[str, float], record: Record) -> None:
    """Median time of a step, and what share of it its products and its traffic must take."""
    on_gpu = case.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    found = medians({precision: our_step(case, precision)}, case.device)[precision]
    shares = {
        "ms": 1e3 * found,
        "products": floor[precision] / found,
        "copy": floor["copy"] / found,
        "GiB": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
    }
    record.measure(precision, shares)


def profile(plan: Plan, record: Record) -> None:
    """Record the kernels of some steps and add up their time by kind."""
    case = Case.of(SIZES[plan.size][0], torch.device(plan.device))
    step = our_step(case, PRECISION)
    with record.stage("profile"):
        seconds(step, WARM_UP, case.device)
        record.measure("ms", 1e3 * seconds(step, PROFILED, case.device))
        kernels = profiled(step, case.device, plan.scratch / "trace.json")
    by_kind, gaps = summed(kernels)
    record.measure("kinds", {kind: 1e-3 * time / PROFILED for kind, time in by_kind.items()})
    record.measure("no kernel runs", 1e-3 * gaps / PROFILED)
    record.measure("precision", PRECISION)
    record.measure("kernels", len(kernels) / PROFILED)
    (plan.out / "kernels.md").write_text(top_kernels(kernels))
    record.finish()


def profiled(step: Callable[[], object], device: torch.device, trace: Path) -> list[Kernel]:
    """Kernels of some steps in the order of their starts, by way of a file."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with torch.profiler.profile(activities=activities) as recorded:
        seconds(step, PROFILED, device)
    trace.parent.mkdir(parents=True, exist_ok=True)
    recorded.export_chrome_trace(str(trace))
    events = json.loads(trace.read_text())["traceEvents"]
    kernels = kernels_in(events, OF_A_GPU if on_gpu else ("cpu_op",))
    if not kernels:
        raise RuntimeError("the profiler has seen no kernel")
    return kernels if on_gpu else outermost(kernels)


def kernels_in(events: Sequence[dict], categories: Sequence[str]) -> list[Kernel]:
    """Events of a trace that are of some categories, in the order of their starts."""
    chosen = (event for event in events if event.get("cat") in categories)
    found = [Kernel(event["name"], event["ts"], event["dur"]) for event in chosen]
    return sorted(found, key=lambda kernel: kernel.start)


def outermost(kernels: Sequence[Kernel]) -> list[Kernel]:
    """Operations that no other one has called."""
    found: list[Kernel] = []
    for kernel in kernels:
        if not found or kernel.start >= found[-1].start + found[-1].duration:
            found.append(kernel)
    return found


def kind_of(name: str) -> str:
    """What a kernel is for, by its name."""
    fitting = (kind for kind, pattern in KINDS if re.search(pattern, name, re.IGNORECASE))
    return next(fitting, OTHER)


def summed(kernels: Sequence[Kernel]) -> tuple[dict[str, float], float]:
    """Time of every kind, and time between first and last in which none runs, in µs."""
    by_kind = dict.fromkeys([*(kind for kind, _ in KINDS), OTHER], 0.0)
    end, gaps = kernels[0].start, 0.0
    for kernel in kernels:
        by_kind[kind_of(kernel.name)] += kernel.duration
        gaps += max(0.0, kernel.start - end)
        end = max(end, kernel.start + kernel.duration)
    return by_kind, gaps


def top_kernels(kernels: Sequence[Kernel]) -> str:
    """Markdown table of the kernels that take most, by name."""
    times: dict[str, list[float]] = defaultdict(list)
    for kernel in kernels:
        times[kernel.name].append(kernel.duration)
    whole = sum(map(sum, times.values()))
    rows = [
        f"| {sum(of_one) / PROFILED:.1f} | {len(of_one) / PROFILED:g} | {sum(of_one) / whole:.3f} "
        f"| {kind_of(name)} | `{name[:160]}` |"
        for name, of_one in sorted(times.items(), key=lambda item: -sum(item[1]))[:TOP]
    ]
    return "\n".join(
        ["| µs a step | calls a step | share | kind | name |", "|---|---|---|---|---|", *rows]
    )
