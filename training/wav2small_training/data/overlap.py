"""Validation clips that are training clips: figures on them flatter a student."""

from pathlib import Path

from pyarrow import parquet

from wav2small.models.errors import Wav2SmallError

from ..recipe import Corpus, Recipe
from .corpora import local_files, open_rows, row_id


def shared_clips(recipe: Recipe) -> list[str]:
    """One sentence for each validation corpus that shares clips with a training corpus.

    Clips of folders and of rendered mixtures are compared by their names; for other sources, configuration, split and
    the values of columns are.
    """
    told = []
    for held in filter(lambda corpus: corpus.speech, recipe.validation.corpora):
        names = clip_names(held)
        for corpus in filter(lambda corpus: corpus.speech, recipe.corpora):
            others = clip_names(corpus)
            if names is not None and others is not None:
                shared = len(names & others)
                if shared:
                    told.append(
                        f"{shared} of the {len(names)} validation clips of {held.source} are training clips of "
                        f"{corpus.source}"
                    )
            elif same_part(held, corpus):
                told.append(f"the validation clips of {held.source} are training clips")
    return told


def clip_names(corpus: Corpus) -> set[tuple[str, str]] | None:
    """Folder and name of each clip of a folder or a rendered mixture; None where listing them costs a download."""
    if Path(corpus.source).is_dir():
        return {(Path(corpus.source).resolve().name, row_id(row, corpus)) for row in open_rows(corpus)}
    if not corpus.source.endswith(".parquet") or "://" in corpus.source:
        return None
    names: set[tuple[str, str]] = set()
    for file in local_files(corpus.source):
        if not {"source", "id"} <= set(parquet.read_schema(file).names):
            return None
        table = parquet.read_table(file, columns=["source", "id"])
        names |= set(zip(table["source"].to_pylist(), table["id"].to_pylist(), strict=True))
    return names


def same_part(one: Corpus, other: Corpus) -> bool:
    """Whether two entries of a recipe name the same part of a source, or parts of which one holds the other."""
    place = [(each.source, each.config, each.split) for each in (one, other)]
    values = [
        {column: {value} if isinstance(value, str) else set(value) for column, value in each.where.items()}
        for each in (one, other)
    ]
    apart = any(not values[0][column] & values[1][column] for column in values[0].keys() & values[1].keys())
    return place[0] == place[1] and not apart


def refuse_shared_clips(recipe: Recipe) -> None:
    """Refuse a recipe whose validation clips are training clips.

    Raises:
        Wav2SmallError: it names the corpora.
    """
    if told := shared_clips(recipe):
        raise Wav2SmallError(f"{recipe.name}: {told[0]}: choose others, since figures on these flatter the student")
