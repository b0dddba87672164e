"""How likely the language of an original's group is to bring a question forth. Above `vectors`, below `features` in `faq`.

A language model of each group, smoothed towards the language of all (query likelihood with a Dirichlet prior: Zhai and
Lafferty, A Study of Smoothing Methods for Language Models, 2004), with TF-IDF weights in the place of counts. It learns
which terms tell the originals apart from counts alone: nothing in it grows with the square of the texts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scoring_runtime.faq.groups import Groups, Rows
from scoring_runtime.faq.vectors import Vector, VectorTable

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Likelihood:
    """The language models of m originals."""

    gains: VectorTable  # m x terms: what a term of the question adds, over one that the group never holds
    losses: Numbers  # m: what any term adds in a group of this length

    def score(self, question: Vector) -> NDArray[np.float64]:
        """Return the logarithm of the likelihood (m), up to what all have in common."""
        scores: NDArray[np.float64] = self.gains.multiply(question) + self.losses * question.weights.sum()
        return scores

    def select(self, chosen: Rows) -> "Likelihood":
        """Return the models of the chosen originals."""
        return Likelihood(self.gains.select(chosen), self.losses[chosen])


def measure_background(vectors: sparse.csr_array) -> Numbers:
    """Return the share of each term in all n texts (terms), which add up to 1."""
    total = np.asarray(vectors.sum(axis=0), dtype=np.float64)
    background: Numbers = (total / total.sum()).astype(np.float32)
    return background


def pool_vectors(vectors: sparse.csr_array, groups: Groups) -> sparse.csr_array:
    """Return the sum of the vectors (n x terms) of each of m groups: m x terms."""
    size, rows = len(groups.own), vectors.shape[0]
    ones = np.ones(rows, dtype=np.float32)
    return sparse.csr_array(sparse.csr_array((ones, np.arange(rows), groups.bounds), shape=(size, rows)) @ vectors)


def learn_likelihood(pooled: sparse.csr_array, background: Numbers, smoothing: float) -> Likelihood:
    """Return the models of m originals from their pooled vectors. `smoothing` counts like as many terms of the background."""
    lengths = np.asarray(pooled.sum(axis=1), dtype=np.float32)
    gains = pooled.copy()
    gains.data = np.log1p(gains.data / (np.float32(smoothing) * background[gains.indices]))
    return Likelihood(VectorTable(gains), np.log(np.float32(smoothing) / (lengths + np.float32(smoothing))))
