"""Principal components: against SVD and scikit-learn, in chunks, and where there are too few."""

import numpy as np
import pytest
import sklearn.decomposition

from transience.trajectories import pca
from transience.trajectories.pca import fit


def random_rows(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Rows with a few large directions, off the origin."""
    numbers = np.random.default_rng(seed)
    rank = min(shape)
    left = numbers.normal(size=(shape[0], rank)) / np.arange(1, rank + 1)
    return (left @ numbers.normal(size=(rank, shape[1])) + 5).astype(np.float32)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (20, 20)])
@pytest.mark.parametrize("chunk_elements", [1, 100, 2**24])
def test_components_are_those_of_the_svd(shape: tuple[int, int], chunk_elements: int, monkeypatch):
    monkeypatch.setattr(pca, "CHUNK_ELEMENTS", chunk_elements)
    rows = random_rows(shape)
    found = fit(rows, 4)
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(
        found.explained_variance_fraction, singular[:4] ** 2 / (singular**2).sum(), rtol=1e-10
    )
    cosines = (found.components * right[:4]).sum(axis=1)
    np.testing.assert_allclose(np.abs(cosines), 1, rtol=1e-10)
    np.testing.assert_allclose(found.project(rows), centred @ found.components.T, atol=1e-10)


def test_it_is_the_pca_of_scikit_learn():
    rows = random_rows((15, 30))
    ours, theirs = fit(rows, 3), sklearn.decomposition.PCA(3).fit(rows)
    np.testing.assert_allclose(
        ours.explained_variance_fraction, theirs.explained_variance_ratio_, rtol=1e-4
    )
    signs = np.sign((ours.components * theirs.components_).sum(axis=1))
    new = random_rows((4, 30), seed=1)
    np.testing.assert_allclose(ours.project(new) * signs, theirs.transform(new), atol=1e-3)


def test_components_are_orthonormal_and_scores_centred():
    rows = random_rows((12, 40))
    found = fit(rows, 4)
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(4), atol=1e-12)
    scores = found.project(rows)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-10)
    covariance = scores.T @ scores
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)


@pytest.mark.parametrize("shape", [(4, 40), (40, 3)])
def test_there_are_no_more_components_than_the_rank(shape: tuple[int, int]):
    found, three = fit(random_rows(shape), 4), fit(random_rows(shape), 3)
    np.testing.assert_array_equal(found.components, three.components)
    assert found.components.shape == (3, shape[1])
    assert found.explained_variance_fraction.sum() == pytest.approx(1)


def test_runs_that_never_move_have_no_components():
    for shape in ((5, 7), (7, 5)):
        found = fit(np.full(shape, 0.1, np.float32), 2)
        assert found.components.shape == (0, shape[1])
        assert found.project(np.ones((3, shape[1]))).shape == (3, 0)
