"""A network as exporters take it, with the names of its inputs, outputs and axes."""

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from wav2small.models.adv import LEAST_SECONDS, SAMPLING_RATE

INPUT = "input_values"
BATCH, SAMPLES = "batch", "samples"  # names of the dynamic axes
SAMPLE_SHAPE = (2, 2 * SAMPLING_RATE)  # of the batch that an exporter runs the network on
LEAST_SAMPLES, MOST_SAMPLES = round(LEAST_SECONDS * SAMPLING_RATE), 30 * SAMPLING_RATE  # that every model hears


class Exportable(PreTrainedModel):
    """A network with one input, PCM (batch, samples), and named outputs: all that an exporter has to know of it."""

    main_input_name = INPUT

    def __init__(self, config: PretrainedConfig, network: nn.Module, outputs: tuple[str, ...]):
        super().__init__(config)
        self.network, self.outputs = network, outputs

    def forward(self, input_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run the network; its output is a tensor, a tuple of them, or named as `outputs` are."""
        found = self.network(input_values)
        if isinstance(found, torch.Tensor):
            found = (found,)
        if isinstance(found, dict):
            return {name: found[name] for name in self.outputs}
        return dict(zip(self.outputs, found, strict=True))
