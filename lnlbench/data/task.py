"""What a method sees of the data: a `Task` with noisy labels, and `Batch`es of raw images that make views.

The true training labels are in no object of this module, nor in anything these objects refer to; what a
method needs beyond noisy labels is handed over only if its spec declares it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from torch import Tensor

from lnlbench.data.augment.views import Views
from lnlbench.errors import UndeclaredNeed
from lnlbench.learning.pseudo_labels import one_hot


@dataclass(frozen=True)
class Task:
    """The learning problem of one job, as its method may know it.

    noisy_labels: (N,) int64 in 0..C-1, on the run's device. image_shape: (3, H, W).
    granted: values of the needs that the method has declared, by name; read them with `task.need(name)`.
    noisy_meta_labels: (M,) int64, the meta set's labels under the training set's noise, also for a method whose
    batches of it have clean ones; None without a meta set.
    epoch_batches: the recipe's, batches of a pass where it is not over all samples.
    """

    num_classes: int
    noisy_labels: Tensor
    image_shape: tuple[int, int, int]
    epochs: int
    batch_size: int
    granted: Mapping[str, Any] = field(default_factory=dict)
    noisy_meta_labels: Tensor | None = None
    epoch_batches: int | None = None

    @property
    def num_samples(self) -> int:
        """N, the number of training samples."""
        return len(self.noisy_labels)

    @property
    def epoch_steps(self) -> int:
        """Batches of the recipe's size in a pass over the training set, the last partial one counted."""
        return self.epoch_batches or ceil(self.num_samples / self.batch_size)

    def need(self, name: str) -> Any:
        """The value of a declared need, such as `noise_rate`; UndeclaredNeed if it was not declared, or if this
        job has no such thing (human labels have no transition matrix)."""
        if name not in self.granted:
            raise UndeclaredNeed(
                f"this method reads {name!r}, which it has not declared or which this noise does not have.",
                f"Declare it in the spec, needs=({name!r},): it becomes a dagger on the method's row in every table.",
            )
        return self.granted[name]


@dataclass(frozen=True)
class Batch:
    """Some training samples on the device. Every call of a view draws new random augmentation.

    images: (B, 3, H, W) uint8, indices: (B,) int64 into 0..N-1, labels: (B,) int64 noisy labels.
    Views are normalised floats (B, 3, H, W).
    """

    images: Tensor
    indices: Tensor
    labels: Tensor
    num_classes: int
    views: Views

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def one_hot(self) -> Tensor:
        """(B, C) float, the noisy labels as distributions."""
        return one_hot(self.labels, self.num_classes)

    def weak(self) -> Tensor:
        """The recipe's weak view: pad, random crop, flip."""
        return self.views.weak(self.images)

    def strong(self, policy: str | None = None) -> Tensor:
        """A strong view: the recipe's policy, or the named one."""
        return self.views.strong(self.images, policy)

    def weak_and_distorted(self, policy: str, cutout: int) -> tuple[Tensor, Tensor]:
        """A weak view, and the same crop under a policy and a cutout, (B, 3, H, W): to restore one from the other."""
        return self.views.weak_and_distorted(self.images, policy, cutout)

    def plain(self) -> Tensor:
        """The images as they are, normalised."""
        return self.views.plain(self.images)

    def view(self, name: str) -> Tensor:
        """A view by name: weak, plain, autoaugment, randaugment, ..."""
        return self.views.view(self.images, name)
