"""Forward correction with the true transition matrix, which it must be told: the row 'Forward T' of the GCE paper,
whose numbers RFL's Table 2 prints as 'Forward'. It is not a setting of `forward`, because it needs what that does not.
"""

from typing import Any

import torch

from lnlbench.methods.base import Stage
from lnlbench.methods.forward import Forward
from lnlbench.methods.spec import MethodSpec

SPEC = MethodSpec(
    slug="forward_true",
    title="Forward (true T)",
    family="correction",
    summary="Trains one network through the true noise transition matrix.",
    paper="Patrini et al., Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach, CVPR 2017",
    code="giorgiop/loss-correction",
    needs=("transition_matrix",),
)


class ForwardTrue(Forward):
    """Patrini et al. (2017), Theorem 2, for a known matrix: one network, one stage."""

    spec = SPEC

    def setup(self) -> None:
        self.net = self.network()
        matrix: Any = torch.tensor(self.task.need("transition_matrix"), dtype=torch.float32, device=self.device)
        self.register_buffer("matrix", matrix)

    def stages(self) -> list[Stage]:
        return [Stage("train", self.task.epochs, self.train_epoch)]
