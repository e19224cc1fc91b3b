"""Features of a frozen encoder for the clips of a corpus: computed once, and kept in a file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wav2small.atomic import whole_file
from wav2small.models.adv import LEAST_SECONDS, SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.models.modeling_adv_teacher import TeacherMember
from wav2small.models.teacher_heads import PooledStatsHead

from ..data.augment import Augment
from ..data.corpora import label, open_rows, row_id, waveform
from ..head_recipe import HeadCorpus, HeadRecipe
from ..progress import progress
from ..recipe import Corpus
from .head_fit import FeatureSet

# what a corpus says of its clips, and not which they are
OF_CLIPS = {"weight", "labels", "scale", "word", "agreement", "licence", "credit", "speaker", "copies"}


def feature_set(corpus: HeadCorpus, recipe: HeadRecipe, member: TeacherMember) -> FeatureSet:
    """Features, targets and speakers of a labelled corpus, with its augmented copies.

    Args:
        corpus: of the recipe.
        recipe: says how copies are augmented, and where features are kept.
        member: the encoder.

    Raises:
        Wav2SmallError: if the corpus cannot be opened, lacks a column or a label, or all its targets are the same.
    """
    rows = {row_id(row, corpus): row for row in open_rows(corpus)}
    targets = {name: label(row, corpus) for name, row in rows.items()}  # a wrong label is told before minutes of work
    if np.ptp(np.stack(list(targets.values())), axis=0).max() == 0:
        raise Wav2SmallError(f"{corpus.source}: all its clips have the same label: a head has nothing to learn there")
    if corpus.speaker and (lacking := [name for name, row in rows.items() if not row.get(corpus.speaker)]):
        raise Wav2SmallError(f"{corpus.source}: {lacking[0]} has no speaker in the column {corpus.speaker!r}")
    versions = [features(corpus, recipe, member, copy) for copy in range(corpus.copies + 1)]
    names = np.concatenate([found for found, _ in versions])
    return FeatureSet(
        name=Path(corpus.source).name,
        weight=corpus.weight,
        features=np.concatenate([values for _, values in versions]),
        targets=np.stack([targets[name] for name in names]),
        speakers=np.array([str(rows[name][corpus.speaker]) if corpus.speaker else name for name in names]),
        original=np.repeat(np.arange(len(versions)) == 0, [len(found) for found, _ in versions]),
    )


def features(corpus: Corpus, recipe: HeadRecipe, member: TeacherMember, copy: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pooled states of all clips of a corpus that can be read.

    Args:
        corpus: where they come from.
        recipe: the folder of the cache, the length of crops, the augmentation.
        member: the encoder.
        copy: 0 for the clips as they are; else which of the augmented copies.

    Returns:
        Names of the clips (clips,), and their features (clips, size) float32.

    Raises:
        Wav2SmallError: if there are none.
    """
    file = Path(recipe.cache) / f"{Path(corpus.source).name}-{digest(corpus, recipe, member, copy)}.npz"
    if not file.is_file():
        names, values = compute(corpus, recipe, member, copy)
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, names=names, values=values)
    with np.load(file) as found:
        return found["names"], found["values"]


def digest(corpus: Corpus, recipe: HeadRecipe, member: TeacherMember, copy: int) -> str:
    """Name all that features depend on, but for the audio itself."""
    facts: dict[str, Any] = {
        "corpus": {key: value for key, value in corpus.model_dump(mode="json").items() if key not in OF_CLIPS},
        "encoder": [recipe.encoder.source, member.member.revision, member.member.encoder, member.member.states],
        "crop_seconds": recipe.crop_seconds,
    }
    if copy:
        facts |= {"augmentation": recipe.augmentation.model_dump(mode="json"), "copy": copy, "seed": recipe.seed}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@torch.inference_mode()
def compute(corpus: Corpus, recipe: HeadRecipe, member: TeacherMember, copy: int) -> tuple[np.ndarray, np.ndarray]:
    """Run the encoder; see [`features`]."""
    augment = Augment(recipe.augmentation) if copy else None
    longest = round(recipe.crop_seconds * SAMPLING_RATE)
    rows = list(open_rows(corpus))
    names, values = [], []
    with progress() as bar:
        what = f"features of {Path(corpus.source).name}" + (f", copy {copy}" if copy else "")
        for i, row in enumerate(bar.track(rows, description=what)):
            try:
                clip = waveform(row, corpus)[:longest]
            except Wav2SmallError:
                continue  # training skips what cannot be read as well
            if len(clip) < LEAST_SECONDS * SAMPLING_RATE:
                continue
            if augment:
                clip = augment.change_recording(clip, np.random.default_rng([recipe.seed, copy, i]))
            states, padding = member.encode(torch.from_numpy(clip)[None], None)
            names.append(row_id(row, corpus))
            values.append(PooledStatsHead.pool(states, padding)[0].numpy())
    if not names:
        raise Wav2SmallError(f"{corpus.source} has no clip that can be read")
    return np.array(names), np.stack(values)
