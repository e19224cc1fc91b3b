"""Published checkpoints, in their original key layouts -> checkpoints of ours."""

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
    """The keys of `audeering/wav2small`, as its model card gives them -> ours."""
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


# a constant of a layer and the step counters of batch norm: in the file, but no weights
NOT_WEIGHTS = re.compile(r"vgg7\.logmel_extractor\.amin|.*\.num_batches_tracked")


def convert_student(source: str, out: Path, revision: str | None = None, licence: str | None = None) -> None:
    """Write the checkpoint of `audeering/wav2small`, or one in its key layout, in our layout, with its provenance.

    Args:
        source: a folder or an id on the Hub, with `model.safetensors` or `pytorch_model.bin`.
        out: folder to write, whole or not at all; it must not exist yet.
        revision: branch, tag or commit on the Hub.
        licence: SPDX id, for a source of which nothing is known; see `provenance.link_model`.

    Raises:
        Wav2SmallError: if the weights cannot be found or read, a key or a shape is not as published, or the licence is
            not known; it is named.
    """
    weights = read_weights(find_weights(source, revision), source)
    made = converted_provenance(source, revision, licence)
    model = Wav2SmallForAudioClassification(Wav2SmallConfig(pooling="gram"))
    load_renamed(model, weights, hub_variant_keys(), source)
    with whole_folder(out) as folder:
        model.save_pretrained(folder)
        provenance.write_provenance(made, folder)


def converted_provenance(source: str, revision: str | None, licence: str | None) -> provenance.Provenance:
    """The provenance of a published model in our layout.

    Raises:
        Wav2SmallError: if its licence is not known.
    """
    parent = provenance.link_model(source, "parent", revision, licence)
    if not parent.licence:
        raise Wav2SmallError(f"nothing says what licence {source} has: name it with --licence, as an SPDX id")
    return provenance.Provenance(step="convert", name=parent.id.rpartition("/")[2], parent=parent)


def find_weights(source: str, revision: str | None = None) -> Path:
    """Find the file of weights in a folder, or download it from the Hub: the first kind that there is, alone."""
    for name in WEIGHTS:
        file = hub.resolve_checkpoint(source, [name], revision) / name
        if file.is_file():
            return file
    raise Wav2SmallError(f"{source} holds neither {' nor '.join(WEIGHTS)}")


def read_weights(file: Path, source: str) -> dict[str, torch.Tensor]:
    """Read a file of weights, by its suffix; pickled code is never run."""
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
    """Load weights under our names; they must fit exactly: no key missing, none too many, each of the right shape."""
    if unexpected := sorted(key for key in weights.keys() - names.keys() if not NOT_WEIGHTS.fullmatch(key)):
        raise Wav2SmallError(f"{source} has the unexpected key {unexpected[0]} ({len(unexpected)} in all)")
    if missing := sorted(names.keys() - weights.keys()):
        raise Wav2SmallError(f"{source} lacks the key {missing[0]} ({len(missing)} in all)")
    state = model.state_dict()
    for theirs, ours in names.items():
        found, needed = tuple(weights[theirs].shape), tuple(state[ours].shape)
        if found != needed:
            raise Wav2SmallError(f"{source} has {theirs} of shape {found}, not {needed}")
        state[ours] = weights[theirs]
    model.load_state_dict(state)
