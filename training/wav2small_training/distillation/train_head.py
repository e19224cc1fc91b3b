"""A teacher from a frozen speech encoder and labelled corpora: features once, then a head in seconds.

wav2small train-head RECIPE [key=value ...]
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from wav2small.atomic import whole_folder
from wav2small.convert.encoder import encoder_from
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError
from wav2small.models.modeling_adv_teacher import AdvTeacherForAudioClassification, TeacherMember
from wav2small.models.teacher_heads import PooledStatsHead
from wav2small.provenance import licences
from wav2small.provenance.provenance import Provenance, write_provenance

from ..data import provenance
from ..head_recipe import HeadRecipe
from ..metrics import ccc, pearson
from .features import feature_set, features
from .head_fit import DEVIATION_SHARE, Head, Settings, calibrate, choose_penalty, fit, predict_unseen


def train_head(recipe: HeadRecipe) -> dict[str, Any]:
    """Fit a head and write the teacher to the recipe's output, whole or not at all.

    Returns:
        What was measured: the penalty, and Pearson's r and CCC (A, D, V) on speakers of the first corpus that the head
        which was scored had not been fitted to.

    Raises:
        Wav2SmallError: if the output exists, a licence does not allow it, an encoder or a corpus cannot be used.
    """
    out = Path(recipe.output)
    if out.exists():  # before minutes of work
        raise Wav2SmallError(f"{out} exists already: choose another output or remove it first")
    origin = provenance.of_head(recipe)
    check_licence(recipe, origin)
    encoder, units = recipe.encoder, recipe.networks * recipe.units
    teacher = encoder_from(encoder.source, list(encoder.states), None, units, encoder.revision, encoder.licence)
    member = cast(TeacherMember, teacher.members[0])
    sets = [feature_set(corpus, recipe, member) for corpus in recipe.corpora]
    neutral = None
    if recipe.neutral:
        neutral = [features(corpus, recipe, member)[1] for corpus in recipe.neutral]

    emphasis = emphasis_of(sets[0].features.shape[1], len(encoder.states))
    penalty, means = choose_penalty(sets, emphasis, list(recipe.penalties))
    settings = Settings(penalty, recipe.networks, recipe.units, recipe.steps, recipe.seed)
    unseen = predict_unseen(sets, 0, emphasis, settings)
    head = fit(sets, emphasis, settings)
    middle = None if neutral is None else np.mean([head(values).mean(axis=0) for values in neutral], axis=0)
    slope, offset = calibrate(unseen, sets[0], middle)
    load_head(cast(PooledStatsHead, member.head), head.scaled(slope, offset))

    kept = sets[0].original
    predicted, targets = unseen[kept] * slope + offset, sets[0].targets[kept]
    figures = {
        "penalty": penalty,
        "mean_r_of_penalties": dict(zip(map(str, recipe.penalties), means.round(4).tolist(), strict=True)),
        "unseen_speakers_of": sets[0].name,
        "pearson": dict(zip(LABELS, pearson(predicted, targets).round(4).tolist(), strict=True)),
        "ccc": dict(zip(LABELS, ccc(predicted, targets).round(4).tolist(), strict=True)),
    }
    with whole_folder(out) as folder:
        save_teacher(teacher, folder)
        write_provenance(replace(origin, evaluation=figures), folder)
        (folder / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    return figures


def check_licence(recipe: HeadRecipe, origin: Provenance) -> None:
    """Refuse a licence that the parts do not allow, and, where none is asked for, one that forbids commercial use.

    Raises:
        Wav2SmallError: it names the part.
    """
    if recipe.licence:
        origin.check_licence(recipe.licence)
        return
    for link in origin.direct_links():
        licence = licences.find_licence(link.licence)
        if link.shapes_weights and licence and not licence.commercial:
            raise Wav2SmallError(
                f"{link.id} is {licence.id}, which does not allow commercial use, and so would the teacher be: leave "
                f"it out, or say `licence: {origin.licence}` in the recipe"
            )


def emphasis_of(size: int, states: int) -> np.ndarray:
    """What deviation each feature has for the fit, (size,): of each state in turn its means, then its deviations."""
    hidden = size // (2 * states)
    return np.tile(np.repeat([1.0, DEVIATION_SHARE], hidden), states)


def load_head(module: PooledStatsHead, head: Head) -> None:
    """Write what was fitted into the head of a teacher."""
    values = {"mean": head.mean, "deviation": head.deviation, "linear.weight": head.weight.T, "linear.bias": head.bias}
    if module.dense is not None:
        values |= {"dense.weight": head.dense.T, "dense.bias": head.dense_bias, "out_proj.weight": head.out.T}
    module.load_state_dict({name: torch.from_numpy(value.copy()).float() for name, value in values.items()})


def save_teacher(teacher: AdvTeacherForAudioClassification, folder: Path) -> None:
    """Save a teacher with its encoder in float16: half of the bytes; it is float32 again once it is loaded."""
    teacher.save_pretrained(folder)
    file = folder / "model.safetensors"
    weights = {name: value.half() if ".encoder." in name else value for name, value in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
