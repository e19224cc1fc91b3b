"""What was measured of a checkpoint, kept beside it: `results/<name>.json` of `evaluate`, and `results/speed.json`.

Each file names the weights that it was measured with; results of other weights are an error.
"""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from wav2small.checkpoint import load_checkpoint
from wav2small.inference.catalogue import RESULTS, digest, weight_digests
from wav2small.inference.predictor import ONNX_FILES
from wav2small.models.errors import Wav2SmallError

from ..benchmarks.model_table import count_gmac, count_values
from ..benchmarks.race import SECONDS, Contestant, idle_memory, measure, processor
from ..benchmarks.runtimes import load_onnx, load_torch
from ..data.corpora import is_local
from ..evaluation.models import short_names
from ..evaluation.plots import Content
from ..evaluation.scores import FEW_GROUPS
from ..recipe import Corpus

SPEED = "speed"
RUNS = 20  # of each file; a teacher takes seconds
WEIGHTS = "model.safetensors"


def read_results(folder: Path, runs: list[Path]) -> dict[str, Content]:
    """Read the evaluations of a checkpoint, by name: those of the folder, replaced by those of runs.

    Args:
        folder: of the checkpoint.
        runs: folders that `wav2small evaluate` wrote; the name of a folder becomes the name of the evaluation.

    Raises:
        Wav2SmallError: if a report cannot be read, or was made with other weights.
    """
    files = {path.stem: path for path in sorted((folder / RESULTS).glob("*.json")) if path.stem != SPEED}
    files |= {run.resolve().name: run / "report.json" for run in runs}
    contents = {}
    for name, path in sorted(files.items()):
        content = read_json(path)
        if "agreement" not in content:
            raise Wav2SmallError(f"{path} is not a report of wav2small evaluate")
        this_model(content["settings"]["models"], folder, path)
        contents[name] = without_local_paths(content)
    return contents


def read_json(path: Path) -> Content:
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
    """The name of this checkpoint in a file of results, which is found by its weights."""
    found = [model["name"] for model in models if model["weights"] in weight_digests(folder)]
    if not found:
        raise Wav2SmallError(f"{path} was not measured with the weights in {folder}: measure again, or remove it")
    name: str = found[0]
    return name


def without_local_paths(content: Content) -> Content:
    """Remove the folders of the machine that wrote a report, and columns of many groups."""
    settings = content["settings"]
    source = settings["data"]["source"]
    local = is_local(Corpus(source=source, licence="")) or source.count("/") != 1
    settings["data"].setdefault("local", local)  # and no id on the Hub, which a path alone does not tell
    teachers = settings["target"].get("source") or []
    teachers = [teachers] if isinstance(teachers, str) else teachers
    paths = [source, settings["noise"], settings["rooms"], *teachers]
    text = json.dumps(content)
    for path in [*paths, *(model["source"] for model in settings["models"])]:
        if path and Path(path).is_absolute():
            text = text.replace(json.dumps(f"{Path(path).parent}/")[1:-1], "")
    content = json.loads(text)
    columns = {row["column"] for row in content["groups"]}
    few = {column for column in columns if len(set(groups(content, column))) <= FEW_GROUPS}
    content["groups"] = [row for row in content["groups"] if row["column"] in few]
    return content


def public_path(path: Path) -> str:
    """A path without the folders of this machine, as a card may show it."""
    return path.name if path.is_absolute() else path.as_posix()


def groups(content: Content, column: str) -> Iterator[str]:
    """The groups of a column, row by row."""
    return (row["group"] for row in content["groups"] if row["column"] == column)


def to_json(content: Content) -> str:
    """Write JSON with one line for each row of a table."""
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
        Wav2SmallError: if it was measured with other weights.
    """
    path = folder / RESULTS / f"{SPEED}.json"
    if not path.is_file():
        return None
    content = read_json(path)
    this_model(content["models"], folder, path)
    return content


def measure_speed(folder: Path, others: list[Path]) -> Content:
    """Size, cost, time and peak memory of a checkpoint, and of others beside it, on this machine.

    Args:
        folder: of the checkpoint.
        others: checkpoint folders.

    Raises:
        Wav2SmallError: if one is not a checkpoint of ours.
    """
    models, files = [], {}
    folders = [folder, *others]
    for name, each in zip(short_names([str(path) for path in folders]), folders, strict=True):
        model = load_checkpoint(each)
        fact = {"name": name, "weights": digest(sorted(each.glob("*.safetensors")))}
        models.append(fact | {"values": count_values(model), "gmac": round(count_gmac(model), 3)})
        files[name, WEIGHTS, "torch"] = Contestant(f"{name} {WEIGHTS}", load_torch, each / WEIGHTS)
        for file in ONNX_FILES.values():
            if (each / file).is_file():
                files[name, file, "ONNX Runtime"] = Contestant(f"{name} {file}", load_onnx, each / file)
    costs = measure(files.values(), RUNS, SECONDS)
    rows = [
        {
            "model": name,
            "file": file,
            "runtime": runtime,
            "ms": round(costs[one.name].ms, 2),
            "peak_mb": round(costs[one.name].peak_mb),
        }
        for (name, file, runtime), one in files.items()
    ]
    return {
        "date": str(date.today()),
        "machine": processor(),
        "seconds": SECONDS,
        "threads": 1,
        "idle_mb": round(idle_memory()),
        "command": " --compare ".join([f"wav2small card {public_path(folder)} --speed", *map(public_path, others)]),
        "models": models,
        "rows": rows,
    }
