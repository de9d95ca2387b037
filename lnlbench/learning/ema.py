"""Exponential moving average of a network's weights in a second network (mean teacher, ELR+, MLNT, MOIT)."""

from __future__ import annotations

from torch import Tensor, nn, no_grad
from torch import _foreach_copy_ as copy_all
from torch import _foreach_lerp_ as lerp_all


@no_grad()
def ema_update(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """teacher <- decay * teacher + (1 - decay) * student for every parameter; buffers are copied.

    Entries are matched by name: the student may have more of them than the teacher (a projection head, a decoder),
    not fewer: that is a ValueError. Copied buffers give the teacher the student's batch-norm statistics, so that it
    can be used in eval mode. decay 0 copies, decay 1 keeps the teacher's parameters.
    """
    targets, sources = _paired(dict(teacher.named_parameters()), dict(student.named_parameters()))
    lerp_all(targets, sources, 1 - decay)
    targets, sources = _paired(dict(teacher.named_buffers()), dict(student.named_buffers()))
    if targets:
        copy_all(targets, sources)


def _paired(teacher: dict[str, Tensor], student: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    lacking = teacher.keys() - student.keys()
    if lacking:
        raise ValueError(f"the student lacks {len(lacking)} entries of the teacher, {min(lacking)!r} among them")
    return list(teacher.values()), [student[name] for name in teacher]
