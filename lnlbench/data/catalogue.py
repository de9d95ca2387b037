"""The data sets and label files lnlbench knows: sizes, terms, files with checksums, normalisation constants.

Facts only, and light: no numpy, no torch, so that `lnlbench list datasets` starts at once. Reading is
the business of the module that an entry names; a new data set is that module and one entry here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lnlbench.errors import DataError, unknown_name

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class DataFile:
    """A file by its path below the data folder.

    md5: of the canonical release, None where none is known. bytes: for progress and room on disk only,
    never a check. url: where it is published, None for a file that comes inside an archive.
    """

    path: str
    md5: str | None = None
    bytes: int | None = None
    url: str | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return Path(self.path).name


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set without reading it.

    train, test: number of images. reader: module with `read(info, data_dir, checksums) -> Dataset`.
    members: the files that are read; archive: one file that holds all of them and can be read instead.
    unpacked_bytes: about what the members take on disk. normalisation: (mean, std) per channel, for
    pixels in [0, 1], by the recipe's name of it; 'none' is always there.
    fingerprint: of the canonical release, None where it has not been measured.
    """

    key: str
    title: str
    classes: int
    train: int
    test: int
    image: str
    noise: str
    citation: str
    terms: str
    needs: str
    reader: str
    normalisation: dict[str, tuple[Channels, Channels]]
    members: tuple[DataFile, ...] = ()
    archive: DataFile | None = None
    unpacked_bytes: int = 0
    fingerprint: str | None = None

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Every file a copy may consist of: the archive and its members."""
        return ((self.archive,) if self.archive else ()) + self.members

    def unpacked(self, data_dir: str | Path) -> bool:
        """Whether every member lies under `data_dir`; true for a data set that needs no file."""
        return all((Path(data_dir) / member.path).is_file() for member in self.members)

    def packed(self, data_dir: str | Path) -> bool:
        """Whether the archive lies under `data_dir`."""
        return self.archive is not None and (Path(data_dir) / self.archive.path).is_file()

    def available(self, data_dir: str | Path) -> bool:
        """Whether there are files to read under `data_dir`. Whether they are right, `verify` says."""
        return self.unpacked(data_dir) or self.packed(data_dir)

    def absence(self, data_dir: str | Path) -> DataError:
        """What to tell where data is not `available`: that there is none, or which files a folder lacks."""
        missing = [member for member in self.members if not (Path(data_dir) / member.path).is_file()]
        folder = (Path(data_dir) / missing[0].path).parent
        hint = f"Run: lnlbench data download {self.key} --to {data_dir}"
        if len(missing) < len(self.members):
            names = ", ".join(member.name for member in missing)
            return DataError(f"{self.key}: {folder} lacks {names}.", f"Delete the folder and download it again. {hint}")
        expected = f"{folder}/ or {self.archive.name}" if self.archive else f"{folder}/"
        return DataError(f"{self.key}: no data under {data_dir}. Expected {expected}.", hint)


@dataclass(frozen=True)
class LabelFileInfo:
    """A published file of noisy labels for one of the data sets; `noise/human` reads it."""

    key: str
    title: str
    dataset: str
    file: DataFile
    citation: str
    terms: str

    def available(self, data_dir: str | Path) -> bool:
        """Whether the file lies under `data_dir`."""
        return (Path(data_dir) / self.file.path).is_file()


_NONE: tuple[Channels, Channels] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_CIFAR10_DATASET: tuple[Channels, Channels] = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
_CIFAR10_MWNET: tuple[Channels, Channels] = (
    (125.3 / 255, 123.0 / 255, 113.9 / 255),
    (63.0 / 255, 62.1 / 255, 66.7 / 255),
)
_CIFAR10_WHOLE: tuple[Channels, Channels] = (
    (0.49139968, 0.48215827, 0.44653124),
    (0.24703233, 0.24348505, 0.26158768),
)
_CIFAR100_DATASET: tuple[Channels, Channels] = ((0.507, 0.487, 0.441), (0.267, 0.256, 0.276))
_CIFAR100_WHOLE: tuple[Channels, Channels] = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
_DIGITS: tuple[Channels, Channels] = ((0.3054, 0.3054, 0.3054), (0.3761, 0.3761, 0.3761))

_KRIZHEVSKY = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, University of Toronto, 2009"
_CIFAR_TERMS = "no licence file; its page asks to cite the technical report"
_CIFARN = (
    "J. Wei, Z. Zhu, H. Cheng, T. Liu, G. Niu, Y. Liu, Learning with Noisy Labels Revisited: "
    "A Study Using Real-World Human Annotations, ICLR 2022"
)
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
_CIFARN_URL = "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/data/"

DATASETS: dict[str, DatasetInfo] = {
    info.key: info
    for info in (
        DatasetInfo(
            key="digits",
            title="Digits (scikit-learn)",
            classes=10,
            train=1437,
            test=360,
            image="8x8 gray, as three equal channels",
            noise="none, injected",
            citation="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998",
            terms="comes with scikit-learn (BSD-3-Clause)",
            needs="nothing: comes with scikit-learn",
            reader="lnlbench.data.digits",
            normalisation={"dataset": _DIGITS, "whole": _DIGITS, "none": _NONE},
            fingerprint="4dc22377804113a87294c88b50d0a6c0b0582f1054449d03d7b7f6026497b1c2",
        ),
        DatasetInfo(
            key="cifar10",
            title="CIFAR-10",
            classes=10,
            train=50_000,
            test=10_000,
            image="32x32 RGB",
            noise="none, injected",
            citation=_KRIZHEVSKY,
            terms=_CIFAR_TERMS,
            needs="cifar-10-batches-py/ or cifar-10-python.tar.gz",
            reader="lnlbench.data.cifar",
            normalisation={
                "dataset": _CIFAR10_DATASET,
                "mwnet": _CIFAR10_MWNET,
                "whole": _CIFAR10_WHOLE,
                "none": _NONE,
            },
            members=(
                DataFile("cifar-10-batches-py/data_batch_1", "c99cafc152244af753f735de768cd75f"),
                DataFile("cifar-10-batches-py/data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                DataFile("cifar-10-batches-py/data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                DataFile("cifar-10-batches-py/data_batch_4", "634d18415352ddfa80567beed471001a"),
                DataFile("cifar-10-batches-py/data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
                DataFile("cifar-10-batches-py/test_batch", "40351d587109b95175f43aff81a1287e"),
                DataFile("cifar-10-batches-py/batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
            ),
            archive=DataFile(
                "cifar-10-python.tar.gz",
                "c58f30108f718f92721af3b95e74349a",
                170_498_071,
                _CIFAR_URL + "cifar-10-python.tar.gz",
            ),
            unpacked_bytes=187_000_000,
        ),
        DatasetInfo(
            key="cifar100",
            title="CIFAR-100",
            classes=100,
            train=50_000,
            test=10_000,
            image="32x32 RGB",
            noise="none, injected",
            citation=_KRIZHEVSKY,
            terms=_CIFAR_TERMS,
            needs="cifar-100-python/ or cifar-100-python.tar.gz",
            reader="lnlbench.data.cifar",
            normalisation={
                "dataset": _CIFAR100_DATASET,
                "mwnet": _CIFAR10_MWNET,  # MW-Net's code uses CIFAR-10's numbers for both
                "whole": _CIFAR100_WHOLE,
                "none": _NONE,
            },
            members=(
                DataFile("cifar-100-python/train", "16019d7e3df5f24257cddd939b257f8d"),
                DataFile("cifar-100-python/test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
                DataFile("cifar-100-python/meta", "7973b15100ade9c7d40fb424638fde48"),
            ),
            archive=DataFile(
                "cifar-100-python.tar.gz",
                "eb9058c3a382ffc7106e4002c42a8d85",
                169_001_437,
                _CIFAR_URL + "cifar-100-python.tar.gz",
            ),
            unpacked_bytes=187_000_000,
        ),
    )
}

LABEL_FILES: dict[str, LabelFileInfo] = {
    info.key: info
    for info in (
        LabelFileInfo(
            key="cifar10n",
            title="CIFAR-10N, human labels of CIFAR-10",
            dataset="cifar10",
            file=DataFile(
                "CIFAR-10_human.pt",
                "96644db5574813cae939af5f7f2a0aec",
                2_401_007,
                _CIFARN_URL + "CIFAR-10_human.pt",
            ),
            citation=_CIFARN,
            terms="CC BY-NC 4.0: not for commercial use",
        ),
        LabelFileInfo(
            key="cifar100n",
            title="CIFAR-100N, human labels of CIFAR-100",
            dataset="cifar100",
            file=DataFile(
                "CIFAR-100_human.pt",
                "a67b45c1d7992051865b5c755bd68bb1",
                1_000_959,
                _CIFARN_URL + "CIFAR-100_human.pt",
            ),
            citation=_CIFARN,
            terms="CC BY-NC 4.0: not for commercial use",
        ),
    )
}


def default_data_dir() -> Path:
    """$LNLBENCH_DATA, else the user's data folder of this system."""
    given = os.environ.get("LNLBENCH_DATA")
    if given:
        return Path(given).expanduser()
    from platformdirs import user_data_path

    return user_data_path("lnlbench", appauthor=False)


def dataset_info(name: str) -> DatasetInfo:
    """The entry of a data set. Raises UnknownName with the nearest match."""
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS, "lnlbench list datasets")
    return DATASETS[name]


def entry(name: str) -> DatasetInfo | LabelFileInfo:
    """The entry of a data set or of a label file. Raises UnknownName with the nearest match."""
    if name in LABEL_FILES:
        return LABEL_FILES[name]
    if name not in DATASETS:
        raise unknown_name("data set", name, [*DATASETS, *LABEL_FILES], "lnlbench list datasets")
    return DATASETS[name]


def normalisation(name: str, kind: str = "dataset") -> tuple[Channels, Channels]:
    """(mean, std) per channel for pixels in [0, 1]; 'none' is (0, 1).

    Raises UnknownName for a data set that is not in the catalogue or constants it does not have.
    """
    table = dataset_info(name).normalisation
    if kind not in table:
        raise unknown_name(f"normalisation of {name}", kind, table)
    return table[kind]
