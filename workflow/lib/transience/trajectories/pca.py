"""Principal components of many rows in float32, without a second copy of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHUNK_ELEMENTS = 2**24  # numbers converted to float64 at once, 128 MiB


@dataclass(frozen=True)
class PCA:
    """Principal components of rows in a space of F dimensions, all float64."""

    mean: np.ndarray  # (F,)
    components: np.ndarray  # (V, F), orthonormal rows, most variance first
    explained_variance_fraction: np.ndarray  # (V,)

    def project(self, rows: np.ndarray) -> np.ndarray:
        """Coordinates on the components: (N, F) -> (N, V)."""
        size = max(1, CHUNK_ELEMENTS // rows.shape[1])
        chunks = (rows[i : i + size] - self.mean for i in range(0, len(rows), size))
        return np.concatenate([chunk @ self.components.T for chunk in chunks])  # n F @ F V -> n V


def fit(rows: np.ndarray, num_components: int) -> PCA:
    """Find the principal components of rows (N, F), those of an SVD of the centred rows.

    By the eigenvectors of the smaller Gram matrix, summed up in float64 chunk by chunk, so that
    rows in float32 need no second copy. There are no more components than the rank of the centred
    rows: none where all rows are equal.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    gram = np.zeros((min(rows.shape),) * 2)
    for chunk in _centred_chunks(rows, mean):
        gram += chunk @ chunk.T if len(rows) <= rows.shape[1] else chunk.T @ chunk
    variances, vectors = np.linalg.eigh(gram)  # ascending
    kept = slice(-1, -min(num_components, _rank(variances)) - 1, -1)
    components = vectors[:, kept].T  # V F, or V N:
    if len(rows) <= rows.shape[1]:
        parts = [components @ chunk for chunk in _centred_chunks(rows, mean)]  # V N @ N f -> V f
        components = np.concatenate(parts, axis=1) / np.sqrt(variances[kept, None])
    return PCA(mean, components, variances[kept] / np.trace(gram))


def _centred_chunks(rows: np.ndarray, mean: np.ndarray) -> Iterator[np.ndarray]:
    """Centred rows in float64: some columns at a time if there are fewer rows, else some rows."""
    num_rows, num_columns = rows.shape
    size = max(1, CHUNK_ELEMENTS // min(rows.shape))
    if num_rows <= num_columns:
        for i in range(0, num_columns, size):
            yield rows[:, i : i + size] - mean[i : i + size]
    else:
        for i in range(0, num_rows, size):
            yield rows[i : i + size] - mean


def _rank(variances: np.ndarray) -> int:
    tolerance = variances[-1] * len(variances) * np.finfo(np.float64).eps
    return int((variances > tolerance).sum())
