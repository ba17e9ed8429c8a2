"""Sections `training` and `checkpoints` of a configuration."""

from typing import Annotated, Literal

from transience.settings import Diversity, EachOnce, Settings, Share, Step, key


class PhaseSettings(Settings):
    """A part of training, and what is otherwise in it. What is not given stays as it is."""

    begin: Step | Share = key("steps, or shares of training", default=0)
    """First step of the phase; a number between 0 and 1 is a share of all steps. In a branch steps
    count from where it begins, and shares are of what is left."""
    end: Step | Share = key("steps, or shares of training", default=None)
    """Step at which it is over. Without it, where the next phase begins or training ends."""
    num_tasks: Diversity | Literal["inf"] = key("tasks", default=None)
    """Task diversity of its batches. The M of the run stays what it is measured by."""
    fresh_fraction: float = key("none", ge=0, le=1, default=0.0)
    """ε, the probability with which a sequence has a new task from N(0, I_D)."""
    task_drift: float = key("1 / steps", ge=0, le=1, default=0.0)
    """Rate at which tasks wander: a Gaussian walk of each around 0, of variance 1 at all times, in
    which what a task was fades by exp(-rate) a step. At most 1: it is forgotten in a step."""
    weight_decay: float = key("none", ge=0, default=0.0)
    """Decoupled from the gradient (AdamW): a step takes this times the learning rate off."""
    weight_decay_of: Literal["all", "mlp", "attention"] = key("none", default="all")
    """The weights that decay: all parameters, or those of the blocks' MLPs, or of attention (with
    its output projection), without biases and norms."""
    learning_rate_factor: float = key("none", ge=0, default=1.0)
    """By which `learning_rate` is multiplied."""
    learning_rate_course: Literal["constant", "linear", "cosine"] = key("none", default="constant")
    """How the factor is reached: at once, or at the end of the phase along a line or half a cosine,
    from that of the phase just before or from 1."""
    batch_size: int = key("sequences", ge=1, default=None)
    """Sequences in a batch of the phase."""


class BranchSettings(Settings):
    """Where a run begins instead of at step 0: in the training of another variant, for the same
    M and seed, with its weights and optimiser."""

    variant: str = key("none", default="")
    """Variant whose runs it leaves; {} is no branch."""
    step: Step | Share | Literal["t_crit", "departure"] = key(
        "steps, or shares of training.num_steps", default=0
    )
    """Where it leaves: a step or share at which that variant keeps its state
    (`checkpoints.states`); or the first kept state from t_crit on, the step of least loss on new
    tasks, or from the departure on, after which the run stays nearer to dMMSE_M than to ridge."""
    num_steps: int = key("steps", ge=1, default=None)
    """Steps from there on. Without it, up to `training.num_steps` in all."""


class StopSettings(Settings):
    """An alarm at which a training ends before its last step."""

    detector: Literal["", "below_ridge", "projection", "calm_gradient", "small_gradient"] = key(
        "none", default=""
    )
    """What raises the alarm; {} is none. below_ridge and projection know the tasks of training, the
    others only its gradients. See workflow/docs/alarms.md."""
    threshold: float = key("none", gt=0, default=None)
    """The alarm is at the first logged step at which the detector's CUSUM is above this."""
    cooldown_steps: int = key("steps", ge=1, default=None)
    """Steps from there to the end, in which the learning rate falls linearly to 0; fewer if it
    would end before. Without it training ends at the alarm."""


class TrainingSettings(Settings):
    """Adam on fresh sequences at every step; linear warm-up, then a constant rate."""

    num_steps: int = key("steps", ge=1)
    """T, optimiser steps."""
    batch_size: int = key("sequences", ge=1)
    """Sequences in a batch."""
    learning_rate: float = key("none", gt=0)
    """Learning rate after warm-up."""
    warmup_steps: int = key("steps", ge=0)
    """Steps over which the learning rate rises linearly from 0. At most `num_steps`."""
    beta1: float = key("none", ge=0, lt=1)
    """β₁ of Adam, decay of the mean gradient."""
    beta2: float = key("none", ge=0, lt=1)
    """β₂ of Adam, decay of the mean squared gradient."""
    precision: Literal["float32", "tf32", "bf16"] = key("none")
    """Arithmetic of the matrix products of training. tf32 is for a GPU (a CPU imitates its
    rounding, which takes longer than float32); bf16 for a GPU or a processor with the instructions,
    and a large model (other processors take 1.1 to 1.5 times as long as in float32). Both round
    more; weights, gradients and optimiser state stay float32."""
    log_every: int = key("steps", ge=1)
    """Distance between rows of the training table (batch loss, gradient norm, time)."""
    divergence_loss: float = key("squared units of y", gt=0)
    """A batch loss above this stops the run as diverged. Must be above D + σ², the loss of a model
    that has learned nothing."""
    phases: list[PhaseSettings] = key("none", default=[])
    """Parts of training in which something is otherwise, in their order and apart; [] for none. A
    checkpoint is taken where one begins."""
    branch: BranchSettings = key("none", default=BranchSettings(), expected="a section of keys")
    """A variant may begin in the course of another one's training. It has its phases and settings
    from here, not from there. {} to begin at step 0."""
    stop_when: StopSettings = key("none", default=StopSettings(), expected="a section of keys")
    """A variant may end at an alarm that its model leaves ridge. {} to train to the last step. In a
    branch the detector begins where the branch does."""

    def last_step(self, start: int) -> int:
        """Steps in all of a training that begins after ``start`` steps."""
        further = self.branch.num_steps
        return max(start, self.num_steps) if further is None else start + further


class CheckpointSettings(Settings):
    """Steps whose weights are saved: {0, linear_every, 2 linear_every, ..., T} together with
    {floor(T^(j/(N-1))) : j = 0..N-1}, N = logarithmic_count. Each costs 4 bytes a parameter."""

    linear_every: int = key("steps", ge=1)
    """Distance between the evenly spaced checkpoints. At most `training.num_steps`."""
    logarithmic_count: int = key("checkpoints", ge=2, le=10000)
    """N, the logarithmically spaced checkpoints, before equal steps are merged."""
    states: Annotated[list[Step | Share | Literal["all"]], EachOnce] = key(
        "steps, or shares of training.num_steps", default=[]
    )
    """Where the optimiser's state is kept as well, from which branches can begin; a checkpoint is
    taken there too. `all` keeps it at every checkpoint of the schedule. Each costs 8 bytes a
    parameter."""
