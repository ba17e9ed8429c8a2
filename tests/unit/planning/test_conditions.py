"""What keys demand of each other; most cases are among the mistakes of test_configuration."""

import pytest

from transience.planning import conditions, configuration

GIGABYTE = 10**9
OTHERS = {"machine": {"memory": 100 * GIGABYTE}, "family": {"variants": {}}}
MINIMAL = {"experiment": "mine", "sweep": {}}


def test_every_condition_names_keys_that_there_are() -> None:
    settings = configuration.completed(MINIMAL)
    settings |= OTHERS | {"sweeps": settings["sweep"]}
    assert all(
        name in settings[section]
        for keys, _ in conditions.CONDITIONS
        for section, name in (key.split(".") for key in keys)
    )


def test_a_value_that_is_wrong_already_is_not_looked_at() -> None:
    settings = configuration.completed(MINIMAL)
    settings |= OTHERS | {"sweeps": settings["sweep"]}
    settings["training"] = dict.fromkeys(settings["training"])
    assert list(conditions.problems(settings)) == []


def test_the_probe_fits_a_row_of_its_table() -> None:
    config = MINIMAL | {"task": {"num_examples": 4096}, "probe": {"num_sequences": 524288}}
    (line,) = configuration.validate(config, memory=10**6 * GIGABYTE)
    assert line.startswith(
        "probe.num_sequences: expected at most 524287 sequences, as a Parquet row"
    )


@pytest.mark.parametrize(
    ("training", "origin"),
    [({"num_steps": 400}, " (the default of config/config.yaml)"), ({}, "")],
)
def test_a_value_that_nobody_wrote_is_called_the_default(training: dict, origin: str) -> None:
    """Lowering `num_steps` alone makes no one the author of `linear_every`."""
    checkpoints = {} if origin else {"linear_every": 99999}
    found = 500 if origin else 99999
    config = MINIMAL | {"training": training, "checkpoints": checkpoints}
    lines = [line for line in configuration.validate(config) if line.startswith("checkpoints.")]
    (line,) = lines
    assert line.endswith(f"; found {found}{origin}")


@pytest.mark.parametrize("variants", [[1], {"w": 5}, {"w": {"model": None}}])
def test_what_was_written_may_be_of_any_kind(variants: object) -> None:
    """The end of a file is checked even if its beginning is no section."""
    written = MINIMAL | {"variants": variants, "training": {"num_steps": 400}, "llc": None}
    lines = configuration.validate(configuration.completed(MINIMAL) | written, written=written)
    assert {line.partition(":")[0] for line in lines} >= {"llc", "checkpoints.linear_every"}


def test_what_a_whole_configuration_has_of_the_defaults_was_not_written_either() -> None:
    whole = configuration.completed(MINIMAL)
    whole["training"]["num_steps"] = 400
    written = MINIMAL | {"training": {"num_steps": 400}}
    lines = configuration.validate(whole, written=written)
    assert (
        "checkpoints.linear_every: expected at most training.num_steps (400); found 500 (the "
        in ("".join(lines))
    )


def test_the_curvature_is_of_sequences_that_the_llc_has() -> None:
    few = {"num_sequences": 64, "batch_size": 64}
    fits = MINIMAL | {"llc": few | {"lanczos_sequences": 64}}
    assert configuration.validate(fits) == []
    (line,) = configuration.validate(MINIMAL | {"llc": few | {"lanczos_sequences": 65}})
    assert line.startswith("llc.lanczos_sequences: expected at most llc.num_sequences")
    assert "64" in line and line.endswith("found 65")
