"""SANM, a plug-in over any host: it also trains on images whose most telling region is painted over, with a
label of lowered confidence, and asks a small decoder to restore what was painted over.

Three parts that can be switched apart: amg (adversarial masks), nlr (labels), smr (reconstruction). Variant
`paper` is the equations, `official` the released CIFAR script (yuanpengtu/SANM), views and all; its length (361
epochs, one drop at 150) is the recipe's, and of its Clothing1M script, which cannot have made the table, only
beta is here. Paper and code differ on the label that Eq. 7 lowers: it is the host's target. For hosts that train
on the given labels no source says it, and it is the label refined by the prediction, G e_y + (1 - G) p, the only
reading that shows the published gap of best and last; `label_source` given is Eq. 7 to the letter.
"""

from collections import defaultdict
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lnlbench.data.task import Batch
from lnlbench.learning import masking
from lnlbench.learning.mixtures import LossMixture
from lnlbench.methods.base import Plugin, Restoration
from lnlbench.methods.spec import Hyperparameters, MethodSpec, Requires, Row, dataclass, setting
from lnlbench.networks.base import Backbone, Output
from lnlbench.networks.decoder import build_decoder


@dataclass(frozen=True)
class Hyper(Hyperparameters):
    variant: Literal["paper", "official"] = setting("paper", "the paper's equations, or the released CIFAR script")
    amg: bool = setting(True, "paint rectangles over the image")
    nlr: bool = setting(True, "lower the label's confidence with the mask ratio")
    smr: bool = setting(True, "restore the unpainted image from the painted one's features")
    strategy: Literal["sanm", "fixed", "random", "two_level"] = setting("sanm", "how the mask ratio is chosen")
    mu: float = setting(
        0.2, "mask ratio: mu(1-G) at the peak and mu G at the valley; of fixed: the ratio", low=0, high=1
    )
    low: float = setting(0.2, "random: smallest ratio", low=0, high=1)
    high: float = setting(0.4, "random: largest ratio", low=0, high=1)
    clean_ratio: float = setting(0.2, "two_level: ratio where G >= 0.5", low=0, high=1)
    noisy_ratio: float = setting(0.3, "two_level: ratio where G < 0.5", low=0, high=1)
    aspect: Literal["uniform", "fixed"] = setting("uniform", "height over width: U(delta, 1/delta), or delta for all")
    delta: float = setting(0.8, "bound of the aspect ratio", above=0, high=1)
    activation: Literal["cam", "squared", "random"] = setting(
        "cam", "class activation map, the sum of squared features, or drawn numbers (a control: anywhere)"
    )
    locate: Literal["upsample", "cell"] = setting("upsample", "extrema of the enlarged map, or of its cells")
    views: Literal["joint", "separate"] = setting("joint", "both rectangles in one image, or an image for each")
    beta: float = setting(1.0, "weight of the reconstruction error", low=0)
    loss_window: int = setting(1, "epochs of losses averaged for G; the released code has 5 at 90% noise", low=1)
    start_epoch: int | None = setting(
        None, "first masked epoch; null: after the host's warm-up, else 10 (C=10) or 20", low=0
    )
    keep_original: bool = setting(False, "hosts on given labels: train on the unpainted image too")
    ratio_source: Literal["clean", "random"] = setting("clean", "G of the mixture, or a uniform number (a control)")
    label_source: Literal["refined", "given"] = setting(
        "refined",
        "hosts on given labels: Eq. 7 lowers the label refined by the prediction, or the given one (a control)",
        omit="refined",
    )
    mask_source: Literal["own", "pretrained"] = setting(
        "own",
        "network that shows where to paint: the one in training, or that of the finished host (Table 4)",
        omit="own",
    )


# The released script's datasets, and digits that stand for them; and what it trains hosts of the DivideMix family on.
SCRIPTED = ("cifar10", "cifar100", "digits")
OFFICIAL_HOST = {
    "host.guess_view": "autoaugment",
    "host.extra_views": ("randaugment-fixmatch", "randaugment-fixmatch"),
    "host.warmup_view": "jitter-affine",
    "host.warmup_clip": 1.0,
    "host.lambda_u": 25.0,
}
OFFICIAL_HOST_CIFAR100 = {"host.warmup_epochs": 20}
CIFAR_RECIPE = {"recipe.epochs": 300, "recipe.schedule.milestones": (150,)}

SPEC = MethodSpec(
    slug="sanm",
    title="SANM",
    family="regularisation (plug-in)",
    summary="Adds images masked where the network looks, with softened labels, and a decoder that restores them.",
    paper="Tu et al., Learning with Noisy Labels via Self-supervised Adversarial Noisy Masking, CVPR 2023",
    code="yuanpengtu/SANM",
    hyperparameters=Hyper,
    plugin=True,
    requires=(Requires("mask_networks", given={"mask_source": "pretrained"}),),
    hosts=("ce", "coteaching", "cdr", "elr_plus", "dividemix", "c2d", "ssr"),
    table=(
        Row(given={"variant": "official"}, set={"activation": "squared", "views": "separate", "beta": 0.02}),
        Row(given={"variant": "official"}, dataset="clothing1m", set={"beta": 0.3}),
        Row(given={"variant": "official"}, host=("dividemix", "c2d"), dataset=SCRIPTED, set=OFFICIAL_HOST),
        Row(given={"variant": "official"}, host="c2d", dataset="cifar10", set={"host.warmup_epochs": 10}),
        Row(given={"variant": "official"}, host=("dividemix", "c2d"), dataset="cifar100", set=OFFICIAL_HOST_CIFAR100),
        # The paper's for all of CIFAR; the host has its own.
        Row(host="c2d", dataset=("cifar10", "cifar100"), set=CIFAR_RECIPE),
    ),
)


class SANM(Plugin):
    """Tu et al. (2023), Algorithm 1. `clean` holds G of each network: (K, N)."""

    spec = SPEC
    clean: Tensor
    mixtures: Any
    guides: Any

    def setup(self) -> None:
        self.nets = list(self.host.backbones().values())
        n, size = self.task.num_samples, self.task.image_shape[1]
        # At 224 pixels the released decoder leaves half of the image to the bias alone.
        kind: Literal["ours", "paper"] = "ours" if self.hp.variant == "paper" and size == 224 else "paper"
        self.painted: defaultdict[nn.Module, list[tuple[list[Tensor], Tensor]]] = defaultdict(list)
        self.seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        for net in self.nets if self.hp.smr else ():
            net.decoder = self.build(partial(build_decoder, net.map_shape(size), size, kind))
            net.trunk.register_forward_hook(partial(self.remember, net))
        self.guides = nn.ModuleList(self.guide(name) for name in self.host.backbones() if self.frozen_masks)
        self.register_buffer("clean", torch.ones(len(self.nets), n, device=self.device))
        self.mixtures = nn.ModuleList(LossMixture(n, self.hp.loss_window) for _ in self.nets)
        warm_up = getattr(self.host.hp, "warmup_epochs", 10 if self.task.num_classes <= 10 else 20)
        self.start = warm_up if self.hp.start_epoch is None else self.hp.start_epoch
        self.active = False

    @property
    def frozen_masks(self) -> bool:
        """Whether networks of a finished run show where to paint, in place of those in training."""
        return bool(self.hp.mask_source == "pretrained")

    def guide(self, name: str) -> Backbone:
        """The host's network `name` as its finished run left it."""
        net, state = self.network(), self.task.need("mask_networks")[name]
        # A host may have hung heads of its own on its network.
        net.load_state_dict({key: state[key] for key in net.state_dict()})
        return net.requires_grad_(False)

    def begin_epoch(self, epoch: int) -> None:
        """From `start` on: G, where the host has none of its own (Eq. 2 uses it)."""
        self.guides.eval()
        self.active = epoch >= self.start
        if self.active and not self.host.lends_clean:
            for k, (net, mixture) in enumerate(zip(self.nets, self.mixtures, strict=True)):
                self.clean[k] = mixture.posterior(self.losses(net), seed=int(self.rng.integers(2**31)))

    @torch.no_grad()
    def rows(
        self,
        net: Backbone,
        images: Tensor,
        targets: Tensor,
        indices: Tensor,
        *,
        given: bool = False,
        keep: bool = False,
        clean: Tensor | None = None,
        output: Output | None = None,
        predicted: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        if not self.active:
            return images, targets
        seen = output or net.outputs(images)
        if clean is None:
            # With two networks each takes the other's, as co-trained hosts do.
            clean = self.clean[(self.nets.index(net) + 1) % len(self.nets)][indices]
        if self.hp.ratio_source == "random":
            ratio_clean = torch.rand(clean.shape, generator=self.generator, device=self.device)
        else:
            ratio_clean = clean
        refined = targets
        if given and self.hp.label_source == "refined":
            own = seen.logits.softmax(1) if predicted is None else predicted
            refined = clean[:, None] * targets + (1 - clean[:, None]) * own
        painted, ratio = self.paint(net, images, seen, ratio_clean)
        labels = masking.shifted_labels(refined, ratio) if self.hp.nlr else refined
        if self.hp.smr:
            self.painted[net].append((painted, images))
        images_out, targets_out = painted, [labels] * len(painted)
        if not given or keep:
            images_out, targets_out = [images, *painted], [targets, *targets_out]
        elif self.hp.keep_original:
            images_out, targets_out = [images, *painted], [refined, *targets_out]
        if len(images_out) == 1:
            return images_out[0], targets_out[0]
        return torch.cat(images_out), torch.cat(targets_out)

    def paint(self, net: Backbone, images: Tensor, seen: Output, clean: Tensor) -> tuple[list[Tensor], Tensor]:
        """AMG (Eq. 1 to 5): the painted views, and the ratio (B,) by which their labels move. clean: G (B,)."""
        hp, size = self.hp, (images.shape[2], images.shape[3])
        peak_ratio, valley_ratio, moved = self.ratios(clean)
        if not hp.amg:
            return [images], moved
        if self.frozen_masks:
            net = self.guides[self.nets.index(net)]
            seen = net.outputs(images)
        if hp.activation == "random":
            maps = self.uniform(len(images), *seen.fmap.shape[2:])
        elif hp.activation == "cam" and net.linear_head:
            maps = masking.class_activation_map(seen.fmap, net.head.weight, seen.logits.argmax(1))
        else:
            maps = masking.squared_activation_map(seen.fmap)
        place = masking.cornered_rectangles if hp.variant == "official" else masking.centred_rectangles
        first = self.aspects(len(images))
        second = first if hp.variant == "official" else self.aspects(len(images))
        peak, valley = masking.extrema(maps, size, hp.locate)
        over_peak = place(peak, peak_ratio, first, size)
        if valley_ratio is None:
            return [self.fill(images, over_peak)], moved
        over_valley = place(valley, valley_ratio, second, size)
        if hp.views == "joint":
            return [self.fill(images, over_peak | over_valley)], moved
        return [self.fill(images, over_peak), self.fill(images, over_valley)], moved

    def ratios(self, clean: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Ratios (B,) of the rectangle at the peak, of the one at the valley (None: no such rectangle), and of
        the label's move (Eq. 2 and 7)."""
        hp = self.hp
        if hp.strategy == "fixed":
            ratio = torch.full_like(clean, hp.mu)
        elif hp.strategy == "random":
            ratio = hp.low + (hp.high - hp.low) * self.uniform(len(clean))
        elif hp.strategy == "two_level":
            ratio = torch.where(clean < 0.5, hp.noisy_ratio, hp.clean_ratio)
        elif hp.variant == "official":
            # One draw s; both rectangles have area s/2, and -s, +s/(C-1) is Eq. 7 with s C/(C-1).
            s = 0.02 + 0.05 * self.uniform(len(clean)) + 0.03 * (1 - clean)
            return s / 2, s / 2, s * self.task.num_classes / (self.task.num_classes - 1)
        else:
            return hp.mu * (1 - clean), hp.mu * clean, hp.mu * (1 - clean)
        return ratio, None, ratio

    def aspects(self, count: int) -> Tensor:
        """(count,) height over width."""
        low, high = self.hp.delta, 1 / self.hp.delta
        if self.hp.aspect == "fixed":
            return torch.full((count,), low, device=self.device)
        return low + (high - low) * self.uniform(count)

    def fill(self, images: Tensor, mask: Tensor) -> Tensor:
        """Noise in place of the masked pixels: U(0, 1) per pixel and channel before normalisation (Eq. 5);
        officially one number per channel, in the normalised image."""
        if self.hp.variant == "official":
            return torch.where(mask, self.uniform(len(images), 3, 1, 1).to(images.dtype), images)
        noise = self.engine.views.normalise(self.uniform(*images.shape))
        return torch.where(mask, noise.to(images.dtype), images)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device)

    def remember(self, net: Backbone, trunk: nn.Module, args: tuple[Tensor], fmap: Tensor) -> None:
        """Keeps the map of a painted batch that the host forwards as it is, so that SMR need not do it again."""
        if torch.is_grad_enabled() and any(args[0] is view for views, _ in self.painted.get(net, ()) for view in views):
            self.seen[net] = (args[0], fmap)

    def penalty(self, net: nn.Module) -> Tensor | None:
        """SMR: beta times the mean squared error of the restored image; `separate`: summed over both views."""
        painted = self.painted.pop(net, [])
        seen = self.seen.pop(net, None)
        pairs = [(view, images) for views, images in painted for view in views]
        if not pairs:
            return None
        inputs, originals = (torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*pairs, strict=True))
        fmap = seen[1] if seen is not None and seen[0] is inputs else net.get_submodule("trunk")(inputs)
        error = (net.get_submodule("decoder")(fmap).float() - originals).square().mean()
        return self.hp.beta * error * len(painted[0][0])

    def clean_score(self) -> Tensor | None:
        """G, the mean over the networks; the host's own where it lends it."""
        if self.host.lends_clean or not self.active:
            return self.host.clean_score()
        return self.clean.mean(0)

    def restorations(self, batch: Batch) -> list[Restoration]:
        """SMR: every painted view as its network's decoder restores it. G, unknown here, is taken as a half."""
        if not self.hp.smr:
            return self.host.restorations(batch)
        images, found = batch.plain(), []
        clean = torch.full((len(images),), 0.5, device=self.device)
        for name, net in self.host.backbones().items():
            for view in self.paint(net, images, net.outputs(images), clean)[0]:
                restored = net.get_submodule("decoder")(net.get_submodule("trunk")(view))
                found.append(Restoration(name, images, view, restored.float()))
        return found
