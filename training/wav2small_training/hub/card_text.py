"""The provenance of a checkpoint -> the sentences of its card."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wav2small.inference.config import longest_clip
from wav2small.inference.intervals import Intervals
from wav2small.models.adv import LABELS
from wav2small.models.audio import MAX_SECONDS
from wav2small.provenance.licences import licence_of
from wav2small.provenance.provenance import Link, Provenance

from ..evaluation.conditions import AS_RECORDED
from ..evaluation.plots import Content
from ..tables import grid
from .card_results import this_model
from .card_tables import NOT_MEASURED, title

SPEECH_IN = (
    "Speech in, **arousal, dominance and valence** out: how excited, how in control and how positive a voice sounds, "
    "each about 0 to 1 and not clipped."
)
HUB_NAMES = {"odbl-1.0": "odbl"}  # licences whose name on the Hub is not the SPDX id in lower case
WHISPER = (
    "The weights of Whisper, on which it builds, are MIT (OpenAI). That grant covers the weights, not the audio that "
    "they learned from, which OpenAI has not published."
)
LEARNED = ("train", "distill", "average")
DATASETS = ("training", "mixing", "labels")  # uses of a corpus that the Hub lists under `datasets`


def hub_licence(licence: str) -> dict[str, str]:
    """The front matter of a licence, as the Hub spells it."""
    name = licence.lower()
    if name.startswith("licenseref-"):
        return {"license": "other", "license_name": name.removeprefix("licenseref-"), "license_link": "README.md"}
    return {"license": HUB_NAMES.get(name, name)}


def sources_on_hub(record: Provenance) -> dict[str, list[str]]:
    """What a checkpoint was made from and is on the Hub: `base_model` (parent or teachers) and `datasets`."""
    step = training_step(record)
    models = [*step.teachers, *([step.parent] if step.parent else [])]
    found = {
        "base_model": [link.id for link in models if on_hub(link)],
        "datasets": [link.id for link in step.corpora if on_hub(link) and link.use in DATASETS],
    }
    return {name: list(dict.fromkeys(ids)) for name, ids in found.items() if ids}


def on_hub(link: Link) -> bool:
    """Whether a link is to something on the Hub; folders are recorded by their names alone."""
    return link.id.count("/") == 1


def training_step(record: Provenance) -> Provenance:
    """The step of a chain in which the weights were learned; if that is not known, the first that is."""
    while record.step not in LEARNED and record.parent and record.parent.provenance:
        record = record.parent.provenance
    return record


def summary(record: Provenance, config: dict[str, Any]) -> str:
    """What the model does and how it was trained, in two sentences."""
    step = training_step(record)
    if step.teachers:
        how = f"Distilled: it was trained on teacher labels of {names(step.teachers)}, not on people's ratings."
    elif speech := corpora_for(step, "training"):
        labels = corpora_for(step, "labels")
        against = f", against {names(labels)}" if labels else ""
        if step.parent and "members" in config:  # a teacher of `wav2small train-head`
            how = f"On the frozen encoder of {names([step.parent])}, a head was fitted to {names(speech)}{against}."
        else:
            start = f"It starts from {names([step.parent])}. " if step.parent else ""
            how = f"{start}Trained on {names(speech)}{against}, without a teacher."
    elif step.parent:
        how = f"The published weights of {names([step.parent])}, in the layout of this project."
    else:
        how = "How its weights were learned is not recorded."
    return f"{SPEECH_IN} {how}"


def corpora_for(step: Provenance, use: str) -> list[Link]:
    """The corpora that a step used for one purpose."""
    return [link for link in step.corpora if link.use == use]


def names(links: Sequence[Link]) -> str:
    """Names of links in a sentence, each once; those on the Hub are linked."""
    shown = [f"[{link.id}](https://huggingface.co/{link.id})" if on_hub(link) and link.use in ("teacher", "parent")
             else (link.credit or link.id).partition(";")[0] if link.use == "parent"
             else link.credit or link.id for link in links]  # fmt: skip
    shown = list(dict.fromkeys(shown))
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def length(config: dict[str, Any]) -> str:
    """How long a clip may be, in words."""
    seconds = longest_clip(config)
    return "any length" if seconds == MAX_SECONDS else f"up to {seconds:g} s"


def members(config: dict[str, Any]) -> str:
    """The members of a teacher; a student has none."""
    listed = config.get("members", [])
    rows = [
        [f"`{one.get('source') or 'unknown'}`", one["encoder"]["model_type"], one["head"], f"{one['weight']:.3g}",
         one.get("licence") or "unknown"]
        for one in listed
    ]  # fmt: skip
    return grid(["weights from", "encoder", "head", "weight in the mean", "licence"], rows)


def judge(record: Provenance) -> str:
    """Whose judgement the predictions are."""
    step = training_step(record)
    labels = corpora_for(step, "labels")
    if step.teachers:
        return "a small model that imitates larger ones"
    return f"a model that learned from {names(labels)}" if labels else "a model"


def origin(record: Provenance) -> str:
    """The chain of steps, and what each of them used."""
    rows = []
    for step in chain(record):
        for link in step.direct_links():
            amount = [f"{link.clips:,}" if link.clips is not None else "–", f"{link.hours:.2f}" if link.hours else "–"]
            rows.append([step.step, link.use, f"{link.id}{f' @ {link.revision[:12]}' if link.revision else ''}",
                         link.licence or "unknown", *amount])  # fmt: skip
    parts = []
    for step in chain(record):
        code = f"wav2small {step.code.get('wav2small', 'unknown')}"
        commit = f", commit `{step.code['commit']}`" if step.code.get("commit") else ""
        facts = [f"{name} {value}" for name, value in (step.recipe or {}).items() if name != "sha256"]
        recipe = f"; recipe: {', '.join(facts)}" if facts else ""
        parts.append(f"- **{step.step}**: {step.name}, {step.date[:10]}, {code}{commit}{recipe}")
    text = ["\n".join(parts), grid(["step", "used for", "source", "licence", "clips", "hours"], rows)]
    return "\n\n".join([*text, "The whole chain, with revisions and the hash of the recipe, is in `provenance.json`."])


def chain(record: Provenance) -> Iterator[Provenance]:
    """Yield a step and all known steps that it builds on, parents and teachers."""
    yield record
    for link in record.direct_links():
        if link.provenance:
            yield from chain(link.provenance)


def licence(record: Provenance) -> str:
    """The licence, why it applies, and whom to credit."""
    words = licence_of((record.name, record.licence)).summary()
    lines = [f"**{record.licence}**: {words}. It follows from the licences of all material that this was made from."]
    if any("whisper" in f"{link.id} {link.credit}".lower() for link in record.links()):
        lines[0] += f" {WHISPER}"
    if named := record.attributions():
        lines += ["", "Credit, to be kept with it:", "", *(f"- {line}" for line in named)]
    return "\n".join(lines)


def limits(record: Provenance, contents: dict[str, Content], folder: Path, config: dict[str, Any]) -> str:
    """What a user must not expect, by the provenance and by what was measured."""
    step = training_step(record)
    points = []
    if labels := corpora_for(step, "labels"):
        points.append(f"Its targets were {names(labels)}: nobody rated the voices that it was trained on.")
    elif not step.teachers and corpora_for(step, "training"):
        points.append("Its provenance does not say what its targets were.")
    if step.teachers:
        points.append("It imitates a model, with the mistakes of that model and the bias of its training data.")
    if contents and not any(one["settings"]["target"]["kind"] == "ratings" for one in contents.values()):
        points.append("No score above is agreement with people's ratings of voices: that was not measured.")
    for content in contents.values():
        points += weakest(content, folder)
    where = ", ".join(title(content) for content in contents.values())
    points.append(f"Measured on {where}, and on nothing else." if contents else f"Agreement: {NOT_MEASURED.lower()}")
    if longest_clip(config) < MAX_SECONDS:
        points.append(f"It predicts {length(config)} at once: predict a timeline of what is longer.")
    if intervals := Intervals.read(folder):
        points.append(held(intervals))
    points.append("It uses the voice alone, without the words and without the context.")
    points.append("The network predicts numbers for silence and noise as well; `wav2small` gives none for them.")
    return "\n".join(f"- {point}" for point in points)


def held(intervals: Intervals) -> str:
    """What intervals were measured on, and how often they hold elsewhere."""
    shares = "; ".join(f"{one['on']} {' / '.join(str(one[label]) for label in LABELS)}" for one in intervals.checked)
    text = f"Its intervals refer to {intervals.measured_on}."
    return f"{text} Those of 80 % held, in percent (arousal / dominance / valence): {shares}." if shares else text


def weakest(content: Content, folder: Path) -> Iterator[str]:
    """Which of the three dimensions has the lowest CCC on a data set."""
    this = this_model(content["settings"]["models"], folder, folder)
    scores = {
        row["dimension"]: row["ccc"]
        for row in content["agreement"]
        if row["model"] == this and row["condition"] == AS_RECORDED.name
    }
    if len(scores) == len(LABELS):
        low, high = min(scores, key=scores.__getitem__), max(scores, key=scores.__getitem__)
        yield (
            f"On {title(content)}, {low} is the weakest of the three (CCC {scores[low]:.3f}; "
            f"{high}, the strongest, {scores[high]:.3f})."
        )
