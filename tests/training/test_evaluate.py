"""The evaluator's numbers against values worked out by hand, on images that say what is predicted for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lnlbench.data.augment.views import Views
from lnlbench.job import Recipe
from lnlbench.training.data import Prepared, Split
from lnlbench.training.devices import place
from lnlbench.training.engine import Diverged, Interrupted
from lnlbench.training.evaluate import SCORE_BINS, Evaluator, Scores, auc, histogram
from lnlbench.training.seeds import Streams

C = 3


def split(predicted: list[int], given: list[int], true: list[int]) -> Split:
    """Images whose pixels are the class that `Oracle` predicts for them."""
    pixels = np.array(predicted, np.uint8).reshape(-1, 1, 1, 1).repeat(3, 1).repeat(8, 2).repeat(8, 3)
    return Split(pixels, np.array(given), np.array(true))


class Oracle(nn.Module):
    """Predicts what an image says, with logit 2; the other answers are attributes."""

    score: Tensor | None = None
    trusted: Tensor | None = None
    corrected: Tensor | None = None
    shifts = (0,)

    def watched(self) -> dict[str, float]:
        return {}

    def predict(self, images: Tensor) -> Tensor:
        said = (images[:, 0, 0, 0] * 255).round().long()
        predictors = [2.0 * nn.functional.one_hot((said + shift) % C, C) for shift in self.shifts]
        return predictors[0] if len(predictors) == 1 else torch.stack(predictors)

    def clean_score(self) -> Tensor | None:
        return self.score

    def selected(self) -> Tensor | None:
        return self.trusted

    def corrected_labels(self) -> Tensor | None:
        return self.corrected


TRAIN = split(predicted=[0, 1, 2, 1, 0], given=[0, 1, 2, 1, 2], true=[0, 1, 2, 0, 1])
TEST = split(predicted=[0, 1, 2, 0], given=[0, 1, 2, 2], true=[0, 1, 2, 2])


def evaluate(
    method: Oracle, train: Split = TRAIN, validation: Split | None = None, stop=lambda: False, test: Split | None = None
) -> Scores:
    recipe = Recipe(normalisation="none")
    streams = Streams(1, torch.device("cpu"))
    views = Views(recipe, torch.zeros(3), torch.ones(3), streams.tensors)
    data = Prepared(train, test or TEST, validation, C, (0,), (1,), True, {}, {})
    before = streams.state()
    scores = Evaluator(data, views, place("cpu"), stop).evaluate(method)
    after = streams.state()
    assert all(torch.equal(before[n], after[n]) for n in ("tensors", "global"))
    assert before["scalars"] == after["scalars"]
    return scores


def test_test_accuracy_is_against_the_true_labels_in_percent() -> None:
    assert evaluate(Oracle()).test_accuracy == 75.0


def test_validation_accuracy_is_against_the_given_labels() -> None:
    validation = split(predicted=[0, 1, 2, 0, 0], given=[0, 1, 1, 1, 1], true=[0, 1, 2, 0, 0])
    assert evaluate(Oracle(), validation=validation).valid_accuracy == pytest.approx(40.0)
    assert evaluate(Oracle()).valid_accuracy is None


def test_memorisation_is_the_share_of_wrong_labels_predicted_as_given() -> None:
    # Samples 3 and 4 are mislabelled; 3 is predicted as its wrong label, 4 as another wrong class.
    assert evaluate(Oracle()).memorisation == 0.5
    clean = split([0, 1], [0, 1], [0, 1])
    assert evaluate(Oracle(), train=clean).memorisation is None


def test_selection_is_measured_against_the_correctly_labelled() -> None:
    method = Oracle()
    assert (evaluate(method).select_precision, evaluate(method).select_recall) == (None, None)
    method.trusted = torch.tensor([True, False, False, True, False])
    scores = evaluate(method)
    assert scores.select_precision == 0.5
    assert scores.select_recall == pytest.approx(1 / 3)
    method.trusted = torch.zeros(5, dtype=torch.bool)
    assert (evaluate(method).select_precision, evaluate(method).select_recall) == (None, 0.0)


def test_corrected_labels_are_measured_against_the_true_ones() -> None:
    method = Oracle()
    assert evaluate(method).corrected_accuracy is None
    method.corrected = torch.tensor([0, 1, 2, 0, 2])
    assert evaluate(method).corrected_accuracy == pytest.approx(80.0)


def test_the_clean_score_is_the_methods_own() -> None:
    method = Oracle()
    # Right: 0.9 0.3 0.7; wrong: 0.8 0.1. Pairs in order: 0.9 both, 0.3 one, 0.7 one, of six.
    method.score = torch.tensor([0.9, 0.3, 0.7, 0.8, 0.1])
    assert evaluate(method).clean_auc == pytest.approx(4 / 6)


def test_beside_a_methods_own_score_stands_what_the_loss_alone_would_tell() -> None:
    method, train = Oracle(), split(predicted=[1, 1, 1, 1], given=[1, 1, 1, 0], true=[1, 0, 1, 1])
    method.score = torch.tensor([0.1, 0.9, 0.1, 0.9])
    scores = evaluate(method, train=train)
    assert (scores.clean_auc, scores.extra["loss_auc"]) == (0.0, 0.75)
    assert "loss_auc" not in evaluate(Oracle()).extra
    clean = split(predicted=[0, 1, 2, 1, 0], given=[0, 1, 2, 1, 2], true=[0, 1, 2, 1, 2])
    assert "loss_auc" not in evaluate(method, train=clean).extra


def test_without_a_score_it_is_the_log_probability_of_the_given_label() -> None:
    # 0, 1 and 2 are predicted as given, 3 is not; 1 and 3 are wrong: two ties and two wins.
    train = split(predicted=[1, 1, 1, 1], given=[1, 1, 1, 0], true=[1, 0, 1, 1])
    assert evaluate(Oracle(), train=train).clean_auc == 0.75


def test_k_predictors_count_by_their_mean_accuracy() -> None:
    method = Oracle()
    method.shifts = (0, 0, 1)
    scores = evaluate(method)
    # The third says 1, 2, 0, 1 and is never right.
    assert scores.test_accuracy == pytest.approx((75 + 75 + 0) / 3)
    assert scores.extra["ensemble_accuracy"] == 75.0
    assert "ensemble_accuracy" not in evaluate(Oracle()).extra


def test_a_collapse_shows_in_the_number_of_predicted_classes_and_in_what_the_method_watches() -> None:
    class Watchful(Oracle):
        def watched(self) -> dict[str, float]:
            return {"information": 0.5}

    assert evaluate(Oracle()).extra == {"predicted_classes": 3}
    assert evaluate(Watchful()).extra == {"predicted_classes": 3, "information": 0.5}
    collapsed = split(predicted=[1, 1, 1, 1], given=[0, 1, 2, 1], true=[0, 1, 2, 1])
    assert evaluate(Oracle(), test=collapsed).extra == {"predicted_classes": 1}


def test_predictions_that_are_not_finite_diverge() -> None:
    class Broken(Oracle):
        def predict(self, images: Tensor) -> Tensor:
            return super().predict(images) / 0.0

    with pytest.raises(Diverged):
        evaluate(Broken())


def test_a_wish_to_stop_is_heard() -> None:
    with pytest.raises(Interrupted):
        evaluate(Oracle(), stop=lambda: True)


def test_evaluation_is_in_eval_mode() -> None:
    class Strict(Oracle):
        def predict(self, images: Tensor) -> Tensor:
            assert not self.training
            assert not torch.is_grad_enabled()
            return super().predict(images)

    evaluate(Strict().train())


@pytest.mark.parametrize(
    ("score", "correct", "value"),
    [
        ([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0], 0.75),
        ([0.1, 0.8, 0.3, 0.9], [0, 1, 0, 1], 1.0),
        ([0.9, 0.1], [0, 1], 0.0),
        ([0.5, 0.5, 0.5], [1, 0, 1], 0.5),
        ([0.5, 0.5], [1, 1], None),
        ([0.5, 0.5], [0, 0], None),
        ([0.9, math.nan, 0.1], [1, 1, 0], 1.0),
        ([0.9, math.nan, 0.1], [1, 0, 0], 1.0),
        ([math.nan, math.nan], [1, 0], 0.5),
        ([-1e30, 1e30], [0, 1], 1.0),
        ([-math.inf, 0.0], [0, 1], 1.0),
    ],
)
def test_auc_by_hand(score: list, correct: list, value: float | None) -> None:
    assert auc(torch.tensor(score), torch.tensor(correct).bool()) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("score", "value"), [([math.inf, math.nan, -math.inf, -1.0], 3.5 / 4), ([-math.inf, math.nan, 0.0, 1.0], 1 / 4)]
)
def test_scores_may_be_infinite_and_missing_at_once(score: list[float], value: float) -> None:
    assert auc(torch.tensor(score), torch.tensor([True, True, False, False])) == value


def test_the_histogram_of_scores_holds_every_sample_and_gives_back_the_auc():
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(5000, generator=generator) < 0.3
    score = torch.randn(5000, generator=generator) - 1.5 * wrong
    found = histogram(score, wrong)
    assert len(found["edges"]) == SCORE_BINS + 2
    assert found["edges"] == sorted(found["edges"])
    assert sum(found["correct"]) == int((~wrong).sum())
    assert sum(found["wrong"]) == int(wrong.sum())
    correct, bad = np.array(found["correct"]), np.array(found["wrong"])
    above = np.cumsum(correct[::-1])[::-1] - correct
    assert ((bad * (above + correct / 2)).sum() / (bad.sum() * correct.sum())) == pytest.approx(
        auc(score, ~wrong), abs=1e-3
    )


def test_the_histogram_takes_ties_equal_and_undefined_scores():
    wrong = torch.tensor([True, False, False, True])
    tied = histogram(torch.tensor([0.0, 1.0, 1.0, 1.0]), wrong)
    assert tied == {"edges": [0.0, 1.0, 1.01], "correct": [0, 2], "wrong": [1, 1]}
    assert histogram(torch.full((4,), 2.0), wrong) == {"edges": [2.0, 2.01], "correct": [2], "wrong": [2]}
    assert histogram(torch.tensor([math.nan, 0.0, 1.0, 2.0]), wrong)["wrong"] == [0, 0, 1]
    assert histogram(torch.full((4,), math.nan), wrong) is None
    assert histogram(torch.rand(4), torch.zeros(4, dtype=torch.bool)) is None
