"""Mixed precision: the body of a network computes in half precision, its front end and its heads in float32."""

import pytest
import torch
from conftest import voice_like
from students import mobilenet, student, tcn, teacher, whisper_teacher
from torch import nn

STUDENTS = {"token": student, "gram": lambda: student(pooling="gram"), "tcn": tcn, "mobilenet": mobilenet}
LAST = ("classifier", "speech", "pooling.lin", "pooling.sof", "pooling.attention")  # of students


def computed_in(model, values, mask) -> dict[str, torch.dtype]:
    """The type of what each linear layer and convolution of a model gives under autocast."""
    found = {}

    def note(name):
        return lambda _, inputs, output: found.update(
            {name: (output[0] if isinstance(output, tuple) else output).dtype}
        )

    layers = [
        (name, each) for name, each in model.named_modules() if isinstance(each, nn.Linear | nn.Conv1d | nn.Conv2d)
    ]
    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(values, mask).logits.dtype == torch.float32
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("make", [*STUDENTS.values(), teacher, whisper_teacher])
@pytest.mark.parametrize("masked", [False, True])
def test_heads_compute_in_float32_under_autocast(make, masked):
    values = torch.from_numpy(voice_like(1.0))[None]
    found = computed_in(make(), values, torch.ones_like(values, dtype=torch.bool) if masked else None)
    heads = {name: dtype for name, dtype in found.items() if ".head." in name or name.endswith(LAST)}
    assert heads and set(heads.values()) == {torch.float32}
    assert torch.bfloat16 in found.values()


@pytest.mark.parametrize("make", STUDENTS.values())
def test_a_students_gradient_passes_its_head(make):
    model, values = make().train(), torch.from_numpy(voice_like(1.0))[None].repeat(2, 1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(values, labels=torch.rand(2, 3)).loss
    loss.backward()
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    without = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    assert len(trained) > len(without) and not [name for name in without if "speech" not in name]
