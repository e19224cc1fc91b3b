"""Checkpoints side by side, so that a user can choose: size, quality and time of each."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..models.adv import LABELS, SAMPLING_RATE
from ..models.errors import Wav2SmallError
from .predictor import ONNX_FILES, Predictor

RESULTS = "results"  # folder of a checkpoint with the reports of `wav2small evaluate`
AS_RECORDED = "as recorded"  # name in a report of the clips that are not changed
SECONDS = 5.0  # of audio that is timed
RUNS = 15  # of each checkpoint
WARM_UP = 2


@dataclass(frozen=True)
class Entry:
    """What a checkpoint costs, and how good it is.

    Attributes:
        name: under which it is listed.
        folder: of the checkpoint.
        bytes: of its 8-bit ONNX file; `None` if it has none.
        pearson: correlation of arousal, dominance and valence by data set, from the reports in `results/`.
        ms: median time for 5 s of audio with the 8-bit file on one thread, in milliseconds; `None` without that file.
    """

    name: str
    folder: Path
    bytes: int | None
    pearson: dict[str, tuple[float, ...]]
    ms: float | None


def catalogue(checkpoints: dict[str, Path]) -> list[Entry]:
    """Read the sizes and results of checkpoints, and time them in turns on this machine.

    Args:
        checkpoints: folders by name.

    Raises:
        Wav2SmallError: if a folder is not a checkpoint, or a file in it cannot be read.
    """
    for folder in checkpoints.values():
        if not (folder / "config.json").is_file():
            raise Wav2SmallError(f"{folder} has no config.json: it is not a checkpoint")
    files = {name: folder / ONNX_FILES["q8"] for name, folder in checkpoints.items()}
    files = {name: file for name, file in files.items() if file.is_file()}
    times = measure_times({name: Predictor(checkpoints[name], dtype="q8") for name in files})
    return [
        Entry(
            name,
            folder,
            files[name].stat().st_size if name in files else None,
            read_quality(folder),
            times.get(name),
        )
        for name, folder in checkpoints.items()
    ]


def measure_times(predictors: dict[str, Predictor]) -> dict[str, float]:
    """Time predictors in turns on 5 s of noise, so that other load of the machine affects all of them alike.

    Returns:
        The median time of each, in ms.
    """
    clip = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * SAMPLING_RATE)).astype(np.float32)
    times: dict[str, list[float]] = {name: [] for name in predictors}
    for _ in range(WARM_UP + RUNS):
        for name, predictor in predictors.items():
            start = time.perf_counter()
            predictor.logits((clip, SAMPLING_RATE))
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: float(np.median(each[WARM_UP:])) for name, each in times.items()}


def read_quality(folder: Path) -> dict[str, tuple[float, ...]]:
    """Read how well a checkpoint agrees with ratings or norms, by the name of the report.

    Returns:
        Pearson's r of arousal, dominance and valence, from each report in `results/` that was made with these weights.

    Raises:
        Wav2SmallError: if a report cannot be read.
    """
    weights, found = weight_digests(folder), {}
    for path in sorted((folder / RESULTS).glob("*.json")):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            if "agreement" not in report:  # times
                continue
            names = [model["name"] for model in report["settings"]["models"] if model["weights"] in weights]
            rows = {
                row["dimension"]: float(row["pearson"])
                for row in report["agreement"]
                if [row["model"]] == names[:1] and row["condition"] == AS_RECORDED
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Wav2SmallError(f"{path} is not a report of wav2small evaluate ({error!r}): remove it") from None
        if set(LABELS) <= set(rows):
            found[path.stem] = tuple(rows[label] for label in LABELS)
    return found


def common_report(entries: list[Entry]) -> str:
    """The name of the report by which checkpoints can be compared: the first that most of them have; "" for none."""
    names = sorted({name for entry in entries for name in entry.pearson})
    return max(names, key=lambda name: sum(name in entry.pearson for entry in entries), default="")


def weight_digests(folder: Path) -> set[str]:
    """The digests by which reports name the weights of a checkpoint: of its float ONNX file, and of its safetensors."""
    files = [sorted(folder.glob("*.safetensors")), [folder / ONNX_FILES["fp32"]]]
    return {digest(paths) for paths in files if paths and paths[0].is_file()}


def digest(files: list[Path]) -> str:
    """First 16 digits of the SHA-256 of some files."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(2**20):
                total.update(block)
    return total.hexdigest()[:16]
