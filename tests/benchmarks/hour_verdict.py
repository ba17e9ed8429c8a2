"""What the first hour on a GPU has shown, on a page."""

from collections.abc import Iterator
from typing import Any

KINDS_A_LINE = 4
LINES_OF_A_FAILURE = 8
Found = dict[str, Any]  # of a part, see `hour_record.Record`


def holds(parts: dict[str, Found]) -> bool:
    """Whether no check has failed and no part has met an error."""
    words = [word for found in parts.values() for *_, word in found["checks"]]
    return "FAILED" not in words and not any(found["failures"] for found in parts.values())


def verdict(parts: dict[str, Found], left: list[str], asked: str) -> str:
    """Markdown of what the parts have found; ``left`` are those not asked for or not begun."""
    checks = [word for found in parts.values() for *_, word in found["checks"]]
    lines = ["# The first hour on a GPU", "", asked, *_machine(parts), ""]
    said = "All is well" if holds(parts) else "NOT ALL IS WELL"
    counts = ", ".join(f"{checks.count(word)} {word}" for word in dict.fromkeys(checks))
    unfinished = [*(part for part in parts if not parts[part]["finished"]), *left]
    lines += [f"**{said}**: {counts or 'no check was made'}."]
    lines += [f"Not finished: {', '.join(unfinished)}."] * bool(unfinished)
    for part, write in (("speed", _speed), ("profile", _profile), ("run", _run)):
        if part == "speed":
            lines += _checks(parts)
        if part in parts:
            lines += ["", *write(parts[part]["measured"])]
    return "\n".join([*lines, "", *_seconds(parts), *_remarks(parts)]) + "\n"


def _machine(parts: dict[str, Found]) -> list[str]:
    """Device and versions; several lines if parts ran on several machines."""
    lines = (found["measured"].get("machine") for found in parts.values())
    return [line for line in dict.fromkeys(lines) if line]


def _checks(parts: dict[str, Found]) -> Iterator[str]:
    rows = [row for found in parts.values() for row in found["checks"]]
    if rows:
        yield from ("", "| check | found | limit | |", "|---|---|---|---|")
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _speed(measured: Found) -> Iterator[str]:
    rates = measured.get("rates", {})
    said = [
        f"{name} {rate / 1e9:.0f} GB/s" if name == "copy" else f"{name} {rate / 1e12:.3g} TFLOP/s"
        for name, rate in rates.items()
    ]
    yield f"Rates of a large product and a large copy: {', '.join(said)}."
    yield "| step | ms | share of the product rate | of the copy rate | GiB at the peak |"
    yield "|---|---|---|---|---|"
    for name, found in measured.items():
        if isinstance(found, dict) and "ms" in found:
            peak = "" if found["GiB"] is None else f"{found['GiB']:.1f}"
            yield (
                f"| {name} | {found['ms']:.3g} | {found['products']:.3f} | {found['copy']:.3f} "
                f"| {peak} |"
            )


def _profile(measured: Found) -> Iterator[str]:
    if "kinds" not in measured:
        return
    kinds, idle = measured["kinds"], measured["no kernel runs"]
    yield (
        f"A {measured['precision']} step of {measured['ms']:.3g} ms in a profile, "
        f"{measured['kernels']:.0f} kernels, ms by kind (names in kernels.md):"
    )
    said = [f"{kind} {time:.3f}" for kind, time in kinds.items()]
    for first in range(0, len(said), KINDS_A_LINE):
        yield f"- {'; '.join(said[first : first + KINDS_A_LINE])}"
    yield f"- no kernel runs {idle:.3f}; all kernels {sum(kinds.values()):.3f}"


def _run(measured: Found) -> Iterator[str]:
    for name, found in measured.items():
        if name.startswith("M="):
            said = [
                f"{what} {value:.4g}" if isinstance(value, float) else f"{what} {value}"
                for what, value in found.items()
            ]
            yield f"- {name}: {'; '.join(said) or 'not trained yet'}"


def _seconds(parts: dict[str, Found]) -> Iterator[str]:
    yield "Seconds, over all calls:"
    for part, found in parts.items():
        stages = ", ".join(f"{name} {time:.0f}" for name, time in found["seconds"].items())
        yield f"- {part}: {stages}"


def _remarks(parts: dict[str, Found]) -> Iterator[str]:
    """Notes, and the ends of what went wrong, which verdict.json has whole."""
    for part, found in parts.items():
        for note in found["notes"]:
            yield f"- {part}: {note}"
        for failure in found["failures"]:
            yield from ("", f"{part} failed:", "```")
            yield from failure.strip().splitlines()[-LINES_OF_A_FAILURE:]
            yield "```"
