"""`wav2small check`: opens every source of a recipe and reads one row, before any training."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from wav2small.convert.teacher import read_config
from wav2small.hub import hub_error
from wav2small.models.adv import SAMPLING_RATE
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance import licences

from ..recipe import Corpus, MixtureRecipe
from ..teachers import member_sources
from .corpora import MisfitError, distinct, is_local, row_id, waveform
from .mixture import own_target
from .pins import corpora
from .units import Clip, RowGroup, TarFile, Units

TRIES = 5  # clips of which one must be readable


@dataclass
class Finding:
    """What was found out about a source.

    Attributes:
        name: of the source, with configuration and split.
        facts: lines on what it is.
        warnings: sentences on what to look at.
        error: why it cannot be used; None if it can.
    """

    name: str
    facts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error: str | None = None

    def __str__(self) -> str:
        verdict = f"cannot be used: {self.error}" if self.error else "can be used"
        lines = [f"{self.name}: {verdict}", *(f"  {fact}" for fact in self.facts)]
        return "\n".join([*lines, *(f"  look at this: {warning}" for warning in self.warnings)])


def check_recipe(recipe: MixtureRecipe) -> Iterator[Finding]:
    """Check every corpus and every teacher of a recipe, each with one request or a few; nothing is raised."""
    learned = [*recipe.corpora, *recipe.augmentation.mix_corpora]
    for corpus in distinct(corpora(recipe)):
        yield check_corpus(corpus, corpus in learned)
    for source in member_sources(recipe.teacher):
        yield check_teacher(source)


def check_corpus(corpus: Corpus, learned: bool = True) -> Finding:
    """Open a corpus and read, decode and label one row of it; its licence counts where a student learns from it."""
    parts = [corpus.source, corpus.config, corpus.split if not is_local(corpus) else None]
    found = Finding(" ".join(part for part in parts if part))
    try:
        if not is_local(corpus):
            about_data_set(corpus, found)
        units = Units(corpus)
        found.facts.append(amount(units))
        read_one(units, found)
        if learned or licences.find_licence(corpus.licence):
            known = licences.licence_of((corpus.source, corpus.licence))
            found.facts.append(f"licence in the recipe: {known.id}: {known.summary()}")
    except Wav2SmallError as error:
        found.error = str(error)
    return found


def about_data_set(corpus: Corpus, found: Finding) -> None:
    """Commit, licence and gate of a data set on the Hub."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().dataset_info(corpus.source, revision=corpus.revision)
    except Exception as error:  # the HTTP clients beneath the two lines of huggingface_hub share no base class
        raise hub_error(corpus.source, error, "streamed") from None
    told = info.card_data.get("license") if info.card_data else None
    told = ", ".join(told) if isinstance(told, list) else told
    gate = f"gated ({info.gated})" if info.gated else "not gated"
    found.facts.append(f"commit {info.sha}, {gate}, licence on the Hub: {told or 'none'}")
    on_hub, own = licences.find_licence(told), licences.find_licence(corpus.licence)
    if on_hub != own:
        found.warnings.append(f"the recipe says {corpus.licence}, the Hub {told or 'nothing'}")
    if corpus.revision is None:
        found.warnings.append(f"it is not pinned: revision: {info.sha}")


def amount(units: Units) -> str:
    """How many clips, files and bytes there are, as far as that is known without reading them."""
    groups = [unit for unit in units.all if isinstance(unit, RowGroup)]
    if groups and groups[0].number is not None:
        sizes = [unit.bytes() for unit in groups]
        clips = sum(unit.rows_told() for unit in groups)
        files = len({unit.file for unit in groups})
        return f"{clips:,} clips in {files:,} files, {len(groups):,} row groups, {sum(sizes) / 1e9:,.1f} GB to read"
    if isinstance(units.all[0], Clip):
        paths = [Path(unit.row[units.corpus.audio]["path"]) for unit in units.all if isinstance(unit, Clip)]
        sizes = [path.stat().st_size for path in paths if path.is_file()]
        missing = f", {len(units) - len(sizes):,} of them missing" if len(sizes) < len(units) else ""
        return f"{len(units):,} clips{missing}, {sum(sizes) / 1e9:,.3f} GB"
    kind = "tar files" if isinstance(units.all[0], TarFile) else "files" if groups else "shards"
    return f"{len(units):,} {kind}"


def read_one(units: Units, found: Finding) -> None:
    """Read some rows, until one can be decoded; its columns and its label must be what the recipe says."""
    corpus, reason = units.corpus, "it has no rows"
    rows = (row for number in range(len(units)) for row in units.rows(number))
    for row in islice(rows, TRIES):
        if "columns" not in (fact.partition(" ")[0] for fact in found.facts):
            found.facts.append(f"columns {', '.join(units.columns or sorted(row))}")
        try:
            name, target = row_id(row, corpus), own_target(row, corpus)
            samples = waveform(row, corpus)
        except MisfitError:
            raise
        except Wav2SmallError as error:
            reason = str(error)
            continue
        label = "" if target is None or not corpus.speech else f", label {target.round(2).tolist()}"
        found.facts.append(f"read {name}: {len(samples) / SAMPLING_RATE:.1f} s{label}")
        return
    raise Wav2SmallError(reason)


def check_teacher(source: str) -> Finding:
    """Find a teacher and its licence; its weights are not loaded."""
    found = Finding(source)
    try:
        config, commit = read_config(source, None)
        kind = config.get("model_type")
        licence = None if Path(source).is_dir() else licences.published_licence(source.partition("@")[0])
        found.facts.append(f"{kind}{f', commit {commit}' if commit else ''}{f', licence {licence}' if licence else ''}")
    except Wav2SmallError as error:
        found.error = str(error)
    return found


def refuse_what_fails(recipe: MixtureRecipe) -> None:
    """Raise the first error of a check.

    Raises:
        Wav2SmallError: it names the source and the remedy.
    """
    for found in check_recipe(recipe):
        if found.error:
            raise Wav2SmallError(found.error)
