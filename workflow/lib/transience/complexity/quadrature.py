"""λ̂ by stochastic Lanczos quadrature of the Hessian: a second method, without any sampling of w.

On a quadratic loss with curvatures h the centred λ̂ is ½ Σ h/(h + h*), h* = γ/nβ. m Lanczos steps
from a probe z of random signs give Ritz values θ and weights τ with Σ τ f(θ) ≈ zᵀ f(H) z / P, whose
mean over probes is tr f(H) / P (Ubaru, Chen & Saad 2017). One run gives all h*.

A Hessian at a checkpoint has negative curvatures too, for which h/(h + h*) has no meaning as a
learning coefficient (below -h* the quadratic posterior does not exist). They count as
h/(|h| + h*), so that noise of the Hessian around 0 cancels, and their part is told apart (ours).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from transience.complexity.curvature import HessianProduct, Spectrum, lanczos

if TYPE_CHECKING:
    import pandas as pd  # only for the table: `counted` does without


def quadrature(
    product: HessianProduct,
    signs: Sequence[torch.Tensor],
    h_stars: Sequence[float],
    num_steps: int,
    on_probe: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """One row a probe and h*: h_star, probe, llc and negative_part, the part of h < 0 in it.

    ``signs`` are probes (P,) of ±1; ``num_steps`` is m. h* is in units of the Hessian.
    """
    import pandas as pd

    rows = []
    for number, probe in enumerate(signs):
        spectrum = lanczos(product, probe, num_steps)
        for h_star in h_stars:
            llc, negative = counted(spectrum, h_star, len(probe))
            rows.append({"h_star": h_star, "probe": number, "llc": llc, "negative_part": negative})
        on_probe()
    return pd.DataFrame(rows)


def counted(spectrum: Spectrum, h_star: float, size: int) -> tuple[float, float]:
    """½ Σ h/(|h| + h*) over all P = ``size`` directions, and the part of h < 0 in it."""
    values = spectrum.values
    parts = size / 2 * spectrum.weights * values / (values.abs() + h_star)
    return parts.sum().item(), parts[values < 0].sum().item()
