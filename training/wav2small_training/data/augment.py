"""Changes of the audio that a student trains on: other speakers, mixing, rooms, microphones, noise, clipping, level."""

import random as python_random
import warnings

import audiomentations
import numpy as np
import soxr

from wav2small.models.adv import SAMPLING_RATE

from ..recipe import Augmentation

SHORTEST_SECONDS = 0.5  # of a clip that is cut short


class Augment:
    """The augmentation of a recipe; the same draw gives the same change.

    Length, speed and mixing are ours (the second clip comes from the mixture itself); the rest is `audiomentations`, in
    the order in which a recording meets it: room, microphone, band limit, noise, clipping, level.
    """

    def __init__(self, settings: Augmentation):
        self.settings = settings
        steps = []
        if settings.rooms:
            steps.append(audiomentations.ApplyImpulseResponse(settings.rooms_folder, p=settings.rooms))
        if settings.tilt:
            steps.append(audiomentations.HighShelfFilter(300, 3000, -14, 10, p=settings.tilt))
            steps.append(audiomentations.LowShelfFilter(100, 600, -14, 8, p=settings.tilt))
        if settings.band_limit:
            telephone = audiomentations.BandPassFilter(800, 2200, 1.2, 1.95, p=1.0)
            narrow = audiomentations.LowPassFilter(2800, 7500, max_rolloff=96, p=1.0)  # up to a resampler's steepness
            steps.append(audiomentations.OneOf([telephone, narrow], p=settings.band_limit))
        if settings.noise:
            low, high = settings.noise_snr_db
            steps.append(
                audiomentations.AddBackgroundNoise(
                    settings.noise_folder, min_snr_db=low, max_snr_db=high, p=settings.noise
                )
            )
        if settings.hiss:
            steps.append(audiomentations.AddColorNoise(8, 40, p=settings.hiss))
        if settings.clipping:
            steps.append(audiomentations.ClippingDistortion(0, 30, p=settings.clipping))
        if settings.level:
            low, high = settings.level_db
            steps.append(audiomentations.Gain(low, high, p=settings.level))
        self._steps = audiomentations.Compose(steps)

    def mixes(self, random: np.random.Generator) -> bool:
        """Draw whether a second clip is added."""
        return random.random() < self.settings.mix

    def content(self, clip: np.ndarray, other: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
        """Change what there is to hear in a clip (samples,), with `other` (any length) mixed in where there is one.

        A slower speed would make the clip longer: its end is cut.
        """
        settings, samples = self.settings, len(clip)
        if settings.speed and random.random() < settings.speed:
            factor = np.exp(random.uniform(*np.log(settings.speed_range)))
            clip = soxr.resample(clip, SAMPLING_RATE * factor, SAMPLING_RATE, quality="MQ")[:samples]
        if settings.shorten and random.random() < settings.shorten and len(clip) > SHORTEST_SECONDS * SAMPLING_RATE:
            length = int(random.integers(round(SHORTEST_SECONDS * SAMPLING_RATE), len(clip) + 1))
            start = int(random.integers(len(clip) - length + 1))
            clip = clip[start : start + length]
        if other is not None:
            clip = clip + self._fit(other, clip, random.uniform(*settings.mix_snr_db), random)
        return np.asarray(clip, np.float32)

    def recording(self, clip: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Change a clip (samples,) as rooms, microphones and lines do; the length stays."""
        # audiomentations draws from the global generators
        seed = int(random.integers(2**32))
        python_random.seed(seed)
        np.random.seed(seed)
        with warnings.catch_warnings():  # audiomentations tells of each silent stretch of a noise that it met
            warnings.simplefilter("ignore", UserWarning)
            return np.asarray(self._steps(clip, SAMPLING_RATE), np.float32)

    @staticmethod
    def _fit(other: np.ndarray, clip: np.ndarray, snr_db: float, random: np.random.Generator) -> np.ndarray:
        """Bring `other` to the length of the clip, at a random place, and to this level below it."""
        placed = np.zeros_like(clip)
        room = len(clip) - len(other)
        if room >= 0:
            start = int(random.integers(room + 1))
            placed[start : start + len(other)] = other
        else:
            start = int(random.integers(-room + 1))
            placed[:] = other[start : start + len(clip)]
        power = np.square(placed).mean()
        if power == 0:
            return placed
        return placed * np.sqrt(np.square(clip).mean() / power * 10 ** (-snr_db / 10), dtype=np.float32)
