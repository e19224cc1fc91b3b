"""What `wav2small distill RECIPE --publish org/name` does before and after the training."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from wav2small.convert.teacher import read_config
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError

from ..data.corpora import is_rendering, waveform
from ..data.mixture import random_rows
from ..data.overlap import refuse_shared_clips
from ..distillation.teacher_labels import teachers_of
from ..evaluation.calibrate import CLIPS, calibrate
from ..evaluation.conditions import AS_RECORDED
from ..evaluation.evaluate import evaluate
from ..evaluation.ratings import Norms, Ratings, Teacher
from ..evaluation.scores import BASELINE
from ..exporters.export import export
from ..recipe import Corpus, Recipe
from ..teachers import member_sources
from . import card, commit
from .commit import Plan
from .publish import parse_target, publish

ANYWAY = "train longer or on other clips, or add --anyway"


def check_release(recipe: Recipe, repo_id: str) -> None:
    """Check before hours of training what the publication after it needs; the training checks the licence.

    Raises:
        Wav2SmallError: if the token may not write there, a teacher cannot be found, validation clips are training
            clips, or no corpus of the validation has a target to evaluate against.
    """
    refuse_shared_clips(recipe)
    commit.log_in(parse_target(repo_id))
    for source in sources(recipe):
        read_config(source, None)
    if not any(target(recipe, corpus) for corpus in recipe.validation.corpora):
        raise Wav2SmallError(f"{recipe.name}: --publish evaluates on labels that differ: give the validation some")


def release(recipe: Recipe, repo_id: str, *, private: bool = False, anyway: bool = False) -> Plan:
    """Publish the best student of a finished run: ONNX files, evaluation, affect words, card, upload.

    It is evaluated on each corpus of the validation against its teacher or, where it learned from labels, against
    these. The published checkpoint stays in the folder of the run, under its name on the Hub.

    Args:
        recipe: of the run.
        repo_id: "org/name" on the Hub.
        private: make a new repository private.
        anyway: publish a student that learned nothing, too.

    Raises:
        Wav2SmallError: if the student learned nothing, the card of an earlier release was edited, a check fails, or
            the Hub refuses.
    """
    run = Path(recipe.output)
    folder, reports = run / repo_id.split("/")[1], run / "evaluation"
    card.check_unedited(folder / card.CARD)
    if not anyway:
        check_gain(json.loads((run / "history.json").read_text(encoding="utf-8")), recipe.name)
    for earlier in (folder, reports):
        shutil.rmtree(earlier, ignore_errors=True)
    speech, licence = ordinary_speech(recipe)
    export(str(run / "best"), folder, speech, licence)
    with suppress(Wav2SmallError):  # too few clips: without thresholds of its own it has no affect words
        calibrate(folder, [speech], [])
    outs, contents = [], []
    for i, corpus in enumerate(recipe.validation.corpora):
        if wanted := target(recipe, corpus):
            outs.append(reports / "-".join([str(i + 1), *re.findall(r"[\w.-]+", Path(corpus.source).stem)]))
            contents.append(evaluate([str(folder)], corpus, wanted, outs[-1]))
    if not anyway:
        check_beyond_loudness(contents, folder)
    card.write_card(folder, outs, id=repo_id, speed=True)
    try:
        return publish(folder, repo_id, private=private)
    except Wav2SmallError as error:
        raise Wav2SmallError(f"{error}; the student is in {folder}: `wav2small publish {folder} {repo_id}`") from None


def check_gain(history: list[dict[str, Any]], name: str) -> None:
    """Refuse a student that agrees with its targets no more than it did before the first step.

    Raises:
        Wav2SmallError: it names both figures.
    """
    before, best = float(np.mean(history[0]["ccc"])), max(float(np.mean(entry["ccc"])) for entry in history)
    if best <= before:
        raise Wav2SmallError(
            f"{name} learned nothing: its CCC to the targets is {best:.3f}, and {before:.3f} untrained: it is not "
            f"published; {ANYWAY}"
        )


def check_beyond_loudness(contents: list[dict[str, Any]], folder: Path) -> None:
    """Refuse a student that agrees with its targets less than a straight line of loudness does.

    Raises:
        Wav2SmallError: it names both figures.
    """
    rows = [row for content in contents for row in content["agreement"] if row["condition"] == AS_RECORDED.name]
    loudness = float(np.mean([row["ccc"] for row in rows if row["model"] == BASELINE]))
    own = float(np.mean([row["ccc"] for row in rows if row["model"] != BASELINE]))
    if own <= loudness:
        raise Wav2SmallError(
            f"{folder} is no better than loudness alone: its mean CCC is {own:.3f}, that of the loudness baseline "
            f"{loudness:.3f}: it is not published; {ANYWAY}"
        )


def sources(recipe: Recipe) -> list[str]:
    """Folders or ids of the models whose predictions are the targets; none where these are labels."""
    return member_sources(recipe.teacher) or (teachers_of(Path(recipe.teacher_labels)) if recipe.teacher_labels else [])


def target(recipe: Recipe, corpus: Corpus) -> Teacher | Ratings | Norms | None:
    """What a student is evaluated against on a corpus of the validation; None where it has nothing that differs."""
    if not corpus.speech or corpus.word:
        return None
    if isinstance(corpus.labels, tuple):
        scale = None if is_rendering(corpus.source) else corpus.scale or (0.0, 1.0)
        return Ratings(dict(zip(LABELS, corpus.labels, strict=True)), scale)
    if corpus.labels:
        return Norms(corpus.labels)
    return Teacher(tuple(sources(recipe)))


def ordinary_speech(recipe: Recipe) -> tuple[Path, str]:
    """Clips of the training's speech to calibrate ONNX files and affect words on: a folder, and their licence.

    They come from the heaviest corpus of people who do not act emotions, where the recipe has one.
    """
    spoken = [corpus for corpus in recipe.corpora if corpus.speech]
    plain = [corpus for corpus in spoken if not corpus.labelled or corpus.word == "neutral"]
    corpus = max(plain or spoken, key=lambda each: each.weight)
    stem = Path(corpus.source)
    folder = Path(recipe.output) / "calibration" / (stem.parent.name if stem.suffix else stem.name)
    if not folder.is_dir():
        folder.mkdir(parents=True)
        for i, clip in enumerate(islice(readable(corpus, recipe.seed), CLIPS)):
            soundfile.write(folder / f"{i:03}.flac", clip / max(1.0, float(np.abs(clip).max())), SAMPLING_RATE)
    return folder, corpus.licence


def readable(corpus: Corpus, seed: int) -> Iterator[np.ndarray]:
    """Waveforms of one epoch of a corpus, in random order, without what cannot be read or holds no speech."""
    for row in random_rows(corpus, seed):
        with suppress(Wav2SmallError):
            if row.get("speech") != 0:
                yield waveform(row, corpus)
