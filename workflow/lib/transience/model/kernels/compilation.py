"""How Numba compiles our kernels, and where it keeps the machine code (ours)."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from numba import config, njit

FLAGS = {"contract", "nsz"}  # fused multiply-add; NaN and infinity stay what they are


def compiled(function: Callable) -> Callable:
    """Compile at the first call, or load the machine code that an earlier process kept."""
    compiler = partial(njit, nogil=True, error_model="numpy", fastmath=FLAGS)
    try:
        return compiler(cache=True)(function)
    except RuntimeError:  # neither NUMBA_CACHE_DIR, nor the package, nor the home is writable
        return compiler()(function)


def _cache_by_content() -> None:
    """Have Numba keep machine code under a digest of all files that it comes from.

    Numba itself looks at the file of a function only, not at those of what the function calls.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py"))))
    parent = Path(config.CACHE_DIR or here / "__pycache__")
    config.CACHE_DIR = str(parent / f"kernels-{digest.hexdigest()[:16]}")


_cache_by_content()
