"""A recipe -> the provenance of what it makes: teachers, parent, and all audio with its amounts."""

import hashlib
from pathlib import Path
from typing import Any

import soundfile

from wav2small.hub import hub_error
from wav2small.provenance import provenance
from wav2small.provenance.provenance import Link, Provenance

from ..recipe import Corpus, Recipe
from .corpora import clip_count, is_local, open_rows

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
        corpora=corpora(recipe) + norms(recipe) + augmentation(recipe),
        parent=parent(recipe),
        recipe=facts(recipe),
    )


def of_annotations(recipe: Recipe) -> Provenance:
    """What the answers of a recipe's teacher will be made from.

    Raises:
        Wav2SmallError: as for a student.
    """
    return Provenance(
        step="annotate",
        name=recipe.name,
        teachers=teachers(recipe),
        corpora=corpora(recipe),
        recipe=facts(recipe),
    )


def facts(recipe: Recipe) -> dict[str, Any]:
    """Name and hash of a recipe, and how much its student hears; the hash is that of the saved `recipe.yaml`."""
    digest = hashlib.sha256(recipe.to_yaml().encode()).hexdigest()
    amounts = {name: getattr(recipe, name) for name in ("steps", "batch", "crop_seconds", "seed")}
    return {"name": recipe.name, "sha256": digest, **amounts}


def teachers(recipe: Recipe) -> list[Link]:
    """The models whose answers a student learns, from its recipe, its annotations or its rendered mixtures.

    Raises:
        Wav2SmallError: if one cannot be found, or the annotations have no provenance.
    """
    if recipe.annotations:
        return list(provenance.read_provenance(recipe.annotations).teachers)
    sources = [recipe.teacher] if isinstance(recipe.teacher, str) else recipe.teacher or []
    found = [provenance.link_model(source, "teacher") for source in sources]
    for rendered in filter(None, map(mixture, recipe.corpora)):
        found += [link for link in rendered.teachers if link not in found]
    return found


def parent(recipe: Recipe) -> Link | None:
    """The checkpoint that a student goes on from."""
    return provenance.link_model(recipe.student.start, "parent") if recipe.student.start else None


def corpora(recipe: Recipe) -> list[Link]:
    """The corpora of training and evaluation; in the place of a rendered mixture, what it was rendered from."""
    heard: list[Link] = []
    for each in recipe.corpora:
        rendered = mixture(each)
        heard += [link for link in rendered.corpora if link.shapes_weights] if rendered else [corpus(each, "training")]
    unique = list(dict.fromkeys(heard))
    return unique + [corpus(each, "evaluation") for each in recipe.evaluation.corpora]


def mixture(source: Corpus) -> Provenance | None:
    """What `wav2small mix` noted beside its shards; None for any other corpus."""
    if (
        not source.source.endswith(".parquet")
        or not (Path(source.source).parent / provenance.PROVENANCE_FILE).is_file()
    ):
        return None
    return provenance.read_provenance(Path(source.source).parent)


def norms(recipe: Recipe) -> list[Link]:
    """The published norms of emotion words, where these are the labels; other labels are part of their corpus."""
    words = any(isinstance(each.labels, str) or each.word for each in recipe.corpora)
    return [NORMS] if words else []


def augmentation(recipe: Recipe) -> list[Link]:
    """The noise and the rooms that are put under and around the clips; what is mixed in comes from the corpora."""
    links = []
    for kind in ("noise", "rooms"):
        folder, licence, credit = (
            getattr(recipe.augmentation, f"{kind}_{name}") for name in ("folder", "licence", "credit")
        )
        if getattr(recipe.augmentation, kind):
            links.append(corpus(Corpus(source=folder, licence=licence, credit=credit), kind))
    return links


def corpus(source: Corpus, use: str) -> Link:
    """What is known of a corpus: the commit of a data set on the Hub, clips where they can be counted, hours of files.

    A local folder is named by its last part: where it lies is nobody's business.
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
        return soundfile.info(path).duration
    except soundfile.LibsndfileError:
        return 0.0


def commit(source: Corpus) -> str | None:
    """The commit of a data set on the Hub."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(source.source, revision=source.revision).sha
    except Exception as error:  # the HTTP clients beneath the two lines of huggingface_hub have no base class in common
        raise hub_error(source.source, error, "streamed") from None
