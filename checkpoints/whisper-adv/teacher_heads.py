"""Heads of the teacher: states of an encoder over time -> arousal, dominance and valence."""

import torch
from torch import nn

from .configuration_adv_teacher import Member

DEVIATION_FLOOR = 1e-3  # of the logarithm of a deviation over time
VARIANCE_FLOOR = 1e-5  # of the deviation over time (MSP-Podcast_Challenge, AttentiveStatisticsPooling)


class MeanPoolHead(nn.Module):
    """The head of `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim`, as its model card gives it."""

    def __init__(self, hidden_size: int, dropout: float):
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.out_proj = nn.Linear(hidden_size, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: list[torch.Tensor], padding: torch.Tensor | None) -> torch.Tensor:
        """Turn one state (batch, frames, hidden) into (batch, 3); `padding` is (batch, frames), true where padded."""
        (x,) = states
        if padding is None:
            pooled = x.float().mean(dim=1)
        else:
            total = x.float().masked_fill(padding[:, :, None], 0).sum(dim=1)
            pooled = total / (~padding).sum(dim=1, keepdim=True)  # (batch, hidden)
        x = self.dropout(pooled.to(x.dtype))
        x = torch.tanh(self.dense(x))
        return self.out_proj(self.dropout(x))


class AttentiveStatsHead(nn.Module):
    """The head of `3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes`, as in net/ of MSP-Podcast_Challenge.

    Softmax weights over time for whole frames (arXiv 1803.10963), then the weighted mean beside the weighted deviation.
    """

    def __init__(self, hidden_size: int, dropout: float):
        super().__init__()
        self.sap_linear = nn.Linear(hidden_size, hidden_size)
        self.attention = nn.Parameter(torch.empty(hidden_size, 1))
        self.dense = nn.Linear(2 * hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.out_proj = nn.Linear(hidden_size, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: list[torch.Tensor], padding: torch.Tensor | None) -> torch.Tensor:
        """Turn one state (batch, frames, hidden) into (batch, 3); `padding` is (batch, frames), true where padded."""
        (x,) = states
        scores = torch.tanh(self.sap_linear(x)) @ self.attention  # (batch, frames, 1)
        if padding is not None:
            scores = scores.masked_fill(padding[:, :, None], -torch.inf)
        weights = scores.float().softmax(dim=1)
        frames = x.float()  # half precision is too coarse for a difference of squares
        mean = (frames * weights).sum(dim=1)  # (batch, hidden)
        variance = (frames.square() * weights).sum(dim=1) - mean.square()
        pooled = torch.cat([mean, variance.clamp(min=VARIANCE_FLOOR).sqrt()], dim=1)  # (batch, 2 * hidden)
        x = self.dropout(pooled.to(x.dtype))
        x = torch.relu(self.norm(self.dense(x)))
        return self.out_proj(self.dropout(x))


class PooledStatsHead(nn.Module):
    """Mean and logarithm of the deviation over time of some states, standardised; linear, plus a small network.

    A `mean` and a `deviation` of (2 * hidden * states,) bring the statistics to one scale: for each state in turn its
    means, then its deviations.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, hidden_size: int, states: int, hidden: int):
        super().__init__()
        size = 2 * hidden_size * states
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.linear = nn.Linear(size, 3)
        self.dense = nn.Linear(size, hidden) if hidden else None
        self.out_proj = nn.Linear(hidden, 3, bias=False) if hidden else None

    @staticmethod
    def pool(states: list[torch.Tensor], padding: torch.Tensor | None) -> torch.Tensor:
        """Turn states, each (batch, steps, hidden), into statistics (batch, 2 * hidden * states), float32.

        Args:
            states: of the encoder.
            padding: (batch, steps), true where padded.
        """
        statistics = []
        for state in states:
            x = state.float()
            if padding is None:
                mean, deviation = x.mean(dim=1), x.std(dim=1, correction=0)
            else:
                steps = (~padding).sum(dim=1, keepdim=True)
                mean = x.masked_fill(padding[:, :, None], 0).sum(dim=1) / steps  # (batch, hidden)
                centred = (x - mean[:, None]).masked_fill(padding[:, :, None], 0)
                deviation = (centred.square().sum(dim=1) / steps).sqrt()
            statistics += [mean, (deviation + DEVIATION_FLOOR).log()]
        return torch.cat(statistics, dim=1)

    def forward(self, states: list[torch.Tensor], padding: torch.Tensor | None) -> torch.Tensor:
        """Turn states, each (batch, steps, hidden), into (batch, 3); `padding` is (batch, steps), true where padded."""
        x = ((self.pool(states, padding) - self.mean) / self.deviation).to(states[0].dtype)
        y = self.linear(x)
        if self.dense is not None and self.out_proj is not None:
            y = y + self.out_proj(nn.functional.gelu(self.dense(x)))
        return y


def make_head(member: Member, hidden_size: int) -> nn.Module:
    """The head that the configuration of a member asks for, over states of `hidden_size`."""
    if member.head == "pooled_stats":
        return PooledStatsHead(hidden_size, len(member.states), member.hidden)
    kind = MeanPoolHead if member.head == "mean_pool" else AttentiveStatsHead
    return kind(hidden_size, member.dropout)
