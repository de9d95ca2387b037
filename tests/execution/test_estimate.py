"""What a job would cost: measured on the real method, once for all jobs of a kind."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lnlbench.execution import estimate
from lnlbench.execution.estimate import Cost
from lnlbench.job import Job, Noise, Recipe
from lnlbench.methods import registry
from lnlbench.methods.base import Method, Stage
from lnlbench.methods.spec import MethodSpec
from lnlbench.resolve import resolve_job
from lnlbench.training.devices import place

TINY = {"backbone": "smallcnn", "width": 0.25, "epochs": 3, "train_subset": 64, "batch_size": 16, "pad": 1}


def job(method: str, **changes: object) -> Job:
    noise = Noise(name="symmetric", rate=0.4)
    recipe = {**TINY, **changes}
    return resolve_job(method, "digits", noise, 1, scale="smoke", recipe=recipe)


@pytest.mark.parametrize("method", ["ce", "dividemix", "sanm(coteaching)"])
def test_every_part_of_a_cost_is_positive(method: str) -> None:
    cost = estimate.measure(job(method, image_size=8), place("cpu"))
    assert cost.seconds > 0
    assert cost.train_per_image > 0
    assert cost.evaluate_per_image > 0


def test_the_seconds_are_made_of_training_and_evaluating_every_image_in_every_epoch() -> None:
    cost = estimate.measure(job("ce", test_subset=32, validation=0.25), place("cpu"))
    assert cost.seconds == pytest.approx(3 * (64 * cost.train_per_image + (64 + 32) * cost.evaluate_per_image))


class TwoStages(Method):
    """A method whose last stage trains a network that only its own beginning makes, until its numbers are NaN."""

    spec = MethodSpec(slug="two_stages", title="Two stages", summary="", paper="")

    def setup(self) -> None:
        self.net = self.network()

    def stages(self) -> list[Stage]:
        return [Stage("first", 2, self.train_epoch), Stage("second", 5, self.train_epoch, begin=self.renew)]

    def renew(self) -> None:
        self.second = self.network()

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            self.learn(torch.nan * F.cross_entropy(self.second(batch.weak()), batch.labels), self.second)

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return self.second(images)


def test_a_method_of_several_stages_is_measured_in_its_last_and_may_diverge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._plugins, "two_stages", TwoStages)
    cost = estimate.measure(job("two_stages"), place("cpu"))
    assert cost.seconds > 0
    assert round(cost.seconds / (64 * cost.train_per_image + (64 + 360) * cost.evaluate_per_image)) == 2 + 5


def test_no_data_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("LNLBENCH_DATA", str(tmp_path))
    real = resolve_job("ce", "cifar100", Noise(name="symmetric", rate=0.4), 1, scale="desk", recipe=TINY)
    assert estimate.measure(real, place("cpu")).seconds > 0
    assert list(tmp_path.iterdir()) == []


def test_jobs_that_cost_the_same_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def measure(job: Job, where: object) -> Cost:
        measured.append(job.method)
        return Cost(len(measured), 1.0, 1.0)

    monkeypatch.setattr(estimate, "measure", measure)
    ce, gce = job("ce"), job("gce")
    jobs = [ce, ce.replace(seed=2), ce.replace(noise=Noise(name="symmetric", rate=0.8)), gce, gce.replace(seed=2)]
    told: list[str] = []
    costs = estimate.measure_all(jobs, place("cpu"), lambda job: told.append(job.method))
    assert measured == told == ["ce", "gce"]
    assert [costs[j.key].seconds for j in jobs] == [1, 1, 1, 2, 2]
    longer = [ce, ce.replace(recipe=Recipe.from_dict({**ce.recipe.to_dict(), "epochs": 9}))]
    assert len({cost.seconds for cost in estimate.measure_all(longer, place("cpu")).values()}) == 2
