"""Section `model` of a configuration."""

from transience.settings import Settings, key


class ModelSettings(Settings):
    """The transformer. Pre-LayerNorm blocks of causal attention and a ReLU MLP."""

    width: int = key("coordinates", ge=1)
    """d_embed, width of the residual stream."""
    num_layers: int = key("blocks", ge=1)
    """Number of blocks (attention, then MLP)."""
    num_heads: int = key("heads", ge=1)
    """Attention heads in a block, each width / num_heads wide. Must divide `width`."""
    mlp_width: int = key("coordinates", ge=1)
    """d_mlp, hidden width of the MLP."""
    output_projection: bool = key("none")
    """Whether attention has an output projection W_O. The paper's parameter count (2.65 million)
    fits without it, the 51,717 parameters of Hoogland et al. 2024 with it."""
    doubled_residual: bool = key("none")
    """Whether every block adds the residual stream twice, as the authors' earlier public code does.
    Whether the paper's models did is unknown."""
