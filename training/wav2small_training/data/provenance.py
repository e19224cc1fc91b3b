"""A recipe -> the provenance of what it makes: teachers, parent, and all audio with its amounts."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import soundfile

from wav2small.hub import hub_error
from wav2small.provenance import provenance
from wav2small.provenance.provenance import Link, Provenance

from ..head_recipe import HeadRecipe
from ..recipe import Augmentation, Corpus, MixtureRecipe, Recipe
from ..teachers import member_sources
from .corpora import clip_count, is_local, is_rendering, open_rows

NORMS = Link(
    "norms of emotion words",
    "LicenseRef-facts",
    "labels",
    credit="norms of emotion words (Russell and Mehrabian 1977; Warriner, Kuperman and Brysbaert 2013)",
)


def of_student(recipe: Recipe) -> Provenance:
    """What the student of a recipe will be made from; known before the first step.

    Raises:
        Wav2SmallError: if a part cannot be found, its licence is not known, or no licence meets what all parts ask for.
    """
    learned = teachers(recipe)
    return Provenance(
        step="distill" if learned else "train",
        name=recipe.name,
        teachers=learned,
        corpora=corpora(recipe) + validation(recipe) + norms(recipe) + augmentation(recipe),
        parent=parent(recipe),
        recipe=facts(recipe),
    )


def of_mixture(recipe: MixtureRecipe) -> Provenance:
    """What the rendered mixture of a recipe will be made from; raises as for a student."""
    return Provenance(
        step="mix",
        name=recipe.name,
        teachers=teachers(recipe),
        corpora=corpora(recipe) + norms(recipe) + augmentation(recipe),
        recipe=facts(recipe),
    )


def of_teacher_labels(recipe: Recipe) -> Provenance:
    """What the teacher labels of a recipe's clips will be made from; raises as for a student."""
    return Provenance(
        step="annotate",
        name=recipe.name,
        teachers=teachers(recipe),
        corpora=corpora(recipe) + validation(recipe),
        recipe=facts(recipe),
    )


def of_head(recipe: HeadRecipe) -> Provenance:
    """What a teacher with a new head will be made from; raises as for a student."""
    encoder, labelled = recipe.encoder, recipe.corpora
    local = Path(encoder.source).is_dir()
    found = provenance.link_model(encoder.source, "parent", encoder.revision, encoder.licence)
    parent = replace(found, id=Path(encoder.source).resolve().name if local else found.id, credit=encoder.credit)
    return Provenance(
        step="train",
        name=recipe.name,
        corpora=list(dict.fromkeys(corpus(each, "training") for each in [*labelled, *recipe.neutral]))
        + emotion_norms(labelled)
        + recordings(recipe.augmentation),
        parent=parent,
        recipe=facts(recipe),
    )


def facts(recipe: MixtureRecipe | HeadRecipe) -> dict[str, Any]:
    """Name and hash of a recipe, and how much audio there is in a step; the hash is that of the saved `recipe.yaml`."""
    digest = hashlib.sha256(recipe.to_yaml().encode()).hexdigest()
    values: dict[str, Any] = recipe.model_dump(mode="json", include={"steps", "batch", "crop_seconds", "seed"})
    return {"name": recipe.name, "sha256": digest, **values}


def teachers(recipe: MixtureRecipe) -> list[Link]:
    """The models whose predictions a student learns, from its recipe, its teacher labels or its rendered mixtures.

    Raises:
        Wav2SmallError: if one cannot be found, or the teacher labels have no provenance.
    """
    if recipe.teacher_labels:
        return list(provenance.read_provenance(recipe.teacher_labels).teachers)
    found = [provenance.link_model(source, "teacher") for source in member_sources(recipe.teacher)]
    for rendered in filter(None, map(mixture, recipe.corpora)):
        found += [link for link in rendered.teachers if link not in found]
    return found


def parent(recipe: Recipe) -> Link | None:
    """The checkpoint that a student goes on from."""
    return provenance.link_model(recipe.student.start, "parent") if recipe.student.start else None


def corpora(recipe: MixtureRecipe) -> list[Link]:
    """The corpora of training; in the place of a rendered mixture, what it was rendered from."""
    used: list[Link] = []
    for each in recipe.corpora:
        rendered = mixture(each)
        used += [link for link in rendered.corpora if link.shapes_weights] if rendered else [corpus(each, "training")]
    return list(dict.fromkeys(used))


def validation(recipe: Recipe) -> list[Link]:
    """The corpora of validation."""
    return [corpus(each, "evaluation") for each in recipe.validation.corpora]


def mixture(source: Corpus) -> Provenance | None:
    """What `wav2small mix` wrote beside its shards; None for any other corpus."""
    if not is_rendering(source.source):
        return None
    return provenance.read_provenance(Path(source.source).parent)


def norms(recipe: MixtureRecipe) -> list[Link]:
    """The published norms of emotion words, where these are the labels; other labels are part of their corpus."""
    return emotion_norms(recipe.corpora)


def emotion_norms(labelled: Sequence[Corpus]) -> list[Link]:
    """The published norms, where emotion words are the labels of one of these corpora."""
    return [NORMS] if any(isinstance(each.labels, str) or each.word for each in labelled) else []


def augmentation(recipe: MixtureRecipe) -> list[Link]:
    """What is mixed in from other corpora, and the recordings of noise and of rooms."""
    mixed_in = recipe.augmentation.mix_corpora if recipe.augmentation.mix else []
    return [*(corpus(each, "mixing") for each in mixed_in), *recordings(recipe.augmentation)]


def recordings(settings: Augmentation) -> list[Link]:
    """The recordings of noise and of rooms that an augmentation uses."""
    links = []
    if settings.noise and settings.noise_folder:
        noise = {"source": settings.noise_folder, "licence": settings.noise_licence, "credit": settings.noise_credit}
        links.append(corpus(Corpus.model_validate(noise), "noise"))
    if settings.reverberation and settings.rir_folder:
        rooms = {"source": settings.rir_folder, "licence": settings.rir_licence, "credit": settings.rir_credit}
        links.append(corpus(Corpus.model_validate(rooms), "rooms"))
    return links


def corpus(source: Corpus, use: str) -> Link:
    """What is known of a corpus: the commit of a data set on the Hub, clips where they can be counted, hours of files.

    A local folder is named by its last part: its path would say something of the machine.
    """
    revision, hours = source.revision, None
    clips: int | None
    if Path(source.source).is_dir():
        seconds = [duration(row[source.audio]["path"]) for row in open_rows(source)]
        name, clips, hours = Path(source.source).resolve().name, len(seconds), round(sum(seconds) / 3600, 3)
    elif is_local(source):
        shards = Path(source.source)
        name, clips = f"{shards.absolute().parent.name} ({shards.name})", clip_count(source)
    else:
        name, clips, revision = source.source, clip_count(source), commit(source)
    return Link(name, source.licence, use, revision, clips, hours, source.credit)


def duration(path: str) -> float:
    """Length of a recording in s; 0 for one that cannot be read, which training skips as well."""
    try:
        return float(soundfile.info(path).duration)
    except soundfile.LibsndfileError:
        return 0.0


def commit(source: Corpus) -> str | None:
    """The commit of a data set on the Hub."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(source.source, revision=source.revision).sha
    except Exception as error:  # the HTTP clients beneath the two lines of huggingface_hub have no base class in common
        raise hub_error(source.source, error, "streamed") from None
