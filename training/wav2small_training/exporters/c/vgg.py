"""The paper's network as C: constants and layers for `wav2small.c`."""

from typing import cast

import numpy as np
from torch import nn
from transformers import PreTrainedModel

from wav2small.models.errors import Wav2SmallError
from wav2small.models.log_mel import LogMel

from ..fold import FoldedTokenPooling, FoldedWav2Small, fold
from .codes import Coder
from .front import front_end
from .network import Network
from .text import Layer, defines, linear, structs


def vgg(model: PreTrainedModel, coder: Coder) -> Network:
    """Describe a [`Wav2SmallForAudioClassification`] with the paper's pooling."""
    config, folded = model.config, cast("FoldedWav2Small", fold(model))
    if config.pooling != "token" or config.n_mels % 2:
        raise Wav2SmallError(
            f"pooling={config.pooling}, n_mels={config.n_mels}: the C code has the pooling of the paper, on even bands"
        )
    channels, bands = config.channels, config.n_mels // 2
    pooling = cast("FoldedTokenPooling", folded.pooling)
    dense = {
        "CONVOLUTION": [convolution(cast("nn.Conv2d", conv), channels, coder) for conv in folded.convs],
        "LIN": [coder.layer(pooling.lin.weight.numpy(), None)],
        "SOF": [coder.layer(pooling.sof.weight.numpy(), None)],
        "CLASSIFIER": [coder.layer(pooling.classifier.weight.numpy(), pooling.classifier.bias.numpy(), last=True)],
    }

    def layers(bits: int) -> str:
        text = ""
        for name, each in dense.items():
            text += structs("dense", name, [linear(f"{name.lower()}_{i}", one, bits) for i, one in enumerate(each)])
        return text

    largest = {
        "LARGEST_INPUTS": max(layer.weights.shape[1] for each in dense.values() for layer in each),
        "LARGEST_OUTPUTS": max(layer.weights.shape[0] for each in dense.values() for layer in each),
    }
    return Network(
        code="wav2small",
        shapes=f"{len(folded.convs)} convolutions of {channels} channels -> pooling over time",
        sizes={
            "BANDS": config.n_mels,
            "CHANNELS": channels,
            "CONVOLUTIONS": len(folded.convs),
            "POOL_AFTER": model.pool_after,
            "TOKEN": channels * bands,
        },
        tables=front_end(cast("LogMel", model.log_mel), np.ones(config.n_mels), np.zeros(config.n_mels))
        + defines(largest),
        layers=layers,
        outputs=(),
        behind=(config.n_fft + config.hop_length * (model.pool_after + 2 * (7 - model.pool_after) + 1))
        / config.sampling_rate,
    )


def convolution(conv: nn.Conv2d, channels: int, coder: Coder) -> Layer:
    """A folded convolution (outputs, inputs, bands, time) as a linear layer, without the channels that folding adds."""
    layer = coder.layer(conv.weight.numpy(), cast("nn.Parameter", conv.bias).numpy())
    return layer.select(slice(channels), slice(9 * channels))
