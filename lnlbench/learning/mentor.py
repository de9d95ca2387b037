"""MentorNet's weighting function: a tiny network that tells from a sample's loss whether its label is right, learned
from samples of which that is known. When these are looked at, and what is done with the weights, is the method's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

PERCENTS = 100
"""Moments of training that the network tells apart."""


class Mentor(nn.Module):
    """Logits (B,) of "its label is right" from losses (B,), their differences (B,) to the moving percentile, and the
    percent of training (B,) int64 or int, in float32 (Jiang et al., ICML 2018, Fig. 2).

    One LSTM step in each direction from a zero state, of which only input gate and candidate matter; the moment's
    random embedding is not trained; the class label is 0 for all samples, as in google/mentornet, so that its embedding
    is one vector.
    """

    moments: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(2, 4)
        self.label = nn.Parameter(torch.randn(2))
        self.register_buffer("moments", torch.randn(PERCENTS, 5))
        self.hidden = nn.Linear(9, 20)
        self.output = nn.Linear(20, 1)
        nn.init.xavier_uniform_(self.cell.weight)
        for layer in (self.hidden, self.output):
            nn.init.normal_(layer.weight)
        for layer in (self.cell, self.hidden, self.output):
            nn.init.zeros_(layer.bias)

    def forward(self, losses: Tensor, differences: Tensor, percent: Tensor | int) -> Tensor:
        with torch.autocast(losses.device.type, enabled=False):
            gate, candidate = self.cell(torch.stack([losses, differences], 1).float()).chunk(2, 1)
            moment = self.moments[percent].expand(len(losses), -1)
            label = self.label.expand(len(losses), -1)
            inputs = torch.cat([gate.sigmoid() * candidate.tanh(), label, moment], 1)
            logits: Tensor = self.output(self.hidden(inputs).tanh()).squeeze(1)
        return logits

    def fit(
        self, losses: Tensor, differences: Tensor, percent: Tensor, right: Tensor, steps: int, generator: Generator
    ) -> None:
        """Learns from a table of R rows, `right` (R,) 1.0 where the label is right: binary cross-entropy, Adam at 0.1
        falling by 0.9 every 1,000 steps, batches of 32 drawn at random, gradients clipped at norm 5."""
        optimizer = torch.optim.Adam(self.parameters(), lr=0.1)
        falling = torch.optim.lr_scheduler.StepLR(optimizer, 1000, gamma=0.9)
        drawn = torch.randint(len(right), (steps, 32), generator=generator, device=right.device)
        for rows in drawn:
            optimizer.zero_grad()
            logits = self(losses[rows], differences[rows], percent[rows])
            F.binary_cross_entropy_with_logits(logits, right[rows]).backward()
            nn.utils.clip_grad_norm_(self.parameters(), 5.0)
            optimizer.step()
            falling.step()
