"""Do checkpoints belong to the run that a command was asked to work on?"""

import argparse

from transience.checkpoints import CheckpointReader
from transience.errors import InputError
from transience.tasks import format_num_tasks
from transience.transformer import Architecture, num_parameters


def open_checkpoints(args: argparse.Namespace) -> CheckpointReader:
    """Open `--checkpoints`; InputError if they are damaged or not of the run that is asked for."""
    reader = CheckpointReader(args.checkpoints)
    check_run(reader, args.checkpoints, args)
    reader.check_num_parameters(num_parameters(Architecture.from_settings(args.settings)))
    return reader


def check_run(reader: CheckpointReader, path: str, args: argparse.Namespace) -> None:
    """Raise InputError if the checkpoints are of another run, task or model than the flags say."""
    found = reader.metadata
    expected = {
        "variant": args.variant,
        "num_tasks": format_num_tasks(args.num_tasks),
        "seed": args.seed,
    }
    pairs = [(key, value, found.get(key)) for key, value in expected.items()]
    pairs += [(key, args.settings[key], found["settings"].get(key)) for key in ("task", "model")]
    for key, wanted, value in pairs:
        if value != wanted:
            raise InputError(f"{path}: expected checkpoints with {key} {wanted}, found {value}")
