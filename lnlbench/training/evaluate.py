"""The evaluator: the only holder of true labels. It asks a method for predictions and scores, never the
other way round, and turns them into the numbers of one epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lnlbench.data.augment.views import Views
from lnlbench.data.sources import ImageSource, source_of
from lnlbench.methods.base import Method
from lnlbench.training.data import Prepared, Split
from lnlbench.training.devices import Place
from lnlbench.training.engine import Diverged, Interrupted, eval_batch

SCORE_BINS = 100
"""Bins of the stored histogram of clean scores, and one for the maximum: a fine ROC curve in a few KiB."""


_OF_TRAINING = ("clean_auc", "select_precision", "select_recall", "corrected_accuracy", "memorisation")


@dataclass(frozen=True)
class Scores:
    """The evaluation of one epoch. Accuracies in percent, AUC and shares in 0..1, None where undefined.

    memorisation: share of mislabelled training samples predicted as their wrong label. select_*: of the
    samples the method trusted, against the correctly labelled ones. corrected_accuracy: of its corrected labels.
    extra: predicted_classes, how many classes are predicted for some test image: a collapse shows here first;
    ensemble_accuracy, percent, where several predictors are counted one by one; loss_auc, the AUC that log p(given
    label) has where the method's own score is another; and what the method itself watches.
    """

    test_accuracy: float
    valid_accuracy: float | None
    clean_auc: float | None
    select_precision: float | None
    select_recall: float | None
    corrected_accuracy: float | None
    memorisation: float | None
    extra: dict[str, Any]


class Evaluator:
    """Evaluates a method on one job's data, which it keeps on the device."""

    def __init__(self, data: Prepared, views: Views, place: Place, stop: Callable[[], bool] = lambda: False) -> None:
        self._views = views
        self._place = place
        self._stop = stop
        self._train = self._on_device(data.train)
        self._test = self._on_device(data.test)
        self._valid = self._on_device(data.validation) if data.validation else None
        self._ranked: tuple[Tensor, Tensor] | None = None

    def evaluate(self, method: Method) -> Scores:
        """One pass over test, validation and training sets; raises Diverged when predictions are not finite."""
        method.eval()
        test = self._predict(method, self._test[0])
        test_labels = self._test[1]
        accuracy = _accuracy(test, test_labels)
        together = test.softmax(-1).mean(0, keepdim=True)
        extra = {"predicted_classes": len(together.argmax(-1).unique()), **method.watched()}
        if len(test) > 1:
            extra["ensemble_accuracy"] = _accuracy(together, test_labels)
        valid = None
        if self._valid is not None:
            valid = _accuracy(self._predict(method, self._valid[0]), self._valid[1])
        return Scores(test_accuracy=accuracy, valid_accuracy=valid, **self._of_training(method, extra), extra=extra)

    def _of_training(self, method: Method, extra: dict[str, Any]) -> dict[str, float | None]:
        """What is measured on the training set; nothing, and without looking at it, where nobody knows the truth."""
        images, given, true = self._train
        if true is None:
            return dict.fromkeys(_OF_TRAINING)
        train = self._predict(method, images)
        wrong = given != true
        mislabelled = int(wrong.sum())
        memorised = None
        if mislabelled:
            predicted = train.softmax(-1).mean(0).argmax(-1)
            memorised = int(((predicted == given) & wrong).sum()) / mislabelled
        likelihood = train.log_softmax(-1).mean(0).gather(1, given[:, None]).squeeze(1)
        score = method.clean_score()
        if score is None:
            score = likelihood
        elif mislabelled:
            extra["loss_auc"] = auc(likelihood, ~wrong)
        self._ranked = (score.detach(), wrong)
        precision, recall = _selection(method.selected(), ~wrong)
        corrected = method.corrected_labels()
        accuracy = None if corrected is None else 100.0 * float((corrected == true).float().mean())
        measured = auc(score, ~wrong), precision, recall, accuracy, memorised
        return dict(zip(_OF_TRAINING, measured, strict=True))

    def score_histogram(self) -> dict[str, list[float]] | None:
        """The newest evaluation's clean scores in bins of equal share, for histograms and ROC curves.

        edges: K+1 ascending floats, K at most SCORE_BINS + 1, bin k is edges[k] <= score < edges[k+1]; correct, wrong:
        K numbers of correctly labelled and of mislabelled training samples. None where there is no noise or no
        finite score.
        """
        return None if self._ranked is None else histogram(*self._ranked)

    def _on_device(self, split: Split) -> tuple[ImageSource, Tensor, Tensor | None]:
        device = self._place.device
        return (
            source_of(split.images, device),
            torch.from_numpy(split.given).to(device),
            None if split.true is None else torch.from_numpy(split.true).to(device),
        )

    @torch.no_grad()
    def _predict(self, method: Method, source: ImageSource) -> Tensor:
        """(K, M, C) float32 predictions of the K predictors."""
        parts = []
        with self._place.autocast():
            for images in source.stream(torch.arange(source.shape[0]), eval_batch(source.shape)):
                if self._stop():
                    raise Interrupted
                out = method.predict(self._views.plain(images)).float()
                parts.append(out if out.dim() == 3 else out[None])
        predictions = torch.cat(parts, dim=1)
        if not bool(torch.isfinite(predictions).all()):
            raise Diverged("the predictions became NaN or infinite")
        return predictions


def auc(score: Tensor, correct: Tensor) -> float | None:
    """Area under the ROC curve of `score` (N,) for finding the correctly labelled samples `correct` (N,) bool.

    None when all samples are of one kind; ties count one half. NaN scores rank as 'cannot tell': the mean of
    the finite ones.
    """
    if bool(correct.all()) or not bool(correct.any()):
        return None
    from sklearn.metrics import roc_auc_score

    score = score.float()
    told = score[score.isfinite()]
    score = torch.nan_to_num(score, nan=float(told.mean()) if len(told) else 0.0)
    return float(roc_auc_score(correct.cpu().numpy(), score.cpu().numpy()))


def histogram(score: Tensor, wrong: Tensor) -> dict[str, list[float]] | None:
    """See `Evaluator.score_histogram`; score (N,), wrong (N,) bool. Scores that are not finite are left out."""
    told = score.isfinite()
    score, wrong = score[told].double().cpu(), wrong[told].cpu()
    if not len(score) or not bool(wrong.any()) or bool(wrong.all()):
        return None
    # Quantiles by sorting: torch.quantile refuses more than 2^24 values. Ties give fewer, wider bins.
    places = torch.linspace(0, len(score) - 1, SCORE_BINS + 1).round().long()
    edges = score.sort().values[places].unique()
    # Bins hold their lower edge, and one more holds the maximum: a score of two values gives two bins.
    span = float(edges[-1] - edges[0]) or 1.0
    edges = torch.cat([edges, edges[-1:] + span / SCORE_BINS])
    bins = torch.bucketize(score, edges, right=True) - 1
    counts = [torch.bincount(bins[kind], minlength=len(edges) - 1).tolist() for kind in (~wrong, wrong)]
    return {"edges": edges.tolist(), "correct": counts[0], "wrong": counts[1]}


def _accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Mean accuracy, in percent, of K predictors (K, M, C)."""
    hits = int((predictions.argmax(-1) == labels).sum())
    return 100.0 * hits / (predictions.shape[0] * max(1, len(labels)))


def _selection(selected: Tensor | None, correct: Tensor) -> tuple[float | None, float | None]:
    if selected is None:
        return None, None
    chosen, right, both = int(selected.sum()), int(correct.sum()), int((selected & correct).sum())
    return both / chosen if chosen else None, both / right if right else None
