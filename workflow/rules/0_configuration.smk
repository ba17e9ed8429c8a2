# config/config.yaml, with --configfile and --config merged over it: read, checked, filled.

import hashlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "workflow/lib")))

import preflight
from transience.configuration import check_files, effective, runs, slice_json, variant_settings
from transience.errors import InputError

DEFAULTS = "config/config.yaml"


def stop_at(problems: list[str]) -> None:
    """End before any job with these lines, if there are any, and no traceback."""
    if problems:
        sys.exit("\n".join(["Nothing was started:", *problems]))


stop_at(check_files([DEFAULTS]))


configfile: DEFAULTS


FILES = list(dict.fromkeys(map(os.path.relpath, [DEFAULTS, *workflow.configfiles])))

stop_at(check_files(FILES))
try:
    config |= effective(config)
except InputError as error:
    stop_at([f"mistakes in {' + '.join(FILES)}", str(error)])

# A job on a cluster reads configuration and code when it starts, perhaps long after its submission.
EDITED = "was edited after this job was submitted; run snakemake again"
DIGEST = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
if workflow.is_main_process:
    stop_at(preflight.problems(Path("results", config["experiment"]), config, FILES))
    os.environ.update(TRANSIENCE_CONFIGURATION=DIGEST)
elif os.environ.get("TRANSIENCE_CONFIGURATION", DIGEST) != DIGEST:
    stop_at([f"the configuration {EDITED}"])
