"""What this machine's processor has no instructions for, by what Linux says of x86 ones (ours)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
BF16 = ("avx512_bf16", "amx_bf16")
WIDE = ("avx512f",)  # vectors of 16 numbers, half of what an AVX2 processor takes at once
IMITATED = (
    10  # times as long in bf16 as in float32, without the instructions: 7 to 13 (docs/speed.md)
)


def lacks(*names: str) -> bool:
    """Whether the processor has none of these features; False where none are listed."""
    found = _features()
    return bool(found) and found.isdisjoint(names)


@cache
def _features() -> frozenset[str]:
    """Features of the first core; none on other systems and on other processors than x86."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = [line.partition(":")[2] for line in lines if line.startswith("flags")]
    return frozenset(flags[0].split() if flags else ())


def imitates_bf16(settings: Mapping[str, Any], device: str) -> bool:
    """Whether a training with these settings rounds without instructions for it."""
    return device == "cpu" and settings["training"]["precision"] == "bf16" and lacks(*BF16)


def note(variants: Mapping[str, Mapping[str, Any]], device: str, *, cluster: bool) -> str | None:
    """What a user may not expect of bf16, in a line; jobs of a cluster run on other processors."""
    slow = [name for name, settings in variants.items() if imitates_bf16(settings, device)]
    if cluster or not slow:
        return None
    where = "" if len(slow) == len(variants) else f" (variant {', '.join(slow)})"
    return (
        f"training.precision: bf16{where} takes some {IMITATED} times as long as float32 here, as "
        f"this processor has no instructions for it ({' or '.join(BF16)}); write float32"
    )
