"""Can this noise be drawn on this data set? And its canonical form, so that equal noises share a job key.

Everything that needs no labels is checked here, before a job starts; errors name what is allowed.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from numpy.typing import ArrayLike

from lnlbench.data.catalogue import dataset_info
from lnlbench.data.noise.catalogue import CATALOGUE, NoiseInfo, info
from lnlbench.data.noise.definitions import transition_matrix
from lnlbench.data.noise.files import read_labels
from lnlbench.data.noise.human import check_variant
from lnlbench.data.noise.measure import checked_labels, labels_sha256
from lnlbench.data.noise.targets import ASYMMETRIC_MAPS, RELEASED_TARGET_SEED
from lnlbench.errors import InvalidSetting, UnknownName
from lnlbench.job import Noise


def canonical_noise(noise: Noise, dataset_name: str, num_classes: int, coarse: ArrayLike | None = None) -> Noise:
    """The same noise with every setting that has no effect, or says what holds anyway, at its default.

    Two noises that draw the same labels from one seed become equal, hence one job key. `file_sha256` of a file is
    filled in. coarse: (C,) superclasses of data sets other than cifar100. Raises UnknownName for a name that cannot
    be run, InvalidSetting for settings that do not fit the noise or the data set, DataError for an unreadable file.
    """
    check_noise(noise, dataset_name, num_classes, coarse)
    entry = info(noise.name)
    changes: dict[str, object] = {}
    if noise.sampling == own_sampling(noise):
        changes["sampling"] = None
    if "seed" not in entry.parameters or (noise.draw == "released" and entry.released_seed is not None):
        changes["seed"] = None
    if noise.name == "clean":
        changes["rate"] = None
    if noise.targets == RELEASED_TARGET_SEED:
        changes["targets"] = None
    if noise.map is not None:
        changes["map"] = None if dict(noise.map) == ASYMMETRIC_MAPS.get(dataset_name) else tuple(sorted(noise.map))
    if noise.name == "file" and noise.file_sha256 is None:
        labels = read_labels(Path(str(noise.file)).expanduser())
        changes["file_sha256"] = labels_sha256(checked_labels(labels, num_classes, str(noise.file)))
    return noise.replace(**changes)


def check_noise(noise: Noise, dataset: str, num_classes: int, coarse: ArrayLike | None = None) -> None:
    """Raise the errors of `canonical_noise` without reading files."""
    entry = info(noise.name)
    _check_parameters(noise, entry)
    _check_rate(noise, entry)
    if num_classes < entry.min_classes:
        raise InvalidSetting(
            f"noise {noise.name!r} needs at least {entry.min_classes} classes, {dataset} has {num_classes}."
        )
    _check_sampling(noise, entry)
    _check_released(noise, entry)
    _check_special(noise, dataset)
    if noise.name not in ("instance", "human", "file", "real"):
        transition_matrix(noise, num_classes, dataset, coarse)


def own_sampling(noise: Noise) -> str:
    """How samples are chosen when the job leaves it open; the double flip exists per class only."""
    return "exact-per-class" if noise.double_flip else info(noise.name).sampling


def _check_parameters(noise: Noise, entry: NoiseInfo) -> None:
    # A seed may stand beside any noise: suites set one for all their columns, the clean one included.
    given = [
        field.name
        for field in dataclasses.fields(noise)
        if field.name not in ("name", "seed", *entry.parameters) and getattr(noise, field.name) != field.default
    ]
    if given:
        owners = [name for name, other in CATALOGUE.items() if given[0] in other.parameters]
        raise InvalidSetting(
            f"noise {noise.name!r} takes no {given[0]!r} (given: {getattr(noise, given[0])!r}).",
            f"It takes: {', '.join(entry.parameters) or 'nothing'}. {given[0]!r} belongs to: {', '.join(owners)}.",
        )


def _check_rate(noise: Noise, entry: NoiseInfo) -> None:
    if entry.takes_rate and noise.rate is None:
        raise InvalidSetting(
            f"noise {noise.name!r} needs a rate between 0 and 1.", f"Its rate is the {entry.rate_means}."
        )
    if noise.name == "clean" and noise.rate:
        raise InvalidSetting(
            f"noise 'clean' has no rate (given: {noise.rate:g}).", "Noises with a rate: symmetric, ..."
        )


def _check_sampling(noise: Noise, entry: NoiseInfo) -> None:
    if noise.sampling is not None and noise.sampling not in entry.samplings:
        raise InvalidSetting(
            f"noise {noise.name!r} cannot be drawn with sampling {noise.sampling!r}.",
            f"Allowed: {', '.join(entry.samplings)}.",
        )
    if noise.double_flip and noise.sampling not in (None, "exact-per-class"):
        raise InvalidSetting(
            f"double_flip walks the classes one by one, so sampling {noise.sampling!r} is not possible with it.",
            "Leave sampling out, or write exact-per-class.",
        )


def _check_released(noise: Noise, entry: NoiseInfo) -> None:
    if noise.draw != "released":
        return
    if noise.sampling not in (None, entry.sampling) or noise.targets is not None or noise.double_flip:
        raise InvalidSetting(
            f"draw: released repeats the released code of {noise.name!r}: sampling is {entry.sampling}, "
            "and targets and double_flip cannot be chosen.",
            "Leave them out, or use draw: ours.",
        )
    if entry.released_seed is not None and noise.seed not in (None, entry.released_seed):
        raise InvalidSetting(
            f"the released draw of {noise.name!r} is always from seed {entry.released_seed} (given: {noise.seed}).",
            "Leave the noise seed out, or use draw: ours.",
        )


def _check_special(noise: Noise, dataset: str) -> None:
    if noise.name == "human":
        check_variant(noise.variant, dataset)
    if noise.name == "file" and not noise.file:
        raise InvalidSetting("noise 'file' needs 'file': the path of the noisy labels.")
    _check_own_labels(noise, dataset)
    if noise.targets is not None and noise.targets >= 2**32:
        raise InvalidSetting(f"noise setting 'targets': {noise.targets} is too large a seed, allowed: below 2^32.")
    if noise.draw == "released" and noise.seed is not None and noise.seed >= 2**32:
        raise InvalidSetting(f"draw: released takes noise seeds below 2^32 (given: {noise.seed}).")


def _check_own_labels(noise: Noise, dataset: str) -> None:
    """Whether the data set has the labels that the noise starts from."""
    try:
        labels = dataset_info(dataset).labels
    except UnknownName:  # data that is in no catalogue, such as a check's
        return
    if noise.name == "real" and labels == "true":
        raise InvalidSetting(
            f"noise 'real' is for data sets that came noisy; the labels of {dataset!r} are true.",
            "Use clean for its labels as they are, or a noise to inject: symmetric, human, ...",
        )
    if labels == "noisy" and noise.name not in ("real", "file"):
        raise InvalidSetting(
            f"noise {noise.name!r} cannot be had on {dataset!r}: it came noisy, and its true labels are unknown.",
            "Use real for its labels as they are, or file for labels from elsewhere.",
        )
