"""RFL: one network, three losses on its features. (A) the target moves from the given label to the network's own
prediction; (B) a small decoder restores an image from the features of its distorted view; (C) a second head groups the
features by mutual information, alike for both views. B and C see no label; no sample is dropped.

No code was released and much of the recipe is unpublished. Ours are: the shape of alpha's decay, lambda 1, mu 4 (1 is
the equations as printed), as many clusters as classes, the constant target in R, the decoder, and T (torchvision's
RandAugment, 2 operations at magnitude 9, then a cutout, on the very crop that is to be restored); both views go
through one forward pass. Eq. 10 is taken of the batch's mean assignment: of each sample's, as printed, the gradient of
the mutual information would be 0. Eq. 12 and 13 take the logarithm twice; it is taken once.
"""

from functools import partial
from math import cos, log, pi
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lnlbench.data.task import Batch
from lnlbench.learning.losses import soft_cross_entropy
from lnlbench.learning.pseudo_labels import one_hot
from lnlbench.methods.base import Method, Restoration
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Row, dataclass, setting
from lnlbench.networks.decoder import build_light_decoder


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    bootstrap: bool = setting(True, "A: targets move to the network's predictions; else the given labels")
    restoration: bool = setting(True, "B: restore the image from its distorted view")
    cluster: bool = setting(True, "C: group the features by mutual information")
    alpha: Literal["linear", "cosine", "hold"] = setting("linear", "how the label's weight falls from 1 to 0")
    w_rec: float = setting(1.0, "weight of the restoration error", low=0)
    lambda_mi: float = setting(1.0, "lambda, weight of the mutual information", low=0)
    mu: float = setting(4.0, "extra weight of the evenness of clusters; 1 as printed", low=0)
    clusters: int | None = setting(None, "K; null: as many as classes", low=2)
    stopgrad: bool = setting(True, "the distorted view's assignment follows the plain one's, not it the other")
    classify_on: Literal["x", "t"] = setting("x", "view that A trains on: the plain one, or the distorted one")
    cutout: int | None = setting(
        None, "side of the square cut out of the distorted view; null: half the image's", low=0
    )


SPEC = MethodSpec(
    slug="rfl",
    title="RFL",
    family="regularisation",
    summary="Moves from labels to its own predictions, while restoring distorted images and clustering the features.",
    paper="Tai, Jhang, Hwang, Robust Feature Learning against Noisy Labels, arXiv 2307.04312, 2023",
    hyperparameters=Hyper,
    table=(Row(dataset=("clothing1m", "webvision"), set={"cutout": 64}),),
)


class RFL(Method):
    """Tai, Jhang, Hwang (2023), Eq. 14: L_bootstrap + L_rec + L_cluster, one optimiser over network and heads."""

    spec = SPEC
    corrected: Tensor
    assigned: Tensor

    def setup(self) -> None:
        self.net = self.network()
        size = self.task.image_shape[1]
        if self.hp.restoration:
            self.net.decoder = self.build(partial(build_light_decoder, self.net.map_shape(size), size))
        if self.hp.cluster:
            clusters = self.hp.clusters or self.task.num_classes
            self.net.clusters = self.build(partial(nn.Linear, self.net.feature_dim, clusters))
            # Sums over an epoch's samples: of the assignments, and last of their entropies.
            self.register_buffer("assigned", torch.zeros(clusters + 1, device=self.device))
        self.register_buffer("corrected", self.task.noisy_labels.clone())

    def label_weight(self, epoch: int) -> float:
        """alpha: 1 in the first epoch, 0 in the last one; `hold` stays at 1 for the first half."""
        if not self.hp.bootstrap:
            return 1.0
        done = epoch / max(1, self.task.epochs - 1)
        return {"linear": 1 - done, "cosine": 0.5 * (1 + cos(pi * done)), "hold": min(1.0, 2 - 2 * done)}[self.hp.alpha]

    def train_epoch(self, epoch: int) -> None:
        alpha = self.label_weight(epoch)
        if self.hp.cluster:
            self.assigned.zero_()
        for batch in self.batches():
            views = self.views_of(batch)
            seen = self.net.outputs(torch.cat(views))
            logits, features, maps = (part.split(len(batch)) for part in seen)
            loss = self.bootstrap_loss(logits[-1 if self.hp.classify_on == "t" else 0], batch, alpha)
            if self.hp.restoration:
                loss = loss + self.hp.w_rec * self.restoration_loss(maps[1], views[0])
            if self.hp.cluster:
                loss = loss + self.cluster_loss(features[0], features[1])
            self.learn(loss, self.net)

    def views_of(self, batch: Batch) -> tuple[Tensor, ...]:
        """x and T(x); x alone where no part looks at T(x)."""
        if not (self.hp.restoration or self.hp.cluster or self.hp.classify_on == "t"):
            return (batch.weak(),)
        side = self.task.image_shape[1] // 2 if self.hp.cutout is None else self.hp.cutout
        return batch.weak_and_distorted("randaugment", side)

    def bootstrap_loss(self, logits: Tensor, batch: Batch, alpha: float) -> Tensor:
        """Eq. 13: cross-entropy to alpha times the label and 1 - alpha times the prediction, one-hot."""
        predicted = logits.argmax(1)
        self.corrected[batch.indices] = batch.labels if alpha >= 0.5 else predicted
        return soft_cross_entropy(logits, alpha * batch.one_hot + (1 - alpha) * one_hot(predicted, logits.shape[1]))

    def restoration_loss(self, fmap: Tensor, images: Tensor) -> Tensor:
        """Eq. 3 and 4 as a mean: squared error of the decoder's image; large images are restored at half their size."""
        restored = self.net.get_submodule("decoder")(fmap).float()
        if restored.shape[-1] < images.shape[-1]:
            images = F.adaptive_avg_pool2d(images, restored.shape[-1])
        return F.mse_loss(restored, images)

    def cluster_loss(self, plain: Tensor, distorted: Tensor) -> Tensor:
        """Eq. 8 to 11 of pooled features (B, D): R + lambda (mu KL(mean assignment || uniform) + H(c|x))."""
        head = self.net.get_submodule("clusters")
        log_p, log_q = (head(features).float().log_softmax(1) for features in (plain, distorted))
        p = log_p.exp()
        target = p.detach() if self.hp.stopgrad else p
        consistency = -(target * log_q).sum(1).mean()
        entropies = -(p * log_p).sum(1)
        uncertainty, mean = entropies.mean(), p.mean(0)
        self.assigned += torch.cat([p.sum(0), entropies.sum()[None]]).detach()
        unevenness = (mean * (p.shape[1] * mean.clamp_min(1e-8)).log()).sum()
        return consistency + self.hp.lambda_mi * (self.hp.mu * unevenness + uncertainty)

    def watched(self) -> dict[str, float]:
        """cluster_information: I(image; cluster) over the epoch's plain views, 0 to log K nats. One that stays low is
        of a head stuck on few clusters."""
        if not self.hp.cluster:
            return {}
        *mass, entropy = self.assigned.double().tolist()
        total = sum(mass) or 1.0
        marginal = -sum(m / total * log(m / total) for m in mass if m > 0)
        return {"cluster_information": marginal - entropy / total}

    def corrected_labels(self) -> Tensor | None:
        return self.corrected if self.hp.bootstrap else None

    def restorations(self, batch: Batch) -> list[Restoration]:
        if not self.hp.restoration:
            return []
        original, distorted = self.views_of(batch)
        restored = self.net.get_submodule("decoder")(self.net.outputs(distorted).fmap).float()
        original = F.adaptive_avg_pool2d(original, restored.shape[-1])
        return [Restoration("net", original, distorted, restored)]
