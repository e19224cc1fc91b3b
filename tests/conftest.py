"""Fixtures of all tests; nothing is downloaded, and what needs `../shared/speech` skips where it is absent."""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # this and the next before huggingface_hub is imported
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="modules-")  # where transformers copies remote code
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile
import soxr

ROOT = Path(__file__).parents[1]
SPEECH = ROOT.parent / "shared" / "speech"
RATE = 16000
pytest_plugins = ["hub.publishable"]  # fixtures of several files of tests/hub


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["HF_MODULES_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real speech beside the checkout."""
    if not SPEECH.is_dir():
        pytest.skip(f"no real speech: {SPEECH} is absent")
    return SPEECH


@pytest.fixture
def spawned() -> Iterator[None]:
    """Workers start anew and get a pickle of what they need: as on macOS and Windows, nearly so on Python 3.14."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture(scope="session")
def examples() -> Path:
    """The example recordings of the project."""
    return ROOT / "examples"


class Payload:
    """What runs code where it is unpickled: it makes a file."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def voice_like(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A signal with the pitch, syllables and level of speech: (samples,) float32."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    pitch = 120 * 2 ** (random.uniform(0, 1) + 0.2 * np.sin(2 * np.pi * random.uniform(0.3, 1) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(3, 5) * time), 0, None)
    return (0.05 * tone * syllables + 0.001 * random.standard_normal(len(time))).astype(np.float32)


def spoken(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Speech without pauses, from the example recordings, repeated if need be: (samples,) float32."""
    files = sorted((ROOT / "examples").glob("*man_*.flac"))
    clip, read_rate = soundfile.read(files[seed % len(files)], dtype="float32")
    frames = clip[: len(clip) // 800 * 800].reshape(-1, 800)
    voiced = soxr.resample(frames[np.abs(frames).max(axis=1) > 0.05].ravel(), read_rate, rate)
    return np.resize(np.roll(voiced, -seed * rate // 4), int(seconds * rate))


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """A good recording of 1.5 s."""
    path = tmp_path / "good.wav"
    soundfile.write(path, spoken(1.5), RATE)
    return path


def write_card(folder: Path | str, licence: str) -> None:
    """A model card that says no more than a licence, as the Hub spells it."""
    (Path(folder) / "README.md").write_text(f"---\nlicense: {licence}\n---\n# A model\n")


def write_corpus(
    folder: Path, clips: int = 12, seconds: float = 0.8, bad: int = 0, voice: Callable[..., np.ndarray] = voice_like
) -> Path:
    """A folder of clips with a metadata.csv; every other clip is of the split `validation`."""
    folder.mkdir(parents=True)
    lines = ["file_name,split,speaker"]
    for i in range(clips):
        soundfile.write(folder / f"{i:03}.flac", voice(seconds + 0.1 * (i % 4), seed=i), RATE)
        lines.append(f"{i:03}.flac,{'validation' if i % 2 else 'train'},{i % 3}")
    for i in range(bad):
        (folder / f"bad{i}.flac").write_text("no audio")
        lines.append(f"bad{i}.flac,train,0")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_labelled(folder: Path, clips: int = 12, seconds: float = 0.8) -> Path:
    """A corpus as by [`write_corpus`] that has labels too: words, and numbers that follow from the pitch of a clip."""
    write_corpus(folder, clips, seconds)
    table = folder / "metadata.csv"
    header, *rows = table.read_text().splitlines()
    for i, row in enumerate(rows):
        height = np.random.default_rng(i).uniform(0, 1)  # in octaves, as `voice_like` draws it
        word = ("anger", "sadness", "happiness")[i % 3]
        rows[i] = f"{row},{word},{0.5 + 0.1 * (i % 5)},{height:.4f},{1 - height:.4f},{0.2 + height / 2:.4f}"
    lines = [f"{header},emotion,agreed,arousal,dominance,valence", *rows]
    table.write_text("\n".join(lines) + "\n")
    return folder
