"""What was measured of a checkpoint, kept beside it: `results/<name>.json` of `evaluate`, and `results/speed.json`.

A number is of certain weights: each file says which, and one of other weights is refused.
"""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.auto import CLASSES
from wav2small.models.errors import Wav2SmallError

from ..benchmarks.model_table import count_gmac, count_values
from ..benchmarks.race import NOTHING, ONNX, SECONDS, TORCH, Contestant, peak_memory, processor, race
from ..data.corpora import is_local
from ..evaluation.models import digest, names
from ..evaluation.plots import Content
from ..evaluation.scores import FEW_GROUPS
from ..recipe import Corpus

RESULTS = "results"
SPEED = "speed"
RUNS = 20  # of each file; a teacher takes seconds
WEIGHTS = "model.safetensors"


def read(folder: Path, runs: list[Path]) -> dict[str, Content]:
    """The evaluations of a checkpoint by name: those that it holds, and those of runs, which come in their place.

    Args:
        folder: of the checkpoint.
        runs: folders that `wav2small evaluate` wrote; the name of a folder becomes the name of the evaluation.

    Raises:
        Wav2SmallError: if a report cannot be read, or is not of these weights.
    """
    files = {path.stem: path for path in sorted((folder / RESULTS).glob("*.json")) if path.stem != SPEED}
    files |= {run.resolve().name: run / "report.json" for run in runs}
    contents = {}
    for name, path in files.items():
        content = load(path)
        if "agreement" not in content:
            raise Wav2SmallError(f"{path} is no report of wav2small evaluate")
        this_model(content["settings"]["models"], folder, path)
        contents[name] = public(content)
    return contents


def load(path: Path) -> Content:
    """Read a JSON file that holds an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Wav2SmallError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise Wav2SmallError(f"{path} is not JSON: measure again") from None
    if not isinstance(content, dict):
        raise Wav2SmallError(f"{path} does not hold what was measured: measure again")
    return content


def this_model(models: list[dict[str, Any]], folder: Path, path: Path) -> str:
    """The name that a file of results gives to this checkpoint, which it knows by its weights."""
    found = [model["name"] for model in models if model["weights"] in prints(folder)]
    if not found:
        raise Wav2SmallError(f"{path} was not measured with the weights in {folder}: measure again, or remove it")
    return found[0]


def prints(folder: Path) -> set[str]:
    """The digests by which reports name the weights of a checkpoint: of its float ONNX file, and of its safetensors."""
    files = [sorted(folder.glob("*.safetensors")), [folder / ONNX_FILES["fp32"]]]
    return {digest(paths) for paths in files if paths and paths[0].is_file()}


def public(content: Content) -> Content:
    """A report without the folders of the machine that made it, and without columns of many groups."""
    settings = content["settings"]
    source = settings["data"]["source"]
    local = is_local(Corpus(source=source, licence="")) or source.count("/") != 1
    settings["data"].setdefault("local", local)  # and no id on the Hub; elsewhere nobody could tell
    paths = [source, settings["noise"], settings["rooms"], settings["target"].get("source")]
    text = json.dumps(content)
    for path in [*paths, *(model["source"] for model in settings["models"])]:
        if path and Path(path).is_absolute():
            text = text.replace(json.dumps(f"{Path(path).parent}/")[1:-1], "")
    content = json.loads(text)
    columns = {row["column"] for row in content["groups"]}
    few = {column for column in columns if len(set(groups(content, column))) <= FEW_GROUPS}
    content["groups"] = [row for row in content["groups"] if row["column"] in few]
    return content


def shown(path: Path) -> str:
    """A path as a card may show it: without the folders of the machine that made it."""
    return path.name if path.is_absolute() else path.as_posix()


def groups(content: Content, column: str) -> Iterator[str]:
    """The groups of a column, row by row."""
    return (row["group"] for row in content["groups"] if row["column"] == column)


def dumps(content: Content) -> str:
    """JSON with one row of a table a line."""
    parts = []
    for key, value in content.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in value)
            parts.append(f' "{key}": [\n{rows}\n ]' if value else f' "{key}": []')
        else:
            parts.append(f' "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def read_speed(folder: Path) -> Content | None:
    """What `measure` found for a checkpoint, if it was measured.

    Raises:
        Wav2SmallError: if it is not of these weights.
    """
    path = folder / RESULTS / f"{SPEED}.json"
    if not path.is_file():
        return None
    content = load(path)
    this_model(content["models"], folder, path)
    return content


def measure(folder: Path, others: list[Path]) -> Content:
    """Size, cost, time and peak memory of a checkpoint, and of others that take turns with it, on this machine.

    Args:
        folder: of the checkpoint.
        others: checkpoint folders.

    Raises:
        Wav2SmallError: if one is no checkpoint of ours.
    """
    models, contestants = [], {}
    folders = [folder, *others]
    for name, each in zip(names([str(path) for path in folders]), folders, strict=True):
        try:
            model = CLASSES[AutoConfig.from_pretrained(each).model_type].from_pretrained(each).eval()
        except (OSError, ValueError, KeyError):
            raise Wav2SmallError(f"{each} is no checkpoint of a model of ours") from None
        fact = {"name": name, "weights": digest(sorted(each.glob("*.safetensors")))}
        models.append(fact | {"values": count_values(model), "gmac": round(count_gmac(model), 3)})
        contestants[name, WEIGHTS, "torch"] = Contestant(f"{name} {WEIGHTS}", TORCH, each / WEIGHTS)
        for file in ONNX_FILES.values():
            if (each / file).is_file():
                contestants[name, file, "ONNX Runtime"] = Contestant(f"{name} {file}", ONNX, each / file)
    times = race(contestants.values(), RUNS, SECONDS)
    rows = [
        {
            "model": name,
            "file": file,
            "runtime": runtime,
            "ms": round(times[one.name], 2),
            "peak_mb": round(peak_memory(one)),
        }
        for (name, file, runtime), one in contestants.items()
    ]
    return {
        "date": str(date.today()),
        "machine": processor(),
        "seconds": SECONDS,
        "threads": 1,
        "idle_mb": round(peak_memory(Contestant("", NOTHING))),
        "command": " --compare ".join([f"wav2small card {shown(folder)} --speed", *map(shown, others)]),
        "models": models,
        "rows": rows,
    }
