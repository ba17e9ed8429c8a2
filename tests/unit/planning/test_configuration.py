"""The configuration as a contract: a mistake gives one line, what is missing a default."""

import itertools
import json
import math
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from transience.errors import InputError
from transience.planning import configuration, yaml_files
from transience.planning.schema import sections
from transience.training.schedule import num_checkpoints

CONFIG = Path(__file__).parents[3] / "config"
SHIPPED = ("config.yaml", "smoke.yaml", "paper.yaml")
GIGABYTE = 10**9
MINIMAL = {"experiment": "mine", "sweep": {}}
# Sizes that messages quote, so that tuning the defaults changes no message here.
BASE = MINIMAL | {
    "sweep": {"num_tasks": [1, 2, 4, 8, 16, 64, "inf"]},
    "task": {"num_examples": 8},
    "training": {"num_steps": 10000, "batch_size": 64},
    "evaluation": {"num_sequences": 2048},
}

# What a user might write (YAML, over BASE); the key in the message; words that must be in it.
MISTAKES = [
    # Names and sections
    ("experiment: ''", "experiment", "expected a name; the text ''"),
    ("experiment: a/b", "experiment", "letters, digits; the text 'a/b'"),
    ("experiment: ..", "experiment", "starts with a letter or digit; '..'"),
    ('experiment: "mine\\n"', "experiment", r"the text 'mine\n'"),
    ("experiment: reference", "experiment", "other than reference; the text 'reference'"),
    ("experiment: 12", "experiment", 'found 12; write "12"'),
    ("experiment: 2025-01-31", "experiment", 'found 2025-01-31; write "2025-01-31"'),
    ("sweep:", "sweep", "expected a section of keys; found nothing"),
    ("model: [64, 2]", "model", "a section of keys; the list [64, 2]"),
    ("trainning: {num_steps: 5}", "trainning", "unknown key; did you mean training?"),
    ("learning_rate: 1.0", "learning_rate", "unknown key; did you mean training.learning_rate?"),
    ("plots: {}", "plots", "unknown key; expected one of experiment, sweep, task"),
    ("1: {}", "1", "unknown key"),
    ("training: {num_stpes: 5}", "training.num_stpes", "unknown key; did you mean num_steps?"),
    ("training: {width: 5}", "training.width", "unknown key; did you mean model.width?"),
    ("llc: {num_steps: 5}", "llc.num_steps", "unknown key; did you mean training.num_steps?"),
    ("figures: {dpy: 5}", "figures.dpy", "unknown key; did you mean dpi?"),
    # Sweep
    ("sweep: {num_tasks: []}", "sweep.num_tasks", "a list of one or more; the list []"),
    ("sweep: {seeds: []}", "sweep.seeds", "a list of one or more; the list []"),
    ("sweep: {num_tasks: [1, 0]}", "sweep.num_tasks, item 2", "at least 1 or inf; found 0"),
    ("sweep: {num_tasks: [-.inf]}", "sweep.num_tasks, item 1", "or inf; found -inf"),
    ("sweep: {num_tasks: [8.0]}", "sweep.num_tasks, item 1", "an integer; found 8.0; write 8"),
    ("sweep: {num_tasks: [2.5]}", "sweep.num_tasks, item 1", "an integer; found 2.5"),
    ("sweep: {num_tasks: ['8']}", "sweep.num_tasks, item 1", "an integer; the text '8'; write 8"),
    ("sweep: {num_tasks: [1e3]}", "sweep.num_tasks, item 1", "the text '1e3'; write 1000"),
    ("sweep: {num_tasks: [infinity]}", "sweep.num_tasks, item 1", "or inf; the text 'infinity'"),
    ("sweep: {num_tasks: [true]}", "sweep.num_tasks, item 1", "an integer; found true"),
    ("sweep: {num_tasks: [1, 8, 8]}", "sweep.num_tasks", "each value once; found 8 and 8"),
    ("sweep: {num_tasks: [inf, .inf]}", "sweep.num_tasks", "each value once; found inf and inf"),
    ("sweep: {num_tasks: 8}", "sweep.num_tasks", "a list of one or more; found 8; write [8]"),
    ("sweep: {seeds: [-1]}", "sweep.seeds, item 1", "an integer of at least 0; found -1"),
    ("sweep: {seeds: [0, 1, 0]}", "sweep.seeds", "each value once; found 0 and 0"),
    ("sweep: {seeds: 3}", "sweep.seeds", "a list; found 3; write [3]"),
    ("sweep: {seeds: [4294967296]}", "sweep.seeds, item 1", "at most 4294967295; 4294967296"),
    # Task and model
    ("task: {task_dimension: 0}", "task.task_dimension", "an integer of at least 1; found 0"),
    ("task: {num_examples: 1}", "task.num_examples", "an integer of at least 2; found 1"),
    ("task: {num_examples:}", "task.num_examples", "an integer of at least 2; found nothing"),
    ("task: {noise_variance: 0}", "task.noise_variance", "a number of at least 1e-06; found 0"),
    ("task: {noise_variance: 1.0e-300}", "task.noise_variance", "at least 1e-06; found 1e-300"),
    ("task: {noise_variance: 1.0e+39}", "task.noise_variance", "at most 1e+30; found 1e+39"),
    ("model: {num_heads: 5}", "model.num_heads", "a divisor of model.width (48); found 5"),
    ("model: {width: true}", "model.width", "an integer of at least 1; found true"),
    ("model: {width: [64]}", "model.width", "an integer; the list [64]"),
    ("model: {width: 1" + 30 * "0" + "}", "model.width", "an integer of at least 1; found 1000"),
    ("model: {output_projection: 1}", "model.output_projection", "true or false; found 1"),
    # Training and checkpoints
    ("training: {learning_rate: 1e-3}", "training.learning_rate", "'1e-3'; write 1.0e-3"),
    ("training: {learning_rate: 2.5e3}", "training.learning_rate", "'2.5e3'; write 2.5e+3"),
    ("training: {learning_rate: fast}", "training.learning_rate", "above 0; the text 'fast'"),
    ("training: {learning_rate: 0}", "training.learning_rate", "a number above 0; found 0"),
    ("training: {learning_rate: .nan}", "training.learning_rate", "a number above 0; found nan"),
    ("training: {learning_rate: .inf}", "training.learning_rate", "a number above 0; found inf"),
    ("training: {num_steps: 1.0e+4}", "training.num_steps", "an integer; 10000.0; write 10000"),
    ("training: {beta2: 1.0}", "training.beta2", "at least 0 and below 1; found 1.0"),
    ("training: {beta1: '1.0'}", "training.beta1", "below 1; found the text '1.0'"),
    ("training: {beta1: -0.1}", "training.beta1", "at least 0 and below 1; found -0.1"),
    ("training: {precision: fp16}", "training.precision", "one of float32, tf32, bf16; 'fp16'"),
    (
        "training: {num_steps: 500, warmup_steps: 501}",
        "training.warmup_steps",
        "at most training.num_steps (500); found 501",
    ),
    (
        "{training: {num_steps: 100, warmup_steps: 9}, checkpoints: {linear_every: 50}, "
        "llc: {checkpoints: [101]}}",
        "llc.checkpoints",
        "steps up to training.num_steps (100); found 101",
    ),
    ("training: {log_every: 10001}", "training.log_every", "(10000); found 10001"),
    ("training: {divergence_loss: 4.0}", "training.divergence_loss", "(4.125); found 4.0"),
    ("checkpoints: {linear_every: 10001}", "checkpoints.linear_every", "(10000); found 10001"),
    ("checkpoints: {logarithmic_count: 1}", "checkpoints.logarithmic_count", "at least 2; 1"),
    # Measurements
    ("llc: {batch_size: 4097}", "llc.batch_size", "at most llc.num_sequences (4096); found 4097"),
    (
        "llc_calibration: {checkpoints: []}",
        "llc_calibration.checkpoints",
        "a list of one or more; []",
    ),
    ("llc: {checkpoints: 5}", "llc.checkpoints", "a list, each; write [5]"),
    ("llc: {checkpoints: final}", "llc.checkpoints", "a list; 'final'; write [final]"),
    ("llc: {checkpoints: [last]}", "llc.checkpoints, item 1", "or final; the text 'last'"),
    ("llc: {checkpoints: [10001]}", "llc.checkpoints", "training.num_steps (10000); found 10001"),
    ("llc: {checkpoints: [10000, final]}", "llc.checkpoints", "once; found final and 10000"),
    ("llc: {lanczos_sequences: 4097}", "llc.lanczos_sequences", "llc.num_sequences (4096); 4097"),
    ("llc: {lanczos_steps: -1}", "llc.lanczos_steps", "an integer of at least 0; found -1"),
    ("llc_curve: {checkpoints: []}", "llc_curve.checkpoints", "a list of one or more; []"),
    ("llc_curve: {checkpoints: [10001]}", "llc_curve.checkpoints", "(10000); found 10001"),
    ("llc_curve: {checkpoints: [10000, final]}", "llc_curve.checkpoints", "final and 10000"),
    ("llc_curve: {h_star: [1, 0]}", "llc_curve.h_star, item 2", "a number above 0; found 0"),
    ("llc_curve: {h_star: 1}", "llc_curve.h_star", "write [1]"),
    ("llc_curve: {num_probes: 1}", "llc_curve.num_probes", "an integer of at least 2; found 1"),
    ("llc_curve: {nbeta: 1}", "llc_curve.nbeta", "did you mean llc.nbeta"),
    ("llc: {num_burn_in: -1}", "llc.num_burn_in", "an integer of at least 0; found -1"),
    ("llc: {num_draws: 0}", "llc.num_draws", "an integer of at least 4; found 0"),
    ("llc: {num_chains: 1}", "llc.num_chains", "an integer of at least 2; found 1"),
    (
        "llc_calibration: {num_tasks: [4, 5, .inf]}",
        "llc_calibration.num_tasks",
        "all, or values of sweep.num_tasks (1, 2, 4, 8, 16, 64, inf); found 5",
    ),
    (
        "llc_calibration: {num_tasks: all}",
        "llc_calibration.num_tasks",
        "a list of one or more, each an integer of at least 1 or inf or all; write [all]",
    ),
    (
        "llc_calibration: {seeds: [7]}",
        "llc_calibration.seeds",
        "all, or values of sweep.seeds (0, 1); found 7",
    ),
    ("llc_calibration: {checkpoints: [10001]}", "llc_calibration.checkpoints", "found 10001"),
    ("trajectory_pca: {num_components: 5}", "trajectory_pca.num_components", "at most 4; found 5"),
    ("figures: {smoothing_window: 4}", "figures.smoothing_window", "an odd number; found 4"),
    ("figures: {variant: 3}", "figures.variant", 'expected text; found 3; write "3"'),
    ("figures: {variant: wide}", "figures.variant", "main, or a variant; (baseline); found wide"),
    (
        "{figures: {variant: baseline}, variants: {b: {}, a: {}}}",
        "figures.variant",
        "main, or a variant of this sweep (b, a); found baseline",
    ),
    ("execution: {device: gpu}", "execution.device", "one of auto, cpu, cuda; the text 'gpu'"),
    ("execution: {threads: 0}", "execution.threads", "an integer of at least 1; found 0"),
    # Memory, for a machine of 10 GB
    (
        "probe: {num_sequences: 1000000}",
        "probe.num_sequences",
        "at most 5.0 GB; the joint PCA; at least 16.4 GB; 7 task diversities x 73 checkpoints",
    ),
    ("evaluation: {num_sequences: 99999999}", "evaluation.num_sequences", "5.0 GB; test sets"),
    ("llc: {num_sequences: 99999999}", "llc.num_sequences", "5.0 GB; the data of the LLC; 16.0"),
    ("training: {batch_size: 2000000}", "training.batch_size", "5.0 GB; activations; 6.1 GB"),
    ("sweep: {num_tasks: [1000000000]}", "sweep.num_tasks", "5.0 GB; task set; 16.0 GB"),
    ("model: {width: 40000, mlp_width: 8}", "model.width", "5.0 GB; the model; 153.6 GB"),
    # Variants
    ("variants: {}", "variants", "one or more named sets of overrides; found a section"),
    ("variants:", "variants", "one or more named sets of overrides; found nothing"),
    ("variants: {wide:}", "variants.wide", "a section of keys; found nothing"),
    ("variants: {a b: {}}", "variants", "letters, digits; the text 'a b'"),
    ("variants: {3: {}}", "variants", 'found 3; write "3"'),
    ("variants: {w: {llc: {}}}", "variants.w.llc", "unknown key; one of sweep, task, model"),
    ("variants: {w: {modle: {}}}", "variants.w.modle", "unknown key; did you mean model?"),
    ("variants: {w: {model: {widht: 8}}}", "variants.w.model.widht", "did you mean width?"),
    ("variants: {w: {model: {width: 0}}}", "variants.w.model.width", "at least 1; found 0"),
    (
        "variants: {baseline: {}, w: {model: {width: 6}}}",
        "variants.w: model.num_heads",
        "a divisor of model.width (6); found 4 (the default of config/config.yaml)",
    ),
    (
        "variants: {baseline: {}, short: {training: {num_steps: 500, warmup_steps: 501}}}",
        "variants.short: training.warmup_steps",
        "at most training.num_steps (500); found 501",
    ),
    (
        "variants: {baseline: {}, w: {sweep: {num_tasks: [4, 4]}}}",
        "variants.w.sweep.num_tasks",
        "each value once; found 4 and 4",
    ),
]


def lines_of(text: str) -> list[str]:
    config = dict(BASE)
    for name, value in yaml.safe_load(text).items():
        merges = isinstance(value, dict) and name in BASE
        config[name] = BASE[name] | value if merges else value
    return configuration.validate(config, memory=10 * GIGABYTE)


@pytest.mark.parametrize(("text", "key", "words"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_a_mistake_gives_one_line(text: str, key: str, words: str) -> None:
    (line,) = lines_of(text)
    assert line.startswith(f"{key}: ")
    assert "\n" not in line
    assert [part for part in words.split("; ") if part not in line] == []


def test_all_mistakes_are_reported_at_once() -> None:
    lines = lines_of(
        "{experiment: a b, sweep: {num_tasks: [0, 4, 4], seeds: [-1]}, model: {num_heads: 7},"
        " training: {learning_rate: 1e-3, warmup_steps: 20000}, llc: {batchsize: 5},"
        " variants: {baseline: {}, w: {model: {width: 5, num_heads: 2}}}}"
    )
    assert sorted(line.partition(": expected")[0] for line in lines) == [
        "experiment",
        "llc.batchsize: unknown key; did you mean batch_size?",
        "model.num_heads",
        "sweep.num_tasks",
        "sweep.num_tasks, item 1",
        "sweep.seeds, item 1",
        "training.learning_rate",
        "training.warmup_steps",
        "variants.w: model.num_heads",
    ]


def test_a_mistake_hides_no_other_and_invents_none() -> None:
    """A misspelt warm-up isn't judged by its default, and 8.0 next to 8 is wrong twice."""
    assert len(lines_of("training: {num_steps: 500, warmup_stepz: 20}")) == 1
    assert len(lines_of("sweep: {num_tasks: [8, 8.0]}")) == 2


def test_no_checkpoint_turns_the_llc_off() -> None:
    assert lines_of("llc: {checkpoints: []}") == []
    assert configuration.tables_left_out(configuration.completed(BASE)) == set()
    off = configuration.completed(BASE | {"llc": {"checkpoints": []}})
    assert configuration.tables_left_out(off) == {"llc", "llc_trace", "llc_curve"}


@pytest.mark.parametrize(
    "text",
    ["sweep: {seeds: -1}", "training: {beta1: '1.0'}", "indicators: {batch_size: 1.0}"],
)
def test_nothing_wrong_is_advised(text: str) -> None:
    (line,) = lines_of(text)
    assert "write" not in line


@pytest.mark.parametrize("name", ["~", "yes", "3", "2.5"])
def test_a_variant_whose_name_is_no_text_hides_nothing(name: str) -> None:
    lines = lines_of(f"variants: {{{name}: {{modle: {{}}, model: {{width: 0}}}}}}")
    assert len(lines) == 3
    assert sum(line.startswith("variants: expected names of at most 64") for line in lines) == 1


def test_a_problem_that_all_variants_inherit_is_told_once() -> None:
    text = "{model: {num_heads: 5}, variants: {baseline: {}, slow: {training: {beta1: 0.5}}}}"
    assert lines_of(text) == ["model.num_heads: expected a divisor of model.width (48); found 5"]


def test_a_problem_that_every_variant_mends_is_none() -> None:
    assert lines_of("{model: {num_heads: 5}, variants: {five: {model: {width: 40}}}}") == []


ODD = f"""[~, true, -1, 2, 2.5, 8.0, '1e-3', '8', .inf, .nan, final, x y, [], [0, 4, 4],
[.inf, inf], [[1]], [~], {{}}, {{1: 2}}, 2025-01-01, {10**30}, [{10**30}]]"""


def test_nothing_that_yaml_can_hold_is_too_odd() -> None:
    """Odd values and names anywhere, two at a time: unique lines, and no exception."""
    chance, odd = random.Random(0), yaml.safe_load(ODD)
    names = [*sections(), "variants", "experiment", "num_stpes", "width", None, True, 3]
    keys = [name for keys in sections().values() for name in keys.model_fields]
    for _, value in itertools.product(range(20), odd):
        section, key, variant = map(chance.choice, (names, [*keys, *names], [*names, "w"]))
        inner = chance.choice([value, {key: value}, {key: {key: value}}])
        config = MINIMAL | {"variants": {variant: {section: inner}}}
        config[chance.choice(names)] = chance.choice([chance.choice(odd), {key: value}])
        lines = configuration.validate(config)
        assert len(lines) == len(set(lines)) and not any("\n" in line for line in lines)


# Files


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_configuration_is_valid_and_complete(name: str) -> None:
    config = yaml_files.load(str(CONFIG / name))
    assert configuration.validate(config, memory=8 * GIGABYTE) == []
    completed = configuration.completed(config, memory=8 * GIGABYTE)
    assert config.keys() | {"variants"} == completed.keys()  # paper.yaml leaves them to others
    assert {section: set(config[section]) for section in sections()} == {
        section: set(keys.model_fields) for section, keys in sections().items()
    }


def test_the_default_configuration_has_the_defaults() -> None:
    laptop = configuration.completed(yaml_files.load(str(CONFIG / "config.yaml")))
    assert configuration.completed({"experiment": "laptop", "sweep": {}}) == laptop


def test_the_sweep_of_the_paper() -> None:
    paper = yaml_files.load(str(CONFIG / "paper.yaml"))
    num_tasks = paper["sweep"]["num_tasks"]
    assert len(num_tasks) == 26
    assert {1, 6, 8, 16, 24, 32, 128, 182, 256, 362, 2**15, "inf"} <= set(num_tasks)
    checkpoints = {key: paper["checkpoints"][key] for key in ("linear_every", "logarithmic_count")}
    assert num_checkpoints(paper["training"]["num_steps"], **checkpoints) == 2203


def test_the_readme_shows_real_messages() -> None:
    text = (CONFIG / "README.md").read_text(encoding="utf-8")
    *examples, mistaken = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (messages,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    for example in examples:  # some are a part of a file
        assert (
            configuration.validate({"experiment": "e", "sweep": {}} | yaml.safe_load(example)) == []
        )
    assert configuration.validate(yaml.safe_load(mistaken)) == messages.splitlines()


# Using it


def test_equal_settings_are_equal_as_json() -> None:
    texts = (
        "{sweep: {num_tasks: [.inf]}, task: {noise_variance: 1}, training: {beta1: 0.90}}",
        "{training: {beta1: 0.9}, task: {noise_variance: 1.0}, sweep: {num_tasks: [inf]}}",
    )
    first, second = (configuration.completed(MINIMAL | yaml.safe_load(text)) for text in texts)
    names = ("sweep", "task", "training")
    assert configuration.as_parameter(first, *names) == configuration.as_parameter(second, *names)
    assert configuration.completed(first) == first


def test_as_parameter_is_sorted_and_takes_extras() -> None:
    settings = configuration.completed(MINIMAL)
    text = configuration.as_parameter(settings, "probe", "checkpoints", variant="baseline")
    assert list(json.loads(text)) == ["checkpoints", "probe", "variant"]
    assert text == json.dumps(json.loads(text), sort_keys=True)


def test_as_parameter_takes_single_keys() -> None:
    settings = configuration.completed(MINIMAL)
    found = json.loads(configuration.as_parameter(settings, "probe", "llc.gamma", "llc.nbeta"))
    scales = {key: settings["llc"][key] for key in ("gamma", "nbeta")}
    assert found == {"probe": settings["probe"], "llc": scales}


def test_completed_raises_all_lines() -> None:
    with pytest.raises(InputError) as caught:
        configuration.completed({"experiment": "a b", "sweep": {"seeds": [-1]}})
    assert len(str(caught.value).splitlines()) == 2


def test_completed_leaves_its_argument_and_the_schema_alone() -> None:
    config = MINIMAL | {"sweep": {"num_tasks": [float("inf")]}}
    configuration.completed(config)["llc"]["checkpoints"].append(5)
    assert config["sweep"] == {"num_tasks": [float("inf")]}
    assert 5 not in configuration.completed(config)["llc"]["checkpoints"]


def test_a_variant_overrides_only_what_it_names() -> None:
    text = "variants: {baseline: {}, w: {model: {width: 128}, task: {noise_variance: 1}}}"
    config = configuration.completed(MINIMAL | yaml.safe_load(text))
    base, wide = (configuration.variant_settings(config, name) for name in ("baseline", "w"))
    assert "variants" not in base
    assert base["model"] == config["model"]
    assert wide["model"] == config["model"] | {"width": 128}
    assert wide["training"] == base["training"]
    assert '"noise_variance": 1.0' in configuration.as_parameter(wide, "task")


@pytest.mark.parametrize(
    ("chosen", "variants", "shown"),
    [
        ("main", "{deep: {}, baseline: {}}", "baseline"),
        ("main", "{wide: {}, deep: {}}", "deep"),
        ("main", "{main: {}, baseline: {}}", "main"),
        ("wide", "{wide: {}, baseline: {}}", "wide"),
    ],
)
def test_the_variant_shown_is_a_name(chosen: str, variants: str, shown: str) -> None:
    text = f"{{figures: {{variant: {chosen}}}, variants: {variants}}}"
    config = configuration.completed(MINIMAL | yaml.safe_load(text))
    assert config["figures"]["variant"] == shown
    assert configuration.completed(config) == config


def test_runs_in_the_order_of_the_file() -> None:
    text = """
    sweep: {num_tasks: [4, inf], seeds: [1, 0]}
    variants: {baseline: {}, more: {sweep: {num_tasks: [64]}}}
    """
    assert configuration.runs(configuration.completed(MINIMAL | yaml.safe_load(text))) == [
        ("baseline", 4.0, 1),
        ("baseline", 4.0, 0),
        ("baseline", math.inf, 1),
        ("baseline", math.inf, 0),
        ("more", 64.0, 1),
        ("more", 64.0, 0),
    ]


def test_a_large_grid() -> None:
    sweep = {"num_tasks": [*range(1, 200), "inf"], "seeds": list(range(20))}
    config = configuration.completed(MINIMAL | {"sweep": sweep})
    assert len(set(configuration.runs(config))) == 4000


def test_it_is_read_without_torch() -> None:
    code = "import sys, transience.planning.configuration; sys.exit('torch' in sys.modules)"
    environment = {"PYTHONPATH": str(CONFIG.parent / "workflow/lib")}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
