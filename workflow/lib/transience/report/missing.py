"""Which figures the report lacks, and why: it is made of what there is, and says what is not."""

from collections.abc import Collection, Sequence
from pathlib import Path

LONGEST = 300  # characters of an error


def missing_figures(
    expected: Sequence[str], drawn: Collection[str], logs: Path | None = None
) -> dict[str, str]:
    """Why each figure that was not drawn is missing: a sentence by its place below `figures`.

    `logs` is the folder with a log for each, in which its command says what is wrong.
    """
    return {name: _why(logs and logs / f"{name}.log") for name in expected if name not in drawn}


def _why(log: Path | None) -> str:
    if log is None:
        return "It was not drawn."
    if not log.is_file():
        return f"It was not drawn; there is no log {log} yet."
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return f"It was not drawn, or was stopped before it was; its log {log} is empty."
    said = next((line for line in lines if line.startswith("error: ")), lines[-1])
    return f"It could not be drawn: {said.removeprefix('error: ')[:LONGEST]}. Its log is {log}."
