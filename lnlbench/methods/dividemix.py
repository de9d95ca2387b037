"""DivideMix: two networks split the data for each other by a mixture model of the losses, then train on the
trusted part as labelled and on the rest as unlabelled data, in the manner of MixMatch.

In the order of the paper's Algorithm 1, with the constants of the released code (LiJunnan1992/DivideMix),
which is what the published tables were made with: B labelled and B unlabelled samples a step with two views
each, guesses in train mode with batch statistics. 300 epochs as the paper says; the code's loop has 301.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lnlbench.data.task import Batch
from lnlbench.learning.losses import confidence_penalty, prior_penalty, soft_cross_entropy
from lnlbench.learning.mixtures import LossMixture
from lnlbench.learning.mixup import draw_lambda, mix
from lnlbench.learning.pseudo_labels import sharpen
from lnlbench.learning.ramps import linear_rampup
from lnlbench.methods.base import Method
from lnlbench.methods.spec import ASYMMETRIC, SYMMETRIC, Hyperparameters, MethodSpec, Row, dataclass, setting
from lnlbench.networks.base import Backbone, Output

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    warmup_epochs: int = setting(10, "W, epochs of cross-entropy before the first split", low=0)
    lambda_u: float = setting(25.0, "weight of the unlabelled loss", low=0)
    p_threshold: float = setting(0.5, "tau, a label is trusted when its clean probability is above", low=0, high=1)
    T: float = setting(0.5, "sharpening temperature", above=0)
    alpha: float = setting(4.0, "Beta parameter of mixup", above=0)
    rampup_epochs: float = setting(16.0, "epochs over which lambda_u rises after warm-up", low=0)
    lambda_r: float = setting(1.0, "weight of the uniform-prior penalty", low=0)
    conf_penalty: bool = setting(False, "warm-up with a penalty on confident predictions (asymmetric noise)")
    loss_window: int = setting(1, "epochs of losses averaged before the mixture is fitted", low=1)
    unlabelled_rows: bool = setting(True, "forward the unlabelled rows; else they are partners of mixup only")
    guess_view: str = setting("weak", "the two views that labels are guessed and refined from")
    extra_views: tuple[str, ...] = setting((), "further views of each image that are trained on")
    warmup_view: str = setting("weak", "the view of the warm-up")
    warmup_clip: float | None = setting(None, "gradient norm at which the warm-up is clipped", above=0)


SPEC = MethodSpec(
    slug="dividemix",
    title="DivideMix",
    family="semi-supervised",
    summary="Splits samples by a mixture model of the losses, refines labels of one part and guesses the other's.",
    paper="Li, Socher, Hoi, DivideMix: Learning with Noisy Labels as Semi-supervised Learning, ICLR 2020",
    code="LiJunnan1992/DivideMix",
    needs=("noise_rate", "noise_type"),
    hyperparameters=Hyper,
    # Appendix B, Table 7 of the paper; the same values are in the authors' answers to failed reproductions.
    table=(
        Row(dataset="cifar10", noise=SYMMETRIC, rate=0.2, set={"lambda_u": 0.0}),
        Row(dataset="cifar10", noise=SYMMETRIC, rate=0.5, set={"lambda_u": 25.0}),
        Row(dataset="cifar10", noise=SYMMETRIC, rate=0.8, set={"lambda_u": 25.0}),
        Row(dataset="cifar10", noise=SYMMETRIC, rate=0.9, set={"lambda_u": 50.0}),
        Row(dataset="cifar10", noise=ASYMMETRIC, set={"lambda_u": 0.0}),
        Row(dataset="cifar100", set={"warmup_epochs": 30, "lambda_u": 150.0}),
        Row(dataset="cifar100", noise=SYMMETRIC, rate=0.2, set={"lambda_u": 25.0}),
        Row(dataset=("cifar10", "cifar100"), noise=SYMMETRIC, rate=0.9, set={"p_threshold": 0.6, "loss_window": 5}),
        Row(
            noise=ASYMMETRIC,
            set={"conf_penalty": True},
        ),
        Row(
            dataset=("clothing1m", "webvision"),
            set={"warmup_epochs": 1, "lambda_u": 0.0, "alpha": 0.5, "unlabelled_rows": False},
        ),
        Row(dataset="clothing1m", set={"conf_penalty": True}),
    ),
)


class DivideMix(Method):
    """Li, Socher, Hoi (2020), Algorithm 1. `clean` holds w of both networks: (2, N)."""

    spec = SPEC
    lends_clean = True
    nets: Any
    mixtures: Any
    clean: Tensor
    corrected: Tensor

    def setup(self) -> None:
        n = self.task.num_samples
        self.nets = nn.ModuleList([self.network(), self.network()])
        self.register_buffer("clean", torch.ones(2, n, device=self.device))
        self.mixtures = nn.ModuleList(LossMixture(n, self.hp.loss_window) for _ in self.nets)
        self.register_buffer("corrected", self.task.noisy_labels.clone())
        # Whom each network has divided: told anew in the epoch that uses it, so no part of a checkpoint.
        self.drawn = [torch.arange(n, device=self.device)] * 2

    def train_epoch(self, epoch: int) -> None:
        first, second = self.nets
        if epoch < self.hp.warmup_epochs:
            self.warm_up(first)
            self.warm_up(second)
            return
        self.divide()
        self.mixmatch(epoch, 0)
        self.mixmatch(epoch, 1)

    @property
    def warmup_batch(self) -> int:
        """Samples in a batch of the warm-up: as many as a labelled and an unlabelled one together."""
        return 2 * self.task.batch_size

    def warm_up(self, net: Backbone) -> None:
        """Cross-entropy on the given labels."""

        def clip() -> None:
            nn.utils.clip_grad_norm_(net.parameters(), self.hp.warmup_clip)

        edit = None if self.hp.warmup_clip is None else clip
        for batch in self.batches(batch_size=self.warmup_batch):
            logits = net(batch.view(self.hp.warmup_view))
            penalty = confidence_penalty(logits) if self.hp.conf_penalty else 0.0
            self.learn(F.cross_entropy(logits, batch.labels) + penalty, net, edit)

    def divide(self) -> None:
        """Co-divide: w_i, the posterior of the low-loss component, from each network (Sec. 3.1)."""
        self.divide_by(0)
        self.divide_by(1)

    def divide_by(self, k: int) -> None:
        """w of network k, for the samples that the other will be trained on."""
        self.drawn[k] = drawn = self.draw()
        losses = self.losses(self.nets[k], drawn)
        self.clean[k, drawn] = self.mixtures[k].posterior(losses, int(self.rng.integers(2**31)), drawn)

    def trusted(self, clean: Tensor) -> Tensor:
        """(M,) bool, the labelled set for w (M,): at least one sample, whatever the threshold."""
        return (clean > self.hp.p_threshold) | (clean >= clean.max())

    @property
    def forwards_unlabelled(self) -> bool:
        """Whether mixed rows of unlabelled images are trained on."""
        return bool(self.hp.unlabelled_rows)

    def mixmatch(self, epoch: int, k: int) -> None:
        """Trains network k for an epoch with the split of the other one (Algorithm 1, lines 7 to 25)."""
        hp, batch_size = self.hp, self.task.batch_size
        net, other, clean, drawn = self.nets[k], self.nets[1 - k], self.clean[1 - k], self.drawn[1 - k]
        trusted = self.trusted(clean[drawn])
        labelled_set, unlabelled_set = drawn[trusted], drawn[~trusted]
        steps = len(labelled_set) // batch_size + 1
        unlabelled = self.endless(unlabelled_set, batch_size=batch_size)
        net.train()
        other.eval()
        for step, (x, u) in enumerate(zip(self.batches(labelled_set, batch_size=batch_size), unlabelled)):
            rows, split = self.rows_of(net, other, x, u, clean)
            inputs, targets = (torch.cat(parts) for parts in zip(*rows, strict=True))
            lam = draw_lambda(hp.alpha, self.rng, at_least_half=True)
            order = torch.randperm(len(inputs), generator=self.generator, device=self.device)
            inputs, targets = mix(inputs, targets, lam, order)
            labelled = sum(len(images) for images, _ in rows[:split])
            if not self.forwards_unlabelled:
                inputs, targets = inputs[:labelled], targets[:labelled]
            logits = net(inputs)
            loss = soft_cross_entropy(logits[:labelled], targets[:labelled])
            probs = logits.softmax(1)
            if labelled < len(inputs):
                ramp = linear_rampup(epoch + step / steps, hp.warmup_epochs, hp.rampup_epochs)
                loss = loss + hp.lambda_u * ramp * (probs[labelled:] - targets[labelled:]).square().mean()
            self.learn(loss + hp.lambda_r * prior_penalty(probs), net)

    @torch.no_grad()
    def rows_of(
        self, net: Backbone, other: Backbone, x: Batch, u: Batch | None, clean: Tensor
    ) -> tuple[list[tuple[Tensor, Tensor]], int]:
        """(images, targets) blocks of a step, labelled ones first, and how many are labelled: co-refinement of
        the trusted labels by `net`, co-guessing of the others by both networks (Sec. 3.2)."""
        view, temperature = self.hp.guess_view, self.hp.T
        x1, x2 = x.view(view), x.view(view)
        w = clean[x.indices]
        seen = net.outputs(x1)
        p = (seen.logits.softmax(1) + net(x2).softmax(1)) / 2
        p = sharpen(w[:, None] * x.one_hot + (1 - w[:, None]) * p, temperature)
        self.corrected[x.indices] = p.argmax(1)
        rows = self.trained_rows(net, x, (x1, x2), p, w, seen)
        split = len(rows)
        if u is not None:
            u1, u2 = u.view(view), u.view(view)
            seen = net.outputs(u1)
            guesses = [seen.logits, net(u2), other(u1), other(u2)]
            q = sharpen(torch.stack([g.softmax(1) for g in guesses]).mean(0), temperature)
            self.corrected[u.indices] = q.argmax(1)
            rows += self.trained_rows(net, u, (u1, u2), q, clean[u.indices], seen)
        return rows, split

    def trained_rows(
        self, net: Backbone, batch: Batch, guessed: Pair, targets: Tensor, clean: Tensor, seen: Output | None
    ) -> list[tuple[Tensor, Tensor]]:
        """The blocks of a step that show `batch`: the views its targets were guessed from, and the extra ones.

        seen: `net` on the first of the two views, where there is that.
        """
        first, second = guessed
        rows = [self.rows(net, first, targets, batch.indices, clean=clean, output=seen), (second, targets)]
        return rows + [(batch.view(name), targets) for name in self.hp.extra_views]

    def predict(self, images: Tensor) -> Tensor:
        """The sum of both networks' logits."""
        return self.nets[0](images) + self.nets[1](images)

    def clean_score(self) -> Tensor | None:
        """w of Sec. 3.1, the mean over both networks; in warm-up the default."""
        return self.clean.mean(0) if self.mixtures[0].started else None

    def selected(self) -> Tensor:
        return self.clean.mean(0) > self.hp.p_threshold

    def corrected_labels(self) -> Tensor:
        return self.corrected
