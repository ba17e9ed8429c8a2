"""Where a killed job finds what it left, and no other job does."""

import hashlib
import json
from pathlib import Path


def state_folder(parent: Path, *job: object) -> Path:
    """Make and return the folder below ``parent`` of the state of this very job.

    Its name is a digest of all that tells jobs apart: run, settings, code, device and what
    describes the inputs. So what other code, another configuration or other inputs left is never
    gone on with.
    """
    text = json.dumps([str(part) for part in job])
    folder = parent / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
