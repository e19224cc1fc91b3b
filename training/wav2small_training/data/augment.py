"""Augmentation: what changes the label of a training clip, and what changes its recording alone."""

import io
import random as python_random
import warnings
from typing import Literal

import audiomentations
import numpy as np
import soundfile
import soxr

from wav2small.models.adv import SAMPLING_RATE

from ..recipe import Augmentation
from .voice import change_voice

FADE = 320  # samples: 20 ms, from one voice to the next
PAUSE = 160  # samples of the frames that a pause is looked for in
CODECS = (("MP3", "MPEG_LAYER_III"), ("OGG", "OPUS"), ("OGG", "VORBIS"), ("WAV", "ULAW"))  # of libsndfile
COMPRESSION = (0.3, 0.9)  # 0: the largest files, 1: the smallest; not every codec goes to the ends


class Augment:
    """The augmentation of a recipe; the same random generator gives the same changes.

    Changes of the voice and mixing are ours, codecs are those of libsndfile, the rest is `audiomentations`. The changes
    of a recording follow the path of a sound: room, microphone, line, noise, clipping, codec, level.
    """

    def __init__(self, settings: Augmentation):
        self.settings = settings
        steps = []
        if settings.reverberation:
            steps.append(audiomentations.ApplyImpulseResponse(settings.rir_folder, p=settings.reverberation))
        if settings.microphone:
            steps.append(audiomentations.HighShelfFilter(300, 3000, -14, 10, p=settings.microphone))
            steps.append(audiomentations.LowShelfFilter(100, 600, -14, 8, p=settings.microphone))
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
        if settings.coloured_noise:
            steps.append(audiomentations.AddColorNoise(8, 40, p=settings.coloured_noise))
        if settings.clipping:
            steps.append(audiomentations.ClippingDistortion(0, 30, p=settings.clipping))
        self._path = audiomentations.Compose(steps)

    def draw_second(self, random: np.random.Generator) -> Literal["join", "mix"] | None:
        """Draw whether a second clip is added, and how."""
        drawn = random.random()
        if drawn < self.settings.join:
            return "join"
        return "mix" if drawn < self.settings.join + self.settings.mix else None

    def change_voice(self, clip: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Change voice and speed of a clip.

        Args:
            clip: (samples,).
            random: where the changes are drawn from.

        Returns:
            (samples,) or fewer: where a slower speed makes the clip longer, its end is cut.
        """
        settings, samples = self.settings, len(clip)
        if settings.voice.probability:
            clip = change_voice(clip, settings.voice, random)[:samples]
        if settings.speed and random.random() < settings.speed:
            factor = np.exp(random.uniform(*np.log(settings.speed_range)))
            clip = soxr.resample(clip, SAMPLING_RATE * factor, SAMPLING_RATE, quality="MQ")[:samples]
        return np.asarray(clip, np.float32)

    def add_second(
        self, clip: np.ndarray, other: np.ndarray, how: Literal["join", "mix"], random: np.random.Generator
    ) -> np.ndarray:
        """Add a second clip, of any length, to a clip (samples,): beneath it, or after its first part."""
        if how == "join":
            return joined(clip, other, random)
        return np.asarray(clip + fit(other, clip, random.uniform(*self.settings.mix_snr_db), random), np.float32)

    def change_recording(self, clip: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Change a clip (samples,) as rooms, microphones and lines do; the length stays."""
        settings = self.settings
        if settings.unchanged and random.random() < settings.unchanged:
            return clip
        # audiomentations draws from the global generators
        seed = int(random.integers(2**32))
        python_random.seed(seed)
        np.random.seed(seed)
        with warnings.catch_warnings():  # audiomentations tells of each silent stretch of a noise that it met
            warnings.simplefilter("ignore", UserWarning)
            clip = np.asarray(self._path(clip, SAMPLING_RATE), np.float32)
        if settings.codec and random.random() < settings.codec:
            clip = coded(clip, CODECS[random.integers(len(CODECS))], random.uniform(*COMPRESSION))
        if settings.level and random.random() < settings.level:
            clip = clip * np.float32(10 ** (random.uniform(*settings.level_db) / 20))
        return clip


def joined(clip: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Let another voice go on where a clip (samples,) pauses: each has about half; their levels are made equal."""
    start, end = len(clip) * 3 // 10, len(clip) * 7 // 10
    frames = clip[start : start + (end - start) // PAUSE * PAUSE].reshape(-1, PAUSE)
    if len(frames) < 2 or len(other) < FADE or start < FADE:
        return clip
    cut = start + PAUSE * int(np.argmin(np.square(frames).mean(axis=1) * random.uniform(0.5, 2, len(frames))))
    level = np.sqrt(np.square(clip).mean() / max(float(np.square(other).mean()), 1e-9))
    first, second = clip[:cut].copy(), other[: len(clip) - cut + FADE] * np.float32(level)
    ramp = np.linspace(0, 1, FADE, dtype=np.float32)
    first[-FADE:] = first[-FADE:] * ramp[::-1] + second[:FADE] * ramp
    return np.concatenate([first, second[FADE:]])


def fit(other: np.ndarray, clip: np.ndarray, snr_db: float, random: np.random.Generator) -> np.ndarray:
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
    return np.asarray(placed * np.sqrt(np.square(clip).mean() / power * 10 ** (-snr_db / 10)), np.float32)


def coded(clip: np.ndarray, codec: tuple[str, str], compression: float) -> np.ndarray:
    """Code and decode a clip (samples,); the length stays.

    Args:
        clip: any level; what is outside of -1..1 is scaled for the codec and back.
        codec: format and subtype of libsndfile.
        compression: 0 (largest file) to 1 (smallest), for codecs that can choose.
    """
    peak = max(1.0, float(np.abs(clip).max(initial=0)))
    content, (kind, subtype) = io.BytesIO(), codec
    level = None if subtype == "ULAW" else compression
    soundfile.write(content, clip / peak, SAMPLING_RATE, format=kind, subtype=subtype, compression_level=level)
    content.seek(0)
    decoded = soundfile.read(content, dtype="float32")[0][: len(clip)] * np.float32(peak)
    return np.pad(decoded, (0, len(clip) - len(decoded)))
