"""Images per second of every view, against torchvision's transforms on PIL images and torchvision v2 on a batch.

Run: OMP_NUM_THREADS=1 python benchmarks/augment.py [--batch 256] [--side 32] [--device cpu]. All three are timed
in one run, in turns, so that the ratios hold on a busy machine. Torchvision v2 draws one set of parameters for a
whole batch, so it is a bound on speed and not a replacement. Not a test: it passes no judgement.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms as v1
from torchvision.transforms import v2

from lnlbench.data.augment.views import NAMES, Views
from lnlbench.job import Recipe

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def reference(name: str, side: int, module: object) -> list[object] | None:
    """torchvision's transforms of our view `name` from `module` (v1 or v2); None where it has none."""
    t = module
    crop_flip = [t.RandomCrop(side, padding=4), t.RandomHorizontalFlip()]  # type: ignore[attr-defined]
    if name in ("strong", "autoaugment-torchvision"):
        return [*crop_flip, t.AutoAugment(v1.AutoAugmentPolicy.CIFAR10)]  # type: ignore[attr-defined]
    if name == "simclr":
        jitter = t.RandomApply([t.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8)  # type: ignore[attr-defined]
        crop = t.RandomResizedCrop(side, (0.2, 1.0), antialias=True)  # type: ignore[attr-defined]
        return [crop, t.RandomHorizontalFlip(), jitter, t.RandomGrayscale(0.2)]  # type: ignore[attr-defined]
    if name == "jitter-affine":
        affine = t.RandomAffine(15, (0.1, 0.1), (2 / 3, 3 / 2), 0.1)  # type: ignore[attr-defined]
        return [t.ColorJitter(0.4, 0.4, 0.4, 0.4), *crop_flip, affine]  # type: ignore[attr-defined]
    own = {"plain": [], "weak": crop_flip, "randaugment": [*crop_flip, t.RandAugment()]}  # type: ignore[attr-defined]
    return own.get(name)


def per_image(name: str, images: Tensor) -> Callable[[], Tensor] | None:
    """torchvision's transforms, one PIL image after the other, as a loader's worker runs them."""
    steps = reference(name, images.shape[-1], v1)
    if steps is None:
        return None
    transform = v1.Compose([*steps, v1.ToTensor(), v1.Normalize(MEAN, STD)])
    pictures = [Image.fromarray(i) for i in images.permute(0, 2, 3, 1).cpu().numpy()]
    return lambda: torch.stack([transform(p) for p in pictures])


def whole_batch(name: str, images: Tensor) -> Callable[[], Tensor] | None:
    """torchvision v2 on the batch: the same random parameters for every image."""
    steps = reference(name, images.shape[-1], v2)
    if steps is None:
        return None
    transform = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    return lambda: transform(images)


def rates(makers: list[Callable[[], Tensor] | None], batch: int, seconds: float, device: str) -> list[float | None]:
    """Images a second of each maker over as many rounds as fit, the makers taking turns.

    The mean and not the fastest round: v2 does little in a call that happens to draw cheap operations.
    """
    total, rounds = [0.0] * len(makers), 0
    for maker in makers:
        if maker is not None:
            maker()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i, maker in enumerate(makers):
            if maker is not None:
                total[i] += timed(maker, device)
        rounds += 1
    return [batch * rounds / t if maker is not None else None for t, maker in zip(total, makers, strict=True)]


def timed(maker: Callable[[], Tensor], device: str) -> float:
    """Seconds of one call, the device's work included."""
    start = time.perf_counter()
    maker()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Print one line a view."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each view")
    args = parser.parse_args()
    generator = torch.Generator(args.device).manual_seed(0)
    shape = (args.batch, 3, args.side, args.side)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, device=args.device, generator=generator)
    views = Views(Recipe(), torch.tensor(MEAN), torch.tensor(STD), generator)
    print(f"batch {args.batch}, {args.side} x {args.side}, {args.device}, {torch.get_num_threads()} threads, images/s")
    print(f"{'view':24s}{'lnlbench':>12s}{'per image':>12s}{'v2 batch':>12s}{'x per image':>13s}{'x v2':>8s}")
    for name in NAMES:
        makers = [partial(views.view, images, name), per_image(name, images), whole_batch(name, images)]
        ours, single, batched = rates(makers, args.batch, args.seconds, args.device)
        cells = [f"{r:12.0f}" if r else f"{'-':>12s}" for r in (ours, single, batched)]
        ratios = [f"{ours / r:{w}.1f}" if ours and r else f"{'-':>{w}s}" for r, w in ((single, 13), (batched, 8))]
        print(f"{name:24s}" + "".join(cells + ratios))


if __name__ == "__main__":
    main()
