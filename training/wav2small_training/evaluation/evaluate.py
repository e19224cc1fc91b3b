"""`wav2small evaluate`: models predict clips under conditions, then the predictions are scored.

The predictions are a JSON line for each clip, model and condition; all numbers of the report come from those lines.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import TimeElapsedColumn
from rich.table import Table

import wav2small
from wav2small.atomic import whole_file
from wav2small.bundled import BUNDLED
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import read_provenance

from ..data.corpora import MisfitError, cell, clip_count, open_rows, row_id, waveform
from ..progress import progress
from ..recipe import Corpus
from ..run_folder import open_run
from ..tables import UNKNOWN
from .conditions import AS_RECORDED, LEVEL_NORMALISED, Condition, Recordings, conditions, level_db
from .models import Predict, load_model, short_names
from .ratings import Norms, Ratings, Row, Target, Teacher, Word
from .report import write_report
from .scores import PredictionTable, read_lines, summary

USUAL_GROUPS = ("sex", "language", "speaker")
VOICES, VOICE_SECONDS = 64, 10  # clips of the data that babble is mixed from, and how much of each


def evaluate(
    models: list[str],
    corpus: Corpus,
    target: Ratings | Norms | Teacher,
    out: Path,
    *,
    groups: list[str] | None = None,
    all_conditions: bool = False,
    noise: Path | None = None,
    rooms: Path | None = None,
) -> dict[str, Any]:
    """Evaluate models side by side, and write `report.md`, `report.json`, plots and all predictions.

    Stopped and started again with the same settings, it goes on where it was.

    Args:
        models: what `load_model` takes: checkpoints, ONNX files, functions.
        corpus: the data; of a corpus with splits, the part to score (`where` or `split`).
        target: what the predictions are compared with.
        out: folder of the results.
        groups: columns to break the scores down by; default: those of sex, language and speaker that the data have.
        all_conditions: run the robustness tests and the distortions too, some 30 predictions for each clip.
        noise: folder of noise for them; a metadata.csv may name music, coughing and sneezing in a column `category`.
        rooms: folder of room impulse responses for them.

    Returns:
        The content of `report.json`.

    Raises:
        Wav2SmallError: if a model, the data or a column is missing, or `out` holds another evaluation.
    """
    loaded = dict(zip(short_names(models), [load_model(source) for source in models], strict=True))
    first = next(iter(open_rows(corpus)), None)
    if first is None:
        raise Wav2SmallError(f"{corpus.source} has no clips where {corpus.where}")
    for column in groups or []:
        cell(first, column, corpus.source)
    usual = [column for column in USUAL_GROUPS if column in first]
    groups = usual if groups is None else groups
    columns = list(dict.fromkeys([*groups, *usual]))
    tested = [AS_RECORDED, LEVEL_NORMALISED]
    if all_conditions:
        tested += conditions(Recordings.find(noise, rooms, islice(readable_clips(corpus), VOICES)))

    settings = {
        "version": wav2small.__version__,
        "models": [
            {"name": name, "source": model.source, "runtime": model.runtime, "weights": model.weights}
            for name, model in loaded.items()
        ],
        "data": corpus.model_dump(mode="json", exclude={"weight", "licence"}),
        "target": {"kind": type(target).__name__.lower(), **asdict(target), "text": str(target)},
        "columns": columns,
        "noise": str(noise) if noise else None,
        "rooms": str(rooms) if rooms else None,
        "conditions": {condition.name: condition.note for condition in tested},
    }
    settings = json.loads(json.dumps(settings))  # tuples as lists, as they come back from the file
    predictions, fit = out / "predictions.jsonl", out / "loudness.jsonl"
    if not predictions.is_file() and not part_of(predictions).is_file():  # an earlier start failed at once
        (out / "evaluation.json").unlink(missing_ok=True)
    open_run(out / "evaluation.json", json.dumps(settings, indent=1) + "\n")
    if not predictions.is_file():
        reader = target.of(corpus)
        part = None if isinstance(target, Teacher) else training_part(corpus)
        with whole_file(fit) as temporary:
            append(temporary, fit_rows(part, reader) if part else [])
        word = target.word if isinstance(target, Norms) else None
        predict(
            {name: model.predict for name, model in loaded.items()}, corpus, reader, tested, columns, predictions, word
        )
    table = PredictionTable.read(predictions)
    if len(table.clips) < 2:
        reason = next(iter(table.skipped.values()), "there is one clip")
        raise Wav2SmallError(f"{corpus.source}: fewer than two clips can be scored ({reason})")
    heard = [name for name, model in loaded.items() if was_trained_on(model.source, corpus)]
    return write_report(out, settings, {**summary(table, list(read_lines(fit)), groups), "trained_on": heard}, table)


def main(
    models: list[str],
    data: str,
    out: Path,
    *,
    split: str | None = None,
    where: list[str] | None = None,
    config: str | None = None,
    audio: str = "audio",
    columns: str | None = None,
    scale: tuple[float, float] = (0.0, 1.0),
    emotion: str | None = None,
    teacher: list[str] | None = None,
    revision: str | None = None,
    groups: str | None = None,
    all_conditions: bool = False,
    noise: Path | None = None,
    rooms: Path | None = None,
) -> None:
    """Evaluate from the command line, and print the CCC of each model; the options are those of `wav2small evaluate`.

    Raises:
        Wav2SmallError: if options contradict one another, or as for [`evaluate`].
    """
    targets: list[Ratings | Norms | Teacher] = []
    if columns:
        targets.append(Ratings(split_pairs([pair for pair in columns.split(",") if pair]), scale))
    if emotion:
        targets.append(Norms(emotion))
    if teacher:
        targets.append(Teacher(tuple(teacher)))
    if len(targets) != 1:
        raise Wav2SmallError("what are the predictions compared with? Give one of --columns, --emotion and --teacher")
    if (noise or rooms) and not all_conditions:
        raise Wav2SmallError("--noise and --rooms are for --conditions: give that too")
    wanted: dict[str, str | list[str]] = {**split_pairs(where or [])}
    if split and Path(data).is_dir():
        wanted["split"], split = split, None
    corpus = Corpus(
        source=data, licence="", config=config, split=split or "train", revision=revision, audio=audio, where=wanted
    )
    listed = groups.split(",") if groups else None
    content = evaluate(
        models or [str(BUNDLED)], corpus, targets[0], out,
        groups=listed, all_conditions=all_conditions, noise=noise, rooms=rooms,
    )  # fmt: skip
    scores = Table("CCC", *LABELS)
    rows = [row for row in content["agreement"] if row["condition"] == AS_RECORDED.name]
    for model in dict.fromkeys(row["model"] for row in rows):
        own = {row["dimension"]: f"{row['ccc']:.3f}" for row in rows if row["model"] == model}
        scores.add_row(model, *(own.get(name, UNKNOWN) for name in LABELS))
    Console().print(scores)
    Console().print(f"report: {out / 'report.md'}", soft_wrap=True)


def was_trained_on(source: str, corpus: Corpus) -> bool:
    """Whether the provenance of a model, where it has one, names this corpus as training audio."""
    local = Path(corpus.source).resolve().name if Path(corpus.source).is_dir() else corpus.source
    try:
        made = read_provenance(source)
    except Wav2SmallError:
        return False
    return any(link.use == "training" and link.id == local for link in made.links())


def split_pairs(texts: list[str]) -> dict[str, str]:
    """Split texts of the form key=value."""
    for text in texts:
        if "=" not in text:
            raise Wav2SmallError(f"{text}: write it as name=value")
    return dict(text.split("=", 1) for text in texts)


def readable_clips(corpus: Corpus) -> Iterator[np.ndarray]:
    """Yield the first 10 s of each clip that can be read."""
    for row in open_rows(corpus):
        try:
            yield waveform(row, corpus)[: VOICE_SECONDS * SAMPLING_RATE]
        except Wav2SmallError:
            continue


def training_part(corpus: Corpus) -> Corpus | None:
    """Find the training split beside the part of a corpus that is scored, if there is one."""
    if corpus.where.get("split", "train") != "train":
        part = corpus.model_copy(update={"where": {**corpus.where, "split": "train"}})
    elif corpus.split != "train":
        part = corpus.model_copy(update={"split": "train"})
    else:
        return None
    try:
        open_rows(part)
    except Wav2SmallError:
        return None
    return part


def fit_rows(corpus: Corpus, target: Target) -> Iterator[Row]:
    """Yield level and target of each clip that the loudness baseline is fitted on."""
    for row in open_rows(corpus):
        try:
            samples = waveform(row, corpus)
            yield {
                "clip": row_id(row, corpus),
                "level_db": level_db(samples),
                "target": without_nan(target(row, samples)),
            }
        except MisfitError:
            raise
        except Wav2SmallError:
            continue


def predict(
    models: dict[str, Predict],
    corpus: Corpus,
    target: Target,
    tested: list[Condition],
    columns: list[str],
    path: Path,
    word: Word | None = None,
) -> None:
    """Write the predictions of all models for all clips under all conditions, clip by clip.

    The lines are collected in a file `*.part`, which is renamed once it is complete. A run that goes on drops the lines
    of the clip at which the last run was stopped.

    Args:
        models: predictions of a waveform, by the name of the model.
        corpus: the clips.
        target: reader of the target of a clip.
        tested: the conditions.
        columns: whose values are written beside the predictions.
        path: of the file.
        word: reader of the emotion word of a clip, where the data have some.
    """
    part = part_of(path)
    done, last = drop_incomplete(part, len(models) * len(tested))
    rows = open_rows(corpus)
    rows = iter(rows.skip(done - 1) if done else rows)
    if done and row_id(next(rows, {"id": None}), corpus) != last:
        raise Wav2SmallError(f"{corpus.source} has changed since {part} was started: remove that file")
    with progress(TimeElapsedColumn()) as bar:
        task = bar.add_task("predicting clips", total=clip_count(corpus), completed=done)
        for row in rows:
            append(part, predict_clip(row, models, corpus, target, tested, columns, word))
            bar.advance(task)
    part.replace(path)


def part_of(path: Path) -> Path:
    """Where the lines of a file are collected."""
    return path.with_name(f"{path.name}.part")


def predict_clip(
    row: Row,
    models: dict[str, Predict],
    corpus: Corpus,
    target: Target,
    tested: list[Condition],
    columns: list[str],
    word: Word | None,
) -> list[Row]:
    """All predictions for one clip, or the reason why it is skipped."""
    clip = row_id(row, corpus)
    try:
        samples = waveform(row, corpus)
        facts = {
            "clip": clip,
            "seconds": len(samples) / SAMPLING_RATE,
            "level_db": level_db(samples),
            "groups": {column: str(row.get(column) or "") for column in columns},
            "target": without_nan(target(row, samples)),
            "emotion": word(row, corpus) if word else "",
        }
        changed = {condition.name: condition(samples, clip) for condition in tested}
        predictions = []
        for model, predict_waveform in models.items():
            for condition, changed_samples in changed.items():
                start = time.perf_counter()
                values = predict_waveform(changed_samples)
                seconds = time.perf_counter() - start
                if not np.isfinite(values).all():
                    raise MisfitError(
                        f"{model} predicts {values.tolist()} for {clip} ({condition}): its weights are broken"
                    )
                own = {"model": model, "condition": condition, "prediction": values.tolist()}
                predictions.append({**facts, **own, "compute_seconds": round(seconds, 6)})
    except MisfitError:
        raise
    except Wav2SmallError as error:
        return [{"clip": clip, "skipped": str(error)}]
    return predictions


def without_nan(target: np.ndarray) -> list[float | None]:
    """Write NaN as None, for JSON."""
    return [None if np.isnan(value) else float(value) for value in target]


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add JSON lines to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def drop_incomplete(part: Path, per_clip: int) -> tuple[int, str]:
    """Cut a file of predictions after its last complete clip; returns the number of clips and the id of the last."""
    clips, last, place, pending = 0, "", 0, 0
    if not part.is_file():
        return clips, last
    end = 0
    with part.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            row = json.loads(line)
            pending += 1
            if "skipped" in row or pending == per_clip:
                clips, last, place, pending = clips + 1, row["clip"], end, 0
    os.truncate(part, place)
    return clips, last
