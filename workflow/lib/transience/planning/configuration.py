"""The configuration of a sweep: check it, complete it, list its runs.

Keys, types and ranges are the settings of the stages (`settings`, put into words by `schema`), the
defaults stand in config/config.yaml, and what keys demand of each other is in `conditions`.
Snakemake calls this while it reads the Snakefile, so nothing here imports torch.
"""

import copy
import json
import math
import os
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args, get_origin

from transience.command.inputs import OF_THE_LLC
from transience.errors import InputError
from transience.figures.settings import variant_shown
from transience.planning import conditions, schema
from transience.planning.settings import Overrides
from transience.planning.yaml_files import DEFAULTS, load
from transience.problem.diversity import format_num_tasks
from transience.problem.words import SEVERAL
from transience.settings import Settings

Config = dict[str, Any]


# What the workflow asks for


def completed(
    config: Config, *, written: Config | None = None, memory: int | None = None
) -> Config:
    """A configuration with every key, defaults filled in; InputError has all problems.

    `.inf` becomes the text inf and a number a float, so that equal settings are equal as JSON, and
    `figures.variant` a name. For ``written`` and ``memory`` see `validate`.
    """
    if lines := validate(config, written=written, memory=memory):
        raise InputError("\n".join(lines))
    filled = _filled(_with_inf_as_text(config))
    figures = filled["figures"]
    figures["variant"] = variant_shown(figures["variant"], filled["variants"])
    return filled


def validate(
    config: Config, *, written: Config | None = None, memory: int | None = None
) -> list[str]:
    """All problems, one line each: key, what was expected, what was found.

    ``written`` is what the user wrote of it, if the rest came from config/config.yaml; ``memory``
    in bytes what the sweep may be planned for, by default this machine's.
    """
    config = _with_inf_as_text(config)
    problems = schema.problems(config)
    lines = [line for line, _ in problems]
    if isinstance(config, dict):
        for path in filter(None, (path for _, path in problems)):
            _blank(config, path)
        lines += _condition_lines(config, written or config, memory or _machine_memory())
    return list(dict.fromkeys(lines))


def variant_settings(config: Config, variant: str) -> Config:
    """Settings of one variant: its overrides merged into a completed configuration."""
    base = {section: value for section, value in config.items() if section != "variants"}
    overrides = config["variants"][variant] or {}
    return base | {section: base[section] | keys for section, keys in overrides.items()}


def sweep_family(config: Config) -> str:
    """The family of problems of all variants of a configuration, or `SEVERAL`."""
    each = [variant_settings(config, name)["task"] for name in config["variants"]]
    found = {task.get("family", "linear") for task in each}  # config.json may be older than the key
    return found.pop() if len(found) == 1 else SEVERAL


def as_parameter(settings: Config, *names: str, **extra: object) -> str:
    """Sections, or keys like `llc.nbeta`, as canonical JSON: one param of a rule to compare."""
    chosen: Config = {}
    for section, _, key in (name.partition(".") for name in names):
        if key:
            chosen.setdefault(section, {})[key] = settings[section][key]
        else:
            chosen[section] = settings[section]
    return json.dumps(chosen | extra, sort_keys=True, allow_nan=False)


def runs(config: Config) -> list[tuple[str, float, int]]:
    """(variant, M, seed) of every run of a completed configuration."""
    sweeps = {name: variant_settings(config, name)["sweep"] for name in config["variants"]}
    return [
        (name, float(num_tasks), seed)
        for name, sweep in sweeps.items()
        for num_tasks in sweep["num_tasks"]
        for seed in sweep["seeds"]
    ]


def run_folder(variant: str, num_tasks: float, seed: int) -> str:
    """Where a run stands below `runs/`: `baseline/M8_seed0`."""
    return f"{variant}/M{format_num_tasks(num_tasks)}_seed{seed}"


def tables_left_out(config: Config) -> set[str]:
    """Tables that no run has: those of the LLC where it is off."""
    return set() if config["llc"]["checkpoints"] else {*OF_THE_LLC}


def calibrated_runs(config: Config) -> list[tuple[str, float, int]]:
    """Those of `runs` on which the LLC is calibrated."""
    chosen = config["llc_calibration"]
    num_tasks = {value if value == "all" else float(value) for value in chosen["num_tasks"]}
    return [
        run
        for run in runs(config)
        if {run[1], "all"} & num_tasks and {run[2], "all"} & {*chosen["seeds"]}
    ]


# Values


def _with_inf_as_text(config: Config) -> Config:
    """A copy in which M = .inf of any list of them is the text inf."""
    config = copy.deepcopy(config)
    variants = config.get("variants") if isinstance(config, dict) else None
    for body in [config, *(variants.values() if isinstance(variants, dict) else [])]:
        for section in body.values() if isinstance(body, dict) else []:
            match section:
                case {"num_tasks": list(values)}:
                    values[:] = ["inf" if value == math.inf else value for value in values]
                case {"phases": list(phases)}:
                    for phase in phases:
                        if isinstance(phase, dict) and phase.get("num_tasks") == math.inf:
                            phase["num_tasks"] = "inf"
    return config


@cache
def _defaults() -> Config:
    return _with_inf_as_text(load(DEFAULTS))


def _filled(config: Config) -> Config:
    """A copy with defaults where a key is missing, without what no key or variant may be called."""
    filled = {name: config.get(name, value) for name, value in _defaults().items()}
    for name in schema.sections():
        filled[name] = _typed(name, _defaults()[name] | filled[name])
    variants = filled["variants"] if isinstance(filled["variants"], dict) else {}
    filled["variants"] = {
        variant: {
            name: _typed(name, keys)
            for name, keys in (overrides or {}).items()
            if name in Overrides.model_fields
        }
        for variant, overrides in variants.items()
        if isinstance(variant, str)
    }
    return copy.deepcopy(filled)


def _typed(section: str, values: Config) -> Config:
    """The known keys of a section in their order, with floats where numbers are meant."""
    return _floats(schema.sections()[section], values)


def _floats(settings: type[Settings], values: Config) -> Config:
    """Of settings, of those in them and of lists of those."""
    fields = {key: field for key, field in settings.model_fields.items() if key in values}
    found = {}
    for key, field in fields.items():
        value, kind = values[key], field.annotation
        (inner,) = get_args(kind) if get_origin(kind) is list else (kind,)
        if isinstance(inner, type) and issubclass(inner, Settings):
            if isinstance(value, list):
                value = [_floats(inner, one) if isinstance(one, dict) else one for one in value]
            elif isinstance(value, dict):
                value = _floats(inner, value)
        elif kind is float and type(value) is int:
            value = float(value)
        found[key] = value
    return found


# Conditions


def _blank(config: Config, path: schema.Path) -> None:
    """Null a value that is wrong, so that no condition looks at it."""
    *parents, last = path
    is_section = len(parents) in (0, 2)  # of the configuration, or of a variant
    for parent in parents:
        config = config.get(parent, {})  # without a key that is null, `~: 1` in YAML
    if isinstance(config, dict):
        keys = schema.sections().get(last)
        config[last] = dict.fromkeys(keys.model_fields if keys else ()) if is_section else None


def _condition_lines(config: Config, written: Config, memory: int) -> Iterator[str]:
    """Problems of every variant; one that all of them inherit is told once."""
    settings = _filled(config) | {"machine": {"memory": memory}}
    settings["sweeps"] = _all_sweeps(settings)
    settings["family"] = {
        "variants": {name: variant_settings(settings, name) for name in settings["variants"]}
    }
    shared = list(_variant_lines(written, settings | {"variants": {"": {}}}, ""))
    for variant in settings["variants"]:
        for line in _variant_lines(written, settings, variant):
            yield line if line in shared else f"variants.{variant}: {line}"
    if not settings["variants"]:
        yield from shared


def _all_sweeps(settings: Config) -> Config:
    """Every M and every seed that some variant has; None where one of the lists is wrong."""
    sweeps = [variant_settings(settings, name)["sweep"] for name in settings["variants"]]
    sweeps = sweeps or [settings["sweep"]]
    return {
        key: None
        if any(sweep[key] is None for sweep in sweeps)
        else list(dict.fromkeys(value for sweep in sweeps for value in sweep[key]))
        for key in ("num_tasks", "seeds")
    }


def _variant_lines(written: Config, settings: Config, variant: str) -> Iterator[str]:
    for key, expected, found in conditions.problems(variant_settings(settings, variant)):
        path = key.split(".")
        own = _has(written, *path) or _has(written, "variants", variant, *path)
        default = "the default of config/config.yaml"
        if own:
            origin = ""
        elif isinstance(found, str):  # a sum over several keys
            origin = f"; {path[1]} is {default}"
        else:
            origin = f" ({default})"
        yield f"{key}: expected {expected}; found {found}{origin}"


def _has(body: Any, *path: str) -> bool:
    for step in path:
        if not isinstance(body, dict) or step not in body:
            return False
        body = body[step]
    return True


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
