"""The job: everything that determines one number, with its canonical form and content key.

Pure data, no torch. A `Job` is immutable and validated; two jobs with the same key give the same result.
How a job's hyperparameters come about (method, its table, suite, command line) is `resolve.py`'s business.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from lnlbench.settings import Settings, setting

LARGEST_SEED = 2**63 - 1
"""What every database's integer column holds."""
JOB_FORMAT = 1
"""Version of the canonical form; a change of meaning that old jobs do not share raises it."""

Scale = Literal["paper", "desk", "smoke"]
SCALES: tuple[Scale, ...] = ("paper", "desk", "smoke")


@dataclass(frozen=True)
class Noise(Settings):
    """Label noise by its lnlbench name (`lnlbench show noise NAME`) and what it is drawn with."""

    kind: ClassVar[str] = "noise setting"

    name: str = setting("clean", "lnlbench name of the noise")
    rate: float | None = setting(None, "the noise's rate; what it means is in `lnlbench show noise`", low=0, high=1)
    seed: int | None = setting(None, "seed of the draw; null is the job's seed", low=0, omit=None)
    sampling: Literal["exact", "exact-per-class", "independent"] | None = setting(
        None, "how samples are chosen; null is the noise's own way", omit=None
    )
    draw: Literal["ours", "released"] = setting(
        "ours", "'released' repeats the random calls of the released code", omit="ours"
    )
    targets: int | None = setting(
        None, "flip, flip2: seed of the target classes; null is the released lists", low=0, omit=None
    )
    variant: str | None = setting(None, "human: aggre, worst, random1, random2, random3, fine", omit=None)
    map: tuple[tuple[int, int], ...] | None = setting(None, "asymmetric: pairs [from, to] of classes", omit=None)
    matrix: tuple[tuple[float, ...], ...] | None = setting(
        None, "matrix: rows P(given = j | true = i)", low=0, high=1, omit=None
    )
    file: str | None = setting(None, "file: path of the noisy labels", omit=None)
    file_sha256: str | None = setting(None, "file: sha256 of the labels it holds, filled in when resolved", omit=None)
    double_flip: bool = setting(False, "asymmetric: look labels up in the already changed array", omit=False)
    std: float = setting(0.1, "instance: spread of the flip probability", above=0, omit=0.1)
    input_scale: Literal["uint8", "normalised"] = setting("uint8", "instance: scale of the pixels", omit="uint8")

    def label(self) -> str:
        """Short text for tables and progress: 'symmetric 50%', 'human worst', 'clean'."""
        parts = [self.name]
        if self.variant:
            parts.append(self.variant)
        if self.rate is not None:
            parts.append(f"{100 * self.rate:g}%")
        return " ".join(parts)


@dataclass(frozen=True)
class Optimizer(Settings):
    """The optimiser of every network of a method."""

    kind: ClassVar[str] = "optimizer setting"

    name: Literal["sgd", "adam", "adamw"] = setting("sgd", "which optimiser")
    lr: float = setting(0.02, "learning rate at the start", above=0)
    momentum: float = setting(0.9, "SGD momentum", low=0, below=1)
    nesterov: bool = setting(False, "SGD with Nesterov momentum")
    weight_decay: float = setting(5e-4, "L2 weight decay", low=0)
    betas: tuple[float, float] = setting((0.9, 0.999), "Adam's decay rates", low=0, below=1)


@dataclass(frozen=True)
class Schedule(Settings):
    """The learning rate over training: a factor on the optimiser's rate."""

    kind: ClassVar[str] = "schedule setting"

    name: Literal["constant", "multistep", "cosine", "linear"] = setting("multistep", "shape")
    milestones: tuple[float, ...] = setting((0.5,), "multistep: where it drops, in epochs, or fractions below 1", low=0)
    gamma: float = setting(0.1, "multistep: factor at each milestone", above=0, high=1)
    start: float = setting(0.0, "linear: epoch (or fraction below 1) from which the rate falls to 0", low=0)
    floor: float = setting(0.0, "cosine: factor at the end", low=0, high=1, omit=0.0)
    warmup: float = setting(0.0, "epochs of linear rise from 0", low=0)
    warmup_start: float = setting(0.0, "factor at which that rise starts instead", low=0, high=1, omit=0.0)
    per: Literal["epoch", "iteration"] = setting("epoch", "how often it moves")
    adam_beta1: float | None = setting(
        None, "linear: Adam's beta1 from `start` on (Co-teaching)", low=0, below=1, omit=None
    )


@dataclass(frozen=True)
class Recipe(Settings):
    """How a job is trained: network, length, optimiser, schedule, data as the networks see it."""

    kind: ClassVar[str] = "recipe setting"

    backbone: str = setting("preact_resnet18", "network, `lnlbench list backbones`")
    width: float = setting(1.0, "factor on the channel counts of the network", above=0)
    pretrained: str | None = setting(None, "initial weights: imagenet, or null", omit=None)
    epochs: int = setting(300, "passes over the training set", low=1)
    batch_size: int = setting(64, "samples a step", low=1)
    epoch_batches: int | None = setting(
        None,
        "batches of a pass, a new draw each time, balanced over the given labels; null passes over all",
        low=1,
        omit=None,
    )
    optimizer: Optimizer = setting(Optimizer(), "the optimiser")
    schedule: Schedule = setting(Schedule(), "the learning rate over training")
    clip_norm: float | None = setting(None, "gradient norm at which it is clipped", above=0)
    image_size: int | None = setting(None, "side to which images are resized when read; null keeps them", low=8)
    augment: Literal["none", "crop-flip", "crop"] = setting("crop-flip", "the weak view")
    crop: int | None = setting(
        None, "side of the weak view's random crop and of plain views' centre; null is the image's", low=8, omit=None
    )
    pad: int = setting(4, "pixels of padding before the random crop", low=0)
    padding: Literal["zero", "reflect"] = setting("zero", "what the padding holds")
    strong: Literal["randaugment", "randaugment-fixmatch", "randaugment-uda", "autoaugment", "autoaugment-imagenet"] = (
        setting("autoaugment", "policy of the strong view")
    )
    cutout: int = setting(0, "side of the square cut out of strong views; 0 is none", low=0)
    normalisation: str = setting("dataset", "mean and std: dataset, mwnet, whole, none")
    train_subset: int | None = setting(None, "training images kept, class-balanced; null keeps all", low=1)
    test_subset: int | None = setting(None, "test images kept, class-balanced; null keeps all", low=1)
    meta_size: int | None = setting(
        None,
        "training images held out, class-balanced, as a meta set for those who learn from one",
        low=1,
        omit=None,
    )
    validation: float = setting(0.0, "fraction of the noisy training set held out to pick an epoch", low=0, below=1)


@dataclass(frozen=True)
class Job(Settings):
    """One cell of the matrix for one seed. `key` is the sha256 of the canonical form."""

    kind: ClassVar[str] = "job setting"

    method: str = setting(doc="canonical method expression: gce, sanm(dividemix)")
    hyperparameters: dict[str, Any] = setting({}, "every hyperparameter, resolved")
    dataset: str = setting("digits", "data set, `lnlbench list datasets`")
    noise: Noise = setting(Noise(), "label noise")
    seed: int = setting(1, "seed of initial weights, order, augmentation", low=0, high=LARGEST_SEED)
    scale: Scale = setting("paper", "paper, desk or smoke")
    recipe: Recipe = setting(Recipe(), "how it is trained")
    method_version: int = setting(1, "version of the method's code, raised when its numbers change", low=1)

    @cached_property
    def canonical_text(self) -> str:
        """The canonical form as JSON: sorted names, no spaces, shortest floats."""
        form = {"format": JOB_FORMAT, **self.canonical()}
        return json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

    @cached_property
    def key(self) -> str:
        """sha256 of the canonical form, 64 hex digits; commands accept any unambiguous start of it."""
        return hashlib.sha256(self.canonical_text.encode()).hexdigest()

    @property
    def noise_seed(self) -> int:
        """Seed of the noise draw: the noise's own, else the job's."""
        return self.seed if self.noise.seed is None else self.noise.seed

    def label(self) -> str:
        """Short text for progress and messages."""
        return f"{self.method} {self.dataset} {self.noise.label()} seed {self.seed}"

    @classmethod
    def from_canonical(cls, text: str) -> Job:
        """The job of a stored canonical form (fields left out stand at their `omit` value)."""
        form = json.loads(text)
        form.pop("format", None)
        return cls.from_dict(form)
