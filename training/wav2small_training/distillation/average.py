"""Students of one shape that were trained apart -> one network of as many branches, whose answer is their mean.

A mean of several networks is better than each of them, most of all where they heard few speakers: what each has learned
by heart differs. Only the log-mel frames are shared.
"""

from collections.abc import Iterable, Sequence
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from wav2small.atomic import whole_folder
from wav2small.checkpoint import load_checkpoint
from wav2small.models.configuration_tcn_adv import TcnAdvConfig
from wav2small.models.errors import Wav2SmallError
from wav2small.models.modeling_tcn_adv import TcnAdvForAudioClassification
from wav2small.provenance.provenance import Link, Provenance, read_provenance, write_provenance

OF_TRAINING = ("dropout", "mask_bands", "mask_seconds")  # values of a config that do not change a prediction


def average(sources: list[str], out: Path) -> TcnAdvForAudioClassification:
    """Write the average of some students as one checkpoint, with its `provenance.json`.

    Args:
        sources: folders of checkpoints of kind `tcn_adv`, or ids on the Hub, at least two; with one config.
        out: folder to write, which gives the average its name.

    Returns:
        The average: `logits` are the mean of theirs, `speech` too.

    Raises:
        Wav2SmallError: if a source is no such student, differs from the first, or has no provenance; or the licences
            of all have no common one.
    """
    if len(sources) < 2:
        raise Wav2SmallError("an average needs at least two students")
    models = [load_student(source) for source in sources]
    for source, model in zip(sources, models, strict=True):
        if differing := difference(model.config, models[0].config):
            raise Wav2SmallError(f"{source} has another {differing} than {sources[0]}: they have no average")
    origin = provenance([read_provenance(source) for source in sources], out.name)
    joined = join(models)
    with whole_folder(out) as folder:
        joined.save_pretrained(folder)
        write_provenance(origin, folder)
    return joined


def load_student(source: str) -> TcnAdvForAudioClassification:
    """Load a temporal convolution network of one branch."""
    model = load_checkpoint(source)
    if not isinstance(model, TcnAdvForAudioClassification):
        raise Wav2SmallError(f"{source} is a {model.config.model_type}: averages are made of students of kind tcn_adv")
    if model.config.branches > 1:
        raise Wav2SmallError(f"{source} is an average of {model.config.branches} students: name those")
    return model


def difference(one: TcnAdvConfig, other: TcnAdvConfig) -> str | None:
    """The first value of a config in which two networks differ."""
    values, others = shape(one), shape(other)
    return next((name for name, value in values.items() if name not in OF_TRAINING and value != others[name]), None)


def shape(config: TcnAdvConfig) -> dict[str, Any]:
    """The values that a network is built from, and nothing that transformers adds."""
    return {name: value for name, value in vars(config).items() if name in signature(TcnAdvConfig).parameters}


def join(models: list[TcnAdvForAudioClassification]) -> TcnAdvForAudioClassification:
    """Put networks of one config side by side: every layer but the last has the channels of all, one after the other.

    The last one has a share of the classifier of each: for all attended means first, then for all deviations.
    """
    config = models[0].config
    joined = TcnAdvForAudioClassification(TcnAdvConfig(**shape(config) | {"branches": len(models)}))
    weights = [model.state_dict() for model in models]
    attended = config.heads * config.width
    classifiers = [each.pop("classifier.weight").split((attended, config.width), dim=1) for each in weights]
    biases = [each.pop("classifier.bias") for each in weights]
    whole = {
        name: torch.cat([each[name] for each in weights]) if value.ndim else value for name, value in weights[0].items()
    }
    whole["classifier.weight"] = torch.cat([part for parts in zip(*classifiers, strict=True) for part in parts], dim=1)
    whole["classifier.weight"] /= len(models)
    whole["classifier.bias"] = torch.stack(biases).mean(dim=0)
    joined.load_state_dict(whole)
    return joined.eval()


def provenance(origins: list[Provenance], name: str) -> Provenance:
    """What all students were made from; facts of their recipes that differ are listed, such as the seeds."""
    recipes = [origin.recipe or {} for origin in origins]
    facts: dict[str, Any] = {}
    for key, first in recipes[0].items():
        values = [each.get(key) for each in recipes]
        facts[key] = first if values == [first] * len(values) else values
    if any(origin.parent != origins[0].parent for origin in origins):
        raise Wav2SmallError(f"{name}: its students go on from different checkpoints")
    return Provenance(
        step="average",
        name=name,
        teachers=united(origin.teachers for origin in origins),
        corpora=united(origin.corpora for origin in origins),
        parent=origins[0].parent,
        recipe=facts,
    )


def united(links: Iterable[Sequence[Link]]) -> list[Link]:
    """All links, each once."""
    found: list[Link] = []
    for link in chain.from_iterable(links):
        if link not in found:
            found.append(link)
    return found
