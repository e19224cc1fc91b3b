"""Published speech encoders -> teachers of ours whose head is still to be trained."""

import re
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel

from ..models.auto import AdvTeacherConfig, AdvTeacherForAudioClassification
from ..models.configuration_adv_teacher import ENCODERS, WHISPER_BASE_3
from ..models.errors import Wav2SmallError
from ..provenance.licences import published_licence
from .student import find_weights, load_renamed, read_weights
from .teacher import is_dawn, is_odyssey, read_config, teacher_from

WHISPER_PREFIX = re.compile(r"(model\.)?encoder\.")


def encoder_from(
    source: str,
    states: list[int],
    blocks: int | None = None,
    hidden: int = 0,
    revision: str | None = None,
    licence: str | None = None,
) -> AdvTeacherForAudioClassification:
    """Build a teacher of one member from a published encoder, with a `"pooled_stats"` head that predicts 0.

    Args:
        source: folder or id on the Hub of a Whisper model (`openai/whisper-base`), of a wav2vec2 or WavLM encoder, or
            of a published teacher, whose own head is left out.
        states: the blocks whose states the head hears, from 1.
        blocks: of a Whisper encoder that are kept, from the first; default: as many as the head needs.
        hidden: units of the small network of the head; 0 for a linear head.
        revision: branch, tag or commit on the Hub.
        licence: SPDX id of the licence of the weights; default: what is known of published models.

    Returns:
        The teacher, in evaluation mode.

    Raises:
        Wav2SmallError: if the source cannot be found or read, is none of these, or lacks a block.
    """
    config, commit = read_config(source, revision)
    local = Path(source).is_dir()
    origin: dict[str, Any] = {
        "source": Path(source).resolve().name if local else source,
        "revision": commit,
        "licence": licence or (None if local else published_licence(source)),
        "head": "pooled_stats",
        "states": states,
        "hidden": hidden,
    }
    kind = config.get("model_type")
    if kind == "whisper":
        kept = blocks or max(states, default=1)
        if kept > config.get("encoder_layers", 0):
            raise Wav2SmallError(f"{source} has {config.get('encoder_layers', 0)} encoder blocks, not {kept}")
        sizes = {name: config[name] for name in WHISPER_BASE_3 if name in config}
        teacher = build({"encoder": {**sizes, "encoder_layers": kept}, **origin}, source)
        encoder: Any = teacher.members[0].encoder
        weights = whisper_weights(read_weights(find_weights(source, commit), source), kept)
        load_renamed(encoder, weights, {name: name for name in encoder.state_dict()}, source)
        return teacher
    if is_dawn(config) or is_odyssey(config):
        published: Any = teacher_from([source], revisions=[revision]).members[0]
        level = {"mean": published.member.mean, "std": published.member.std}
        teacher = build({"encoder": published.member.encoder, **level, **origin}, source)
        encoder = teacher.members[0].encoder
        encoder.load_state_dict(published.encoder.state_dict())
        return teacher
    if kind not in ENCODERS:
        raise Wav2SmallError(f"{source}: model_type {kind!r} is no encoder of a teacher ({', '.join(ENCODERS)})")
    found = AutoModel.from_pretrained(source, revision=commit if not local else None)
    sizes = {name: getattr(found.config, name) for name in ENCODERS[kind]}
    teacher = build({"encoder": sizes, **origin}, source)
    encoder = teacher.members[0].encoder
    encoder.load_state_dict(found.state_dict(), strict=False)  # but for SpecAugment's mask
    return teacher


def build(member: dict[str, Any], source: str) -> AdvTeacherForAudioClassification:
    """A teacher of one member whose head predicts 0 for everything."""
    try:
        teacher = AdvTeacherForAudioClassification(AdvTeacherConfig(members=[member]))
    except ValueError as error:
        raise Wav2SmallError(f"{source}: {error}") from None
    head: Any = teacher.members[0].head
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    teacher.eval()
    return teacher


def whisper_weights(weights: dict[str, torch.Tensor], blocks: int) -> dict[str, torch.Tensor]:
    """Take the first blocks of a Whisper encoder, float32; its decoder and its last layer norm are left out."""
    kept = {}
    for name, weight in weights.items():
        short = WHISPER_PREFIX.sub("", name) if WHISPER_PREFIX.match(name) else None
        layer = re.match(r"layers\.(\d+)\.", short or "")
        if short and not short.startswith("layer_norm.") and (layer is None or int(layer[1]) < blocks):
            kept[short] = weight.float()
    return kept
