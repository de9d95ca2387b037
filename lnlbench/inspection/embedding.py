"""Features of a trained job's predicting networks, in two dimensions by t-SNE (RFL, Fig. 1), and what they tell.

As numbers, which the paper's figure does not have: purity of as many k-means clusters as classes, silhouette, and
accuracy of the 20 nearest neighbours, all against true labels and in the features themselves, not in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lnlbench.inspection import NotThere
from lnlbench.inspection.observe import observe
from lnlbench.inspection.restore import Trained
from lnlbench.inspection.samples import Float32, Int64, as_tensor, drawn
from lnlbench.training.seeds import derive

NEIGHBOURS = 20
PERPLEXITY = 30.0
MOST_POINTS = 2000


class FeatureNumbers(NamedTuple):
    """Of the features against true labels: purity, silhouette in -1..1, and k-NN accuracy; None where undefined."""

    purity: float
    silhouette: float | None
    knn_accuracy: float


@dataclass(frozen=True)
class EmbeddingRow:
    """One job: points (n, 2), given labels (n,) or None where all are true, true labels (n,)."""

    points: NDArray[np.float64]
    given: Int64 | None
    true: Int64
    numbers: FeatureNumbers


@dataclass(frozen=True)
class Embedding:
    """Features of several jobs. split: 'train', or 'test' where the true training labels are unknown."""

    split: str
    rows: tuple[EmbeddingRow, ...]
    class_names: tuple[str, ...]
    of: int


@torch.no_grad()
def embedding(jobs: Sequence[Trained], samples: int = MOST_POINTS, seed: int = 0) -> Embedding:
    """t-SNE of up to `samples` training samples of each job; of test samples where nobody knows the training truth.

    Raises NotThere for fewer than 5 samples.
    """
    split = "train" if all(trained.data.train.true is not None for trained in jobs) else "test"
    rows = [_row(trained, split, samples, seed) for trained in jobs]
    return Embedding(split, tuple(rows), jobs[0].data.class_names, max(len(row.true) for row in rows))


def _row(trained: Trained, split: str, samples: int, seed: int) -> EmbeddingRow:
    whole = trained.split(split)
    assert whole.true is not None
    chosen = drawn(len(whole.given), samples, seed)
    if len(chosen) < 5:
        raise NotThere(f"{len(chosen)} samples are too few to embed.")
    seen = observe(trained, whole, as_tensor(chosen))
    features = torch.cat([part.features().cpu() for part in seen]).numpy()
    given, true = whole.given[chosen], whole.true[chosen]
    return EmbeddingRow(
        points=t_sne(features, seed),
        given=given if split == "train" and bool((given != true).any()) else None,
        true=true,
        numbers=FeatureNumbers(
            purity(features, true, trained.data.num_classes, seed), silhouette(features, true), knn(features, true)
        ),
    )


def t_sne(features: Float32, seed: int) -> NDArray[np.float64]:
    """(n, 2) of features (n, D): scikit-learn's t-SNE from a start by PCA, the same for the same seed."""
    from sklearn.manifold import TSNE

    if not features.std(0).any():
        raise NotThere("all samples have the same features: the network has collapsed.")
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    made = TSNE(2, perplexity=perplexity, init="pca", random_state=_state(seed)).fit_transform(features)
    return np.asarray(made, dtype=np.float64)


def purity(features: Float32, true: Int64, num_classes: int, seed: int = 0) -> float:
    """Share of samples whose true class is the most frequent one of their k-means cluster; k: classes, at most n."""
    from sklearn.cluster import KMeans

    k = min(num_classes, len(np.unique(features, axis=0)))
    clusters = KMeans(k, n_init=10, random_state=_state(seed)).fit_predict(features)
    table = np.zeros((k, int(true.max()) + 1), dtype=np.int64)
    np.add.at(table, (clusters, true), 1)
    return float(table.max(1).sum() / len(true))


def silhouette(features: Float32, true: Int64) -> float | None:
    """Mean silhouette of the true classes, Euclidean; None for one class, or as many as samples."""
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(true)) < len(true):
        return None
    return float(silhouette_score(features, true))


def knn(features: Float32, true: Int64, neighbours: int = NEIGHBOURS) -> float:
    """Share of samples whose true class most of their nearest neighbours have, they themselves left out.

    Euclidean; of classes with equally many neighbours the first is taken.
    """
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=min(neighbours, len(true) - 1)).fit(features).kneighbors(return_distance=False)
    votes = np.zeros((len(true), int(true.max()) + 1), dtype=np.int64)
    np.add.at(votes, (np.arange(len(true))[:, None], true[found]), 1)
    return float((votes.argmax(1) == true).mean())


def _state(seed: int) -> int:
    """scikit-learn takes 32 bits."""
    return derive(seed, "embedding") % 2**32
