"""Sections `llc`, `indicators` and `llc_calibration` of a configuration."""

from typing import Annotated, Literal

from pydantic import Field

from transience.settings import Diversity, EachOnce, Settings, Share, Step, key

Moment = Step | Share | Literal["final"]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class Scales(Settings):
    """What shapes a chain of SGLD besides its loss."""

    step_size: float = key("squared units of weight", gt=0)
    """ε of SGLD. A safe size is below 0.4 / (nβ times the largest eigenvalue of the Hessian of the
    loss + γ), of what the preconditioner leaves of it; halve it and compare."""
    nbeta: float = key("1 / squared units of y", gt=0)
    """nβ, inverse temperature, for a loss in mean squared error (K / 2σ² times the one for a
    negative log-likelihood per sequence). Estimates are compared at one value for all runs."""
    gamma: float = key("1 / squared units of weight", ge=0)
    """γ, strength of the pull towards w*. The estimate counts directions with curvature above
    γ / nβ, so keep this ratio when `nbeta` changes."""

    def stiffness(self, curvature: float) -> float:
        """ε (nβ h + γ) / 4 of a direction of curvature h: below 1 a chain is stable in it.

        On a quadratic loss its stationary variance is 1/(1 - that) times what it should be (ours).
        """
        return self.step_size * (self.nbeta * curvature + self.gamma) / 4


class ChainSettings(Scales):
    """How long the chains of an estimate are, and what they see."""

    num_chains: int = key("chains", ge=1)
    """Independent chains."""
    num_draws: int = key("draws", ge=1)
    """Draws kept in each chain, after burn-in: a chain is num_burn_in + num_draws long."""
    num_burn_in: int = key("draws", ge=0)
    """Draws thrown away at the start of each chain, before the ones kept."""
    batch_size: int = key("sequences", ge=1)
    """Sequences in the minibatch of a draw. At most `num_sequences`."""
    data_mode: Literal["fixed", "fresh"] = key("none")
    """`fixed` takes minibatches of one data set of `num_sequences` and defines the loss on it;
    `fresh` draws new sequences for every draw (`num_sequences` then only sets the range of the
    loss), for one more evaluation a draw."""


class SamplerSettings(ChainSettings):
    """All that an estimate of the LLC depends on besides loss, w* and data."""

    data_mode: Literal["fixed", "fresh"] = "fixed"
    """Minibatches of one data set, or `fresh`: new samples for each draw."""
    baseline: Literal["paired", "dataset"] = "paired"
    """What is subtracted from the loss of a draw: that of w* on its own minibatch, or L(w*)."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of noise and minibatches."""


class LLCSettings(ChainSettings):
    """Local learning coefficient by SGLD. λ̂ = nβ (mean loss of the draws - loss at w*), with draws
    from exp(-nβ loss(w) - γ/2 |w - w*|²) and the loss in mean squared error; the centred form has
    the mean of the draws in place of w*."""

    num_chains: int = key("chains", ge=2)
    """Independent chains. Disagreement between them shows in R-hat."""
    num_draws: int = key("draws", ge=4)
    """Draws kept in each chain, after burn-in: a chain is num_burn_in + num_draws long."""
    checkpoints: Annotated[list[Moment], EachOnce] = key("steps, or shares of training.num_steps")
    """Where w* is taken: `final`, steps, or shares of training between 0 and 1; the nearest saved
    checkpoint is used. An empty list turns the LLC off: nothing is sampled, and what needs an LLC
    says so."""
    num_sequences: int = key("sequences", ge=1)
    """Fixed data set from q_M on which the loss of the LLC is defined."""

    lanczos_steps: int = key("steps", ge=0)
    """Lanczos steps to the stiffest directions at a checkpoint, from which a preconditioner is
    made: they are slowed down, so that ε can be larger. It is lowered at checkpoints where
    ε (nβ h + γ) / 4 would be above 0.15 for the largest curvature h left. 0 leaves SGLD plain, and
    ε as it is."""
    lanczos_sequences: int = key("sequences", ge=1)
    """Sequences behind that curvature, the first of the data set. At most `num_sequences`."""

    def sampler(self, seed: int) -> SamplerSettings:
        """What the estimator needs of this section, and the seed of a run."""
        names = ChainSettings.model_fields.keys() | {"data_mode"}
        return SamplerSettings(**self.model_dump(include=names), seed=seed)


Positive = Annotated[float, Field(gt=0)]


class LLCCurveSettings(Settings):
    """The LLC as a function of h* = γ/nβ, by two methods: quadrature of the Hessian's spectrum
    (stochastic Lanczos, ½ Σ h/(|h| + h*)), and SGLD at some of these h*. Off where the LLC is."""

    checkpoints: Annotated[list[Step | Share | Literal["final"]], Field(min_length=1), EachOnce] = (
        key("steps, or shares of training.num_steps")
    )
    """Where to take the curve, written like `llc.checkpoints`."""
    h_star: Annotated[list[Positive], Field(min_length=1), EachOnce] = key(
        "squared units of y / squared units of weight"
    )
    """h* of the quadrature; more of them cost nothing."""
    sampled_h_star: Annotated[list[Positive], EachOnce] = key(
        "squared units of y / squared units of weight"
    )
    """h* of SGLD, besides that of `llc`, with its other settings: γ = h* nβ, and ε γ as there."""
    num_probes: int = key("probes", ge=2)
    """Random probes of the quadrature; their spread is its error."""
    lanczos_steps: int = key("steps", ge=2)
    """Lanczos steps from a probe. A smaller h* needs more."""
    num_sequences: int = key("sequences", ge=1)
    """Sequences behind the Hessian of the quadrature, the first of the LLC's data set (all of it,
    if it has fewer). Noise of fewer makes curvatures around 0 that are not those of the loss."""


class IndicatorSettings(Settings):
    """Cheap indicators of complexity at every checkpoint, such as gradient noise and a probe of the
    Hessian's trace, to compare with the LLC."""

    num_probes: int = key("probes", ge=2)
    """Probes averaged at a checkpoint, each a minibatch and a random direction. The error falls as
    1 / sqrt(num_probes)."""
    batch_size: int = key(
        "sequences", expected="an even integer of at least 2", ge=2, multiple_of=2
    )
    """Sequences in the minibatch of a probe, from q_M. Even, as it is split in two."""


class PerturbationScales(Settings):
    """The two keys of `llc` whose ratio h* = γ/nβ an indicator is compared with."""

    nbeta: float = key("1 / squared units of y", gt=0)
    """nβ, inverse temperature of the LLC."""
    gamma: float = key("1 / squared units of weight", ge=0)
    """γ of the LLC."""


class LLCCalibrationSettings(Settings):
    """What `make calibrate` looks at to check the section `llc`: the stiffest curvature, and
    estimates at other ε, nβ and γ. Not part of a plain run."""

    num_tasks: Annotated[list[Diversity | Literal["inf", "all"]], Field(min_length=1), EachOnce] = (
        key("tasks")
    )
    """M to calibrate on, of those in `sweep.num_tasks`, or `all`."""
    seeds: Annotated[list[Seed | Literal["all"]], Field(min_length=1), EachOnce] = key("none")
    """Seeds to calibrate on, of those in `sweep.seeds`, or `all`."""
    checkpoints: Annotated[list[Moment], Field(min_length=1), EachOnce] = key(
        "steps, or shares of training.num_steps"
    )
    """Where to calibrate, written like `llc.checkpoints`. The stiffest are early ones."""
    num_sequences: int = key("sequences", ge=1)
    """Sequences behind the Hessian, the first of the LLC's data set (all of it, if it has fewer).
    Memory grows with them."""
