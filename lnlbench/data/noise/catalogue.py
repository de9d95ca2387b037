"""What each noise name means: the table behind `lnlbench show noise NAME` and the errors about names.

Facts only; the matrices are in `definitions.py`, the drawing in `drawing.py`. The same word means different
noise in different papers, so ambiguous short names are refused here, with the name to write instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from lnlbench.errors import UnknownName, unknown_name

ALL_SAMPLINGS = ("exact", "exact-per-class", "independent")


class NoiseWarning(UserWarning):
    """A noise that is legal but probably not what is wanted (the true class is no longer the most likely one)."""


@dataclass(frozen=True)
class NoiseInfo:
    """One noise: texts for people, and what the checks need.

    rate_means: what the rate is a fraction of; empty where the noise takes none.
    sampling: how samples are chosen unless the job says otherwise; samplings: the choices.
    share: expected share of wrong labels at rate r on balanced classes, with C classes.
    bound: where the true class is the most likely given one.
    parameters: the fields of `job.Noise` that it takes.
    released_seed: the fixed seed of its released draw; None where that draw has no fixed seed.
    """

    name: str
    rate_means: str
    definition: str
    sampling: str
    used_by: str
    share: str
    bound: str
    parameters: tuple[str, ...]
    samplings: tuple[str, ...] = ()
    min_classes: int = 2
    released_seed: int | None = None

    @property
    def takes_rate(self) -> bool:
        """Whether a rate must be given."""
        return bool(self.rate_means) and self.name != "clean"


def _drawn(
    name: str,
    rate_means: str,
    definition: str,
    sampling: str,
    *,
    used_by: str,
    share: str,
    bound: str,
    extra: tuple[str, ...] = (),
    min_classes: int = 2,
    released_seed: int | None = None,
) -> NoiseInfo:
    """A class-conditional noise T = (1-r) I + r R, which can be drawn in all three ways."""
    parameters = ("rate", "seed", "sampling", *extra)
    return NoiseInfo(
        name,
        rate_means,
        definition,
        sampling,
        used_by,
        share,
        bound,
        parameters,
        ALL_SAMPLINGS,
        min_classes,
        released_seed,
    )


WRONG = "fraction of wrong labels"

_INFOS = (
    NoiseInfo(
        "clean",
        "absent or 0",
        "The labels as they are.",
        "",
        used_by="all",
        share="0",
        bound="always",
        parameters=("rate",),
    ),
    _drawn(
        "symmetric",
        "fraction of samples whose label is redrawn, true class included",
        "Exactly floor(rN) labels are redrawn uniformly over all C classes, so some of them stay right: "
        "T = (1-r) I + (r/C) J.",
        "exact",
        extra=("draw",),
        used_by="DivideMix, SANM, C2D, AugDesc, SSR, RRL, ELR (drawn alike), Joint-Optim, M-correction, Sel-CL",
        share="r(C-1)/C",
        bound="r < 1",
        released_seed=123,
    ),
    _drawn(
        "uniform",
        "probability that a label is redrawn, true class included",
        "The matrix of `symmetric`, every sample drawn on its own.",
        "independent",
        extra=("draw",),
        used_by="RMW-Net, MW-Net, GLC, PENCIL",
        share="r(C-1)/C",
        bound="r < 1",
    ),
    _drawn(
        "symmetric-exclusive",
        WRONG,
        "A label is wrong with probability r, uniformly over the other C-1 classes: T_ii = 1-r, T_ij = r/(C-1).",
        "independent",
        extra=("draw",),
        used_by="RFL, INCV, Co-teaching(+), CDR, GCE, Forward, SCE, APL, MOIT, PLC, SELFIE",
        share="r",
        bound="r < (C-1)/C",
        released_seed=0,
    ),
    _drawn(
        "flip",
        WRONG,
        "Each class has one fixed other class to which its labels go with probability r; "
        "several classes may share a target. `targets` draws other target classes than the released ones.",
        "independent",
        extra=("draw", "targets"),
        used_by="RMW-Net, GLC (in MW-Net's paper 'flip' is our flip2)",
        share="r",
        bound="r < 1/2",
    ),
    _drawn(
        "flip2",
        WRONG,
        "Each class has two fixed other classes to which its labels go with probability r/2 each. "
        "`targets` draws other target classes than the released ones.",
        "independent",
        extra=("draw", "targets"),
        used_by="RMW-Net, MW-Net (called flip in its paper)",
        share="r",
        bound="r < 2/3",
        min_classes=3,
    ),
    _drawn(
        "asymmetric",
        "fraction of samples sent through a class map, which may leave classes where they are",
        "Exactly floor(rN) samples get the class their class maps to. CIFAR-10: truck -> automobile, "
        "bird -> airplane, deer -> horse, cat <-> dog, the others stay. Digits: 7 -> 1, 2 -> 7, 3 -> 8, 5 <-> 6. "
        "Other data sets: give `map`. `double_flip` looks labels up in the already changed array, as some codes do.",
        "exact",
        extra=("draw", "map", "double_flip"),
        used_by="DivideMix, SANM, Forward, Joint-Optim, PENCIL, ELR (not RFL and INCV: theirs is pairflip)",
        share="r x share of samples in moved classes (CIFAR-10: r/2)",
        bound="r < 1/2",
        released_seed=123,
    ),
    _drawn(
        "pairflip",
        WRONG,
        "A label moves to the next class id, cyclic, with probability r.",
        "independent",
        extra=("draw",),
        used_by="RFL (as asymmetric), Co-teaching, INCV (as asym), SELFIE (as pair)",
        share="r",
        bound="r < 1/2",
        released_seed=0,
    ),
    _drawn(
        "superclass-next",
        WRONG,
        "A label moves to the next fine class of its superclass, cyclic, with probability r.",
        "independent",
        used_by="MOIT, Sel-CL, noisy_label_pretrain, as CIFAR-100 asymmetric",
        share="r",
        bound="r < 1/2",
    ),
    _drawn(
        "block-next",
        WRONG,
        "As superclass-next, but with five consecutive ids for a superclass: a widespread mistake, "
        "only 6 of CIFAR-100's 100 targets lie in the true superclass.",
        "independent",
        used_by="Forward, ELR, PLC, CDR, SCE, APL, Nested Co-teaching, as CIFAR-100 asymmetric",
        share="r",
        bound="r < 1/2",
        min_classes=5,
    ),
    _drawn(
        "hierarchical",
        WRONG,
        "A label moves to one of the other fine classes of its superclass, uniformly, with probability r.",
        "independent",
        used_by="GLC, MW-Net; C2D with sampling exact, as CIFAR-100 asymmetric",
        share="r",
        bound="r < (m-1)/m for m classes a superclass (CIFAR-100: 4/5)",
    ),
    _drawn(
        "tridiagonal",
        WRONG,
        "A label moves to the previous or the next class id, cyclic, with probability r/2 each.",
        "independent",
        used_by="CDR",
        share="r",
        bound="r < 2/3",
        min_classes=3,
    ),
    NoiseInfo(
        "instance",
        "mean of the per-sample flip probability, before its truncation to [0, 1]",
        "Sample i is wrong with probability q_i ~ Normal(r, std^2) truncated to [0, 1]; which wrong class is drawn "
        "from softmax(x_i W_y) with one standard normal W per true class (part-dependent label noise).",
        "independent",
        used_by="Xia et al. (part-dependent label noise), CDR",
        share="E q: 0.1288 0.2055 0.3004 0.4000 0.5000 at r = 0.1 to 0.5",
        bound="depends on the sample",
        parameters=("rate", "seed", "sampling", "std", "input_scale"),
        samplings=("independent",),
    ),
    NoiseInfo(
        "human",
        "",
        "Labels given by people: CIFAR-10N (variant aggre, worst, random1, random2, random3) and "
        "CIFAR-100N (variant fine), read from CIFAR-10_human.pt and CIFAR-100_human.pt.",
        "",
        used_by="CIFAR-N",
        share="aggre 0.0901, random1 0.1723, random2 0.1812, random3 0.1764, worst 0.4021, fine 0.4020",
        bound="per class: aggre, random and worst everywhere, fine in all but classes 59, 74, 81",
        parameters=("variant",),
    ),
    NoiseInfo(
        "matrix",
        "",
        "Every sample draws from its row of your matrix, P(given = j | true = i); rows sum to 1.",
        "independent",
        used_by="your own",
        share="1 - mean of the diagonal",
        bound="each row's diagonal is its largest entry",
        parameters=("seed", "sampling", "matrix"),
        samplings=("independent",),
    ),
    NoiseInfo(
        "file",
        "",
        "Labels from a file in the data set's order: JSON list, SSR's JSON dict, .npy, CSV with index,label.",
        "",
        used_by="anybody's released labels, e.g. PLC's pmd files",
        share="measured when read",
        bound="depends on the file",
        parameters=("file", "file_sha256"),
    ),
    NoiseInfo(
        "real",
        "",
        "The data set came noisy; its labels stay as they are.",
        "",
        used_by="Clothing1M, Animal-10N, WebVision, Food-101N",
        share="unknown",
        bound="unknown",
        parameters=(),
    ),
)

CATALOGUE: dict[str, NoiseInfo] = {entry.name: entry for entry in _INFOS}
"""Every noise that can be run, by name."""

ALIASES = {
    "sym": "symmetric",
    "unif": "uniform",
    "asym": "asymmetric",
    "pair": "pairflip",
    "symmetric_ex": "symmetric-exclusive",
    "sym-ex": "symmetric-exclusive",
}

_PMD = (
    "needs a network trained on the clean labels, which lnlbench does not draw noise with.",
    "Use PLC's released label files: name: file, file: <path of PLC's .npy>. They cover the first 45,000 images.",
)
_NOT_DRAWN = {
    "pmd1": _PMD,
    "pmd2": _PMD,
    "pmd3": _PMD,
    "openset": (
        "replaces images, not labels, and is not implemented.",
        "Label noise on the same data: symmetric or asymmetric; labels from elsewhere: file.",
    ),
}


def info(name: str) -> NoiseInfo:
    """The entry of a noise. UnknownName for a name that cannot be run: an alias, pmd, openset, a typo."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    if name in ALIASES:
        meant = CATALOGUE[ALIASES[name]]
        raise UnknownName(
            f"noise {name!r} is not a name here: papers mean different noises by it.",
            f"lnlbench's name is {meant.name!r}: {meant.definition} If that is meant, write name: {meant.name}.",
        )
    if name in _NOT_DRAWN:
        why, instead = _NOT_DRAWN[name]
        raise UnknownName(f"noise {name!r} {why}", instead)
    raise unknown_name("noise", name, CATALOGUE, command="lnlbench list noises")
