"""The data sets and label files lnlbench knows: sizes, terms, files with checksums, normalisation constants.

Facts only, and light: no numpy, no torch, so that `lnlbench list datasets` starts at once. Reading is
the business of the module that an entry names; a new data set is that module and one entry here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lnlbench.data.info import Channels, DataFile, DatasetInfo, LabelFileInfo
from lnlbench.errors import DataError, unknown_name

__all__ = [
    "DATASETS",
    "LABEL_FILES",
    "DataFile",
    "DatasetInfo",
    "LabelFileInfo",
    "dataset_info",
    "default_data_dir",
    "entry",
    "known_datasets",
    "normalisation",
]

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
_IMAGENET: tuple[Channels, Channels] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLOTHING1M: tuple[Channels, Channels] = ((0.6959, 0.6537, 0.6371), (0.3113, 0.3192, 0.3214))
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
        DatasetInfo(
            key="animal10n",
            title="Animal-10N",
            classes=10,
            train=50_000,
            test=5_000,
            image="64x64 RGB",
            noise="real, about 8%",
            citation="H. Song, M. Kim, J.-G. Lee, SELFIE: Refurbishing Unclean Samples for Robust Deep Learning, "
            "ICML 2019",
            terms="on request from its authors (KAIST)",
            needs="animal10n/training/ and animal10n/testing/ with files <label>_<id>.jpg, or the classes 0 to 9 as "
            "folders of train/ and test/, or animal10n/data_batch_1.bin and test_batch.bin",
            reader="lnlbench.data.animal10n",
            # SSR, Nested and SANM(SSR) divide by 255; PLC takes ImageNet's numbers.
            normalisation={"dataset": _NONE, "imagenet": _IMAGENET, "none": _NONE},
            layouts=(
                ("animal10n/training", "animal10n/testing"),
                ("animal10n/train", "animal10n/test"),
                ("animal10n/data_batch_1.bin", "animal10n/test_batch.bin"),
            ),
            side=64,
            labels="noisy",
            nominal_noise=0.08,
        ),
        DatasetInfo(
            key="clothing1m",
            title="Clothing1M",
            classes=14,
            train=1_000_000,
            test=10_526,
            image="JPEG, various sizes",
            noise="real, about 38.5%",
            citation="T. Xiao, T. Xia, Y. Yang, C. Huang, X. Wang, Learning from Massive Noisy Labeled Data for Image "
            "Classification, CVPR 2015",
            terms="on request from its authors, for research",
            needs="clothing1m/images/ and the key lists and label files of the annotation archive in clothing1m/ or "
            "clothing1m/annotations/",
            reader="lnlbench.data.clothing1m",
            normalisation={"dataset": _CLOTHING1M, "imagenet": _IMAGENET, "none": _NONE},
            layouts=(("clothing1m/images",),),
            side=256,
            labels="noisy",
            nominal_noise=0.385,
            validation=14_313,
        ),
        DatasetInfo(
            key="webvision",
            title="WebVision mini",
            classes=50,
            train=65_944,
            test=2_500,
            image="JPEG, shorter side 256",
            noise="real, about 20%",
            citation="W. Li, L. Wang, W. Li, E. Agustsson, L. Van Gool, WebVision Database: Visual Learning and "
            "Understanding from Web Data, 2017",
            terms="from its authors, for research",
            needs="the resized version of WebVision 1.0: webvision/info/train_filelist_google.txt and "
            "info/val_filelist.txt, google/ and val_images_256/",
            reader="lnlbench.data.webvision",
            normalisation={"dataset": _IMAGENET, "imagenet": _IMAGENET, "none": _NONE},
            layouts=(
                (
                    "webvision/info/train_filelist_google.txt",
                    "webvision/info/val_filelist.txt",
                    "webvision/google",
                ),
            ),
            side=256,
            labels="noisy",
            nominal_noise=0.2,
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


def dataset_info(name: str, data_dir: str | Path | None = None) -> DatasetInfo:
    """The entry of a data set, also of one that is described under the data folder.

    Raises UnknownName with the nearest match, DataError for a description that is wrong.
    """
    return _dataset(name, data_dir, ())


def _dataset(name: str, data_dir: str | Path | None, also: Iterable[str]) -> DatasetInfo:
    """also: further names that could have been meant."""
    if name in DATASETS:
        return DATASETS[name]
    from lnlbench.data.registered import registered, registered_names

    folder = default_data_dir() if data_dir is None else Path(data_dir)
    found = registered(name, folder)
    if found is None:
        raise unknown_name("data set", name, [*DATASETS, *registered_names(folder), *also], "lnlbench list datasets")
    return found.info


def known_datasets(data_dir: str | Path) -> tuple[list[DatasetInfo], list[DataError]]:
    """Every data set of the catalogue and of the data folder, and what is wrong with descriptions there."""
    from lnlbench.data.registered import registered_names

    found, wrong = list(DATASETS.values()), []
    for name in registered_names(Path(data_dir)):
        if name not in DATASETS:
            try:
                found.append(dataset_info(name, data_dir))
            except DataError as error:
                wrong.append(error)
    return found, wrong


def entry(name: str, data_dir: str | Path | None = None) -> DatasetInfo | LabelFileInfo:
    """The entry of a data set or of a label file. Raises as `dataset_info`."""
    return LABEL_FILES[name] if name in LABEL_FILES else _dataset(name, data_dir, LABEL_FILES)


def normalisation(name: str, kind: str = "dataset") -> tuple[Channels, Channels]:
    """(mean, std) per channel for pixels in [0, 1]; 'none' is (0, 1).

    Raises UnknownName for a data set that is not in the catalogue or constants it does not have.
    """
    table = dataset_info(name).normalisation
    if kind not in table:
        raise unknown_name(f"normalisation of {name}", kind, table)
    return table[kind]
