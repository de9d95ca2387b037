"""Small folders of real JPEG files in the layouts of the data sets that come as such, for readers and training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lnlbench.data.catalogue import DATASETS


def jpeg(path: Path, label: int, *, size: tuple[int, int] = (64, 64), seed: int = 0) -> None:
    """A picture (width, height) whose colours tell the label, under noise that JPEG does not keep exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, label])
    base = np.random.default_rng(label).integers(40, 215, (4, 4, 3)).astype(np.uint8)
    picture = np.asarray(Image.fromarray(base).resize(size, Image.Resampling.NEAREST)).astype(np.int64)
    noisy = (picture + rng.integers(-20, 21, picture.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path, quality=90)


def shrink(monkeypatch: pytest.MonkeyPatch, key: str, **changes: object) -> None:
    """Makes the catalogue expect a small data set."""
    monkeypatch.setitem(DATASETS, key, dataclasses.replace(DATASETS[key], **changes))  # type: ignore[arg-type]


def animal10n(data_dir: Path, train: int, test: int, folders: Sequence[str] = ("training", "testing")) -> Path:
    """`<label>_<id>.jpg` in two folders; ids are not in the order of labels."""
    for folder, count in zip(folders, (train, test), strict=True):
        for i in range(count):
            jpeg(data_dir / "animal10n" / folder / f"{i % 10}_{(i * 7) % count:05}.jpg", i % 10, seed=i)
    return data_dir / "animal10n"


def clothing1m(data_dir: Path, train: int, valid: int, test: int, lists: str = "") -> Path:
    """Key lists and label files beside `images/`; names contain commas, sizes differ."""
    root = data_dir / "clothing1m"
    place = root / lists
    place.mkdir(parents=True, exist_ok=True)
    counts = {"noisy_train": train, "clean_val": valid, "clean_test": test}
    labels: dict[str, list[str]] = {"noisy": [], "clean": []}
    number = 0
    for split, count in counts.items():
        names = []
        for i in range(count):
            name = f"images/{number % 10}/{number % 100:02}/13010{number:05},34785{number:05}.jpg"
            jpeg(root / name, i % 14, size=(72 + number % 9, 80 - number % 7), seed=number)
            labels[split.split("_")[0]].append(f"{name} {i % 14}")
            names.append(name)
            number += 1
        (place / f"{split}_key_list.txt").write_text("\n".join(names) + "\n")
    labels["clean"].append("images/0/00/no_label.jpg")
    for kind, lines in labels.items():
        (place / f"{kind}_label_kv.txt").write_text("\n".join(lines) + "\n")
    return root


def folder(
    data_dir: Path, name: str, rows: Sequence[tuple[str, str, str, str]], header: str = "path,label,true_label,split"
) -> Path:
    """A described data set with a table of (path, label, true label, split); pictures by their true label."""
    root = data_dir / name
    lines = [header]
    names = sorted({true for _, _, true, _ in rows})
    for i, (path, label, true, split) in enumerate(rows):
        jpeg(root / path, names.index(true), size=(40, 32), seed=i)
        lines.append(",".join(f'"{value}"' for value in (path, label, true, split)))
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    (root / "dataset.yaml").write_text("title: My & <own> data_set\nlabels: labels.csv\nimage_size: 32\n")
    return root


def pets(train: int = 24, test: int = 9) -> list[tuple[str, str, str, str]]:
    """Rows of three classes of which every fourth training label is wrong."""
    kinds = ("cat", "dog, small", "rat")
    rows = []
    for i in range(train + test):
        true = kinds[i % 3]
        label = kinds[(i + 1) % 3] if i < train and i % 4 == 0 else true
        rows.append((f"img/{i:03},{i}.jpg", label, true, "train" if i < train else "test"))
    return rows
