"""What there is to know of a data set or label file without reading it: the entries of the catalogue.

Light: no numpy, no torch. Which data sets there are is in `catalogue.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lnlbench.errors import DataError

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

    Of data sets that come as folders of image files: layouts, the ways they lie on disk, each the paths that must all
    be there; side, to which images are brought when read (shorter side, then the centre square) unless the recipe
    says another. labels: what its training images have: true labels, noisy ones, or both. nominal_noise: the share of
    wrong ones that its authors state. validation: images of a clean validation split, 0 without one.
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
    layouts: tuple[tuple[str, ...], ...] = ()
    side: int | None = None
    labels: Literal["true", "noisy", "both"] = "true"
    nominal_noise: float | None = None
    validation: int = 0

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Every file a copy may consist of: the archive and its members."""
        return ((self.archive,) if self.archive else ()) + self.members

    def unpacked(self, data_dir: str | Path) -> bool:
        """Whether every member, or one layout, lies under `data_dir`; true for a data set that needs no file."""
        if self.layouts:
            return any(all((Path(data_dir) / path).exists() for path in layout) for layout in self.layouts)
        return all((Path(data_dir) / member.path).is_file() for member in self.members)

    def packed(self, data_dir: str | Path) -> bool:
        """Whether the archive lies under `data_dir`."""
        return self.archive is not None and (Path(data_dir) / self.archive.path).is_file()

    def available(self, data_dir: str | Path) -> bool:
        """Whether there are files to read under `data_dir`. Whether they are right, `verify` says."""
        return self.unpacked(data_dir) or self.packed(data_dir)

    def absence(self, data_dir: str | Path) -> DataError:
        """What to tell where data is not `available`: that there is none, or which files a folder lacks."""
        if self.layouts:
            return self._no_layout(Path(data_dir))
        missing = [member for member in self.members if not (Path(data_dir) / member.path).is_file()]
        folder = (Path(data_dir) / missing[0].path).parent
        hint = f"Run: lnlbench data download {self.key} --to {data_dir}"
        if len(missing) < len(self.members):
            names = ", ".join(member.name for member in missing)
            return DataError(f"{self.key}: {folder} lacks {names}.", f"Delete the folder and download it again. {hint}")
        expected = f"{folder}/ or {self.archive.name}" if self.archive else f"{folder}/"
        return DataError(f"{self.key}: no data under {data_dir}. Expected {expected}.", hint)

    def _no_layout(self, folder: Path) -> DataError:
        """Of the layout that is nearest to complete, what is missing."""
        lacking = [[path for path in layout if not (folder / path).exists()] for layout in self.layouts]
        nearest = min(range(len(lacking)), key=lambda i: len(lacking[i]) / len(self.layouts[i]))
        hint = f"It is not downloaded by lnlbench ({self.terms}). Put it, or a link to it, there: {self.needs}."
        if len(lacking[nearest]) == len(self.layouts[nearest]):
            return DataError(f"{self.key}: no data under {folder / self.key}.", hint)
        return DataError(f"{self.key}: under {folder}, {', '.join(lacking[nearest])} missing.", hint)


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
