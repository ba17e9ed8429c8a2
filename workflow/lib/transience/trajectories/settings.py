"""Section `trajectory_pca` of a configuration."""

from transience.settings import Settings, key


class TrajectoryPCASettings(Settings):
    """PCA of all checkpoints of all M together, for each variant and seed."""

    num_components: int = key("components", ge=2, le=4)
    """Components kept. The figures show the first two; the tables have room for four (pc1 to
    pc4)."""
