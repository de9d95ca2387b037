"""Images a second of each method on this machine, and how much of the machine's own matrix rate its passes reach.

    python benchmarks/throughput.py [--backbone smallcnn] [--batch 64] [--device auto] [--precision auto] [--markdown]

An image is counted once an epoch, however many views and networks a method sends it through. FLOPs are those of
every forward and backward pass in the epoch, counted by torch; the matrix rate is that of one large product, in
the same precision, measured in the same run. Random pixels of CIFAR's size stand in for data.
"""

from __future__ import annotations

import argparse
import os
from copy import deepcopy
from datetime import date

import torch
from torch.utils.flop_counter import FlopCounterMode

from lnlbench.execution.estimate import last_epoch, stand_in, timed
from lnlbench.job import Noise
from lnlbench.methods import registry
from lnlbench.resolve import resolve_job
from lnlbench.training.devices import Place, peak_memory_mb, place
from lnlbench.training.networks import untrained
from lnlbench.training.trainer import open_run

REPEATS = 3


def matrix_rate(where: Place) -> float:
    """FLOP/s of a square matrix product that fills the device; the best of several."""
    side = 8192 if where.device.type == "cuda" else 2048
    dtype = torch.bfloat16 if where.precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=where.device, dtype=dtype) for _ in range(2))
    torch.mm(a, b)
    return 2 * side**3 / min(timed(lambda: torch.mm(a, b), where) for _ in range(5))


def measure(method: str, args: argparse.Namespace, where: Place) -> tuple[float, float, float]:
    """(images/s, FLOP/s, peak MiB) of a method past its warm-up, at half of the labels trusted."""
    recipe = {"backbone": args.backbone, "width": args.width, "batch_size": args.batch, "augment": "crop-flip"}
    job = resolve_job(method, "cifar10", Noise(name="symmetric", rate=0.5), 1, scale="desk", recipe=recipe)
    samples = args.steps * args.batch
    run = open_run(job, untrained(job, stand_in(job, samples), where), where)
    epoch = last_epoch(run)
    epoch()
    weights, streams = deepcopy(run.method.state_dict()), run.streams.state()

    def same_epoch() -> None:
        # Which labels are trusted, and so the work, depends on weights and draws: each repeat starts from the same.
        run.method.load_state_dict(weights)
        run.streams.restore(streams)
        epoch()

    with FlopCounterMode(display=False) as counter:
        same_epoch()
    seconds = min(timed(same_epoch, where) for _ in range(REPEATS))
    return samples / seconds, counter.get_total_flops() / seconds, peak_memory_mb(where.device)


def expressions() -> list[str]:
    """Every method, cross-entropy first, and every plug-in over each of its hosts."""
    found = ["ce"]
    for slug in registry.names():
        declared = registry.spec(slug)
        found += [f"{slug}({host})" for host in declared.hosts] if declared.plugin else [slug]
    return list(dict.fromkeys(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="smallcnn")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="batches in the timed epoch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--method", action="append", help="only this method; repeatable")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    where = place(args.device, args.precision)
    rate = matrix_rate(where)
    print(f"{where.name}, {where.precision}, {args.threads} threads, torch {torch.__version__}, {date.today()}")
    print(f"{args.backbone} width {args.width:g}, batch {args.batch}; matrix rate {rate / 1e9:,.0f} GFLOP/s\n")
    print("| method | images/s | x ce | GFLOP/s | share of matrix rate | peak MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    reference = None
    for method in args.method or expressions():
        images, flops, memory = measure(method, args, where)
        reference = reference or images
        share = f"{100 * flops / rate:.0f}%"
        print(f"| {method} | {images:,.0f} | {images / reference:.2f} | {flops / 1e9:,.1f} | {share} | {memory:,.0f} |")


if __name__ == "__main__":
    main()
