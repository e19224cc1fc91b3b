"""Heads on frozen features, fitted to corpora that differ in level: ridge regression and a few small networks.

Corpora differ in their recordings, their actors and in how targets were come by. So each is centred by its own means,
features and targets: only what varies *within* a corpus is learned. Augmented copies are centred by the mean of the
originals, so that a head learns that a room changes nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh

from ..metrics import pearson

FOLDS = 10  # at most, where a corpus has more speakers
# deviations over time generalise worse than means: they count for less under a penalty (measured across corpora)
DEVIATION_SHARE = 0.6
# of the networks: inputs and hidden units left out, deviation of the noise on standardised features
INPUT_DROPOUT, HIDDEN_DROPOUT, NOISE = 0.3, 0.5, 0.5


@dataclass(frozen=True)
class FeatureSet:
    """The clips of one corpus, as features.

    Attributes:
        name: of the corpus.
        weight: of all its clips together, relative to other corpora.
        features: (clips, size).
        targets: (clips, 3), arousal, dominance, valence.
        speakers: (clips,); clips of one speaker are never on both sides of a split.
        original: (clips,), false for augmented copies: they are trained on, with as much weight together as the
            originals have, and not scored.
    """

    name: str
    weight: float
    features: np.ndarray
    targets: np.ndarray
    speakers: np.ndarray
    original: np.ndarray

    def part(self, chosen: np.ndarray) -> "FeatureSet":
        """Take the clips where a mask (clips,) is true."""
        kept = (self.features[chosen], self.targets[chosen], self.speakers[chosen], self.original[chosen])
        return FeatureSet(self.name, self.weight, *kept)

    @property
    def mean(self) -> np.ndarray:
        """Mean features (size,) of the originals."""
        return np.asarray(self.features[self.original].mean(axis=0))

    @property
    def shares(self) -> np.ndarray:
        """Weight of each clip, (clips,)."""
        counts = np.where(self.original, self.original.sum(), (~self.original).sum())
        return np.asarray(self.weight / counts)


@dataclass(frozen=True)
class Rows:
    """All clips of some corpora, each centred within its corpus, on one scale.

    Attributes:
        features: (clips, size).
        targets: (clips, 3).
        shares: (clips,), the weight of each clip; their sum is 1.
        deviation: (size,), that features were divided by.
    """

    features: np.ndarray
    targets: np.ndarray
    shares: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, sets: list[FeatureSet], emphasis: np.ndarray) -> "Rows":
        """Centre and scale; `emphasis` (size,) is the deviation that a feature has afterwards."""
        features = np.concatenate([each.features - each.mean for each in sets]).astype(np.float64)
        targets = np.concatenate([each.targets - each.targets[each.original].mean(axis=0) for each in sets])
        shares = np.concatenate([each.shares for each in sets])
        shares = shares / shares.sum()
        deviation = (np.sqrt(shares @ features**2) + 1e-6) / emphasis
        return cls(features / deviation, targets.astype(np.float64), shares, deviation)


@dataclass(frozen=True)
class Head:
    """A map from features to how far a clip is from the middle of its corpus.

    With x = (features - mean) / deviation: x @ weight + gelu(x @ dense + dense_bias) @ out + bias. It has the parts of
    a `PooledStatsHead`.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray
    dense: np.ndarray
    dense_bias: np.ndarray
    out: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Predict (clips, 3) from (clips, size)."""
        x = torch.from_numpy((features - self.mean) / self.deviation)
        hidden = torch.nn.functional.gelu(x @ torch.from_numpy(self.dense) + torch.from_numpy(self.dense_bias))
        return np.asarray(x.numpy() @ self.weight + hidden.numpy() @ self.out + self.bias)

    def scaled(self, slope: np.ndarray, offset: np.ndarray) -> "Head":
        """The same with other units: predictions * slope + offset, (3,) each."""
        parts = (self.mean, self.deviation, self.weight * slope, self.dense, self.dense_bias)
        return Head(*parts, self.out * slope, self.bias * slope + offset)


def fit_ridge(rows: Rows, penalties: list[float]) -> list[np.ndarray]:
    """Ridge regression: weights (size, 3) for each penalty, which is relative to the mean squared error."""
    weighted = rows.shares[:, None] * rows.features
    values, vectors = eigh(rows.features.T @ weighted)  # once, for all penalties
    projected = vectors.T @ (weighted.T @ rows.targets)
    return [vectors @ (projected / (np.maximum(values, 0) + penalty)[:, None]) for penalty in penalties]


def fit_networks(rows: Rows, networks: int, units: int, steps: int, seed: int) -> list[np.ndarray]:
    """Train networks of one hidden layer side by side, and join them into one whose output is their mean.

    Args:
        rows: what they learn.
        networks: how many.
        units: hidden units of each.
        steps: of AdamW, on batches of 128 clips drawn by their shares.
        seed: of weights, batches, dropout and noise.

    Returns:
        `dense` (size, networks * units), its bias, `out` (networks * units, 3), its bias.
    """
    random = torch.Generator().manual_seed(seed)
    features, targets = (torch.from_numpy(each).float() for each in (rows.features, rows.targets))
    shares = torch.from_numpy(rows.shares).float()
    spread = (shares[:, None] * features.square()).sum(dim=0).sqrt()  # of the noise, as of the features
    variance = (shares[:, None] * targets.square()).sum(dim=0)
    size = features.shape[1]

    def drawn(inputs: int, outputs: int) -> torch.nn.Parameter:
        bound = inputs**-0.5
        values = torch.rand(networks, inputs, outputs, generator=random) * 2 * bound - bound
        return torch.nn.Parameter(values)

    dense, out = drawn(size, units), drawn(units, 3)
    dense_bias, out_bias = (
        torch.nn.Parameter(torch.zeros(networks, 1, units)),
        torch.nn.Parameter(torch.zeros(networks, 1, 3)),
    )
    optimizer = torch.optim.AdamW([dense, dense_bias, out, out_bias], lr=2e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.1)

    def keep(shape: torch.Size, dropout: float) -> torch.Tensor:
        return (torch.rand(shape, generator=random) >= dropout).float() / (1 - dropout)

    for _ in range(steps):
        chosen = torch.multinomial(shares, networks * 128, replacement=True, generator=random).view(networks, 128)
        x = features[chosen]
        x = (x + NOISE * spread * torch.randn(x.shape, generator=random)) * keep(x.shape, INPUT_DROPOUT)
        h = torch.nn.functional.gelu(x @ dense + dense_bias)
        y = (h * keep(h.shape, HIDDEN_DROPOUT)) @ out + out_bias  # (networks, batch, 3)
        loss = ((y - targets[chosen]).square() / variance).mean(dim=(1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        joined = (
            dense.transpose(0, 1).flatten(1),
            dense_bias.flatten(),
            out.flatten(0, 1) / networks,
            out_bias.mean(0)[0],
        )
    return [each.detach().double().numpy() for each in joined]


@dataclass(frozen=True)
class Settings:
    """How a head is fitted.

    Attributes:
        penalty: of the ridge regression.
        networks: how many small networks stand beside it; 0 for the ridge regression alone. The head is the mean of
            the regression and of the mean of the networks.
        units: of each network.
        steps: that each network is trained.
        seed: of the networks.
    """

    penalty: float
    networks: int = 4
    units: int = 32
    steps: int = 600
    seed: int = 0


def fit(sets: list[FeatureSet], emphasis: np.ndarray, settings: Settings) -> Head:
    """Fit a head to corpora; it is centred on the first, where it predicts 0 on average.

    Args:
        sets: the corpora.
        emphasis: (size,), see [`Rows.of`].
        settings: how.
    """
    rows = Rows.of(sets, emphasis)
    (weight,) = fit_ridge(rows, [settings.penalty])
    empty = np.zeros((weight.shape[0], 0))
    if not settings.networks:
        return Head(sets[0].mean, rows.deviation, weight, empty, np.zeros(0), np.zeros((0, 3)), np.zeros(3))
    dense, dense_bias, out, bias = fit_networks(rows, settings.networks, settings.units, settings.steps, settings.seed)
    return Head(sets[0].mean, rows.deviation, weight / 2, dense, dense_bias, out / 2, bias / 2)


def folds(speakers: np.ndarray) -> list[np.ndarray]:
    """Split clips so that nobody is on both sides: a mask (clips,) of test clips for each speaker, or some speakers."""
    names = np.unique(speakers)
    return [np.isin(speakers, names[i :: min(FOLDS, len(names))]) for i in range(min(FOLDS, len(names)))]


def without(sets: list[FeatureSet], place: int, test: np.ndarray | None) -> list[FeatureSet]:
    """Training sets for a test on one corpus: it comes first, less the test clips, or is left out where all are."""
    others = sets[:place] + sets[place + 1 :]
    return others if test is None else [sets[place].part(~test), *others]


def choose_penalty(sets: list[FeatureSet], emphasis: np.ndarray, penalties: list[float]) -> tuple[float, np.ndarray]:
    """Choose the penalty that predicts unseen speakers and unseen corpora best, by Pearson's r of ridge regression.

    Args:
        sets: the corpora; with one alone, unseen speakers decide.
        emphasis: (size,), see [`Rows.of`].
        penalties: to choose from.

    Returns:
        The best penalty, and the mean r of each: (penalties,).
    """
    scores = []
    for place, scored in enumerate(sets):
        splits: list[np.ndarray | None] = list(folds(scored.speakers))
        whole: list[list[np.ndarray | None]] = [[None]] if len(sets) > 1 else []
        for tests in [splits, *whole]:
            predictions = np.empty((len(penalties), *scored.targets.shape))
            for test in tests:
                trained = without(sets, place, test)
                rows = Rows.of(trained, emphasis)
                chosen = np.ones(len(scored.targets), bool) if test is None else test
                x = (scored.features[chosen] - trained[0].mean) / rows.deviation
                for i, weight in enumerate(fit_ridge(rows, penalties)):
                    predictions[i, chosen] = x @ weight
            kept = scored.original
            scores.append([pearson(each[kept], scored.targets[kept]).mean() for each in predictions])
    means = np.mean(scores, axis=0)
    return penalties[int(np.argmax(means))], means


def predict_unseen(sets: list[FeatureSet], place: int, emphasis: np.ndarray, settings: Settings) -> np.ndarray:
    """Predict each clip of one corpus by a head that was fitted without its speaker: (clips, 3)."""
    predictions = np.empty(sets[place].targets.shape)
    for test in folds(sets[place].speakers):
        predictions[test] = fit(without(sets, place, test), emphasis, settings)(sets[place].features[test])
    return predictions


def calibrate(predictions: np.ndarray, scored: FeatureSet, neutral: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset, (3,) each, that give predictions the spread and the level of ratings.

    Args:
        predictions: (clips, 3) of unseen speakers of a corpus.
        scored: that corpus. The slope gives the predictions the deviation of its targets: CCC then comes near r.
        neutral: (3,), what the head predicts on average for neutral speech, which then becomes the middle of the
            scale, 0.5; `None`: the mean of the predictions becomes the mean of the targets.
    """
    predicted, targets = predictions[scored.original], scored.targets[scored.original]
    slope = targets.std(axis=0) / predicted.std(axis=0)
    if neutral is None:
        return slope, targets.mean(axis=0) - slope * predicted.mean(axis=0)
    return slope, 0.5 - slope * neutral
