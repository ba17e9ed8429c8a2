"""Flags that every command (`python -m transience.<stage>`) has, and what they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from transience.command.inputs import check
from transience.errors import InputError
from transience.settings import Settings

if TYPE_CHECKING:
    from transience.run import Run


class Reads(Settings):
    """What a command reads of the configuration: this, and the sections that a subclass names."""

    experiment: str


class _Parser(argparse.ArgumentParser):
    """Besides reading flags, checks the files that they name, those not to be read included."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read the flags; see `inputs.check` for the InputError."""
        found = super().parse_args(args, namespace)
        for value in vars(found).values():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path):
                    check(path, found.settings.experiment)
        return found


def parser(
    description: str | None, reads: type[Reads] = Reads, *, of_run: bool = False
) -> argparse.ArgumentParser:
    """Parser with the flags that every command has, and with those that name a run."""
    flags = _Parser(description=description, allow_abbrev=False)
    flags.add_argument(
        "--settings", type=_settings(reads), required=True, help="slice of the configuration: JSON"
    )
    flags.add_argument("--code", default="unknown", help="digest of the code, kept in the outputs")
    flags.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    flags.add_argument("--threads", type=int, default=1, help="threads of a CPU computation")
    if of_run:
        flags.add_argument("--variant", required=True)
        flags.add_argument("--num-tasks", type=_num_tasks, required=True, help="M, or inf")
        flags.add_argument("--seed", type=int, required=True)
    return flags


def add_files(flags: argparse.ArgumentParser, *names: str, lists: Sequence[str] = ()) -> None:
    """Add flags for files to read or write: `llc_trace` becomes `--llc-trace FILE`.

    Those in ``lists`` take one or more files.
    """
    for name in (*lists, *names):
        flag, several = f"--{name.replace('_', '-')}", {"nargs": "+"} if name in lists else {}
        flags.add_argument(flag, type=Path, required=True, metavar="FILE", **several)


def add_state_dir(flags: argparse.ArgumentParser) -> None:
    """Add the flag for the folder in which a killed command keeps what it has."""
    words = "folder of its state, made for it and removed with all that is in it"
    flags.add_argument("--state-dir", type=Path, required=True, help=words)


def run_of(args: argparse.Namespace) -> Run:
    """The run that `--variant`, `--num-tasks` and `--seed` name, of a parser with `of_run`."""
    from transience.run import Run

    settings = args.settings
    return Run(args.variant, args.num_tasks, args.seed, settings.task, settings.model)


def _settings(reads: type[Reads]) -> Callable[[str], Reads]:
    def read(text: str) -> Reads:
        try:
            return reads.model_validate_json(text)
        except ValidationError as error:
            lines = (
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}".lstrip(": ") for e in error.errors()
            )
            raise argparse.ArgumentTypeError("; ".join(lines)) from None

    return read


def _num_tasks(text: str) -> float:
    from transience.problem.diversity import parse_num_tasks

    try:
        return parse_num_tasks(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def as_metadata(args: argparse.Namespace) -> dict[str, Any]:
    """What the flags say of where a file comes from; see `files.metadata.Metadata`."""
    return {
        "experiment": args.settings.experiment,
        "settings": args.settings.model_dump(exclude_unset=True),
        "code": args.code,
        "threads": args.threads,
    }
