"""The first hour on a GPU, rehearsed on a CPU."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hour_run
import hour_steps
import hour_verdict
import pandas as pd
import pytest
from hour_record import NEEDS_GPU, Plan, Record
from hour_run import OneRun, OutOfTimeError, configuration

from transience.files.metadata import check_runs
from transience.files.tables import read_table

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "first_gpu_hour.py"


def call(folder: Path, *flags: str) -> subprocess.CompletedProcess:
    """Run the script where there is no GPU to see and no Snakemake to import."""
    blocked = folder / "blocked"
    blocked.mkdir(exist_ok=True)
    (blocked / "snakemake.py").write_text("raise ImportError('Snakemake is not needed')")
    places = "--out", folder / "out", "--scratch", folder / "scratch"
    paths = os.pathsep.join(filter(None, [str(blocked), os.environ.get("PYTHONPATH")]))
    hidden = {"PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, SCRIPT, *places, "--size", "tiny", *flags],
        env=os.environ | hidden,
        capture_output=True,
        text=True,
    )


def test_all_parts_on_a_cpu(tmp_path):
    flags = "--device", "cpu", "--num-tasks", "4", "--steps", "60"
    first = call(tmp_path, *flags)
    assert first.returncode == 0, first.stdout + first.stderr
    out = tmp_path / "out"
    text = (out / "verdict.md").read_text()
    assert first.stdout.endswith(text) and len(text.splitlines()) <= 60
    assert "**All is well**: 10 OK, 3 needs a GPU." in text
    assert "Not finished" not in text
    found = json.loads((out / "verdict.json").read_text())
    assert found["holds"]
    replayed = [row for row in found["parts"]["checks"]["checks"] if "replayed" in row[0]]
    assert [row[-1] for row in replayed] == [NEEDS_GPU] * 3
    assert found["parts"]["run"]["measured"]["M=4"]["steps"] == 60
    assert "| matrix products |" in (out / "kernels.md").read_text()
    assert sum(path.stat().st_size for path in out.rglob("*.*")) < 2**19
    assert not list(out.rglob("*.safetensors"))
    assert_tables(out / "smoke-60-steps")

    again = call(tmp_path, *flags)  # nothing is left to be done
    assert again.returncode == 0
    assert again.stdout.strip() == text.strip()


def assert_tables(folder: Path) -> None:
    """What the workflow would have made, by its own marks."""
    config = json.loads((folder / "config.json").read_text())
    assert config["configuration_files"] == ["config/config.yaml", "config/smoke.yaml"]
    (run,) = check_runs([folder / "runs/baseline/M4_seed0/llc.parquet"])
    assert run["settings"]["llc"] == config["llc"]
    (row,) = read_table(folder / "tables/transient_ridge.parquet", "transient_ridge").to_dict(
        "records"
    )
    assert row["num_tasks"] == 4


def test_a_part_that_fails_leaves_the_others_and_is_told(tmp_path):
    """Without a GPU all of them fail, each with its own words."""
    found = call(tmp_path, "--device", "cuda", "--parts", "speed", "run")
    assert found.returncode == 1
    text = (tmp_path / "out/verdict.md").read_text()
    assert "NOT ALL IS WELL" in text
    for part in ("speed", "run"):
        assert f"{part} failed:\n```" in text
    assert text.count("InputError: execution.device: expected a CUDA device, found none") == 2
    assert "Not finished: speed, run, checks, profile." in text


def test_packages_that_are_missing_are_named(tmp_path):
    (tmp_path / "blocked").mkdir()
    hide = "import sys\nfor name in ('pydantic', 'pyarrow'): sys.modules[name] = None"
    (tmp_path / "blocked/sitecustomize.py").write_text(hide)
    found = call(tmp_path, "--device", "cpu")
    assert found.returncode == 1
    assert found.stderr.strip().endswith("found no pyarrow, pydantic")


@pytest.mark.parametrize("flag", ["--minutes", "--steps", "--side-by-side"])
def test_nothing_at_all_is_no_number_of_anything(tmp_path, flag):
    found = call(tmp_path, "--device", "cpu", flag, "0")
    assert found.returncode == 2
    assert f"argument {flag}: expected a number above 0, found 0" in found.stderr


@pytest.fixture
def plan(tmp_path):
    """A tiny plan that has a minute."""
    places = tmp_path / "out", tmp_path / "scratch"
    return Plan("tiny", "cpu", ("4", "inf"), None, *places, time.time() + 60)


def begun(plan: Plan, part: str) -> Record:
    record = Record(plan, part)
    record.begin()
    return record


# Records


def test_a_part_is_finished_for_what_it_was_asked(plan):
    record = begun(plan, "run")
    with record.stage("train"):
        pass
    record.finish()
    assert Record(plan, "run").finished
    other = Plan(plan.size, plan.device, ("8",), None, plan.out, plan.scratch, plan.deadline)
    assert not Record(other, "run").finished
    begun(plan, "checks").finish()
    assert Record(other, "checks").finished
    again = begun(plan, "run")
    assert "train" in again.found["seconds"] and not again.finished


def test_what_fails_is_not_finished(plan):
    record = begun(plan, "checks")
    record.guard(lambda: 1 / 0)
    record.finish()
    again = Record(plan, "checks")
    assert not again.finished
    assert "ZeroDivisionError" in again.found["failures"][0]
    assert not hour_verdict.holds({"checks": again.found})


# Runs


def test_the_configuration_is_that_of_the_sweep(plan):
    paper = Plan("paper", "cuda", ("64", "inf"), None, plan.out, plan.scratch, 0.0)
    config = configuration(paper)
    assert config["experiment"] == "paper-subset"
    assert config["sweep"] == {"num_tasks": [64, "inf"], "seeds": [0]}
    assert (config["training"]["precision"], config["training"]["num_steps"]) == ("bf16", 150_000)
    assert config["checkpoints"] == {
        "linear_every": 1000, "logarithmic_count": 200, "states": [],
    }  # fmt: skip
    shorter = configuration(paper, 500)
    assert shorter["experiment"] == "paper-subset-500-steps"
    assert (shorter["training"]["warmup_steps"], shorter["checkpoints"]["linear_every"]) == (
        50,
        500,
    )


def test_runs_side_by_side_are_all_taken_through_and_summed_up(plan, monkeypatch):
    """Stages of one run stay in order; the tables are made by one at a time."""
    together = dataclasses.replace(plan, num_tasks=("1", "4", "8", "inf"), side_by_side=3)
    made, running, at_once = [], set(), []

    def make(job):
        name = job.flags.get("num_tasks", "tables")
        assert name not in running
        running.add(name)
        at_once.append(len(running))
        time.sleep(0.05)
        made.append((name, job.module))
        for stage in hour_run.STAGES.values():
            for path in (job.flags[output] for output in stage[1] if output in job.flags):
                if job.module == stage[0]:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
        running.remove(name)

    monkeypatch.setattr(hour_run.Job, "make", make)
    monkeypatch.setattr(hour_run, "summary", lambda one: {})
    monkeypatch.setattr(hour_run, "tables_are_old", lambda through: True)
    record = begun(together, "run")
    hour_run.run(together, record)
    assert record.found["finished"] and not record.found["failures"]
    stages = [module for module, _ in hour_run.STAGES.values()]
    for num_tasks in together.num_tasks:
        assert [module for name, module in made if name == num_tasks] == stages
    assert 1 < max(at_once) <= 3


def test_tables_are_old_without_a_run_that_got_through_meanwhile(plan, monkeypatch):
    monkeypatch.setattr(hour_run, "read_table", lambda path, name: pd.read_parquet(path))
    every = [OneRun(plan, configuration(plan), num_tasks) for num_tasks in plan.num_tasks]
    for one in every:
        one.file("llc_curve").parent.mkdir(parents=True)
        one.file("llc_curve").touch()
    assert hour_run.tables_are_old(every[:1])
    last = hour_run.table(every, "transient_ridge")
    last.parent.mkdir(parents=True)
    pd.DataFrame({"num_tasks": [4.0]}).to_parquet(last)  # later than both runs
    assert not hour_run.tables_are_old(every[:1])
    assert hour_run.tables_are_old(every)


def test_what_breaks_in_one_run_does_not_hide_what_another_says(plan, monkeypatch):
    def take_through(one, name, record):
        if one.num_tasks == "4":
            raise ValueError("no such table")
        raise OutOfTimeError("stopped at step 7")

    monkeypatch.setattr(hour_run, "take_through", take_through)
    record = begun(plan, "run")
    hour_run.run(plan, record)
    assert "ValueError: no such table" in record.found["failures"][0]
    assert record.found["notes"][0].startswith("stopped at step 7: the call is over")
    assert not record.found["finished"] and list(record.found["measured"]) == ["M=4", "M=inf"]


def test_rules_say_what_a_module_reads():
    reads = hour_run.reads_of_rules()
    assert reads["transience.training"] == "task model training checkpoints"
    assert reads["transience.collect"] == ""
    assert {module for module, _ in hour_run.STAGES.values()} <= set(reads)


def test_without_time_nothing_is_begun_and_the_record_says_so(plan):
    late = Plan(plan.size, plan.device, plan.num_tasks, None, plan.out, plan.scratch, 0.0)
    record = begun(late, "run")
    hour_run.run(late, record)
    assert not record.found["finished"] and not record.found["failures"]
    assert record.found["measured"] == {"M=4": {}, "M=inf": {}}
    (note,) = record.found["notes"]
    assert note.startswith("transience.training not started: the call is over")
    assert not plan.scratch.exists()


def test_the_end_of_a_call_stops_a_command_by_a_signal(plan, monkeypatch):
    """And what ends well all the same is taken."""
    monkeypatch.setattr(hour_run, "LEAST", 0.0)
    stubborn = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit({})); {}"
    waiting = "print('ready', flush=True); time.sleep(60)"

    def start(job):
        words = [sys.executable, "-c", stubborn.format(status, waiting)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        with process.stdout:
            process.stdout.readline()
        return process

    monkeypatch.setattr(hour_run.Job, "start", start)
    for status in (128 + signal.SIGTERM, 0):
        deadline = time.time() + hour_run.TO_SAVE + 0.2
        soon = Plan("tiny", "cpu", ("4",), None, plan.out, plan.scratch, deadline)
        job = OneRun(soon, configuration(soon), "4").job("train")
        if status:
            with pytest.raises(OutOfTimeError):
                job.make()
        else:
            job.make()
        assert time.time() < deadline


def test_a_stage_that_fails_is_told_and_the_others_go_on(plan, monkeypatch):
    made = []

    def make(job):
        made.append(job.module)
        if job.module == "transience.evaluation":
            raise RuntimeError("exit status 1: error: no space")
        for name, path in job.flags.items():
            if name in (
                "checkpoints",
                "states",
                "training",
                "signals",
                "llc",
                "llc_trace",
                "indicators",
                "llc_curve",
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    monkeypatch.setattr(hour_run.Job, "make", make)
    monkeypatch.setattr(hour_run, "summary", lambda one: {})
    record = begun(plan, "run")
    hour_run.run(plan, record)
    assert record.found["failures"] == [
        f"evaluate M={num_tasks}: exit status 1: error: no space" for num_tasks in plan.num_tasks
    ]
    assert made[:5] == [module for module, _ in hour_run.STAGES.values()]
    assert not record.found["finished"]


# Profiles


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvjet_hsh_256x128_64x4_2x1_v_bz_coopA_NTT", "matrix products"),
        ("sm90_xmma_gemm_bf16f32_bf16f32_f32_tn_n_tilesize128x128x64", "matrix products"),
        ("void cublasLt::splitKreduce_kernel<32, 16, int, float>", "matrix products"),
        ("void gemv2T_kernel_val<int, int, float, float, float>", "matrix products"),
        ("void pytorch_flash::flash_bwd_dq_dk_dv_loop_seqk_parallel_kernel", "attention"),
        ("fmha_cutlassF_bf16_aligned_64x128_rf_sm80", "attention"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16", "attention"),
        ("triton_per_fused__softmax_add_5", "attention"),
        ("triton_poi_fused__to_copy_add_relu_7", "norms, pointwise"),
        ("triton_red_fused_native_layer_norm_2", "norms, pointwise"),
        ("triton_tem_fused_mm_3", "matrix products"),
        (
            "void at::native::(anonymous namespace)::multi_tensor_apply_kernel<at::native::("
            "anonymous namespace)::FusedOptimizerTensorListMetadata<4>, FusedAdamMathFunctor>",
            "optimiser",
        ),
        (
            "void at::native::(anonymous namespace)::distribution_elementwise_grid_stride_kernel"
            "<float, 4, normal_and_transform>",
            "random numbers",
        ),
        (
            "void at::native::elementwise_kernel<128, 2, direct_copy_kernel_cuda>",
            "copies, memset",
        ),
        (
            "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>>",
            "copies, memset",
        ),
        ("Memset (Device)", "copies, memset"),
        ("void at::native::reduce_kernel<512, 1, ReduceOp<float>>", "norms, pointwise"),
        ("aten::addmm_", "matrix products"),
        ("aten::native_layer_norm", "norms, pointwise"),
        ("my_kernel", "other"),
    ],
)
def test_kernels_are_known_by_their_names(name, kind):
    assert hour_steps.kind_of(name) == kind


def event(name, start, duration, category="kernel"):
    return {"name": name, "ts": start, "dur": duration, "cat": category, "ph": "X"}


def test_time_is_summed_by_kind_and_gaps_are_what_is_left():
    trace = [
        event("gemm", 10, 4),
        event("Memset (Device)", 0, 2, "gpu_memset"),
        event("flash", 12, 6),  # beside the product
        event("cudaGraphLaunch", 0, 30, "cuda_runtime"),
        {"name": "process_name", "ph": "M"},
        event("gemm", 20, 1),
    ]
    kernels = hour_steps.kernels_in(trace, hour_steps.OF_A_GPU)
    by_kind, gaps = hour_steps.summed(kernels)
    assert gaps == (10 - 2) + (20 - 18)
    assert {kind: time for kind, time in by_kind.items() if time} == {
        "copies, memset": 2,
        "attention": 6,
        "matrix products": 5,
    }
    first = hour_steps.top_kernels(kernels).splitlines()[2]
    assert first == f"| {6 / hour_steps.PROFILED:.1f} | 0.05 | 0.462 | attention | `flash` |"


def test_operations_within_others_count_once():
    names = ["aten::matmul", "aten::mm", "aten::relu"]
    starts, durations = [0, 1, 5], [5, 3, 1]
    nested = [hour_steps.Kernel(*one) for one in zip(names, starts, durations, strict=True)]
    assert [one.name for one in hour_steps.outermost(nested)] == ["aten::matmul", "aten::relu"]
