"""What the ideal predictors are called: `dMMSE` and `ridge` in linear regression, else otherwise.

Texts are written in the words of linear regression. Before a reader sees them, in a figure, a
caption, a claim or the report, they are put into those of the sweep's family.
"""

import re
from functools import cache

SEVERAL = "several"  # a sweep whose variants are of different families
MEMORISING = re.compile(r"dMMSE(?:_M|\$_M\$|\$_\{M\}\$|<sub>M</sub>)?")
GENERAL = re.compile(r"(?<![\w/])([Rr])idge(?: regression)?(?![\w/])")
NOT_TEXT = re.compile(r"(<(script|style)\b.*?</\2>|<[^>]*>)", re.DOTALL)


def in_words_of(family: str, text: str) -> str:
    """A text in the words of a family."""
    names = _names(family)
    if names is None:
        return text
    memorising, general = names

    def named(found: re.Match) -> str:
        return general[0].upper() + general[1:] if found[1] == "R" else general

    return GENERAL.sub(named, MEMORISING.sub(memorising, text))


def page_in_words_of(family: str, html: str) -> str:
    """The same for what a page shows, but for what its scripts write."""
    if _names(family) is None:
        return html
    html = html.replace("dMMSE<sub>M</sub>", "dMMSE")
    parts, at = [], 0
    for markup in NOT_TEXT.finditer(html):
        parts += [in_words_of(family, html[at : markup.start()]), markup[0]]
        at = markup.end()
    return "".join([*parts, in_words_of(family, html[at:])])


@cache
def _names(family: str) -> tuple[str, str] | None:
    """Of the memorising and of the general predictor; None for those of linear regression."""
    if family == "linear":
        return None
    if family == SEVERAL:
        return "memorising predictor", "general predictor"
    from transience.problem.families.family import family_of  # torch, for others than linear

    return family_of(family).memorising, family_of(family).general
