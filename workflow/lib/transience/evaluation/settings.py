"""Sections `evaluation` and `probe` of a configuration."""

from transience.settings import Settings, key


class EvaluationSettings(Settings):
    """Loss and distance to dMMSE_M and ridge at every checkpoint."""

    num_sequences: int = key("sequences", ge=1)
    """Size of each of the three fixed test sets, from q_M, q_inf (OOD) and q_1."""


class ProbeSettings(Settings):
    """Sequences on which models are compared in function space."""

    num_sequences: int = key("sequences", ge=1)
    """B, fixed sequences from q_1 (the root task). A checkpoint is the vector of its B*K
    predictions. The joint PCA holds M values x checkpoints x B*K of them in memory."""
