"""Published students in the key layout of their authors -> checkpoints in the layout of wav2small."""

import pickle
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from .. import hub
from ..atomic import whole_folder
from ..models.auto import Wav2SmallConfig, Wav2SmallForAudioClassification
from ..models.errors import Wav2SmallError
from ..provenance import provenance

WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def hub_variant_keys() -> dict[str, str]:
    """Keys of `audeering/wav2small`, from its model card -> names in `Wav2SmallForAudioClassification`."""
    names = {f"adv.{part}": f"classifier.{part}" for part in ("weight", "bias")}
    for i in range(7):
        names[f"vgg7.l{i + 1}.conv.weight"] = f"convs.{i}.conv.weight"
        for part in ("weight", "bias", "running_mean", "running_var"):
            names[f"vgg7.l{i + 1}.norm.{part}"] = f"convs.{i}.norm.{part}"
    for layer in ("lin", "sof"):
        for part in ("weight", "bias"):
            names[f"vgg7.{layer}.{part}"] = f"pooling.{layer}.{part}"
    for part in ("conv_real", "conv_imag"):
        names[f"vgg7.spectrogram_extractor.{part}.weight"] = f"log_mel.{part}.weight"
    names["vgg7.logmel_extractor.melW"] = "log_mel.mel"
    return names


# in the file but not weights: a constant of a layer, and the step counters of batch norm
NOT_WEIGHTS = re.compile(r"vgg7\.logmel_extractor\.amin|.*\.num_batches_tracked")


def convert_student(source: str, out: Path, revision: str | None = None, licence: str | None = None) -> None:
    """Convert `audeering/wav2small`, or a checkpoint in its key layout, and write its provenance.

    Args:
        source: a folder or an id on the Hub, with `model.safetensors` or `pytorch_model.bin`.
        out: folder to write, whole or not at all; it must not exist yet.
        revision: branch, tag or commit on the Hub.
        licence: SPDX id, if the source does not state one; see `provenance.link_model`.

    Raises:
        Wav2SmallError: if the weights cannot be found or read, a key or a shape is not as published, or the licence is
            not known; the message names it.
    """
    weights = read_weights(find_weights(source, revision), source)
    made = converted_provenance(source, revision, licence)
    model = Wav2SmallForAudioClassification(Wav2SmallConfig(pooling="gram"))
    load_renamed(model, weights, hub_variant_keys(), source)
    with whole_folder(out) as folder:
        model.save_pretrained(folder)
        provenance.write_provenance(made, folder)


def converted_provenance(source: str, revision: str | None, licence: str | None) -> provenance.Provenance:
    """The provenance of a converted model.

    Raises:
        Wav2SmallError: if its licence is not known.
    """
    parent = provenance.link_model(source, "parent", revision, licence)
    if not parent.licence:
        raise Wav2SmallError(f"{source} does not state its licence: name it with --licence, as an SPDX id")
    return provenance.Provenance(step="convert", name=parent.id.rpartition("/")[2], parent=parent)


def find_weights(source: str, revision: str | None = None) -> Path:
    """Find the file of weights in a folder, or download it from the Hub; only the first of `WEIGHTS` that exists."""
    for name in WEIGHTS:
        file = hub.resolve_checkpoint(source, [name], revision) / name
        if file.is_file():
            return file
    raise Wav2SmallError(f"{source} holds neither {' nor '.join(WEIGHTS)}")


def read_weights(file: Path, source: str) -> dict[str, torch.Tensor]:
    """Read a file of weights by its suffix, without running pickled code."""
    try:
        if file.suffix == ".safetensors":
            return dict(load_file(file))
        return dict(torch.load(file, map_location="cpu", weights_only=True))
    except (
        SafetensorError,
        RuntimeError,
        EOFError,
        ValueError,
        OSError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).strip().splitlines()[0]
        raise Wav2SmallError(f"{source}: {file.name} is not a readable file of weights ({reason})") from None


def load_renamed(model: torch.nn.Module, weights: dict[str, torch.Tensor], names: dict[str, str], source: str) -> None:
    """Load published weights into a model.

    Args:
        model: takes the weights.
        weights: by their published keys.
        names: published key -> name in the model, for every weight of the model.
        source: names the checkpoint in errors.

    Raises:
        Wav2SmallError: if a key is missing or unexpected, or a shape differs.
    """
    if unexpected := sorted(key for key in weights.keys() - names.keys() if not NOT_WEIGHTS.fullmatch(key)):
        raise Wav2SmallError(f"{source} has the unexpected key {unexpected[0]} ({len(unexpected)} in all)")
    if missing := sorted(names.keys() - weights.keys()):
        raise Wav2SmallError(f"{source} lacks the key {missing[0]} ({len(missing)} in all)")
    state = model.state_dict()
    for key, name in names.items():
        found, needed = tuple(weights[key].shape), tuple(state[name].shape)
        if found != needed:
            raise Wav2SmallError(f"{source} has {key} of shape {found}, not {needed}")
        state[name] = weights[key]
    model.load_state_dict(state)
