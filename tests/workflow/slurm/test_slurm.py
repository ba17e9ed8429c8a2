"""Sweeps on a real SLURM cluster of one node, through the profile: `make slurm-test`."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slurm

RUN = "results/smoke/runs/baseline/M4_seed0"
CHECKPOINTS = f"{RUN}/checkpoints.safetensors"
LOG = "results/smoke/logs/train/baseline_M4_seed0.log"
REFUSAL = "the configuration was edited after this job was submitted; run snakemake again"


def slurm(*words: str) -> str:
    """What one of SLURM's commands prints."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


# Limits are only there to end a test that hangs: jobs share two cores with other tests.
HANGS = 1800  # seconds


def wait_until(what: str, condition: Callable[[], bool], seconds: int = HANGS) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)


# Snakemake, looking every two seconds whether a job has ended. The plugin waits 10 s longer after
# each look in vain, which was a third of these tests' time.
PROMPT = """
import asyncio

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

RemoteExecutor.sleep = lambda self: asyncio.sleep(2)
main()
"""


@dataclass(frozen=True)
class Submission:
    """Snakemake at work on the cluster."""

    process: subprocess.Popen
    folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    @property
    def name(self) -> str:
        """Name that all its jobs have in SLURM."""
        return re.search(r"^SLURM run ID: (\S+)", self.output, re.MULTILINE)[1]

    def jobs(self, *columns: str) -> list[list[str]]:
        """Each call of sbatch, in order: these columns of the accounting."""
        words = ["-X", "-n", "-P", "-S", "now-1days", "--name", self.name]
        lines = slurm("sacct", *words, "--format", ",".join(columns)).splitlines()
        return [line.split("|") for line in lines]

    def wait_for_queue(self) -> str:
        """Wait until a job is in the queue, and return SLURM's description of it."""

        def submitted_or_ended() -> bool:
            return "has been submitted" in self.output or self.process.poll() is not None

        wait_until("a job in the queue", submitted_or_ended)
        assert "has been submitted" in self.output, self.output
        return slurm("scontrol", "show", "job", self.in_queue()[0])

    def in_queue(self) -> list[str]:
        """Numbers of its jobs that wait or run."""
        return slurm("squeue", "-h", "-o", "%i", "--name", self.name).split()

    def logs(self) -> str:
        """What failed jobs left in SLURM's logs."""
        logs = (self.folder / "results/logs/slurm").rglob("*.log")
        return "\n".join(log.read_text() for log in logs)


@contextmanager
def submitted(project, *flags: str, **variables: str) -> Iterator[Submission]:
    """Start the documented command, by `PROMPT`; whatever happens, leave nothing on the cluster.

    `variables` are those of the profile, without what they begin with.
    """
    words = [sys.executable, "-c", PROMPT, *flags, "--configfile", "config/smoke.yaml"]
    words += ["--workflow-profile", "workflow/profiles/slurm"]
    ours = {f"TRANSIENCE_SLURM_{name}": value for name, value in variables.items()}
    environment = os.environ | {"PYTHONPATH": "workflow/lib", "PYTHONWARNINGS": ""} | ours
    with open(project.folder / "output.txt", "w") as output:
        process = subprocess.Popen(
            words, cwd=project.folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    submission = Submission(process, project.folder)
    try:
        yield submission
    finally:
        process.kill()
        process.wait()
        if "SLURM run ID" in submission.output:
            slurm("scancel", "--name", submission.name)


def finish(submission: Submission, code: int = 0) -> None:
    """Wait for the end and the exit code."""
    assert submission.process.wait(timeout=HANGS) == code, submission.output


@pytest.fixture
def closed() -> Iterator[Callable[[], None]]:
    """A partition `cpu` that queues jobs and starts none, and how to open it."""

    def set_state(state: str) -> None:
        slurm("scontrol", "update", "PartitionName=cpu", f"State={state}")

    set_state("DOWN")
    yield lambda: set_state("UP")
    set_state("UP")


def lengthen(project) -> None:
    """Train for as long as it takes to be interrupted, saving the state every second."""
    project.edit("config/smoke.yaml", "num_steps: 300", "num_steps: 10000")
    project.edit("config/smoke.yaml", "save_state_every_seconds: 60", "save_state_every_seconds: 1")


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory) -> Iterator[None]:
    """Keep machine code for all copies of the sources; each training would compile it anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(tmp_path_factory.mktemp("machine_code")))
        yield


@pytest.fixture(scope="session")
def undisturbed(sources) -> dict[str, torch.Tensor]:
    """Checkpoints of the long training, made in one go on this machine."""
    project = sources()
    lengthen(project)
    run = project.snakemake(CHECKPOINTS)
    assert run.returncode == 0, run.stdout
    return load_file(project.folder / CHECKPOINTS)


def check_resumed(project, expected: dict[str, torch.Tensor]) -> None:
    """The last attempt went on from a saved state, and the checkpoints show no trace of it."""
    first = (project.folder / LOG).read_text().splitlines()[0]
    assert re.fullmatch(r"resuming at step [1-9]\d*", first)
    found = load_file(project.folder / CHECKPOINTS)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def lessen(project) -> None:
    """Two runs are enough for every rule; a job starts Python three times, whatever it does."""
    project.edit("config/smoke.yaml", "num_tasks: [1, 4, inf]", "num_tasks: [4, inf]")
    project.edit("config/smoke.yaml", "seeds: [0, 1]", "seeds: [0]")


def tables(project) -> dict[str, pd.DataFrame]:
    """Tables of a sweep and of its runs, by their paths, without the times."""
    frames = {
        str(path.relative_to(project.results)): pd.read_parquet(path)
        for path in project.results.rglob("*.parquet")
    }
    return {name: frame.drop(columns="seconds", errors="ignore") for name, frame in frames.items()}


@pytest.fixture(scope="session")
def made_here(sources) -> dict[str, pd.DataFrame]:
    """Tables of the small sweep, made on this machine without SLURM."""
    project = sources()
    lessen(project)
    run = project.snakemake("--omit-from", "figure")
    assert run.returncode == 0, run.stdout
    return tables(project)


RULES_OF_A_RUN = ("train", "evaluate", "llc", "llc_curve", "indicators")
# Every rule of a run, and one of the sweep's that depends on two of them.
TARGETS = ["results/smoke/tables/indicator_agreement.parquet"] + [
    f"results/smoke/runs/baseline/{run}_seed0/{name}.parquet"
    for run in ("M4", "Minf")
    for name in ("evaluation", "llc_curve")
]


@pytest.mark.parametrize(
    ("targets", "variables", "calls"),
    [
        # Without branches the table of them is of a job that hangs together with no other.
        ([], {}, dict.fromkeys(RULES_OF_A_RUN, 2) | {"configuration": 1, "sweep": 2}),
        (TARGETS, {"ONE_JOB_A_RUN": "1"}, {"run": 2, "sweep": 1}),
    ],
    ids=["a_job_a_rule", "a_job_a_run"],
)
def test_the_smoke_sweep(project, made_here, targets, variables, calls):
    lessen(project)
    with submitted(project, *targets, **variables) as submission:
        finish(submission)
    jobs = submission.jobs("State", "Comment")
    assert {state for state, _ in jobs} == {"COMPLETED"}
    # A comment goes on with the rules of a group, or with the wildcards of a job.
    names = re.compile(r"rule_(run|sweep|\w+?(?=_wildcards))")
    rules = Counter(names.match(comment)[1] for _, comment in jobs)
    assert rules == calls
    found = tables(project)
    expected = {name for name in made_here if not targets or name.startswith("runs/")}
    assert expected <= found.keys() <= made_here.keys()
    for name in found:
        pd.testing.assert_frame_equal(found[name], made_here[name], check_exact=True)
    assert (project.results / "report.html").exists() == (not targets)


def test_a_job_that_lacks_memory_is_retried_with_more(project):
    project.edit("workflow/rules/1_training.smk", "mem_mb=4000", "mem_mb=600")
    with submitted(project, CHECKPOINTS) as submission:
        finish(submission)
    first, second = submission.jobs("State", "ReqMem")
    assert first[0] in ("FAILED", "OUT_OF_MEMORY")
    assert second[0] == "COMPLETED"
    assert [first[1], second[1]] == ["600M", "1200M"]
    assert "exceeded memory limit" in submission.logs()


def test_a_training_that_times_out_is_resumed(project, undisturbed):
    lengthen(project)
    # Minutes: a slow machine may get nowhere in one, again and again.
    limit = ["--set-resources", "train:runtime=attempt**3"]
    with submitted(project, CHECKPOINTS, *limit) as submission:
        wait_for_state(project)
        training(project).suspend()  # until SLURM's signals at the limit, one minute or more
        finish(submission)
    first, *_, last = submission.jobs("State")
    assert [first, last] == [["TIMEOUT"], ["COMPLETED"]]
    check_resumed(project, undisturbed)


def test_a_training_that_is_preempted_is_resumed(project, undisturbed):
    lengthen(project)
    with submitted(project, CHECKPOINTS, PARTITION="preemptable", ACCOUNT="sweep") as submission:
        wait_for_state(project)
        slurm("sbatch", "-p", "cpu", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5")
        finish(submission)
    first, second = submission.jobs("State")
    assert first != ["COMPLETED"]
    assert second == ["COMPLETED"]
    check_resumed(project, undisturbed)


def wait_for_state(project) -> None:
    """Wait until a training has saved its state."""
    resume = project.results / ".resume"
    wait_until("a saved state", lambda: any(resume.rglob("state.safetensors")))


def training(project) -> psutil.Process:
    """Process of the one training."""
    processes = psutil.process_iter(["cmdline", "cwd"])
    return next(
        process
        for process in processes
        if process.info["cwd"] == str(project.folder.resolve())
        and "transience.training" in process.info["cmdline"]
    )


def test_jobs_whose_configuration_was_edited_in_the_queue_refuse(project, closed):
    with submitted(project, CHECKPOINTS, "--retries", "0") as submission:
        submission.wait_for_queue()
        project.edit("config/smoke.yaml", "num_steps: 300", "num_steps: 301")
        closed()
        finish(submission, code=1)
    assert REFUSAL in submission.logs()
    assert submission.jobs("State") == [["FAILED"]]
    assert not (project.folder / RUN).exists()


def pretend_torch_has_cuda(project) -> None:
    """Put a record of a PyTorch with CUDA before the installed one, which the workflow refuses."""
    record = project.folder / "workflow/lib/torch-2.13.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")


@pytest.mark.parametrize(("device", "expected"), [("cpu", None), ("cuda", "gres:gpu:1")])
def test_a_gpu_is_asked_for_where_the_device_is_cuda(project, closed, device, expected):
    project.edit("config/smoke.yaml", "device: cpu", f"device: {device}")
    pretend_torch_has_cuda(project)
    with submitted(project, CHECKPOINTS) as submission:
        description = submission.wait_for_queue()
        submission.process.send_signal(signal.SIGINT)
        finish(submission, code=1)
        wait_until("its jobs taken back", lambda: not submission.in_queue())
    found = re.search(r"Tres\w*=(gres:gpu\S*)", description)
    assert (found and found[1]) == expected
