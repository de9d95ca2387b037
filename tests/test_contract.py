"""The contract over every registered method, and over methods that break it on purpose: for each check at least
one method that only this check's rule forbids, so that a check which never fails would be noticed."""

import gc
import re
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lnlbench.contract import CHECKS, check_method, expressions, run_checks
from lnlbench.contract.reach import Truth, find_truth
from lnlbench.contract.synthetic import quick_job, shortened, synthetic, thresholds, with_other_truth
from lnlbench.errors import UnknownName
from lnlbench.methods import registry
from lnlbench.methods.base import Method, Plugin
from lnlbench.methods.spec import Hyperparameters, MethodSpec, dataclass, setting

VARIANTS = [
    ("gce", {"variant": "truncated", "k": 0.2}),
    ("bootstrap", {"mode": "soft"}),
    ("imae", {"variant": "official"}),
    ("rfl", {"restoration": False, "classify_on": "t", "alpha": "cosine"}),
    ("rfl", {"cluster": False, "stopgrad": False}),
    ("self_paced", {"pace": "anneal", "weight": "linear"}),
    ("d2l", {"E0": 0.0, "window": 1, "threshold": 0.0, "pre_loss": "sce"}),
    ("fine_tuning", {"meta_labels": "noisy", "ft_batch": 3}),
    ("l2rw", {"gradient": "last_layer"}),
    ("s_model", {"init": "identity", "beta": 0.1}),
    ("joint_optim", {"prior": "given", "window": 2}),
    ("pencil", {"variant": "paper"}),
    ("cdr", {"variant": "paper", "num_gradual": 2}),
    ("m_correction", {"variant": "MD-DYR-SH", "temperature_epochs": 2}),
    ("coteaching_plus", {"variant": "official"}),
    ("elr_plus", {"label_product": True, "coef_step": 10, "ema_step": None}),
    ("sanm(dividemix)", {"variant": "official"}),
    ("sanm(ce)", {"variant": "official"}),
    ("sanm(ce)", {"label_source": "given", "activation": "random"}),
]


@pytest.mark.parametrize("expression", expressions())
def test_every_registered_method_keeps_the_contract(expression: str) -> None:
    assert [f"{r.name}: {r.message}" for r in check_method(expression) if not r.passed] == []


@pytest.mark.parametrize(("expression", "hyperparameters"), VARIANTS)
def test_variants_keep_the_contract(expression: str, hyperparameters: dict) -> None:
    results = check_method(expression, hyperparameters=hyperparameters)
    assert [f"{r.name}: {r.message}" for r in results if not r.passed] == []


@pytest.mark.gpu
@pytest.mark.parametrize("expression", expressions())
def test_every_registered_method_keeps_the_contract_on_a_gpu(expression: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert [f"{r.name}: {r.message}" for r in check_method(expression, device="cuda") if not r.passed] == []


class Toy(Method):
    """Cross-entropy that keeps every rule; the methods below break one each."""

    spec = MethodSpec(slug="toy", title="Toy", summary="", paper="")

    def weight(self, epoch: int) -> float | torch.Tensor:
        return 1.0

    def train_epoch(self, epoch: int) -> None:
        for batch in self.batches():
            self.learn(self.weight(epoch) * F.cross_entropy(self.net(batch.weak()), batch.labels), self.net)


class GlobalNumpy(Toy):
    def weight(self, epoch):
        return 0.5 + np.random.rand()  # noqa: NPY002


class PythonState(Toy):
    seen = 0

    def weight(self, epoch):
        self.seen += 1
        return 1 / self.seen


class LateBuffer(Toy):
    def train_epoch(self, epoch):
        super().train_epoch(epoch)
        self.register_buffer("history", torch.zeros(epoch + 1))


class ScoreOfAnotherShape(Toy):
    def clean_score(self):
        return torch.zeros(self.task.num_samples, 1)


class ScoreOfNaN(Toy):
    def clean_score(self):
        return torch.full((self.task.num_samples,), torch.nan)


class SelectedAsFloats(Toy):
    def selected(self):
        return torch.ones(self.task.num_samples)


class CorrectedOutOfRange(Toy):
    def corrected_labels(self):
        return self.task.noisy_labels + 1


class PredictsFeatures(Toy):
    def predict(self, images):
        return self.net.features(images)


class MutatesLabels(Toy):
    def train_epoch(self, epoch):
        super().train_epoch(epoch)
        self.task.noisy_labels[epoch] = 0
        self.task.noisy_labels[epoch + 10] = 1


class MutatesImages(Toy):
    def train_epoch(self, epoch):
        super().train_epoch(epoch)
        self.engine.source.images[:2] = 0


class MutatesMatrix(Toy):
    spec = MethodSpec(slug="toy", title="Toy", summary="", paper="", needs=("transition_matrix",))

    def train_epoch(self, epoch):
        super().train_epoch(epoch)
        self.task.need("transition_matrix")[:] = 0


class Undeclared(Toy):
    def weight(self, epoch):
        return 1 - self.task.need("noise_rate")


class UsesTruthOfFrames(Toy):
    def train_epoch(self, epoch):
        frame = sys._getframe()
        while "evaluator" not in dir(frame.f_locals.get("self")):
            frame = frame.f_back
        true = frame.f_locals["self"].evaluator._train[2]
        for batch in self.batches():
            self.learn(F.cross_entropy(self.net(batch.weak()), true[batch.indices]), self.net)


class UsesTruthOfTheCollector(Toy):
    def train_epoch(self, epoch):
        self.share = float((collected_truth(self)[2] == 0).float().mean())
        super().train_epoch(epoch)

    def weight(self, epoch):
        return self.share


def collected_truth(method):
    mine = method.engine.source.images.data_ptr()
    found = (e for e in gc.get_objects() if type(e).__name__ == "Evaluator")
    return next(e._train for e in found if e._train[0].images.data_ptr() == mine)


def the_evaluator():
    """The evaluator that is asking, from its frame."""
    frame = sys._getframe()
    while type(frame.f_locals.get("self")).__name__ != "Evaluator":
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return frame.f_locals["self"]


class AnswersWithTruthOfFrames(Toy):
    """Trains like the others, and knows the test set when the evaluator asks."""

    def predict(self, images):
        evaluator, logits = the_evaluator(), self.net(images)
        if evaluator is None or len(images) != len(evaluator._test[1]):
            return logits
        return F.one_hot(evaluator._test[1], self.task.num_classes).to(logits)


class KeepsTestLabels(Toy):
    """As the evaluator holds them."""

    def train_epoch(self, epoch):
        super().train_epoch(epoch)
        mine = self.engine.source.images.data_ptr()
        found = (e for e in gc.get_objects() if type(e).__name__ == "Evaluator")
        self.engine.kept = next(e._test[1] for e in found if e._train[0].images.data_ptr() == mine)


class KeepsCleanMeta(Toy):
    """Has not declared that it needs clean labels of the meta set."""

    def train_epoch(self, epoch):
        super().train_epoch(epoch)
        found = (e.meta for e in gc.get_objects() if type(e).__name__ == "Prepared" and e.meta is not None)
        mine = self.engine.meta[0].data_ptr()
        self.engine.kept = next(meta.true for meta in found if meta.images.ctypes.data == mine)


class KeepsTruth(Toy):
    """Does not use it; that it could is enough."""

    def train_epoch(self, epoch):
        super().train_epoch(epoch)
        kept = collected_truth(self)
        self.engine.report = lambda: kept


class CountsPredictions(Toy):
    def setup(self):
        super().setup()
        self.register_buffer("asked", torch.zeros(()))

    def predict(self, images):
        self.asked += 1
        return self.net(images)


class DrawsInPredict(Toy):
    def predict(self, images):
        return self.net(images) + torch.rand((), generator=self.generator, device=self.device)


class ScoresChangeState(Toy):
    def setup(self):
        super().setup()
        self.register_buffer("score", torch.zeros(self.task.num_samples))

    def clean_score(self):
        self.score += 1
        return self.score


class UntrainedPart(Toy):
    def setup(self):
        super().setup()
        self.extra = self.build(lambda: nn.Linear(3, 3))


class NaNLoss(Toy):
    def weight(self, epoch):
        return float("nan")


class NoSteps(Toy):
    def train_epoch(self, epoch):
        for _ in self.batches():
            pass


class SeedsItself(Toy):
    def setup(self):
        torch.manual_seed(0)
        self.net = self.network()
        self.extra = nn.Linear(4, 4)
        self.extra.requires_grad_(True)

    def train_epoch(self, epoch):
        for batch in self.batches():
            loss = F.cross_entropy(self.net(batch.weak()), batch.labels)
            self.learn(loss + self.extra(torch.ones(1, 4)).square().mean(), self)


class StartsAtTheIdentity(Toy):
    def setup(self):
        super().setup()
        self.extra = self.build(lambda: nn.Linear(self.task.num_classes, self.task.num_classes, bias=False))
        nn.init.eye_(self.extra.weight)

    def train_epoch(self, epoch):
        for batch in self.batches():
            logits = self.net(batch.weak())
            self.learn(F.cross_entropy(logits, batch.labels), self.net)
            self.learn(F.cross_entropy(self.extra(logits.detach()), batch.labels), self.extra)


class ThreeBest(Toy):
    def weight(self, epoch):
        return torch.ones(self.task.num_classes).topk(3).values.mean()


class TenClasses(Toy):
    def setup(self):
        super().setup()
        self.register_buffer("weights", torch.ones(10))

    def weight(self, epoch):
        return self.weights[self.task.noisy_labels].mean()


class ClassWeights(Toy):
    def weight(self, epoch):
        return (1 / torch.bincount(self.task.noisy_labels, minlength=self.task.num_classes)).mean()


class DividesByRate(Toy):
    spec = MethodSpec(slug="toy", title="Toy", summary="", paper="", needs=("noise_rate",))

    def weight(self, epoch):
        return 0.1 / self.task.need("noise_rate")


@dataclass(frozen=True)
class SplitHyper(Hyperparameters):
    p_threshold: float = setting(0.5, "threshold", low=0, high=1)


class SplitsWithoutLooking(Toy):
    spec = MethodSpec(slug="toy", title="Toy", summary="", paper="", hyperparameters=SplitHyper)

    def weight(self, epoch):
        trusted = torch.linspace(0, 1, self.task.num_samples) > self.hp.p_threshold
        return len(next(iter(self.batches(trusted)))) / self.task.batch_size


class PairsOfABatch(Toy):
    def train_epoch(self, epoch):
        for batch in self.batches():
            first, second = F.cross_entropy(self.net(batch.weak()), batch.labels, reduction="none").view(2, -1)
            self.learn((first + second).mean(), self.net)


class WholeBatches(Toy):
    def weight(self, epoch):
        return 1 / (self.task.num_samples // self.task.batch_size)


BROKEN: list[tuple[type[Method], str, str]] = [
    (GlobalNumpy, "own_state", "numpy's global random state"),
    (GlobalNumpy, "same_seed_same_numbers", "self.rng"),
    (GlobalNumpy, "resumes", "loss"),
    (PythonState, "resumes", "register_buffer"),
    (LateBuffer, "resumes", "does not fit"),
    (ScoreOfAnotherShape, "answers", r"clean_score\(\) gave float32 \(101, 1\), .* \(101,\)"),
    (ScoreOfNaN, "answers", "NaN for 101 of 101"),
    (SelectedAsFloats, "answers", "bool tensor"),
    (CorrectedOutOfRange, "answers", r"0\.\.3"),
    (PredictsFeatures, "answers", r"predict\(\) of"),
    (MutatesLabels, "own_state", "clone them"),
    (MutatesImages, "own_state", "raw training images"),
    (MutatesMatrix, "own_state", "transition_matrix"),
    (Undeclared, "declares_needs", "needs="),
    (UsesTruthOfFrames, "true_labels_unused", "noisy labels"),
    (UsesTruthOfTheCollector, "true_labels_unused", "noisy labels"),
    (AnswersWithTruthOfFrames, "true_labels_unused", r"predict\(\)"),
    (KeepsTestLabels, "true_labels_unreachable", "kept is the true test labels"),
    (KeepsCleanMeta, "true_labels_unreachable", "kept is the true labels of the meta set"),
    (KeepsTruth, "true_labels_unreachable", r"report closure of kept\[2\] is the true training labels"),
    (CountsPredictions, "predict_is_pure", "asked"),
    (DrawsInPredict, "predict_is_pure", "random"),
    (ScoresChangeState, "predict_is_pure", "score"),
    (UntrainedPart, "parameters_change", "extra.bias, extra.weight|extra.weight, extra.bias"),
    (NaNLoss, "trains", "diverged"),
    (NoSteps, "trains", "self.learn"),
    (SeedsItself, "other_seed_other_numbers", "extra.weight"),
    (ThreeBest, "two_classes", "RuntimeError"),
    (TenClasses, "hundred_classes", "IndexError"),
    (ClassWeights, "missing_class", "diverged"),
    (DividesByRate, "clean_labels", "ZeroDivisionError"),
    (SplitsWithoutLooking, "empty_split", "StopIteration"),
    (PairsOfABatch, "one_sample_over", "RuntimeError"),
    (WholeBatches, "fewer_samples_than_batch", "ZeroDivisionError"),
]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Method]], str]:
    def put(cls: type[Method]) -> str:
        monkeypatch.setitem(registry._plugins, cls.spec.slug, cls)
        return cls.spec.slug

    return put


def test_a_healthy_method_keeps_the_contract(register) -> None:
    told = []
    results = check_method(register(Toy), on_result=told.append)
    assert [r.message for r in results if not r.passed] == []
    assert [r.name for r in results] == list(CHECKS)
    assert told == results


def test_a_matrix_may_start_at_the_identity_under_every_seed(register) -> None:
    (result,) = check_method(register(StartsAtTheIdentity), only=["other_seed_other_numbers"])
    assert result.passed, result.message


@pytest.mark.parametrize(("broken", "check", "message"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_broken_method_is_caught_by_its_check(register, broken, check, message) -> None:
    (result,) = check_method(register(broken), only=[check])
    assert not result.passed
    assert re.search(message, result.message), result.message


def test_every_check_can_fail() -> None:
    assert {check for _, check, _ in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("broken", [PythonState, UntrainedPart, ScoreOfNaN, WholeBatches])
def test_only_the_broken_rule_is_told(register, broken) -> None:
    expected = {check for cls, check, _ in BROKEN if cls is broken}
    assert {r.name for r in check_method(register(broken)) if not r.passed} == expected


def test_what_stops_every_run_is_told_once(register) -> None:
    results = {r.name: r for r in check_method(register(Undeclared), only=["declares_needs", "trains", "resumes"])}
    assert "noise_rate" in results["declares_needs"].message
    assert results["trains"].message == results["resumes"].message
    assert results["trains"].message == "not checked: first put right what 'declares_needs' says."


def test_an_unforeseen_error_names_the_line_of_the_method(register) -> None:
    (result,) = check_method(register(ThreeBest), only=["two_classes"])
    assert "test_contract.py:" in result.message
    assert "topk(3)" in result.message


def test_the_global_generators_are_as_they_were_after_a_check(register) -> None:
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    check_method(register(GlobalNumpy), only=["trains"])
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


class PassThrough(Plugin):
    spec = MethodSpec(slug="through", title="", summary="", paper="", plugin=True, hosts=("ce", "toy"))


def test_a_plugin_is_checked_over_each_of_its_hosts(register) -> None:
    register(Toy)
    register(PassThrough)
    assert expressions(["through", "toy", "through(toy)"]) == ["through(ce)", "through(toy)", "toy", "through(toy)"]
    assert {"through(ce)", "through(toy)", "toy", "ce"} <= set(expressions())
    assert "through" not in expressions()


def test_run_checks_says_whether_all_passed(register) -> None:
    register(PassThrough)
    register(Toy)
    told = []
    assert run_checks("through", told.append)
    assert {r.method for r in told} == {"through(ce)", "through(toy)"}
    register(UntrainedPart)
    assert not run_checks("toy")


def test_a_wrong_name_is_told_with_the_nearest(register) -> None:
    with pytest.raises(UnknownName, match="resumes"):
        check_method(register(Toy), only=["resume"])
    with pytest.raises(UnknownName):
        check_method("cee")


def test_a_users_file_is_checked_like_our_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(registry, "_plugins", {})
    (tmp_path / "mine.py").write_text(
        "import torch.nn.functional as F\n"
        "from lnlbench.methods.base import Method\n"
        "from lnlbench.methods.spec import MethodSpec\n"
        "class Mine(Method):\n"
        "    spec = MethodSpec(slug='mine', title='', summary='', paper='')\n"
        "    def train_epoch(self, epoch):\n"
        "        for batch in self.batches():\n"
        "            self.learn(F.cross_entropy(self.net(batch.weak()), batch.labels), self.net)\n"
    )
    assert registry.load_plugin(tmp_path / "mine.py") == ["mine"]
    assert run_checks("mine")


def test_warm_ups_are_cut_short_by_name_and_nothing_else_is() -> None:
    found = shortened(registry.parse("sanm(dividemix)"))
    assert found == {"start_epoch": 1, "host.warmup_epochs": 1, "host.rampup_epochs": 1}
    assert shortened(registry.parse("coteaching")) == {"num_gradual": 1}
    assert quick_job("sanm(dividemix)").hyperparameters["host"]["warmup_epochs"] == 1
    assert thresholds(registry.parse("dividemix"), (0.0,)) == {"p_threshold": 0.0}


@pytest.mark.parametrize("shape", ["rows", "one-hot", "list", "wrong", "right", "indices", "rate", "test", "closure"])
def test_truth_is_found_in_every_form(shape: str) -> None:
    data = with_other_truth(synthetic())
    true, wrong = data.train.true, data.train.given != data.train.true
    forms = {
        "rows": torch.stack([torch.zeros(len(true)), torch.from_numpy(true).float()]),
        "one-hot": np.eye(4)[true],
        "list": true.tolist(),
        "wrong": torch.from_numpy(wrong),
        "right": (~wrong).astype(np.float32),
        "indices": torch.from_numpy(np.random.default_rng(0).permutation(wrong.nonzero()[0])),
        "rate": float(wrong.mean()),
        "test": data.test.true,
        "closure": lambda: true,
    }
    holder = nn.Module()
    holder.deep = {"a": [None, forms[shape]]}
    assert find_truth(holder, Truth(data)) is not None
    holder.deep = {"a": [torch.from_numpy(data.train.given), data.test.images, 0.5, 1.0]}
    assert find_truth(holder, Truth(data)) is None
