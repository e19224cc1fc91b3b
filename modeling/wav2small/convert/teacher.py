"""Published teachers in the layouts of their authors -> members of `AdvTeacherForAudioClassification`.

Two layouts are known:

- "dawn", `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim` (Wagner et al. 2023, "Dawn of the transformer era in
  speech emotion recognition"): keys and head from its model card, sizes from its config.json.
- "odyssey", `3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes`: its training code is public as MSP-Podcast_Challenge;
  its keys and the fields of its config.json are known from public code that loads it.

A checkpoint that differs from these layouts in any detail is an error.
"""

import json
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from .. import hub
from ..atomic import whole_folder
from ..models.auto import AdvTeacherConfig, AdvTeacherForAudioClassification
from ..models.configuration_adv_teacher import ENCODERS, WAVLM_LARGE
from ..models.errors import Wav2SmallError
from ..provenance import provenance
from ..provenance.licences import published_licence
from .student import converted_provenance, find_weights, load_renamed, read_weights

# modules of a member -> their published names
DAWN = {"encoder": "wav2vec2", "head.dense": "classifier.dense", "head.out_proj": "classifier.out_proj"}
ODYSSEY = {
    "encoder": "ssl_model",
    "head.sap_linear": "pool_model.sap_linear",
    "head.attention": "pool_model.attention",
    "head.dense": "ser_model.fc.0.0",
    "head.norm": "ser_model.fc.0.1",
    "head.out_proj": "ser_model.out.0",
}

NAMES = ("^a$|aro|act", "^d$|dom", "^v$|val")  # of arousal (or activation), dominance and valence in id2label

# torch < 2.1 and torch >= 2.1 name the two halves of a weight norm differently
WEIGHT_NORM = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


def convert_teacher(source: str, out: Path, revision: str | None = None, licence: str | None = None) -> None:
    """Convert a published teacher to an ensemble of one member, and write its provenance.

    Args:
        source: a folder or an id on the Hub, with `config.json` and `model.safetensors` or `pytorch_model.bin`.
        out: folder to write, whole or not at all; it must not exist yet.
        revision: branch, tag or commit on the Hub.
        licence: SPDX id, if the source does not state one; see `provenance.link_model`.

    Raises:
        Wav2SmallError: if the source cannot be found or read, a field, a key or a shape is not as published, or the
            licence is not known.
    """
    made = converted_provenance(source, revision, licence)
    teacher = teacher_from([source], revisions=[revision], licences=[made.licence])
    with whole_folder(out) as folder:
        teacher.save_pretrained(folder)
        provenance.write_provenance(made, folder)


def is_teacher(source: str, revision: str | None = None) -> bool:
    """Whether the config.json of a folder or an id on the Hub is that of a teacher in one of the two layouts.

    Raises:
        Wav2SmallError: if there is a config.json that cannot be read, or the Hub has no such model.
    """
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        return False
    config, _ = read_config(source, revision)
    return is_dawn(config) or is_odyssey(config)


def is_dawn(config: dict[str, Any]) -> bool:
    """Whether it is the config of `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim`, or one like it."""
    return config.get("model_type") == "wav2vec2" and config.get("pooling_mode") == "mean"


def is_odyssey(config: dict[str, Any]) -> bool:
    """Whether it is the config of one of the `3loi/SER-Odyssey-Baseline-WavLM` models."""
    return config.get("model_type") == "ser" and "ssl_type" in config


def teacher_from(
    sources: list[str],
    weights: list[float] | None = None,
    revisions: list[str | None] | None = None,
    licences: list[str | None] | None = None,
) -> AdvTeacherForAudioClassification:
    """Build a teacher from published models in the layouts of their authors; it predicts the mean of its members.

    Args:
        sources: ids on the Hub, or folders.
        weights: weight of each member in the mean; default: equal.
        revisions: branch, tag or commit of each source.
        licences: SPDX id of each source's licence; default: that of the known published models.

    Returns:
        The teacher, in evaluation mode.

    Raises:
        Wav2SmallError: if a source cannot be found or read, or differs from its published layout; the message says how.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from wav2small.testing import write_dawn_checkpoint, write_odyssey_checkpoint
        >>> with TemporaryDirectory() as folder:  # tiny models with random weights, in place of the published ones
        ...     sources = [write_dawn_checkpoint(f"{folder}/a"), write_odyssey_checkpoint(f"{folder}/b")]
        ...     teacher = teacher_from(sources, weights=[1, 3])
        >>> len(teacher.members)
        2
    """
    lists = {"weights": weights, "revisions": revisions, "licences": licences}
    for name, values in lists.items():
        if values is not None and len(values) != len(sources):
            raise Wav2SmallError(f"{name} has {len(values)} entries for {len(sources)} sources")
    configs = [read_config(source, revisions[i] if revisions else None) for i, source in enumerate(sources)]
    members = []
    for i, (source, (config, commit)) in enumerate(zip(sources, configs, strict=True)):
        local = Path(source).is_dir()
        name = Path(source).resolve().name if local else source.partition("@")[0]
        known = None if local else published_licence(name)
        origin = {
            "source": name,
            "revision": commit,
            "licence": (licences[i] if licences else None) or known,
            "weight": weights[i] if weights else 1.0,
        }
        members.append({**read_member(config, source), **origin})
    try:
        model = AdvTeacherForAudioClassification(AdvTeacherConfig(members=members))
    except ValueError as error:
        raise Wav2SmallError(f"{sources}: {error}") from error
    for source, (config, commit), member in zip(sources, configs, model.members, strict=True):
        layout = DAWN if is_dawn(config) else ODYSSEY
        found = current_names(read_weights(find_weights(source, commit), source), layout["encoder"])
        names = {published_name(name, layout): name for name in member.state_dict()}
        load_renamed(member, found, names, source)
    model.eval()
    return model


def read_member(config: dict[str, Any], source: str) -> dict[str, Any]:
    """Fields of [`Member`] from a published config.json."""
    if config.get("sampling_rate", 16000) != 16000:
        raise Wav2SmallError(f"{source}: config.json has sampling_rate {config['sampling_rate']}, not 16000")
    if is_dawn(config):
        return {
            "encoder": {name: config[name] for name in ENCODERS["wav2vec2"] if name in config},
            "head": "mean_pool",
            "order": output_order(config, source),
            "dropout": config.get("final_dropout", 0.0),
        }
    if is_odyssey(config):
        expected = {"ssl_type": "microsoft/wavlm-large", "num_classes": 3, "classifier_hidden_layers": 1}
        for name, value in expected.items():
            if config.get(name) != value:
                raise Wav2SmallError(f"{source}: config.json has {name} {config.get(name)!r}, not {value!r}")
        for name in ("mean", "std"):
            if name not in config:
                raise Wav2SmallError(f"{source}: config.json lacks {name}, the level of the input")
        sizes = {name: config[name] for name in WAVLM_LARGE if name in config and name != "model_type"}
        return {
            "encoder": {**WAVLM_LARGE, **sizes},
            "head": "attentive_stats",
            "mean": config["mean"],
            "std": config["std"],
            "order": output_order(config, source),
            "dropout": config.get("classifier_dropout_prob", 0.0),
        }
    raise Wav2SmallError(
        f"{source} is not in the layout of a known teacher: its config.json has model_type "
        f"{config.get('model_type')!r} and architectures {config.get('architectures')}"
    )


def output_order(config: dict[str, Any], source: str) -> list[int]:
    """Positions of arousal, dominance and valence among the outputs, by their names; without names, in this order."""
    if "id2label" not in config:
        return [0, 1, 2]
    labels = {int(i): str(label).lower() for i, label in config["id2label"].items()}
    order = [[i for i, label in labels.items() if re.search(name, label)] for name in NAMES]
    if len(labels) != 3 or sorted(order) != [[0], [1], [2]]:
        raise Wav2SmallError(f"{source}: config.json names the outputs {labels}, not arousal, dominance and valence")
    return [i for (i,) in order]


def read_config(source: str, revision: str | None) -> tuple[dict[str, Any], str | None]:
    """Read config.json of a folder or an id on the Hub; also return the commit or, if unknown, the given revision."""
    folder = hub.resolve_checkpoint(source, ["config.json"], revision)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise Wav2SmallError(f"{source} has no readable config.json ({reason})") from None
    if not isinstance(config, dict):
        raise Wav2SmallError(f"{source}: its config.json is not a JSON object")
    return config, hub.commit_of(folder) or revision


def current_names(weights: dict[str, Tensor], encoder: str) -> dict[str, Tensor]:
    """Rename weights as torch 2.1 and later does, and drop the mask of SpecAugment, which a teacher never uses."""
    plain = {}
    for name, weight in weights.items():
        module, dot, last = name.rpartition(".")
        plain[module + dot + WEIGHT_NORM.get(last, last)] = weight
    plain.pop(f"{encoder}.masked_spec_embed", None)
    return plain


def published_name(name: str, layout: dict[str, str]) -> str:
    """The published name of a weight of a member."""
    module = next(module for module in layout if name == module or name.startswith(f"{module}."))
    return layout[module] + name.removeprefix(module)
