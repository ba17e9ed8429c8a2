# The configuration: config/config.yaml of this checkout, with --configfile and --config over it,
# checked and completed before any job starts, and kept beside the results.

import hashlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir, "workflow/lib")))

from snakemake.utils import update_config
from transience.errors import InputError
from transience.planning import preflight
from transience.planning.preflight import stop_at
from transience.planning.configuration import (
    as_parameter,
    calibrated_runs,
    completed,
    run_folder,
    runs,
    sweep_family,
    tables_left_out,
    variant_settings,
)
from transience.planning.yaml_files import DEFAULTS, check_files, from_command_line, load

FILES = list(dict.fromkeys(map(os.path.relpath, [DEFAULTS, *workflow.configfiles])))

stop_at(check_files(FILES))
written = {}
for file in workflow.configfiles:
    update_config(written, load(file))
update_config(written, from_command_line(workflow.config_settings.config))
whole = load(DEFAULTS)
if "variants" in written:  # they take the place of the default; all else is merged into it
    del whole["variants"]
update_config(whole, written)
try:
    config |= completed(whole, written=written)
except InputError as error:
    written_in = [*FILES, "--config"] if workflow.config_settings.config else FILES
    stop_at([f"mistakes in {' + '.join(written_in)}", str(error)])

# A job on a cluster reads configuration and code when it starts, perhaps long after its submission.
EDITED = "was edited after this job was submitted; run snakemake again"
DIGEST = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
if workflow.is_main_process:
    stop_at(preflight.problems(Path("results", config["experiment"]), config, FILES))
    os.environ.update(TRANSIENCE_CONFIGURATION=DIGEST)
elif os.environ.get("TRANSIENCE_CONFIGURATION", DIGEST) != DIGEST:
    stop_at([f"the configuration {EDITED}"])


rule configuration:
    output:
        "results/{experiment}/config.json",
    log:
        "results/{experiment}/logs/configuration.log",
    benchmark:
        "results/{experiment}/benchmarks/configuration.tsv"
    priority: 3
    conda:
        "../../envs/transience.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        cfg=as_parameter(config, *config, configuration_files=FILES),
    shell:
        "printf %s {params.cfg:q} | python -m json.tool --no-ensure-ascii - {output:q} 2> {log:q}"
