"""The temporal convolution network as C: constants and layers for `tcn_adv.c`."""

from typing import cast

import numpy as np
from torch import nn
from transformers import PreTrainedModel

from wav2small.models.errors import Wav2SmallError
from wav2small.models.log_mel import FftLogMel
from wav2small.models.modeling_tcn_adv import VARIANCE_FLOOR

from ..fold import fold
from ..fold_tcn import FoldedBlock, FoldedTcn, affine
from .codes import Coder
from .front import front_end
from .network import Network
from .text import Layer, array, defines, depthwise, linear, structs


def tcn(model: PreTrainedModel, coder: Coder) -> Network:
    """Describe a [`TcnAdvForAudioClassification`] of one branch and without maps."""
    if model.config.branches > 1 or model.config.maps:
        raise Wav2SmallError(
            f"branches={model.config.branches}, maps={model.config.maps}: the C code is for one branch without maps"
        )
    config, folded = model.config, cast("FoldedTcn", fold(model))
    blocks = [Convolutions(cast("FoldedBlock", block), coder) for block in folded.blocks]
    rows = [(kernel - 1) * dilation + 1 for kernel, dilation in zip(config.kernel_sizes, config.dilations, strict=True)]
    afters = [after for _, after in config.paddings]
    stem = stem_groups(folded, config.stem_groups, coder)
    attention = coder.layer(folded.attention.weight.numpy(), None)
    classifier = coder.layer(folded.classifier.weight.numpy(), folded.classifier.bias.numpy(), last=True)
    dense = {
        "STEM": stem,
        "EXPAND": [block.expand for block in blocks],
        "PROJECT": [block.project for block in blocks],
        "ATTENTION": [attention],
        "CLASSIFIER": [classifier],
    }
    places = [
        (kernel, dilation, after, sum(rows[:i]))
        for i, (kernel, dilation, after) in enumerate(
            zip(config.kernel_sizes, config.dilations, afters[1:], strict=True)
        )
    ]

    def layers(bits: int) -> str:
        text = ""
        for name, each in dense.items():
            text += structs("dense", name, [linear(f"{name.lower()}_{i}", one, bits) for i, one in enumerate(each)])
        convolutions = [
            depthwise(f"depthwise_{i}", block.depthwise, bits, place)
            for i, (block, place) in enumerate(zip(blocks, places, strict=True))
        ]
        return text + structs("depthwise", "DEPTHWISE", convolutions)

    width, inner = config.width, config.width * config.expansion
    counts = {
        "STEM_STRIDE": config.stem_stride,
        "STEM_GROUPS": config.stem_groups,
        "STEM_AFTER": afters[0],
        "GROUP_BANDS": config.n_mels // config.stem_groups,
        "INNER": inner,
        "LARGEST_INPUTS": max(layer.weights.shape[1] for each in dense.values() for layer in each),
        "LARGEST_OUTPUTS": max(layer.weights.shape[0] for each in dense.values() for layer in each),
        config.activation.upper(): "",
        "DEVIATION_FLOOR": float(VARIANCE_FLOOR),
        "SPEECH_BIAS": float(model.speech.bias.item()),
    }
    scale, shift = affine(model.norm)
    return Network(
        code="tcn_adv",
        shapes=f"{width} channels every {config.stem_stride} frames -> {len(blocks)} blocks -> pooling over time",
        sizes={
            "BANDS": config.n_mels,
            "BLOCKS": len(blocks),
            "STEM_KERNEL": config.stem_kernel,
            "HISTORY_ROWS": sum(rows),
            "WIDTH": width,
            "HEADS": config.heads,
        },
        tables=front_end(cast("FftLogMel", model.log_mel), folded.scale.numpy(), folded.shift.numpy())
        + defines(counts)
        + array("float", "LAST_SCALE", scale.numpy())
        + array("float", "LAST_SHIFT", shift.numpy())
        + array("float", "SPEECH_WEIGHTS", model.speech.weight.numpy()),
        layers=layers,
        outputs=("speech",),
        behind=config.look_ahead,
    )


def stem_groups(folded: FoldedTcn, groups: int, coder: Coder) -> list[Layer]:
    """The first convolution as a linear layer for each group of bands, on its frames from the oldest to the newest."""
    conv = cast("nn.Conv2d", folded.stem[-1] if isinstance(folded.stem, nn.Sequential) else folded.stem)
    layer = coder.layer(conv.weight.numpy(), cast("nn.Parameter", conv.bias).numpy())
    _, bands, _, taps = conv.weight.shape
    by_tap = np.arange(bands * taps).reshape(bands, taps).T.ravel()
    size = conv.out_channels // groups
    return [layer.select(slice(i * size, (i + 1) * size), by_tap) for i in range(groups)]


class Convolutions:
    """The three convolutions of a block as layers."""

    def __init__(self, block: FoldedBlock, coder: Coder):
        self.depthwise, self.expand, self.project = (
            coder.layer(conv.weight.numpy(), None if conv.bias is None else conv.bias.numpy())
            for each in (block.depthwise, block.expand, block.project)
            for conv in [cast("nn.Conv2d", each[-1] if isinstance(each, nn.Sequential) else each)]
        )
