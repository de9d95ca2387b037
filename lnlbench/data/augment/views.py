"""The views of a batch: from raw uint8 images to what a network sees, by the recipe.

Every call draws new augmentation for each sample, on the images' device, from one generator; nothing here
reads a value back to the host. Not for the policies themselves (see policies.py).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from lnlbench.data.augment import policies
from lnlbench.data.augment.geometry import centre_crop, random_affine, random_crop_flip, random_resized_crop
from lnlbench.errors import unknown_name
from lnlbench.job import Recipe

NAMES = ("plain", "weak", "strong", *policies.STRONG, "simclr", "simclr-wide", "jitter-affine")
"""Views by name: see `Views.view`."""

SIMCLR_JITTER = (0.4, 0.4, 0.4, 0.1)
WARMUP_JITTER = (0.4, 0.4, 0.4, 0.4)


class Views:
    """Makes views of raw images (B, 3, H, W) uint8, normalised, as float32 (B, 3, H, W).

    recipe: its `augment`, `crop`, `pad`, `padding`, `strong` and `cutout` are read. mean, std: (3,) per channel of
    pixels in [0, 1]. generator: the source of all randomness, on the device of the images. channels_last: memory
    format of the views. flip: False where a mirrored image is another thing (digits).
    """

    def __init__(
        self,
        recipe: Recipe,
        mean: Tensor,
        std: Tensor,
        generator: Generator,
        channels_last: bool = False,
        flip: bool = True,
    ) -> None:
        self.recipe = recipe
        self.generator = generator
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self._flip_probability = 0.5 if flip and recipe.augment != "crop" else 0.0
        self._mean, self._std = (v.to(generator.device, torch.float32).view(1, 3, 1, 1) for v in (mean, std))
        self._makers: dict[str, Callable[[Tensor], Tensor]] = {
            "plain": self.plain,
            "weak": self.weak,
            "strong": self.strong,
            "simclr": lambda images: self._simclr(images, (0.2, 1.0)),
            "simclr-wide": lambda images: self._simclr(images, (0.08, 1.0)),
            "jitter-affine": self._jitter_affine,
        }

    def side(self, side: int) -> int:
        """Side of the views of images with this side."""
        return self.recipe.crop or side

    def plain(self, images: Tensor) -> Tensor:
        """The images, or their middle where the recipe crops, normalised."""
        return self._normalised(self._middle(images))

    def weak(self, images: Tensor) -> Tensor:
        """The recipe's `augment`: padded random crop and flip, the crop alone, or nothing."""
        return self._normalised(self._cropped(images))

    def weak_and_distorted(self, images: Tensor, policy: str, cutout: int) -> tuple[Tensor, Tensor]:
        """The weak view, and that very view under `policy` and a cutout of side `cutout` to mean gray: an image to be
        restored, and what it is to be restored from. Raises UnknownName."""
        cropped = self._cropped(images)
        return self._normalised(cropped), self._distorted(cropped, policy, cutout)

    def strong(self, images: Tensor, policy: str | None = None) -> Tensor:
        """Crop and flip, then `policy` (the recipe's `strong` by default), then the recipe's cutout to mean gray.

        The crop and flip are there also where the recipe's weak view has none. Raises UnknownName.
        """
        name = self.recipe.strong if policy is None else policy
        return self._distorted(self._crop_flip(images), name, self.recipe.cutout)

    def view(self, images: Tensor, name: str) -> Tensor:
        """The view called `name`, one of NAMES. Raises UnknownName.

        plain, weak, strong: as the methods. A policy's name: `strong` with that policy. simclr: resized crop
        (area 0.2 to 1), flip, colour jitter with probability 0.8, gray with 0.2 (SupContrast, C2D); simclr-wide:
        the same with area 0.08 to 1 (MOIT, Sel-CL). jitter-affine: C2D's warm-up view, also SANM's.
        """
        if name in self._makers:
            return self._makers[name](images)
        if name in policies.STRONG:
            return self.strong(images, name)
        raise unknown_name("view", name, NAMES)

    def normalise(self, pixels: Tensor) -> Tensor:
        """(pixels - mean) / std of (B, 3, H, W) float pixels in [0, 1]."""
        return (pixels - self._mean) / self._std

    def denormalise(self, values: Tensor) -> Tensor:
        """The inverse of `normalise`."""
        return values * self._std + self._mean

    def _normalised(self, images: Tensor) -> Tensor:
        values = images.to(torch.float32, memory_format=self._memory_format)
        return values.mul_(1 / (255 * self._std)).sub_(self._mean / self._std)

    def _distorted(self, images: Tensor, policy: str, cutout: int) -> Tensor:
        if policy not in policies.STRONG:
            raise unknown_name("strong policy", policy, policies.STRONG)
        out = self._normalised(policies.STRONG[policy](images, self.generator))
        if cutout == 0:
            return out
        batch, _, height, width = out.shape
        return out.masked_fill_(policies.cutout_mask(batch, height, width, cutout, self.generator), 0)

    def _middle(self, images: Tensor) -> Tensor:
        return images if self.recipe.crop is None else centre_crop(images, self.recipe.crop)

    def _cropped(self, images: Tensor) -> Tensor:
        return self._middle(images) if self.recipe.augment == "none" else self._crop_flip(images)

    def _crop_flip(self, images: Tensor) -> Tensor:
        recipe = self.recipe
        flip = self._flip_probability
        return random_crop_flip(images, recipe.pad, recipe.padding, flip, self.generator, recipe.crop)

    def _simclr(self, images: Tensor, area: tuple[float, float]) -> Tensor:
        flip = self._flip_probability
        images = random_resized_crop(images, area, flip, self.generator, self.recipe.crop)
        images = policies.jitter(images, SIMCLR_JITTER, 0.8, self.generator)
        return self._normalised(policies.random_gray(images, 0.2, self.generator))

    def _jitter_affine(self, images: Tensor) -> Tensor:
        images = self._crop_flip(policies.jitter(images, WARMUP_JITTER, 1.0, self.generator))
        return self._normalised(random_affine(images, self.generator))
