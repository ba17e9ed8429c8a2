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


# Phases and branches

AT_2000 = {"training": {"branch": {"variant": "baseline", "step": 2000}}}
KEPT = {"baseline": {"checkpoints": {"states": [2000]}}}


def of(phases: list[dict], **training: object) -> dict:
    return MINIMAL | {"training": {"num_steps": 4000, "phases": phases} | training}


@pytest.mark.parametrize(
    ("phases", "line"),
    [
        (
            [{"begin": 10, "end": 10}],
            "phases that end after they begin; found item 1, from 10 to 10",
        ),
        (
            [{"begin": 0.5}, {"begin": 100}],
            "that end after they begin; found item 1, from 2000 to 100",
        ),
        (
            [{"begin": 0, "end": 50}, {"begin": 40, "end": 60}],
            "phases in their order and apart (item 1 ends at 50); found item 2, from 40 to 60",
        ),
        ([{"end": 5000}], "phases within 4000 steps of training; found item 1, from 0 to 5000"),
        ([{"weight_decay": 300.0}], "weight_decay below 1 / training.learning_rate (250)"),
    ],
)
def test_phases_follow_each_other_within_training(phases: list[dict], line: str) -> None:
    (found,) = configuration.validate(of(phases))
    assert found.startswith("training.phases: expected ") and line in found


@pytest.mark.parametrize(
    ("phase", "line"),
    [
        ({"fresh_fraction": 1.5}, "fresh_fraction: expected a number of at least 0 and at most 1"),
        ({"task_drift": 2.0}, "task_drift: expected a number of at least 0 and at most 1"),
        ({"num_task": 4}, "num_task: unknown key; did you mean num_tasks?"),
        ({"num_tasks": "all"}, "num_tasks: expected an integer of at least 1 or inf"),
        ({"learning_rate_course": "line"}, "expected one of constant, linear, cosine"),
    ],
)
def test_what_a_phase_holds_is_checked(phase: dict, line: str) -> None:
    (found,) = configuration.validate(of([{}, phase]))
    assert found.startswith("training.phases, item 2, ") and line in found


def test_good_phases_and_numbers_of_any_kind() -> None:
    phases = [{"num_tasks": float("inf")}, {"begin": 0.5, "fresh_fraction": 1}]
    assert configuration.validate(of(phases)) == []
    found = configuration.completed(of(phases))["training"]["phases"]
    assert found == [{"num_tasks": "inf"}, {"begin": 0.5, "fresh_fraction": 1.0}]
    assert type(found[1]["fresh_fraction"]) is float


def family(**variants: dict) -> list[str]:
    return configuration.validate(MINIMAL | {"variants": variants})


def test_a_branch_begins_where_a_state_is_kept() -> None:
    assert family(**KEPT, b=AT_2000) == []
    assert family(baseline={"checkpoints": {"states": ["all"]}}, b=AT_2000) == []
    words = {"training": {"branch": {"variant": "baseline", "step": "t_crit"}}}
    assert family(**KEPT, b=words) == []
    for step, found in ((2000, AT_2000), ("t_crit", words)):
        (line,) = family(baseline={}, b=found)
        assert line.startswith("variants.b: training.branch: expected ")
        assert "checkpoints.states of variant baseline" in line and line.endswith(f"found {step}")


def test_a_branch_has_a_parent_with_its_runs_and_its_model() -> None:
    (line,) = family(**KEPT, b={"training": {"branch": {"variant": "c", "step": 2000}}})
    assert "expected a variant of this sweep (baseline, b); found c" in line
    (line,) = family(**KEPT, b={**AT_2000, "sweep": {"num_tasks": [8, 3]}})
    assert "with every one of these num_tasks in its sweep; found baseline, without 3" in line
    (line,) = family(**KEPT, b={**AT_2000, "model": {"width": 96}})
    assert "model.width: expected that of variant baseline, which it leaves (48); found 96" in line


def test_branches_lead_back_to_a_run_from_step_0() -> None:
    def to(name: str) -> dict:
        branch = {"variant": name, "step": 2000}
        return {"training": {"branch": branch}, "checkpoints": {"states": ["all"]}}

    lines = family(a=to("b"), b=to("a"))
    assert [line.partition(":")[0] for line in lines] == ["variants.a", "variants.b"]
    assert all("lead back to a run from step 0" in line for line in lines)


@pytest.mark.parametrize(
    ("stop", "line"),
    [
        ({"detector": "below_ridge"}, "or {} to train to the last step; found no threshold"),
        ({"threshold": 1.0}, "found no detector"),
        ({"cooldown_steps": 5}, "found no detector and no threshold"),
        ({"detector": "ood_loss", "threshold": 1.0}, "expected one of below_ridge, projection, "),
    ],
)
def test_what_ends_a_training_is_whole(stop: dict, line: str) -> None:
    (found,) = configuration.validate(MINIMAL | {"training": {"stop_when": stop}})
    assert found.startswith("training.stop_when") and line in found
