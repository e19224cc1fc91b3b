"""The temporal convolution network as C: constants and layers for `tcn_adv.c`."""

import math
from typing import cast

import numpy as np
from torch import nn
from transformers import PreTrainedModel

from wav2small.models.configuration_tcn_adv import TcnAdvConfig
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
    """Describe a [`TcnAdvForAudioClassification`] of one branch and, after maps, of one group in the stem."""
    if model.config.branches > 1:
        raise Wav2SmallError(f"branches={model.config.branches}: the C code is for networks of one branch")
    if model.config.maps and model.config.stem_groups > 1:
        raise Wav2SmallError(f"stem_groups={model.config.stem_groups}: the C code has one group after maps")
    config, folded = model.config, cast("FoldedTcn", fold(model))
    blocks = [Convolutions(cast("FoldedBlock", block), coder) for block in folded.blocks]
    rows = [(kernel - 1) * dilation + 1 for kernel, dilation in zip(config.kernel_sizes, config.dilations, strict=True)]
    afters = iter([after for _, after in config.paddings])
    maps = [convolution_2d(cast("nn.Conv2d", cast("nn.Sequential", each)[1]), coder) for each in folded.maps]
    map_afters = [next(afters) for _ in maps]
    stem_after = next(afters)
    stem = stem_groups(folded, config, coder)
    attention = coder.layer(folded.attention.weight.numpy(), None)
    classifier = coder.layer(folded.classifier.weight.numpy(), folded.classifier.bias.numpy(), last=True)
    dense = {
        "STEM": stem,
        "EXPAND": [block.expand for block in blocks],
        "PROJECT": [block.project for block in blocks],
        "ATTENTION": [attention],
        "CLASSIFIER": [classifier],
    }
    if maps:
        dense["MAP_LAYER"] = maps
    places = [
        (kernel, dilation, after, sum(rows[:i]))
        for i, (kernel, dilation, after) in enumerate(zip(config.kernel_sizes, config.dilations, afters, strict=True))
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
        "STEM_STRIDE": 1 if maps else config.stem_stride,
        "STEM_GROUPS": config.stem_groups,
        "STEM_AFTER": stem_after,
        "GROUP_INPUTS": config.stem_channels // config.stem_groups,
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
            "MAPS": len(maps),
            "MAP_VALUES": 3 * sum(map(math.prod, shapes_of_maps(config)[:-1])),
            "STEM_KERNEL": config.stem_kernel,
            "STEM_INPUTS": config.stem_channels,
            "HISTORY_ROWS": sum(rows),
            "WIDTH": width,
            "HEADS": config.heads,
        },
        tables=front_end(cast("FftLogMel", model.log_mel), folded.scale.numpy(), folded.shift.numpy())
        + defines(counts)
        + array("float", "LAST_SCALE", scale.numpy())
        + array("float", "LAST_SHIFT", shift.numpy())
        + array("float", "SPEECH_WEIGHTS", model.speech.weight.numpy())
        + (maps_table(config, map_afters) if maps else ""),
        layers=layers,
        outputs=("speech",),
        behind=config.look_ahead,
    )


def shapes_of_maps(config: TcnAdvConfig) -> list[tuple[int, int]]:
    """Channels and bands before each convolution over bands and time, and after the last."""
    shapes = [(1, config.n_mels)]
    for channels in config.maps:
        shapes.append((channels, -(-shapes[-1][1] // 2)))
    return shapes


def maps_table(config: TcnAdvConfig, afters: list[int]) -> str:
    """What the convolutions over bands and time need beside their weights, and the place of each one's three rows."""
    shapes = shapes_of_maps(config)
    sizes = [math.prod(shape) for shape in shapes]
    rows = "".join(
        f"    {{ {channels}, {bands}, {after}, {1 if i else config.stem_stride}, {3 * sum(sizes[:i])} }},\n"
        for i, ((channels, bands), after) in enumerate(zip(shapes[:-1], afters, strict=True))
    )
    counts = {"LARGEST_ROW": max(sizes), "LARGEST_CHANNELS": max(channels for channels, _ in shapes[:-1])}
    struct = "struct map { int channels, bands, after, stride, history; };\n"
    return f"{defines(counts)}{struct}static const struct map MAP[] = {{\n{rows}}};\n"


def convolution_2d(conv: nn.Conv2d, coder: Coder) -> Layer:
    """A convolution over bands and time as a linear layer on its frames, from the oldest on, the channels innermost."""
    layer = coder.layer(conv.weight.numpy(), cast("nn.Parameter", conv.bias).numpy())
    innermost = np.arange(9 * conv.in_channels).reshape(conv.in_channels, 3, 3).T.ravel()
    return layer.select(slice(None), innermost)


def stem_groups(folded: FoldedTcn, config: TcnAdvConfig, coder: Coder) -> list[Layer]:
    """The convolution over time as a linear layer for each group of bands, on its frames from the oldest to the newest.

    After maps, the channels of a band are side by side.
    """
    conv = cast("nn.Conv2d", folded.stem[-1] if isinstance(folded.stem, nn.Sequential) else folded.stem)
    layer = coder.layer(conv.weight.numpy(), cast("nn.Parameter", conv.bias).numpy())
    channels, (_, inputs, _, taps) = (config.maps or [1])[-1], conv.weight.shape
    by_tap = np.arange(inputs * taps).reshape(channels, -1, taps).T.ravel()
    size = conv.out_channels // config.stem_groups
    return [layer.select(slice(i * size, (i + 1) * size), by_tap) for i in range(config.stem_groups)]


class Convolutions:
    """The three convolutions of a block as layers."""

    def __init__(self, block: FoldedBlock, coder: Coder):
        self.depthwise, self.expand, self.project = (
            coder.layer(conv.weight.numpy(), None if conv.bias is None else conv.bias.numpy())
            for each in (block.depthwise, block.expand, block.project)
            for conv in [cast("nn.Conv2d", each[-1] if isinstance(each, nn.Sequential) else each)]
        )
