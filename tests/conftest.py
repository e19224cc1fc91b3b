"""Fixtures of all tests; nothing is downloaded, and what needs `../shared/speech` skips where it is absent."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before huggingface_hub is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[1]
SPEECH = ROOT.parent / "shared" / "speech"
RATE = 16000


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real speech beside the checkout."""
    if not SPEECH.is_dir():
        pytest.skip(f"no real speech: {SPEECH} is absent")
    return SPEECH


@pytest.fixture(scope="session")
def examples() -> Path:
    """The example recordings of the project."""
    return ROOT / "examples"


def voice_like(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A signal with the pitch, syllables and level of speech: (samples,) float32."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    pitch = 120 * 2 ** (random.uniform(0, 1) + 0.2 * np.sin(2 * np.pi * random.uniform(0.3, 1) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tone = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(3, 5) * time), 0, None)
    return (0.05 * tone * syllables + 0.001 * random.standard_normal(len(time))).astype(np.float32)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """A good recording of 1.5 s."""
    path = tmp_path / "good.wav"
    soundfile.write(path, voice_like(1.5), RATE)
    return path
