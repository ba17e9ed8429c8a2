"""Copies of the workflow to run and to damage; nothing here writes in the checkout."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browsing import CHROMIUM, FLAGS
from filelock import FileLock

from transience.planning.code_digest import closure

ROOT = Path(__file__).parents[2]
SOURCES = ("Snakefile", "Makefile", "config", "envs", "workflow")
SMOKE = "config/smoke.yaml"

# A shell ignores it for what it starts in the background; what tests start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Project:
    """A copy of the sources, with results of its own."""

    folder: Path

    @property
    def results(self) -> Path:
        """Where the smoke sweep writes."""
        return self.folder / "results/smoke"

    def snakemake(
        self, *flags: str, config: str | tuple[str, ...] = SMOKE, before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake as `make` does; `before` are words to start it with."""
        return subprocess.run(
            [*before, *self._words(*flags, config=config)],
            **self._surroundings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start(self, *flags: str, config: str = SMOKE) -> subprocess.Popen:
        """Start the same, in a process group of its own."""
        return subprocess.Popen(
            self._words(*flags, config=config),
            **self._surroundings(),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _words(self, *flags: str, config: str | tuple[str, ...]) -> list[str]:
        words = [sys.executable, "-m", "snakemake", "--cores", "2", "--scheduler", "greedy"]
        files = (config,) if isinstance(config, str) else config
        return [*words, "--keep-going", "--rerun-incomplete", *flags, "--configfile", *files]

    def _surroundings(self) -> dict[str, Any]:
        environment = os.environ | {"PYTHONPATH": "workflow/lib", "PYTHONWARNINGS": ""}
        return {"cwd": self.folder, "env": environment}

    def watched(self, *targets: str, **options) -> subprocess.CompletedProcess[str]:
        """Run the smoke sweep, or what is asked for, with the output that `make` gives."""
        return self.snakemake(*targets, "--logger", "sweep", **options)

    def planned(self, *flags: str, **options) -> Counter[str]:
        """Jobs of each rule that Snakemake would run."""
        run = self.snakemake(*flags, "--dry-run", "--quiet", "rules", **options)
        assert run.returncode == 0, run.stdout
        found = re.search(r"^job +count\n[- ]+\n(.*?)\n\n", run.stdout, re.DOTALL | re.MULTILINE)
        if found is None:
            assert "Nothing to be done" in run.stdout
            return Counter()
        jobs = Counter({rule: int(n) for rule, n in map(str.split, found[1].splitlines())})
        del jobs["all"], jobs["total"]
        return jobs

    def jobs(self, *targets: str) -> list["Job"]:
        """Every job of a sweep that has no results yet, in words."""
        run = self.snakemake(*targets, "--dry-run", "--printshellcmds")
        assert run.returncode == 0, run.stdout
        block = re.compile(
            r"^(?:local)?rule (\w+):\n(?:    input: (.*)\n)?    output: (.*)\n"
            r"(?:    .*\n)*Shell command: (.*)$",
            re.MULTILINE,
        )
        return [
            Job(rule, *(frozenset(f.split(", ")) for f in (inputs, outputs)), shlex.split(command))
            for rule, inputs, outputs, command in block.findall(run.stdout)
        ]

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the first occurrence of a text in a source file."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def copy(self, folder: Path) -> "Project":
        """Copy everything, times and Snakemake's records included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


@dataclass(frozen=True)
class Job:
    """A job that Snakemake plans: its rule, its files, the words of its command."""

    rule: str
    inputs: frozenset[str]
    outputs: frozenset[str]
    command: list[str]

    @property
    def settings(self) -> dict[str, Any]:
        """What it is told of the configuration."""
        return json.loads(self.after("--settings") or self.after("%s"))

    @property
    def modules(self) -> list[str]:
        """What it runs: a module, that of its figure, and that of the problem if it loads one."""
        module, figure = self.after("-m"), self.after("--figure")
        loads = "transience.problem.families.family" in closure(module)
        problem = ["transience.problem.families.linear"] if loads else []
        return [module, *([f"{module}.{figure}"] if figure else []), *problem]

    def after(self, flag: str) -> str:
        """The word after a flag, empty if there is none."""
        return dict(zip(self.command, self.command[1:], strict=False)).get(flag, "")


@pytest.fixture(scope="session")
def planned_jobs(tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    """All jobs of a smoke sweep and of a calibration on it."""
    sources = _copy_of_sources(tmp_path_factory.mktemp("planned") / "project")
    return sources.jobs("all", "llc_calibration")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The sources, and no results."""
    return _copy_of_sources(tmp_path / "project")


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    """Factory of copies of the sources, for a sweep that several tests share."""
    return lambda: _copy_of_sources(tmp_path_factory.mktemp("sources") / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A finished smoke sweep, not to be changed, and what was printed; one for all processes."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    project, printed = Project(shared / "finished/project"), shared / "finished/printed.txt"
    with FileLock(shared / "finished.lock"):
        if not printed.exists():
            shutil.rmtree(project.folder, ignore_errors=True)
            run = _copy_of_sources(project.folder).watched()
            assert run.returncode == 0, run.stdout
            printed.write_text(run.stdout)
    return project, printed.read_text()


@pytest.fixture
def sweep(finished: tuple[Project, str], tmp_path: Path) -> Project:
    """A copy of the finished smoke sweep, to edit and to damage."""
    return finished[0].copy(tmp_path / "project")


def _copy_of_sources(folder: Path) -> Project:
    folder.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy2(source, folder / name)
    return Project(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()
