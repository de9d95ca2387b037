"""Images a second that a stream of files gives: decoded, brought to the recipe's side, batched, on the device.

    python benchmarks/streaming.py [--images 2000] [--file-side 256] [--side 256] [--batch 64] [--loaders 1 2 4]

Synthetic JPEGs of quality 90 in a temporary folder, read once before the clock starts, so that the disk's cache and not
the disk is measured. Nothing is trained: set beside images/s of `throughput.py`, it says how many threads a network
needs. The row `file by file` is the same decoding in a plain loop. CPU time tells what an idle core would do where the
machine has other work.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lnlbench.data.files import ImageFiles, decode
from lnlbench.data.sources import FileSource
from lnlbench.training.devices import Place, place


def write(folder: Path, count: int, side: int) -> ImageFiles:
    """Smooth pictures with some noise: about as large as photographs of that side."""
    rng = np.random.default_rng(0)
    names = [f"{i:06}.jpg" for i in range(count)]
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side + side // 4, side), Image.Resampling.BICUBIC)).astype(np.int64)
        noisy = (smooth + rng.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / name, quality=90)
    return ImageFiles.of(folder, names, side)


def measured(work: Callable[[], None], count: int, where: Place) -> tuple[float, float]:
    """(images a second, milliseconds of CPU an image) of the better of three passes."""
    seconds, busy = [], []
    for _ in range(3):
        started, used = time.perf_counter(), time.process_time()
        work()
        if where.device.type == "cuda":
            torch.cuda.synchronize(where.device)
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - used)
    return count / min(seconds), 1000 * min(busy) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--file-side", type=int, default=256, help="shorter side of the files")
    parser.add_argument("--side", type=int, default=256, help="side that the recipe asks for")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--loaders", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    where = place(args.device, "auto")
    order = torch.randperm(args.images, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), args.images, args.file_side).resized(args.side)
        size = sum(files.path(i).stat().st_size for i in range(len(files))) / len(files) / 1000
        print(f"{where.name}, {os.cpu_count()} cores, torch {torch.__version__}, {date.today()}")
        print(
            f"{args.images:,} JPEGs of side {args.file_side} ({size:.0f} kB), read at {args.side}, batch {args.batch}\n"
        )
        print("| threads | images/s | CPU ms an image | MB/s to the device |")
        print("|---|---:|---:|---:|")

        def one_by_one() -> None:
            for i in order.tolist():
                decode(files.path(i), args.side)

        def stream() -> None:
            for _ in FileSource(files, where.device).stream(order, args.batch):
                pass

        rows = [("file by file", measured(one_by_one, len(files), where))]
        for count in args.loaders:
            os.environ["LNLBENCH_LOADERS"] = str(count)
            rows.append((str(count), measured(stream, len(files), where)))
        for name, (images, busy) in rows:
            print(f"| {name} | {images:,.0f} | {busy:.2f} | {images * 3 * args.side**2 / 1e6:,.0f} |")


if __name__ == "__main__":
    main()
