"""The MobileNet students are timm's networks, and a clip's answer does not depend on its company."""

import json
from copy import deepcopy

import pytest
import torch
from conftest import voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import mobilenet_timm as reference

from wav2small.models.configuration_mobilenet_adv import BACKBONES, MobileNetAdvConfig
from wav2small.models.modeling_mobilenet_adv import (
    ARCHITECTURES,
    MobileNet,
    MobileNetAdvForAudioClassification,
    TimeConv2d,
)

SMALL, V3_SMALL = "mobilenetv4_conv_small", "mobilenetv3_small_100"
LABELS = torch.tensor([[0.1, 0.5, 0.9], [0.8, 0.2, 0.4], [0.3, 0.3, 0.3], [0.6, 0.7, 0.2]])


def student(**fields) -> MobileNetAdvForAudioClassification:
    """A student whose batch norm has seen clips, as after training, and is far from neutral: a slip would show."""
    torch.manual_seed(0)
    net = MobileNetAdvForAudioClassification(MobileNetAdvConfig(**fields)).train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
            module.momentum = None  # statistics are those of the batches it has seen
    with torch.no_grad():
        net(batch([12000] * 4)[0])
    return net.eval()


@pytest.fixture(scope="module", params=BACKBONES)
def model(request) -> MobileNetAdvForAudioClassification:
    return student(backbone=request.param)


@pytest.fixture(scope="module")
def exact_model(model) -> MobileNetAdvForAudioClassification:
    """The same in float64, where no rounding can pass for a slip, nor a slip for rounding."""
    return deepcopy(model).double()


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of these lengths, padded with rubbish, and their mask."""
    values = torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(1))
    mask = torch.zeros_like(values, dtype=torch.long)
    for i, length in enumerate(lengths):
        values[i, :length] = torch.from_numpy(voice_like(length / 16000 + 1e-3, seed=i)[:length])
        mask[i, :length] = 1
    return values, mask


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = 1e-4, message: str = "") -> None:
    """Compare relative to the largest number: random networks answer with anything from 0.1 to 1e5."""
    difference = ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1)).item()
    assert difference < tolerance, f"{message} differs by {difference:.1e} of its scale"


def assert_alone_equals_together(
    net: MobileNetAdvForAudioClassification, lengths: list[int], tolerance: float = 1e-4
) -> None:
    values, mask = batch(lengths)
    values = values.to(net.dtype)
    with torch.no_grad():
        together = net(values, mask).logits
        for i, length in enumerate(lengths):
            alone = net(values[i : i + 1, :length]).logits[0]
            assert_close(together[i], alone, tolerance, f"the clip of {length} samples among {lengths}")


@pytest.mark.parametrize("name", BACKBONES)
def test_answers_as_timm_did_with_the_same_weights(name):
    stored = json.loads(reference.RESULT.read_text())[name]
    network = MobileNet(name, num_labels=3).eval()
    network.load_state_dict(reference.weights(network.state_dict()), strict=False)
    for x, expected in zip(reference.maps(), stored["outputs"], strict=True):
        with torch.no_grad():
            assert_close(network(x), torch.tensor(expected), message=f"{name} on a map of {tuple(x.shape)}")


@pytest.mark.parametrize("name", BACKBONES)
def test_takes_timms_state_dict_as_it_is_and_answers_alike(name):
    try:
        import timm
    except Exception as error:  # beside a torch without CUDA, torchvision raises a RuntimeError
        pytest.skip(f"timm cannot be imported: {type(error).__name__}: {error}")
    theirs = timm.create_model(name, in_chans=1, num_classes=3).eval()
    theirs.load_state_dict(reference.weights(theirs.state_dict()), strict=False)
    ours = MobileNet(name, num_labels=3).eval()
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 1, 97, 26)
    with torch.no_grad():
        assert_close(ours(x), theirs(x))
        assert_close(ours.train()(x), theirs.train()(x))  # and with the batch's own statistics
    for (name, ours_now), theirs_now in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(ours_now, theirs_now, rtol=1e-4, atol=1e-4, msg=f"{name} after a training step")


@pytest.mark.parametrize(("name", "millions"), list(zip(BACKBONES, [2.496, 8.438, 1.521, 4.206], strict=True)))
def test_has_as_many_parameters_as_in_timm(name, millions):
    with torch.device("meta"):
        network = MobileNet(name, num_labels=3)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert round(count / 1e6, 3) == millions
    assert count == json.loads(reference.RESULT.read_text())[name]["parameters"]


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        (
            "mobilenetv4_conv_small",
            {
                "conv_stem.weight": (32, 1, 3, 3),
                "bn1.running_mean": (32,),
                "blocks.0.1.conv.weight": (32, 32, 1, 1),
                "blocks.1.0.bn1.running_var": (96,),
                "blocks.2.0.dw_start.conv.weight": (64, 1, 5, 5),
                "blocks.2.0.pw_exp.bn.weight": (192,),
                "blocks.3.5.dw_mid.conv.weight": (512, 1, 3, 3),
                "norm_head.running_mean": (1280,),
            },
        ),
        (
            "mobilenetv4_conv_medium",
            {
                "blocks.0.0.conv_exp.weight": (128, 32, 3, 3),
                "blocks.0.0.bn2.bias": (48,),
                "blocks.3.10.pw_proj.conv.weight": (256, 512, 1, 1),
                "blocks.4.0.conv.weight": (960, 256, 1, 1),
            },
        ),
        (
            "mobilenetv3_small_100",
            {
                "blocks.0.0.conv_dw.weight": (16, 1, 3, 3),
                "blocks.0.0.se.conv_reduce.weight": (8, 16, 1, 1),
                "blocks.3.1.se.conv_expand.bias": (144,),
                "blocks.4.2.bn3.weight": (96,),
                "conv_head.bias": (1024,),
            },
        ),
        (
            "mobilenetv3_large_100",
            {
                "blocks.3.1.conv_pw.weight": (200, 80, 1, 1),
                "blocks.5.2.conv_pwl.weight": (160, 960, 1, 1),
                "classifier.weight": (3, 1280),
            },
        ),
    ],
)
def test_weights_have_timms_names_and_shapes(name, shapes):
    with torch.device("meta"):
        state = MobileNet(name, num_labels=3).state_dict()
    for key, shape in shapes.items():
        assert tuple(state[key].shape) == shape, key


@settings(deadline=None, max_examples=8)
@given(lengths=st.lists(st.integers(64, 12000), min_size=2, max_size=4))
def test_a_clip_gives_the_same_answer_alone_and_padded_in_a_batch(exact_model, lengths):
    assert_alone_equals_together(exact_model, lengths, tolerance=1e-9)


def test_a_clip_of_one_window_gives_the_same_answer_beside_a_long_one(model):
    assert_alone_equals_together(model, [64, 16000, 95, 96])


def test_the_answers_depend_on_the_clip(model):
    values, mask = batch([9000, 9000, 5000])
    with torch.no_grad():
        logits = model(values, mask).logits
    spread = (logits.max(dim=0).values - logits.min(dim=0).values).max() / logits.abs().max()
    assert spread > 0.01, "the clips answer so much alike that a slip of the mask could hide"


@given(
    length=st.integers(1, 40),
    extra=st.integers(0, 9),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
)
@settings(deadline=None)
def test_a_convolution_counts_the_steps_of_a_lone_map(length, extra, kernel, stride):
    conv = TimeConv2d(1, 2, kernel, stride)
    x = torch.randn(1, 1, length + extra, 3)
    with torch.no_grad():
        alone, _ = conv(x[:, :, :length], None)
        padded, steps = conv(x, torch.tensor([length]))
    assert steps.item() == alone.shape[2]
    torch.testing.assert_close(padded[:, :, : alone.shape[2]], alone)


@pytest.mark.parametrize("n_mels", [26, 40])
def test_the_front_end_of_the_published_student_runs(n_mels):
    net = student(n_fft=144, hop_length=72, n_mels=n_mels)
    assert_alone_equals_together(net, [144, 8000, 3001])
    with pytest.raises(ValueError, match="at least 144"):
        net(torch.zeros(1, 143))


def test_silence_gives_finite_numbers(model):
    with torch.no_grad():
        assert torch.isfinite(model(torch.zeros(1, 4000)).logits).all()


@pytest.mark.parametrize("name", BACKBONES)
def test_labels_give_a_loss_that_reaches_every_weight_that_learns(name):
    torch.manual_seed(0)
    net = MobileNetAdvForAudioClassification(MobileNetAdvConfig(backbone=name)).train()
    values, mask = batch([6000, 5000, 6000, 3000])
    output = net(values, mask, labels=LABELS)
    assert output.loss.item() == pytest.approx((output.logits - LABELS).square().mean().item())
    output.loss.backward()
    for key, parameter in net.named_parameters():
        if key.startswith("log_mel."):
            assert not parameter.requires_grad, f"{key} is a constant"
        else:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, f"{key} gets no gradient"


def test_a_tuple_comes_on_request():
    values, _ = batch([1600, 1600])
    net = student(backbone=V3_SMALL)
    loss, logits = net(values, labels=LABELS[:2], return_dict=False)
    assert loss.shape == () and logits.shape == (2, 3)
    assert torch.equal(net(values, return_dict=False)[0], logits)


@pytest.mark.parametrize("name", [SMALL, V3_SMALL])
def test_a_saved_model_loads_as_it_was(name, tmp_path):
    net, (values, mask) = student(backbone=name, n_fft=144, hop_length=72), batch([4000, 900])
    net.save_pretrained(tmp_path)
    loaded = MobileNetAdvForAudioClassification.from_pretrained(tmp_path)
    assert (loaded.config.backbone, loaded.config.n_fft, loaded.config.hop_length) == (name, 144, 72)
    assert loaded.config.id2label == {0: "arousal", 1: "dominance", 2: "valence"}
    for key, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    with torch.no_grad():  # weights that lie elsewhere in memory may be added up in another order
        assert_close(loaded(values, mask).logits, net(values, mask).logits, tolerance=1e-5)
    assert not any(weight.requires_grad for weight in loaded.log_mel.parameters()), "its spectrum would be trained"


def test_a_wrong_backbone_is_named_with_the_choices():
    with pytest.raises(ValueError, match="mobilenetv5") as raised:
        MobileNetAdvConfig(backbone="mobilenetv5")
    assert all(name in str(raised.value) for name in ARCHITECTURES)
    assert tuple(ARCHITECTURES) == BACKBONES


@pytest.mark.parametrize("range_", [{"f_max": 9000.0}, {"f_min": -1.0}, {"f_min": 500.0, "f_max": 400.0}])
def test_a_wrong_range_of_frequencies_is_named(range_):
    with pytest.raises(ValueError, match="f_max"):
        MobileNetAdvConfig(**range_)


@pytest.mark.parametrize("shape", [(1, 63), (16000,), (1, 1, 16000)])
def test_a_wrong_input_is_named(shape):
    with pytest.raises(ValueError, match="input_values"):
        student(backbone=V3_SMALL)(torch.zeros(shape))


@pytest.mark.parametrize("name", BACKBONES)
def test_bfloat16_stays_close_to_float32(name):
    torch.manual_seed(0)
    net = MobileNetAdvForAudioClassification(MobileNetAdvConfig(backbone=name)).eval()
    values, mask = batch([8000, 4000])
    with torch.no_grad():
        exact = net(values, mask).logits
        rough = net.to(torch.bfloat16)(values.to(torch.bfloat16), mask).logits
    assert rough.dtype == torch.bfloat16
    assert_close(rough, exact, tolerance=0.2, message=name)  # the decibels alone are rounded by up to a quarter


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_on_a_gpu_stays_close_to_float32(dtype):
    torch.manual_seed(0)
    net = MobileNetAdvForAudioClassification(MobileNetAdvConfig()).eval().cuda()
    values, mask = (tensor.cuda() for tensor in batch([16000, 8000]))
    with torch.no_grad():
        exact = net(values, mask).logits
        with torch.autocast("cuda", dtype):
            assert_close(net(values, mask).logits, exact, tolerance=0.1)


def test_torch_compile_gives_the_same_answer():
    net, (values, mask) = student(backbone=V3_SMALL), batch([4000, 900])
    compiled = torch.compile(net, backend="aot_eager")
    with torch.no_grad():
        assert_close(compiled(values, mask).logits, net(values, mask).logits, tolerance=1e-5)
