"""Where a killed job finds what it left, and no other job does."""

import argparse
import hashlib
import json
from pathlib import Path

import torch


def state_folder(args: argparse.Namespace, device: torch.device, *inputs: object) -> Path:
    """Make and return the folder below `--state-dir` of the state of this very job.

    Its name is a digest of settings, code, run and device, and of what describes the job's inputs;
    so what other code, another configuration or other inputs left is never gone on with.
    """
    job = [args.settings, args.code, args.variant, args.num_tasks, args.seed, device, *inputs]
    text = json.dumps([str(part) for part in job], sort_keys=True)
    folder = Path(args.state_dir, hashlib.sha256(text.encode()).hexdigest()[:16])
    folder.mkdir(parents=True, exist_ok=True)
    return folder
