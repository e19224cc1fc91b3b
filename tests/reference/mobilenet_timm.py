"""What timm's own MobileNets answer for fixed weights and maps; the result is `mobilenet_timm.json` beside this file.

To write it again, in an environment with timm and the torchvision that it needs: `python mobilenet_timm.py`.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
import torch

RESULT = Path(__file__).with_suffix(".json")
NETWORKS = ("mobilenetv4_conv_small", "mobilenetv4_conv_medium", "mobilenetv3_small_100", "mobilenetv3_large_100")
MAPS = ((2, 1, 61, 26), (1, 1, 1, 26), (2, 1, 40, 64))  # batch, channels, time, bands


def weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Values for a state dict that depend on names and shapes alone; those of batch norm are far from neutral."""
    values = {}
    for name, tensor in state.items():
        random = np.random.RandomState(crc32(name.encode()))  # a stream that numpy keeps as it is
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
            value = random.uniform(0.5, 1.5, tensor.shape)
        elif tensor.dim() == 1:
            value = 0.3 * random.standard_normal(tensor.shape)
        else:
            value = random.standard_normal(tensor.shape) * math.sqrt(2 / tensor[0].numel())
        values[name] = torch.tensor(value, dtype=torch.float32)
    return values


def maps() -> list[torch.Tensor]:
    """Draw one batch of maps for each shape in `MAPS`."""
    return [torch.tensor(np.random.RandomState(0).standard_normal(shape), dtype=torch.float32) for shape in MAPS]


@torch.no_grad()
def main() -> None:
    """Ask timm and write its answers."""
    import timm

    result = {"timm": timm.__version__, "torch": torch.__version__}
    for name in NETWORKS:
        network = timm.create_model(name, in_chans=1, num_classes=3).eval()
        network.load_state_dict(weights(network.state_dict()), strict=False)
        result[name] = {
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "outputs": [network(x).tolist() for x in maps()],
        }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
