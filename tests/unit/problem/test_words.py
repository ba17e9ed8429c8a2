"""Texts in the words of a family of problems."""

import pytest

from transience.problem.words import SEVERAL, in_words_of, page_in_words_of

TEXT = "Ridge is left for dMMSE_M; ridge regression, distance_to_ridge, dMMSE$_M$, ridge's loss"


def test_linear_regression_is_what_texts_are_written_in():
    assert in_words_of("linear", TEXT) is TEXT
    assert page_in_words_of("linear", "<p>dMMSE<sub>M</sub>") == "<p>dMMSE<sub>M</sub>"


def test_others_have_names_of_their_own():
    assert in_words_of("gaussian_means", TEXT) == (
        "Bayes of new means is left for Bayes of M means; Bayes of new means, distance_to_ridge, "
        "Bayes of M means, Bayes of new means's loss"
    )
    assert in_words_of("features", "Ridge") == "Ridge on features"


def test_several_families_have_general_names():
    assert in_words_of(SEVERAL, "Ridge or dMMSE") == "General predictor or memorising predictor"


@pytest.mark.parametrize("tag", ["script", "style"])
def test_of_a_page_only_what_is_shown(tag):
    page = f'<a href="#ridge">ridge</a> dMMSE<sub>M</sub><{tag}>ridge < 3 dMMSE</{tag}> ridge'
    expected = (
        f'<a href="#ridge">general predictor</a> memorising predictor<{tag}>ridge < 3 dMMSE</{tag}>'
        " general predictor"
    )
    assert page_in_words_of(SEVERAL, page) == expected
