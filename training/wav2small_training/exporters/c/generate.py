"""A checkpoint -> `wav2small.h` and `wav2small.c`."""

import copy
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel

from wav2small.atomic import whole_folder
from wav2small.checkpoint import load_checkpoint
from wav2small.hub import resolve_checkpoint
from wav2small.models.audio import audio_files
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import write_provenance

from ..export import calibration_clips, export_provenance, known_provenance
from .codes import Coder, has_codes, read_codes, round_for_speech
from .network import Network
from .tcn import tcn
from .text import defines
from .vgg import vgg

HEADER, SOURCE = "wav2small.h", "wav2small.c"
TEMPLATES = Path(__file__).parent
NETWORKS = {"tcn_adv": tcn, "wav2small": vgg}
LEVEL_SECONDS = 5.0  # memory of the level of a stream


def export_c(source: str, out: Path, speech: Path | None = None, speech_licence: str | None = None) -> None:
    """Write a checkpoint as `wav2small.h` and `wav2small.c`, with the `provenance.json` of the weights.

    Args:
        source: folder of a checkpoint, its name, or its id on the Hub.
        out: new folder.
        speech: folder of recordings of speech to round the weights for; without it the weights are those of the
            checkpoint's ONNX files, and where it has none, there are no weights of 4 bits.
        speech_licence: SPDX id of the licence of these recordings.

    Raises:
        Wav2SmallError: if the source is not a checkpoint that has a form in C, or a licence is not known.
    """
    folder = resolve_checkpoint(source, ["*"])
    model = load_checkpoint(folder)
    if speech is None and has_codes(folder):
        origin, coder = known_provenance(source), read_codes(folder)
    else:
        origin = export_provenance(source, speech, speech_licence)
        coder = round_for_speech(model, [] if speech is None else calibration_clips(audio_files(speech)))
    with whole_folder(out) as temporary:
        for name, text in generate(model, Path(source).name, origin.licence or "unknown", coder).items():
            (temporary / name).write_text(text, encoding="utf-8")
        write_provenance(origin, temporary)


def generate(model: PreTrainedModel, name: str, licence: str, coder: Coder) -> dict[str, str]:
    """Write a student as C99.

    Args:
        model: a student.
        name: of the checkpoint, for the comment at the top.
        licence: of the weights, for the same comment.
        coder: of this model's weights.

    Returns:
        The content of the two files, by their names.

    Raises:
        Wav2SmallError: if this kind of model, or its front end, has no form in C.
    """
    kind, config = model.config.model_type, model.config
    if kind not in NETWORKS:
        raise Wav2SmallError(f"{name} is a {kind}, which has no form in C, only {', '.join(NETWORKS)} have")
    model = copy.deepcopy(model).eval().requires_grad_(False)
    network = NETWORKS[kind](model, coder)
    window = getattr(config, "window_length", config.n_fft)
    words = {
        "NAME": name,
        "KIND": kind,
        "LICENCE": licence,
        "FOUR": "4 " if 4 in coder.sources else "",
        "RATE": config.sampling_rate,
        "WINDOW": window,
        "HOP": config.hop_length,
        "N_FFT": config.n_fft,
        "BANDS": config.n_mels,
        "SHAPES": network.shapes,
        "LEVEL_SECONDS": f"{LEVEL_SECONDS:g}",
        "BEHIND": f"{network.behind:.2g}",
        "OUTPUTS": "".join(f"WAV2SMALL_{each.upper()}, " for each in network.outputs),
    }
    sizes = {"SAMPLING_RATE": config.sampling_rate, "FRAME": window, **network.sizes}
    header = (
        filled_in("top.h", words)
        + defines({f"WAV2SMALL_{key}": value for key, value in sizes.items()})
        + "\n"
        + filled_in(f"{network.code}.h", words)
        + "\n"
        + filled_in("listen.h", words)
    )
    hops = round(LEVEL_SECONDS * config.sampling_rate / config.hop_length)
    source = "\n".join(
        [
            filled_in("top.c", words),
            defines({key: f"WAV2SMALL_{key}" for key in network.sizes} | {"LEVEL_HOPS": hops}) + network.tables,
            filled_in("front.c", words),
            filled_in("dense.c", words),
            sections(network, coder.sources),
            filled_in(f"{network.code}.c", words),
            filled_in("listen.c", words),
        ]
    )
    return {HEADER: header, SOURCE: source}


def filled_in(name: str, words: dict[str, str | int]) -> str:
    """A template of this folder, with words for @WORD@."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    for key, value in words.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def sections(network: Network, sources: Sequence[int]) -> str:
    """The layers, once for each number of bits."""
    text = ""
    for i, bits in enumerate(sources):
        text += f"#{'elif' if i else 'if'} WAV2SMALL_BITS == {bits}\n{network.layers(bits)}"
    known = ", ".join(map(str, sorted(sources)))
    return f'{text}#else\n#error "WAV2SMALL_BITS must be one of {known}"\n#endif\n'
