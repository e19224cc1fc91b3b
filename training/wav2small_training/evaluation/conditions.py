"""Conditions: named changes of audio under which a model is tested. A clip always gets the same change.

The published protocol is that of audeering/ser-tests (`docs/method-tests.rst`); the four distortions are those of
VoiceFixer (arXiv 2109.13731). A test has fixed strengths, or the id of the clip chooses one of a few; augmentation,
in training, draws at random. Where a change differs from the published one, its note says how.
"""

from collections.abc import Callable, Iterable
from csv import DictReader
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import soxr
from scipy.signal import butter, fftconvolve, firwin2, lfilter, sosfilt

from wav2small.inference.catalogue import AS_RECORDED as UNCHANGED
from wav2small.models.adv import LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.audio import audio_files, read_audio

LEAST_SAMPLES = round(LEAST_SECONDS * SAMPLING_RATE)  # that a crop leaves
LEVEL_DB = -26.0  # RMS that the level-normalised run gives each clip, full scale = 0 dB
TILT_DB = 20.0  # from 0 to 8 kHz: ours, the published filter comes as a recording
VOICES = (4, 7)  # of a babble
NOISE_KINDS = {  # of the column `category` in the metadata.csv of the noise folder -> dB below the speech
    "environment": 20,
    "music": 20,
    "coughing": 10,
    "sneezing": 10,
}

Random = np.random.Generator
Change = Callable[[np.ndarray, Random], np.ndarray]


@dataclass(frozen=True)
class Condition:
    """A change of audio with a name.

    Attributes:
        name: unique; with the clip's id it is the seed of the random choices of the change.
        change: waveform (samples,), random generator -> waveform.
        note: how the change differs from the published one; empty where it does not.
    """

    name: str
    change: Change
    note: str = ""

    def __call__(self, waveform: np.ndarray, clip: str) -> np.ndarray:
        """Change a waveform (samples,) at 16 kHz of the clip with this id; returns float32."""
        random = np.random.default_rng(list(f"{self.name}\n{clip}".encode()))
        return np.asarray(self.change(waveform, random), np.float32)


def rms(waveform: np.ndarray) -> float:
    """Root mean square; full scale is 1."""
    return float(np.sqrt(np.square(waveform, dtype=np.float64).mean()))


def level_db(waveform: np.ndarray) -> float:
    """RMS in dB, full scale = 0 dB; -180 for silence."""
    return float(20 * np.log10(rms(waveform) + 1e-9))


def to_level(waveform: np.ndarray, level: float) -> np.ndarray:
    """Scale to an RMS; silence is left as it is."""
    return waveform * (level / (rms(waveform) or 1))


def restore_level(changed: np.ndarray, waveform: np.ndarray) -> np.ndarray:
    """Scale a changed clip to the RMS of the original, or to full scale where it would clip."""
    changed = to_level(changed, rms(waveform))
    scaled: np.ndarray = changed / max(1.0, np.abs(changed).max())
    return scaled


def add(waveform: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise (samples,) at a ratio of RMS over the whole clip."""
    changed: np.ndarray = waveform + to_level(noise, rms(waveform) * 10 ** (-snr_db / 20))
    return changed


# Small changes of the published protocol. A list of strengths means that the clip's id chooses one.


def tone(waveform: np.ndarray, random: Random) -> np.ndarray:
    """Add a sine of 5 to 7 kHz whose peak lies 40, 45 or 50 dB below the clip's."""
    peak = np.abs(waveform).max() * 10 ** (-random.choice([40, 45, 50]) / 20)
    phase = 2 * np.pi * random.integers(5000, 7001) * np.arange(len(waveform)) / SAMPLING_RATE
    changed: np.ndarray = waveform + peak * np.sin(phase)
    return changed


def pad(waveform: np.ndarray, random: Random, *, start: bool) -> np.ndarray:
    """Put 100, 500 or 1000 zeros at the start or end."""
    zeros = np.zeros(random.choice([100, 500, 1000]), waveform.dtype)
    return np.concatenate([zeros, waveform] if start else [waveform, zeros])


def crop(waveform: np.ndarray, random: Random, *, start: bool) -> np.ndarray:
    """Take 100, 500 or 1000 samples off the start or end, but leave 0.1 s."""
    samples = max(LEAST_SAMPLES, len(waveform) - random.choice([100, 500, 1000]))
    return waveform[-samples:] if start else waveform[:samples]


def clip_share(waveform: np.ndarray, random: Random) -> np.ndarray:
    """Clip .1, .2 or .3 % of the samples."""
    limit = np.quantile(np.abs(waveform), 1 - random.choice([0.001, 0.002, 0.003]))
    changed: np.ndarray = np.clip(waveform, -limit, limit)
    return changed


def gain(waveform: np.ndarray, random: Random) -> np.ndarray:
    """Change the level by -2, -1, 1 or 2 dB."""
    changed: np.ndarray = waveform * 10 ** (random.choice([-2, -1, 1, 2]) / 20)
    return changed


def first_order(waveform: np.ndarray, random: Random, *, kind: str, cutoffs: list[int]) -> np.ndarray:
    """Butterworth filter of order 1 at one of the cut-off frequencies, in Hz."""
    changed: np.ndarray = sosfilt(butter(1, random.choice(cutoffs), kind, fs=SAMPLING_RATE, output="sos"), waveform)
    return changed


def white_noise(waveform: np.ndarray, random: Random, *, snr_db: list[int]) -> np.ndarray:
    """Add Gaussian noise at one of the ratios."""
    return add(waveform, random.standard_normal(len(waveform)), random.choice(snr_db))


# Background noise, telephone, spectral tilt of the published protocol.


def background(waveform: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise and keep the clip's level."""
    return restore_level(add(waveform, noise, snr_db), waveform)


def white_background(waveform: np.ndarray, random: Random) -> np.ndarray:
    """Add white noise at 20 dB."""
    return background(waveform, random.standard_normal(len(waveform)), 20)


def loop(sound: np.ndarray, samples: int, random: Random) -> np.ndarray:
    """Repeat a recording from a random position for so many samples."""
    return np.resize(np.roll(sound, -random.integers(len(sound))), samples)


def babble(waveform: np.ndarray, random: Random, *, voices: list[np.ndarray]) -> np.ndarray:
    """Mix 4 to 7 other clips, each at -20 to -13 dB, and add them at 20 dB."""
    others = [voice for voice in voices if not np.array_equal(voice, waveform)]
    noise = np.zeros(len(waveform))
    for _ in range(random.integers(VOICES[0], VOICES[1] + 1)):
        voice = loop(others[random.integers(len(others))], len(waveform), random)
        noise += to_level(voice, 10 ** (random.integers(-20, -12) / 20))
    return background(waveform, noise, 20)


def recorded_noise(
    waveform: np.ndarray, random: Random, *, paths: list[Path], snr_db: float, once: bool = False
) -> np.ndarray:
    """Add a recording, repeated from a random position, or `once` at a random position."""
    sound = cached_recording(paths[random.integers(len(paths))])
    if not once:
        return background(waveform, loop(sound, len(waveform), random), snr_db)
    noise = np.zeros(len(waveform))
    start = random.integers(len(waveform))
    piece = sound[: len(waveform) - start]
    noise[start : start + len(piece)] = piece
    return background(waveform, noise, snr_db)


def telephone(waveform: np.ndarray, random: Random) -> np.ndarray:
    """Compressor, 8 kHz G.711 codec, pink noise above 3 kHz."""
    narrow = soxr.resample(waveform, SAMPLING_RATE, 8000)
    narrow = mu_law(compressed(narrow / (np.abs(narrow).max() or 1), 8000))
    wide = same_length(soxr.resample(narrow, 8000, SAMPLING_RATE), len(waveform))
    wide = wide / (np.abs(wide).max() or 1)
    hiss = to_level(pink_noise(len(waveform), random), 10 ** (-25 / 20))
    hiss = sosfilt(butter(2, 3000, "highpass", fs=SAMPLING_RATE, output="sos"), hiss)
    return restore_level(wide + hiss, waveform)


def compressed(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Dynamic range compressor: a slope of 0.8 above -20 dB, attack 10 ms, release 20 ms, no gain at 0 dB."""
    magnitude = np.abs(waveform)
    envelopes = []
    for seconds in (0.01, 0.02):  # the faster envelope leads when the level rises, the slower when it falls
        decay = np.exp(-1 / (seconds * rate))
        envelopes.append(lfilter([1 - decay], [1, -decay], magnitude))
    level = 20 * np.log10(np.maximum(*envelopes) + 1e-9)
    gain_db = -0.2 * np.clip(level, -20, 0)
    changed: np.ndarray = np.clip(waveform * 10 ** (gain_db / 20), -1, 1)
    return changed


def mu_law(waveform: np.ndarray) -> np.ndarray:
    """Quantize to 8 bits, companded as in ITU-T G.711 (mu = 255), and expand; (samples,) in -1..1."""
    code = np.sign(waveform) * np.log1p(255 * np.abs(waveform)) / np.log(256)
    code = np.round(code * 127) / 127
    changed: np.ndarray = np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255
    return changed


def pink_noise(samples: int, random: Random) -> np.ndarray:
    """Noise whose power falls by 3 dB an octave."""
    spectrum = np.fft.rfft(random.standard_normal(samples))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), samples)


def tilt(waveform: np.ndarray, random: Random, *, up: bool) -> np.ndarray:
    """Linear phase filter whose gain in dB changes linearly from 0 to 8 kHz; the level is kept."""
    frequencies = np.linspace(0, 1, 65)
    gain_db = TILT_DB * (frequencies - 1 if up else -frequencies)
    filtered = fftconvolve(waveform, firwin2(511, frequencies, 10 ** (gain_db / 20)), mode="same")
    return restore_level(filtered[: len(waveform)], waveform)


def room(waveform: np.ndarray, random: Random, *, paths: list[Path]) -> np.ndarray:
    """Convolve with a room impulse response from its direct sound on; length and level are kept."""
    response = cached_recording(paths[random.integers(len(paths))])
    wet = fftconvolve(waveform, response[np.abs(response).argmax() :])[: len(waveform)]
    return restore_level(wet, waveform)


def clarity_db(response: np.ndarray) -> float:
    """C50 of an impulse response (ISO 3382-1): energy of the first 50 ms over that of the rest, in dB."""
    energy = np.square(response[np.abs(response).argmax() :])
    return float(
        10 * np.log10((energy[: SAMPLING_RATE // 20].sum() + 1e-12) / (energy[SAMPLING_RATE // 20 :].sum() + 1e-12))
    )


# VoiceFixer's distortions that need no recordings.


def resolution(waveform: np.ndarray, random: Random, *, rate: int) -> np.ndarray:
    """Resample to a lower sampling rate, in Hz, and back."""
    return same_length(soxr.resample(soxr.resample(waveform, SAMPLING_RATE, rate), rate, SAMPLING_RATE), len(waveform))


def clip_peak(waveform: np.ndarray, random: Random, *, limit: float) -> np.ndarray:
    """Clip at this share of the peak."""
    peak = limit * np.abs(waveform).max()
    changed: np.ndarray = np.clip(waveform, -peak, peak)
    return changed


def same_length(waveform: np.ndarray, samples: int) -> np.ndarray:
    """Cut, or fill with zeros at the end."""
    return np.pad(waveform[:samples], (0, max(0, samples - len(waveform))))


@lru_cache(maxsize=64)
def cached_recording(path: Path) -> np.ndarray:
    """Read at most 30 s of a noise or a room impulse response; the latest files are cached."""
    return read_audio(path, SAMPLING_RATE)[: 30 * SAMPLING_RATE]


@dataclass
class Recordings:
    """Sound that some conditions need.

    Attributes:
        noise: recordings by kind.
        rooms: room impulse responses, the clearest first.
        voices: clips of other people, for babble.
    """

    noise: dict[str, list[Path]] = field(default_factory=dict)
    rooms: list[Path] = field(default_factory=list)
    voices: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def find(cls, noise: Path | None, rooms: Path | None, voices: Iterable[np.ndarray]) -> "Recordings":
        """Search the folders; a column `category` of the noise's metadata.csv names music, coughing and sneezing.

        Raises:
            Wav2SmallError: if a folder holds no audio.
        """
        by_kind: dict[str, list[Path]] = {}
        for path, category in files_with_category(noise) if noise else []:
            kind = next((kind for kind in NOISE_KINDS if kind[:5] in category.lower()), "environment")
            by_kind.setdefault(kind, []).append(path)
        responses = [path for path, _ in files_with_category(rooms)] if rooms else []
        return cls(
            by_kind, sorted(responses, key=lambda path: -clarity_db(read_audio(path, SAMPLING_RATE))), list(voices)
        )


def files_with_category(folder: Path) -> list[tuple[Path, str]]:
    """Audio files of a folder, each with its `category` where a metadata.csv has that column."""
    table, categories = folder / "metadata.csv", {}
    if table.is_file():
        with table.open(encoding="utf-8", newline="") as file:
            categories = {row["file_name"]: row.get("category") or "" for row in DictReader(file)}
    return [(path, categories.get(path.relative_to(folder).as_posix(), "")) for path in audio_files(folder)]


AS_RECORDED = Condition(UNCHANGED, lambda waveform, random: waveform)
LEVEL_NORMALISED = Condition("level-normalised", lambda waveform, random: to_level(waveform, 10 ** (LEVEL_DB / 20)))

SMALL_CHANGES = (
    Condition("tone 5-7 kHz", tone),
    Condition("zeros before", partial(pad, start=True)),
    Condition("zeros after", partial(pad, start=False)),
    Condition("cropped start", partial(crop, start=True)),
    Condition("cropped end", partial(crop, start=False)),
    Condition("clipped .1-.3 %", clip_share),
    Condition("gain 1-2 dB", gain),
    Condition("high pass 50-150 Hz", partial(first_order, kind="highpass", cutoffs=[50, 100, 150])),
    Condition("low pass 6.5-7.5 kHz", partial(first_order, kind="lowpass", cutoffs=[7500, 7000, 6500])),
    Condition("white noise 35-45 dB", partial(white_noise, snr_db=[35, 40, 45])),
)
FIXED = (
    Condition("white noise 20 dB", white_background),
    Condition("telephone", telephone, "8 kHz mu-law in place of AMR-NB at 7400 bit/s"),
    Condition("tilt up", partial(tilt, up=True), f"our filter: {TILT_DB:.0f} dB over 0-8 kHz"),
    Condition("tilt down", partial(tilt, up=False), f"our filter: {TILT_DB:.0f} dB over 0-8 kHz"),
)
DISTORTIONS = (
    *(Condition(f"resolution {rate // 1000} kHz", partial(resolution, rate=rate)) for rate in (8000, 4000, 2000)),
    *(Condition(f"clipping {limit}", partial(clip_peak, limit=limit)) for limit in (0.5, 0.25, 0.1)),
)

VOICEFIXER = {  # distortion -> conditions, the weakest first
    "noise": ["environment 20 dB", "noise 10 dB", "noise 0 dB", "noise -5 dB"],
    "reverberation": ["reverb clear", "reverb middling", "reverb blurred"],
    "low resolution": ["resolution 8 kHz", "resolution 4 kHz", "resolution 2 kHz"],
    "clipping": ["clipping 0.5", "clipping 0.25", "clipping 0.1"],
}


def conditions(recordings: Recordings) -> list[Condition]:
    """All conditions that can be measured with these recordings, besides the two that are measured always."""
    found = [*SMALL_CHANGES, *FIXED, *DISTORTIONS]
    if len(recordings.voices) > VOICES[1]:
        note = f"{len(recordings.voices)} clips of the data in place of MUSAN's speech"
        found.append(Condition("babble 20 dB", partial(babble, voices=recordings.voices), note))
    for kind, paths in recordings.noise.items():
        snr_db, once = NOISE_KINDS[kind], kind in ("coughing", "sneezing")
        note = f"{len(paths)} recordings of the given folder in place of the published ones"
        change = partial(recorded_noise, paths=paths, snr_db=snr_db, once=once)
        found.append(Condition(f"{kind} {snr_db} dB", change, note))
    for snr_db in (10, 0, -5) if "environment" in recordings.noise else ():
        change = partial(recorded_noise, paths=recordings.noise["environment"], snr_db=snr_db)
        found.append(Condition(f"noise {snr_db} dB", change))
    if recordings.rooms:
        note = f"{len(recordings.rooms)} rooms of the given folder, against the clip as it is, not a recording booth"
        found.append(Condition("room", partial(room, paths=recordings.rooms), note))
    if len(recordings.rooms) >= 3:
        third = len(recordings.rooms) // 3
        parts = {"clear": slice(0, third), "middling": slice(third, -third), "blurred": slice(-third, None)}
        for name, part in parts.items():
            found.append(Condition(f"reverb {name}", partial(room, paths=recordings.rooms[part])))
    return found
