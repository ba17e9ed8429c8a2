"""Do checkpoints belong to the run that a command was asked to work on?"""

import argparse

from transience.checkpoints import CheckpointReader
from transience.errors import InputError
from transience.tasks import format_num_tasks


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
