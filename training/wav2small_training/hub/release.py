"""What `wav2small distill RECIPE --publish org/name` does before and after the training."""

import re
import shutil
from pathlib import Path

import torch
from transformers import PreTrainedModel

from wav2small.convert.teacher import read_config
from wav2small.models.auto import CLASSES
from wav2small.models.errors import Wav2SmallError

from ..data.provenance import teachers
from ..distillation.targets import load_teacher
from ..evaluation.evaluate import evaluate
from ..evaluation.ratings import Teacher
from ..exporters.export import export
from ..recipe import Recipe
from . import card, commit
from .commit import Plan
from .publish import parse_target, publish

BY_HAND = "--publish evaluates against one teacher: distil without it, then export, evaluate, card and publish"


def check_release(recipe: Recipe, repo_id: str) -> None:
    """Check before hours of training what the publication after it needs; the training checks the licence.

    Raises:
        Wav2SmallError: if the token may not write there, or the recipe does not have one teacher that can be found.
    """
    if not recipe.teacher and not recipe.teacher_labels:
        raise Wav2SmallError(f"{recipe.name} learns from labels, and {BY_HAND}")
    commit.log_in(parse_target(repo_id))
    kinds = [read_config(source, None)[0].get("model_type") for source in sources(recipe)]
    if len(kinds) > 1 and kinds[0] in CLASSES:
        raise Wav2SmallError(f"{recipe.name} has several teachers of ours, and {BY_HAND}")


def release(recipe: Recipe, repo_id: str) -> Plan:
    """Publish the best student of a finished run: ONNX files, evaluation against its teacher, card, upload.

    The published checkpoint stays in the folder of the run, under its name on the Hub.

    Raises:
        Wav2SmallError: if the card of an earlier release was edited, a check fails, or the Hub refuses.
    """
    run = Path(recipe.output)
    folder, reports = run / repo_id.split("/")[1], run / "evaluation"
    card.check_unedited(folder / card.CARD)
    for earlier in (folder, reports):
        shutil.rmtree(earlier, ignore_errors=True)
    export(str(run / "best"), folder)
    teacher, outs = Teacher(teacher_folder(recipe)), []
    for i, corpus in enumerate(recipe.validation.corpora):
        outs.append(reports / "-".join([str(i + 1), *re.findall(r"[\w.-]+", Path(corpus.source).stem)]))
        evaluate([str(folder)], corpus, teacher, outs[-1])
    card.write_card(folder, outs, id=repo_id, speed=True)
    try:
        return publish(folder, repo_id)
    except Wav2SmallError as error:
        raise Wav2SmallError(f"{error}; the student is in {folder}: `wav2small publish {folder} {repo_id}`") from None


def sources(recipe: Recipe) -> list[str]:
    """Folders or ids of the teacher's members, of the recipe or of its teacher labels."""
    named = recipe.teacher or [link.id for link in teachers(recipe)]
    return [named] if isinstance(named, str) else named


def teacher_folder(recipe: Recipe) -> str:
    """The teacher of a recipe as one checkpoint of ours; if it is not one yet, it is saved in the folder of the run."""
    named = sources(recipe)
    if len(named) == 1 and read_config(named[0], None)[0].get("model_type") in CLASSES:
        return named[0]
    folder = Path(recipe.output) / "teacher"
    if not folder.exists():
        teacher: PreTrainedModel = load_teacher(named, torch.device("cpu"))
        teacher.save_pretrained(folder)
    return str(folder)
