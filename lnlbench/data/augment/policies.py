"""Which operation a sample gets and how strongly: AutoAugment, RandAugment, cutout, colour jitter.

A policy is a table of choices; a draw picks rows per sample, and `apply_step` carries out one operation a
sample in three passes over the batch (affine, table, enhance) whatever the operations are: grouping samples by
operation would cost a host read per group on a GPU. Not for normalising (see views.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Generator, Tensor

from lnlbench.data.augment.geometry import affine_nearest, coin, uniform
from lnlbench.data.augment.pixels import CODE, blend, colour_degenerate, enhance, hue, lookup, luma
from lnlbench.data.augment.subpolicies import AUTOAUGMENT_CIFAR10, AUTOAUGMENT_IMAGENET, Choice

Table = tuple[tuple[Choice, Choice], ...]

RANDAUGMENT_OPERATIONS = tuple(CODE)[:-1]
"""RandAugment's 14 operations: all but invert."""

TRANSLATE_MAX = 150 / 331  # of the side, at the highest magnitude
GRAY_FILL = 128
CUTOUT = len(CODE)
"""Code of cutout where a policy has it among its operations; `apply_step` leaves such samples as they are."""
CODES = {**CODE, "cutout": CUTOUT}
UDA_OPERATIONS = tuple(CODES)[1:]
"""The 15 operations of SSR's RandAugment: all but identity."""
UDA_COLOUR = (125, 122, 113)


def apply_step(images: Tensor, op_index: Tensor, magnitude: Tensor, fill: int = 0) -> Tensor:
    """One operation on each sample.

    images: (B, 3, H, W) uint8. op_index: (B,) int64, codes of `pixels.OPERATIONS`. magnitude: (B,) floating in
    the operation's own unit: shear slope; translate pixels (above 0 moves the picture left or up); rotate
    degrees counter-clockwise; brightness, color, contrast, sharpness factor (1 is the original); posterize bits
    kept; solarize threshold; not read for the others. fill: what comes in from outside.
    Returns (B, 3, H, W) uint8; equals PIL's operations with nearest-pixel geometry.
    """
    matrix = step_matrix(op_index, magnitude, *images.shape[-2:])
    images = affine_nearest(images, matrix, fill)
    return enhance(lookup(images, op_index, magnitude), op_index, magnitude)


def step_matrix(op_index: Tensor, magnitude: Tensor, height: int, width: int) -> Tensor:
    """(B, 2, 3) float64 matrices of `apply_step`; the identity where the operation moves nothing."""

    def amount(name: str) -> Tensor:
        return torch.where(op_index == CODE[name], magnitude.double(), 0)

    angle = -torch.deg2rad(amount("rotate"))
    cos, sin = torch.cos(angle), torch.sin(angle)
    x, y = width / 2, height / 2
    top = (cos, sin + amount("shear_x"), x - x * cos - y * sin + amount("translate_x"))
    bottom = (amount("shear_y") - sin, cos, y + x * sin - y * cos + amount("translate_y"))
    return torch.stack(top + bottom, -1).view(-1, 2, 3)


@dataclass(frozen=True)
class Policy:
    """A table of R rows of S operations, from which every sample draws `rounds` rows, uniformly.

    op: (R, S) int64 codes. probability: (R, S), that the operation is done. base, spread: (R, S) float64; the
    magnitude is base + spread or base - spread with equal chance. fill: value from outside the image.
    """

    op: Tensor
    probability: Tensor
    base: Tensor
    spread: Tensor
    rounds: int
    fill: int

    def rows(self, batch: int, generator: Generator) -> Tensor:
        """(rounds, batch) int64 rows of the table."""
        return torch.randint(len(self.op), (self.rounds, batch), generator=generator, device=generator.device)

    def steps(self, rows: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Operations and magnitudes, each (rounds * S, batch), of the drawn rows; 'identity' where not done."""
        shape = (2, *rows.shape, self.op.shape[1])
        done, sign = torch.rand(shape, generator=generator, device=generator.device).unbind(0)
        op = torch.where(done < self.probability[rows], self.op[rows], CODE["identity"])
        spread = self.spread[rows]
        magnitude = self.base[rows] + torch.where(sign < 0.5, spread, -spread)
        return op.transpose(1, 2).flatten(0, 1), magnitude.transpose(1, 2).flatten(0, 1)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """The policy on (B, 3, H, W) uint8 images, a new draw for each sample. Same shape and dtype."""
        ops, magnitudes = self.steps(self.rows(len(images), generator), generator)
        for op, magnitude in zip(ops, magnitudes, strict=True):
            images = apply_step(images, op, magnitude, self.fill)
        return images


def autoaugment(images: Tensor, generator: Generator) -> Tensor:
    """AutoAugment's CIFAR-10 policy as AugDesc and SANM run it, on (B, 3, H, W) uint8 images.

    Gray fill, real-valued translation, rotation always counter-clockwise. One approximation: their shear is
    bicubic, ours nearest. Any image size; translations are fractions of the side.
    """
    return autoaugment_policy(*images.shape[-2:], generator.device)(images, generator)


def autoaugment_imagenet(images: Tensor, generator: Generator) -> Tensor:
    """AutoAugment's ImageNet policy as AugDesc runs it on Clothing1M; otherwise as `autoaugment`."""
    return autoaugment_policy(*images.shape[-2:], generator.device, AUTOAUGMENT_IMAGENET)(images, generator)


def autoaugment_torchvision(images: Tensor, generator: Generator) -> Tensor:
    """AutoAugment's CIFAR-10 policy with torchvision's choices: black fill, whole pixels, rotation either way."""
    return autoaugment_torchvision_policy(*images.shape[-2:], generator.device)(images, generator)


def randaugment(images: Tensor, generator: Generator) -> Tensor:
    """torchvision's RandAugment, 2 operations at magnitude 9 of 30. RFL names no parameters: these are ours."""
    return randaugment_policy(*images.shape[-2:], generator.device)(images, generator)


def randaugment_fixmatch(images: Tensor, generator: Generator) -> Tensor:
    """RandAugment of SANM's code: 2 operations, each at a level 1..9 with probability 1/2, then a gray cutout."""
    images = randaugment_fixmatch_policy(*images.shape[-2:], generator.device)(images, generator)
    return gray_cutout(images, generator)


def randaugment_uda(images: Tensor, generator: Generator) -> Tensor:
    """RandAugment of SSR's code, after UDA's: 2 of 15 operations, each at a level 1..9 with probability 1/2.

    Gray fill and magnitudes of `autoaugment`, its nearest shear too; one of the operations is `colour_cutout`.
    """
    policy = randaugment_uda_policy(*images.shape[-2:], generator.device)
    for op, magnitude in zip(*policy.steps(policy.rows(len(images), generator), generator), strict=True):
        images = apply_step(images, op, magnitude, policy.fill)
        images = colour_cutout(images, torch.where(op == CUTOUT, magnitude, 0), generator)
    return images


STRONG: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "autoaugment": autoaugment,
    "autoaugment-imagenet": autoaugment_imagenet,
    "autoaugment-torchvision": autoaugment_torchvision,
    "randaugment": randaugment,
    "randaugment-fixmatch": randaugment_fixmatch,
    "randaugment-uda": randaugment_uda,
}
"""Strong policies by name."""


@lru_cache(maxsize=16)
def autoaugment_policy(height: int, width: int, device: torch.device, table: Table = AUTOAUGMENT_CIFAR10) -> Policy:
    """The policy of `autoaugment`, or of another table of sub-policies."""
    return _autoaugment_policy(table, partial(_pil_magnitude, height=height, width=width), GRAY_FILL, device)


@lru_cache(maxsize=16)
def autoaugment_torchvision_policy(height: int, width: int, device: torch.device) -> Policy:
    """The table of `autoaugment_torchvision`."""

    def magnitude(name: str, index: float) -> tuple[float, float]:
        return _whole_pixels(name, _magnitude(name, index / 9, height, width))

    return _autoaugment_policy(AUTOAUGMENT_CIFAR10, magnitude, 0, device)


@lru_cache(maxsize=16)
def randaugment_policy(height: int, width: int, device: torch.device, operations: int = 2, level: int = 9) -> Policy:
    """The table of `randaugment`: `operations` draws from 14, all at `level` of 0..30."""
    rows = [
        [(name, 1.0, *_whole_pixels(name, _magnitude(name, level / 30, height, width)))]
        for name in RANDAUGMENT_OPERATIONS
    ]
    return _policy(rows, operations, 0, device)


@lru_cache(maxsize=16)
def randaugment_fixmatch_policy(height: int, width: int, device: torch.device) -> Policy:
    """The table of `randaugment_fixmatch`: 14 operations at 9 levels, one row each."""
    rows = [
        [(name, 0.5, *_fixmatch_magnitude(name, level, height, width))]
        for name in RANDAUGMENT_OPERATIONS
        for level in range(1, 10)
    ]
    return _policy(rows, 2, 0, device)


@lru_cache(maxsize=16)
def randaugment_uda_policy(height: int, width: int, device: torch.device) -> Policy:
    """The table of `randaugment_uda`: 15 operations at 9 levels, one row each; cutout's magnitude is half its side."""
    rows = [
        [(name, 0.5, *_pil_magnitude(name, level, height, width))] for name in UDA_OPERATIONS for level in range(1, 10)
    ]
    return _policy(rows, 2, GRAY_FILL, device)


def _policy(
    rows: Sequence[Sequence[tuple[str, float, float, float]]], rounds: int, fill: int, device: torch.device
) -> Policy:
    op = torch.tensor([[CODES[name] for name, *_ in row] for row in rows], device=device)
    numbers = torch.tensor([[cell[1:] for cell in row] for row in rows], dtype=torch.float64, device=device)
    probability, base, spread = numbers.unbind(-1)
    return Policy(op, probability, base, spread, rounds, fill)


def _autoaugment_policy(
    table: Table, magnitude: Callable[[str, float], tuple[float, float]], fill: int, device: torch.device
) -> Policy:
    rows = [[(name, p, *magnitude(name, index)) for name, p, index in pair] for pair in table]
    return _policy(rows, 1, fill, device)


def _magnitude(name: str, strength: float, height: int, width: int) -> tuple[float, float]:
    """(base, spread) of an operation at strength 0..1 of the ranges that both policies share in torchvision."""
    if name in ("shear_x", "shear_y"):
        return 0.0, 0.3 * strength
    if name in ("translate_x", "translate_y"):
        return 0.0, TRANSLATE_MAX * strength * (width if name == "translate_x" else height)
    if name == "rotate":
        return 0.0, 30 * strength
    if name in ("brightness", "color", "contrast", "sharpness"):
        return 1.0, 0.9 * strength
    if name == "posterize":
        return 8.0 - round(4 * strength), 0.0
    return (255 * (1 - strength), 0.0) if name == "solarize" else (0.0, 0.0)


def _pil_magnitude(name: str, index: float, height: int, width: int) -> tuple[float, float]:
    """(base, spread) at index 0..9 of the ranges of AutoAugment's PIL ports."""
    base, spread = _magnitude(name, index / 9, height, width)
    if name == "rotate":
        return spread, 0.0
    if name == "cutout":
        return float(round(20 * index / 9) // 2), 0.0
    return (256 * (1 - index / 9), 0.0) if name == "solarize" else (base, spread)


def _whole_pixels(name: str, magnitude: tuple[float, float]) -> tuple[float, float]:
    base, spread = magnitude
    return (base, float(int(spread))) if name in ("translate_x", "translate_y") else (base, spread)


def _fixmatch_magnitude(name: str, level: int, height: int, width: int) -> tuple[float, float]:
    """(base, spread) at level 1..9 of SANM's `randaugment.py`."""
    if name in ("shear_x", "shear_y"):
        return 0.0, 0.03 * level
    if name in ("translate_x", "translate_y"):
        return 0.0, float(int(0.03 * level * (width if name == "translate_x" else height)))
    if name == "rotate":
        return 0.0, 3.0 * level
    if name in ("brightness", "color", "contrast", "sharpness"):
        return 0.09 * level + 0.05, 0.0
    if name == "posterize":
        return 4.0 + int(0.4 * level), 0.0
    return (256.0 - int(25.6 * level), 0.0) if name == "solarize" else (0.0, 0.0)


def gray_cutout(images: Tensor, generator: Generator) -> Tensor:
    """FixMatch's cutout on uint8 images: a rectangle of value 127 with half the side (16 at 32).

    Its corner is uniform in the image, moved left and up by half its side and clipped at 0; both ends are
    inside (17 pixels where it fits). images: (B, C, H, W) uint8; a new tensor is returned.
    """
    batch, _, height, width = images.shape
    corner = torch.rand(2, batch, generator=generator, device=generator.device)
    rows = _span(corner[0] * height, height)
    columns = _span(corner[1] * width, width)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 127)


def _span(position: Tensor, size: int) -> Tensor:
    side = size // 2
    start = (position - side / 2).clamp_(min=0).floor_()[:, None]
    pixel = torch.arange(size, device=position.device)
    return (pixel >= start) & (pixel <= start + side)


def colour_cutout(images: Tensor, half: Tensor, generator: Generator) -> Tensor:
    """UDA's cutout as SSR's code has it: a square around a pixel drawn uniformly, cut at the border, in mean colour.

    images: (B, 3, H, W) uint8. half: (B,) how far the square reaches before and, that pixel included, after its
    pixel, at 0 not at all. Returns a new tensor.
    """
    batch, _, height, width = images.shape
    mask = _around(batch, height, half, generator)[:, :, None] & _around(batch, width, half, generator)[:, None, :]
    return torch.where(mask[:, None], _uda_colour(images.device), images)


def _around(batch: int, size: int, half: Tensor, generator: Generator) -> Tensor:
    centre = torch.randint(size, (batch, 1), generator=generator, device=generator.device)
    distance = torch.arange(size, device=generator.device) - centre
    return (distance >= -half[:, None]) & (distance < half[:, None])


@lru_cache(maxsize=4)
def _uda_colour(device: torch.device) -> Tensor:
    return torch.tensor(UDA_COLOUR, dtype=torch.uint8, device=device).view(1, 3, 1, 1)


def cutout_mask(batch: int, height: int, width: int, side: int, generator: Generator) -> Tensor:
    """(batch, 1, H, W) bool, true in a square of `side` pixels around a pixel drawn uniformly, cut at the border.

    Filled with 0 after normalisation it is cutout (DeVries and Taylor, 2017).
    """
    rows = _square(batch, height, side, generator)
    columns = _square(batch, width, side, generator)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _square(batch: int, size: int, side: int, generator: Generator) -> Tensor:
    centre = torch.randint(size, (batch, 1), generator=generator, device=generator.device)
    distance = torch.arange(size, device=generator.device) - (centre - side // 2)
    return (distance >= 0) & (distance < side)


def jitter(
    images: Tensor, strengths: tuple[float, float, float, float], probability: float, generator: Generator
) -> Tensor:
    """Colour jitter: brightness, contrast, saturation and hue in a random order, with `probability`, per sample.

    images: (B, 3, H, W) uint8. strengths: the first three give factors uniform in [1 - s, 1 + s], the last a hue
    shift uniform in [-s, s] of the circle. Each sample has its own order. Returns (B, 3, H, W) uint8.
    """
    batch = len(images)
    order, codes, factors, shift = _draw_jitter(strengths, probability, batch, generator)
    values = images.float()
    for slot in order:
        operation = codes[slot]
        factor = factors.gather(0, slot[None])[0]
        values = blend(values, colour_degenerate(values, operation), factor)
        values = hue(values, torch.where(slot == 3, shift, 0))
    return values.to(torch.uint8)


def _draw_jitter(
    strengths: tuple[float, float, float, float], probability: float, batch: int, generator: Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Order (4, B) of the four parts, their codes (4,), factors (4, B) and hue shifts (B,)."""
    device = generator.device
    order = torch.rand(4, batch, generator=generator, device=device).argsort(0)
    amounts = torch.stack([uniform(-s, s, batch, generator) for s in strengths])
    amounts = amounts * coin(probability, batch, generator)
    return order, _jitter_codes(device), torch.cat([1 + amounts[:3], torch.ones_like(amounts[:1])]), amounts[3]


@lru_cache(maxsize=4)
def _jitter_codes(device: torch.device) -> Tensor:
    return torch.tensor([CODE[name] for name in ("brightness", "contrast", "color", "identity")], device=device)


def random_gray(images: Tensor, probability: float, generator: Generator) -> Tensor:
    """PIL's gray in all three channels with `probability`, per sample. (B, 3, H, W) uint8."""
    chosen = coin(probability, len(images), generator)[:, None, None, None]
    return torch.where(chosen, luma(images.float()).to(torch.uint8), images)
