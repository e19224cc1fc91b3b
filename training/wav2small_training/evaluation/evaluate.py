"""`wav2small evaluate`: models answer clips under conditions, then their answers are scored.

Predict, then score: one JSON line a clip, model and condition, and all numbers of the report are read from those lines.
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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import wav2small
from wav2small.atomic import whole_file
from wav2small.inference.predictor import BUNDLED
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import clip_count, open_rows, row_id, waveform
from ..recipe import Corpus
from ..run_folder import open_run
from .conditions import AS_RECORDED, LEVEL_NORMALISED, RATE, Condition, Recordings, conditions, level_db
from .models import Answer, load_model, names
from .ratings import MisfitError, Norms, Ratings, Row, Target, Teacher, cell
from .report import write
from .scores import AnswerTable, read_lines, summary

USUAL_GROUPS = ("sex", "language", "speaker")
VOICES = 64  # clips of the data that babble is mixed from, 10 s of each


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
    """Evaluate models side by side, and write `report.md`, `report.json`, plots and all answers.

    Killed and started again with the same settings, it goes on where it was.

    Args:
        models: checkpoint folders or Hub ids.
        corpus: the data; of a corpus with splits, the part to score (`where` or `split`).
        target: what the answers are compared with.
        out: folder of the results.
        groups: columns to break the scores down by; default: those of sex, language and speaker that the data have.
        all_conditions: run the robustness tests and the distortions too, some 30 answers a clip.
        noise: folder of noise for them; a metadata.csv may name music, coughing and sneezing in a column `category`.
        rooms: folder of impulse responses for them.

    Returns:
        The content of `report.json`.

    Raises:
        Wav2SmallError: if a model, the data or a column is missing, or `out` holds another evaluation.
    """
    loaded = dict(zip(names(models), [load_model(source) for source in models], strict=True))
    first = next(iter(open_rows(corpus)), None)
    if first is None:
        raise Wav2SmallError(f"{corpus.source} has no clips where {corpus.where}")
    for column in groups or []:
        cell(first, column, corpus)
    usual = [column for column in USUAL_GROUPS if column in first]
    groups = usual if groups is None else groups
    columns = list(dict.fromkeys([*groups, *usual]))
    tested = [AS_RECORDED, LEVEL_NORMALISED]
    if all_conditions:
        tested += conditions(Recordings.find(noise, rooms, islice(readable(corpus), VOICES)))

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
    open_run(out / "evaluation.json", json.dumps(settings, indent=1) + "\n")
    answers, fit = out / "answers.jsonl", out / "loudness.jsonl"
    if not answers.is_file():
        reader = target.of(corpus)
        part = None if isinstance(target, Teacher) else training_part(corpus)
        with whole_file(fit) as temporary:
            append(temporary, fit_rows(part, reader) if part else [])
        predict({name: model.answer for name, model in loaded.items()}, corpus, reader, tested, columns, answers)
    table = AnswerTable.read(answers)
    if len(table.clips) < 2:
        reason = next(iter(table.skipped.values()), "there is one clip")
        raise Wav2SmallError(f"{corpus.source}: fewer than two clips can be scored ({reason})")
    return write(out, settings, summary(table, list(read_lines(fit)), groups), table)


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
    teacher: str | None = None,
    groups: str | None = None,
    all_conditions: bool = False,
    noise: Path | None = None,
    rooms: Path | None = None,
) -> None:
    """Evaluate from the command line, and print the CCC of each model; the options are those of `wav2small evaluate`.

    Raises:
        Wav2SmallError: if options contradict one another, and as [`evaluate`].
    """
    targets: list[Ratings | Norms | Teacher] = []
    if columns:
        targets.append(Ratings(pairs([pair for pair in columns.split(",") if pair]), scale))
    if emotion:
        targets.append(Norms(emotion))
    if teacher:
        targets.append(Teacher(teacher))
    if len(targets) != 1:
        raise Wav2SmallError("what are the answers compared with? Give one of --columns, --emotion and --teacher")
    if (noise or rooms) and not all_conditions:
        raise Wav2SmallError("--noise and --rooms are for --conditions: give that too")
    wanted = pairs(where or [])
    if split and Path(data).is_dir():
        wanted["split"], split = split, None
    corpus = Corpus(source=data, licence="", config=config, split=split or "train", audio=audio, where=wanted)
    listed = groups.split(",") if groups else None
    content = evaluate(
        models or [str(BUNDLED)], corpus, targets[0], out,
        groups=listed, all_conditions=all_conditions, noise=noise, rooms=rooms,
    )  # fmt: skip
    grid = Table("CCC", *LABELS)
    rows = [row for row in content["agreement"] if row["condition"] == AS_RECORDED.name]
    for model in dict.fromkeys(row["model"] for row in rows):
        score = {row["dimension"]: f"{row['ccc']:.3f}" for row in rows if row["model"] == model}
        grid.add_row(model, *(score.get(name, "–") for name in LABELS))
    Console().print(grid)
    Console().print(f"report: {out / 'report.md'}", soft_wrap=True)


def pairs(texts: list[str]) -> dict[str, str]:
    """Split texts of the form key=value."""
    for text in texts:
        if "=" not in text:
            raise Wav2SmallError(f"{text}: write it as name=value")
    return dict(text.split("=", 1) for text in texts)


def readable(corpus: Corpus) -> Iterator[np.ndarray]:
    """The first 10 s of each clip that can be read."""
    for row in open_rows(corpus):
        try:
            yield waveform(row, corpus)[: 10 * RATE]
        except Wav2SmallError:
            continue


def training_part(corpus: Corpus) -> Corpus | None:
    """The training split beside the part of a corpus that is scored, if there is one."""
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
    """Level and target of each clip that the loudness baseline is fitted on."""
    for row in open_rows(corpus):
        try:
            samples = waveform(row, corpus)
            yield {"clip": row_id(row, corpus), "level_db": level_db(samples), "target": gaps(target(row, samples))}
        except MisfitError:
            raise
        except Wav2SmallError:
            continue


def predict(
    models: dict[str, Answer],
    corpus: Corpus,
    target: Target,
    tested: list[Condition],
    columns: list[str],
    path: Path,
) -> None:
    """Write the answers of all models to all clips under all conditions, clip by clip.

    They grow in a file `*.part`, which takes its name once it is complete. A run that goes on drops what that file
    holds of the clip at which the last one was killed.
    """
    part = path.with_name(f"{path.name}.part")
    done, last = resume(part, len(models) * len(tested))
    rows = open_rows(corpus)
    rows = iter(rows.skip(done - 1) if done else rows)
    if done and row_id(next(rows, {"id": None}), corpus) != last:
        raise Wav2SmallError(f"{corpus.source} is not as it was when {part} was begun: remove that file")
    with progress() as bar:
        task = bar.add_task("answering clips", total=clip_count(corpus), completed=done)
        for row in rows:
            append(part, answer_clip(row, models, corpus, target, tested, columns))
            bar.advance(task)
    part.replace(path)


def progress() -> Progress:
    """A bar with clips, time used and time left; none where stderr is no terminal."""
    console = Console(stderr=True)
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*shown, *times, console=console, disable=not console.is_terminal)


def answer_clip(
    row: Row,
    models: dict[str, Answer],
    corpus: Corpus,
    target: Target,
    tested: list[Condition],
    columns: list[str],
) -> list[Row]:
    """All answers to one clip, or the reason why it is skipped."""
    clip = row_id(row, corpus)
    try:
        samples = waveform(row, corpus)
        facts = {
            "clip": clip,
            "seconds": len(samples) / RATE,
            "level_db": level_db(samples),
            "groups": {column: str(row.get(column) or "") for column in columns},
            "target": gaps(target(row, samples)),
        }
        changed = {condition.name: condition(samples, clip) for condition in tested}
        answers = []
        for model, answer in models.items():
            for condition, heard in changed.items():
                begun = time.perf_counter()
                values = answer(heard)
                took = time.perf_counter() - begun
                if not np.isfinite(values).all():
                    raise MisfitError(
                        f"{model} answers {values.tolist()} to {clip} ({condition}): its weights are broken"
                    )
                own = {"model": model, "condition": condition, "answer": values.tolist()}
                answers.append({**facts, **own, "compute_seconds": round(took, 6)})
    except MisfitError:
        raise
    except Wav2SmallError as error:
        return [{"clip": clip, "skipped": str(error)}]
    return answers


def gaps(target: np.ndarray) -> list[float | None]:
    """Numbers for JSON, which has no NaN."""
    return [None if np.isnan(value) else float(value) for value in target]


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add JSON lines to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def resume(part: Path, per_clip: int) -> tuple[int, str]:
    """Cut a file of answers after its last complete clip; count the clips and name the last one."""
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
