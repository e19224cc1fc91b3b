"""The commits of everything that a recipe takes from the Hub: found once, kept in the folder of the run."""

import json
import re
from pathlib import Path
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from wav2small.atomic import whole_file
from wav2small.bundled import bundled_checkpoints
from wav2small.hub import commit_of, hub_error, resolve_checkpoint

from ..recipe import Corpus, MixtureRecipe, Recipe
from ..teachers import member_sources
from .corpora import is_local
from .patience import AT_START, patiently

PINS = "commits.json"
Kind = TypeVar("Kind", bound=MixtureRecipe)


def pinned(recipe: Kind, out: Path, accelerator: Accelerator) -> Kind:
    """Give a recipe with the commit of each data set and teacher on the Hub, so that all of a run reads the same.

    Args:
        recipe: of the run.
        out: its folder: commits that were found when it began are kept there, and taken when it goes on. Where the
            recipe has teacher labels, the commits are those of the annotation.
        accelerator: of the run; its main process asks the Hub.

    Raises:
        Wav2SmallError: if something is not on the Hub, or the Hub cannot be reached.
    """
    found: list[dict[str, str]] = [{}]
    if accelerator.is_main_process:
        file = out / PINS
        places = [file, *([Path(recipe.teacher_labels) / PINS] if recipe.teacher_labels else [])]
        known = next((place for place in places if place.is_file()), None)
        found = [json.loads(known.read_text(encoding="utf-8")) if known else {}]
        asked = dict.fromkeys([*map(data_set, corpora(recipe)), *teachers(recipe)])
        wanted = [name for name in asked if name and name not in found[0]]
        for name in wanted:
            found[0][name] = commit(name)
        if wanted:
            out.mkdir(parents=True, exist_ok=True)
            with whole_file(file) as temporary:
                temporary.write_text(json.dumps(found[0], indent=1) + "\n", encoding="utf-8")
    broadcast_object_list(found)
    return with_commits(recipe, found[0]) if found[0] else recipe


def with_commits(recipe: Kind, commits: dict[str, str]) -> Kind:
    """A recipe that names these commits."""

    def pin(corpus: Corpus) -> Corpus:
        name = data_set(corpus)
        return corpus.model_copy(update={"revision": commits[name]}) if name in commits else corpus

    changes: dict[str, object] = {"corpora": [pin(corpus) for corpus in recipe.corpora]}
    mixed_in = [pin(corpus) for corpus in recipe.augmentation.mix_corpora]
    changes["augmentation"] = recipe.augmentation.model_copy(update={"mix_corpora": mixed_in})
    if isinstance(recipe, Recipe):
        held = [pin(corpus) for corpus in recipe.validation.corpora]
        changes["validation"] = recipe.validation.model_copy(update={"corpora": held})
    if recipe.teacher:
        exact = [
            f"{name.partition('@')[0]}@{commits[name]}" if name in commits else name
            for name in member_sources(recipe.teacher)
        ]
        changes["teacher"] = exact[0] if isinstance(recipe.teacher, str) else exact
    return recipe.model_copy(update=changes)


def corpora(recipe: MixtureRecipe) -> list[Corpus]:
    """All corpora of a recipe."""
    held = recipe.validation.corpora if isinstance(recipe, Recipe) else []
    return [*recipe.corpora, *recipe.augmentation.mix_corpora, *held]


def data_set(corpus: Corpus) -> str | None:
    """A data set on the Hub with the revision that a recipe asks for; None for what is local, or named by a commit."""
    if is_local(corpus) or "://" in corpus.source or re.fullmatch("[0-9a-f]{40}", corpus.revision or ""):
        return None
    return f"datasets/{corpus.source}@{corpus.revision or 'main'}"


def teachers(recipe: MixtureRecipe) -> list[str]:
    """The teachers on the Hub that are not named by a commit."""
    return [
        name
        for name in member_sources(recipe.teacher)
        if not Path(name).is_dir() and name not in bundled_checkpoints() and not re.search("@[0-9a-f]{40}$", name)
    ]


def commit(name: str) -> str:
    """Ask the Hub for the commit of a model, or of a data set."""
    from huggingface_hub import HfApi

    if not name.startswith("datasets/"):
        return commit_of(resolve_checkpoint(name, ["config.json"])) or name.partition("@")[2] or "main"
    source, _, revision = name.removeprefix("datasets/").partition("@")
    try:
        found = patiently(lambda: HfApi().dataset_info(source, revision=revision).sha, source, minutes=AT_START)
    except Exception as error:  # the HTTP clients beneath the two lines of huggingface_hub share no base class
        raise hub_error(source, error, "streamed") from None
    return str(found)
