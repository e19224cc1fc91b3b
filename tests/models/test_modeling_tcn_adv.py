"""The temporal convolution network is what its description says, and no clip depends on its company or its level."""

from unittest import mock

import numpy as np
import pytest
import torch
from conftest import voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import tcn_adv as reference
from students import tcn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForAudioClassification

from wav2small import TcnAdvConfig, TcnAdvForAudioClassification
from wav2small_training.benchmarks.model_table import count_values

BASE = {"width": 192, "expansion": 3, "kernel_sizes": [7] * 6, "dilations": [1, 1, 2, 2, 4, 4], "stem_groups": 1}
SMALL = {"width": 12, "n_mels": 20, "heads": 2, "kernel_sizes": [3, 4, 5], "dilations": [1, 2, 3]}  # quick in tests
configs = st.fixed_dictionaries(
    {
        "n_mels": st.sampled_from([12, 40]),
        "width": st.sampled_from([8, 12]),
        "expansion": st.integers(1, 3),
        "stem_kernel": st.integers(1, 6),
        "stem_stride": st.integers(1, 3),
        "stem_groups": st.sampled_from([1, 2, 4]),
        "kernel_sizes": st.lists(st.integers(1, 7), min_size=2, max_size=2),
        "dilations": st.lists(st.integers(1, 4), min_size=2, max_size=2),
        "heads": st.integers(1, 3),
        "branches": st.integers(1, 3),
        "maps": st.sampled_from([[], [4], [4, 8]]),
        "activation": st.sampled_from(["gelu", "hardswish", "relu"]),
        "max_look_ahead": st.floats(0.025, 0.5),
    }
)


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of these lengths, padded with rubbish, and their mask."""
    values = torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(1))
    mask = torch.zeros_like(values, dtype=torch.long)
    for i, length in enumerate(lengths):
        values[i, :length] = torch.from_numpy(voice_like(length / 16000 + 1e-3, seed=i)[:length])
        mask[i, :length] = 1
    return values, mask


@settings(deadline=None, max_examples=10)
@given(config=configs, samples=st.integers(400, 9000))
def test_equals_an_independent_reading_of_the_description(config, samples):
    net, waveform = tcn(**config), voice_like(1, seed=samples)[:samples]
    with torch.no_grad():
        output = net(torch.from_numpy(waveform)[None])
    logits, speech = reference.forward(net, waveform)
    np.testing.assert_allclose(output.logits[0], logits, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(output.speech[0], speech, atol=1e-4)


@pytest.mark.parametrize(("config", "most", "mmac"), [({}, 80_000, 40), (BASE, 1_500_000, 400)])
def test_two_sizes_stay_within_their_values_and_cost(config, most, mmac):
    net = TcnAdvForAudioClassification(TcnAdvConfig(**config)).eval()
    assert 0.9 * most < count_values(net) <= most
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.to("meta")(torch.zeros(1, 80000, device="meta"))
    assert counter.get_total_flops() / 2e6 <= mmac


@settings(deadline=None, max_examples=10)
@given(config=configs, lengths=st.lists(st.integers(400, 9000), min_size=1, max_size=5))
def test_a_clip_gives_the_same_prediction_alone_and_padded_in_a_batch(config, lengths):
    net, (values, mask) = tcn(**config), batch(lengths)
    with torch.no_grad():
        together = net(values, mask)
        for i, length in enumerate(lengths):
            alone = net(values[i : i + 1, :length])
            torch.testing.assert_close(together.logits[i], alone.logits[0], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(together.speech[i], alone.speech[0], rtol=0, atol=1e-4)


def test_batch_norm_in_training_does_not_count_padding():
    values, mask = batch([9000, 9000])
    wider = torch.nn.functional.pad(values, (0, 7000), value=3.0)
    one, other = tcn(**SMALL).train(), tcn(**SMALL).train()
    torch.testing.assert_close(
        one(values).logits, other(wider, torch.nn.functional.pad(mask, (0, 7000))).logits, rtol=1e-4, atol=1e-4
    )
    for name, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_masks_hide_neighbouring_bands_and_a_stretch_of_time_in_training_alone():
    net = tcn(**SMALL, mask_bands=6, mask_seconds=0.2).train()
    masked = net.mask(torch.ones(200, 20, 60)) == 0  # (clips, bands, frames)
    bands, frames = masked.all(dim=2).sum(dim=1), masked.all(dim=1).sum(dim=1)
    assert set(bands.tolist()) == set(range(7)) and frames.max() == 20 and frames.min() == 0
    for stretch in (masked.all(dim=2), masked.all(dim=1)):
        assert (stretch.int().diff(dim=1).abs().sum(dim=1) <= 2).all(), "one stretch in each clip"
    values, _ = batch([9000, 9000])
    assert torch.equal(net.eval()(values).logits, tcn(**SMALL).eval()(values).logits)


def test_many_clips_at_once_have_the_spectrum_of_each():
    log_mel, waveforms = tcn(**SMALL).log_mel.train(), torch.randn(11, 3000)
    torch.testing.assert_close(log_mel(waveforms), log_mel.eval()(waveforms), rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=10)
@given(config=configs, step=st.integers(50, 70))
def test_a_step_hears_exactly_from_its_receptive_field_to_its_look_ahead(config, step):
    net = tcn(**config | {"activation": "gelu", "power_floor": 1e-12})  # nothing that blocks a gradient
    assert net.config.look_ahead <= config["max_look_ahead"]
    ahead = step * net.config.stem_stride * net.config.hop_length + round(net.config.look_ahead * 16000)
    behind = ahead - round(net.config.receptive_field * 16000)
    clip = torch.randn(1, 64000, generator=torch.Generator().manual_seed(step)).requires_grad_()
    with mock.patch("wav2small.models.modeling_tcn_adv.normalize", lambda waveform, mask: waveform):
        features, _ = net.features(clip)
    features[0, :, step].square().sum().backward()
    (heard,) = clip.grad[0].nonzero(as_tuple=True)
    assert heard.max() == ahead - 1
    assert heard.min() == behind + 1  # the first sample of a periodic Hann window has no weight


def test_the_default_look_ahead_is_below_four_tenths_of_a_second():
    assert TcnAdvConfig().look_ahead == pytest.approx(0.365)
    assert TcnAdvConfig().receptive_field == pytest.approx(0.705)
    late = TcnAdvConfig(**BASE)
    assert late.look_ahead <= 0.4 and late.receptive_field > 1


def test_the_level_does_not_matter():
    net, (values, _) = tcn(), batch([16000])
    with torch.no_grad():
        for gain in (0.1, 30):
            torch.testing.assert_close(net(values).logits, net(values * gain).logits, rtol=0, atol=5e-3)


def test_silence_gives_finite_numbers_and_gradients():
    net = tcn(**SMALL).train()
    output = net(torch.zeros(2, 4000), labels=torch.zeros(2, 3))
    output.loss.backward()
    assert torch.isfinite(output.logits).all() and torch.isfinite(output.speech).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_speech_is_a_share_of_the_clip():
    net, (values, mask) = tcn(), batch([16000, 8000])
    with torch.no_grad():
        torch.nn.init.constant_(net.speech.bias, 40)
        torch.testing.assert_close(net(values, mask).speech, torch.ones(2, 1))
        torch.nn.init.constant_(net.speech.bias, -40)
        torch.testing.assert_close(net(values, mask).speech, torch.zeros(2, 1))


@pytest.mark.parametrize("masked", [True, False])
def test_a_loss_reaches_every_weight(masked):
    net = tcn(**SMALL).train()
    values, mask = batch([6400, 3200])
    labels = torch.tensor([[0.1, 0.5, 0.9], [0.8, 0.2, 0.4]])
    output = net(values, mask if masked else None, labels=labels)
    assert output.loss.item() == pytest.approx((output.logits - labels).square().mean().item())
    (output.loss + output.speech.mean()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, f"{name} gets no gradient"


def test_a_tuple_comes_on_request():
    values, _ = batch([1600])
    loss, logits, speech = tcn()(values, labels=torch.zeros(1, 3), return_dict=False)
    assert loss.shape == () and logits.shape == (1, 3) and speech.shape == (1, 1)


def test_a_saved_model_loads_as_it_was_through_the_auto_classes(tmp_path):
    net, (values, mask) = tcn(**SMALL), batch([4000, 900])
    net.save_pretrained(tmp_path)
    loaded = AutoModelForAudioClassification.from_pretrained(tmp_path)
    assert isinstance(loaded, TcnAdvForAudioClassification)
    assert loaded.config.kernel_sizes == SMALL["kernel_sizes"]
    for one, other in zip(loaded(values, mask).to_tuple(), net(values, mask).to_tuple(), strict=True):
        assert torch.equal(one, other)
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.id2label == {0: "arousal", 1: "dominance", 2: "valence"}
    assert (config.problem_type, config.num_labels, config.sampling_rate) == ("regression", 3, 16000)


def test_a_checkpoint_holds_no_constants_of_the_front_end():
    assert not any(name.startswith("log_mel") for name in tcn(**SMALL).state_dict())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"width": 0}, "width=0"),
        ({"heads": 0}, "heads=0"),
        ({"branches": 0}, "branches=0"),
        ({"maps": [4, 0]}, r"maps=\[4, 0\]"),
        ({"maps": [3, 3], "stem_groups": 5}, r"maps=\[3, 3\] of n_mels=64"),
        ({"stem_groups": 3}, "stem_groups=3"),
        ({"kernel_sizes": [5, 5]}, "kernel_sizes"),
        ({"kernel_sizes": [], "dilations": []}, "kernel_sizes"),
        ({"dilations": [1, 1, 0, 4]}, "dilations"),
        ({"activation": "tanh"}, "activation='tanh'"),
        ({"window_length": 514}, "window_length=514"),
        ({"window_length": 399}, "window_length=399"),
        ({"n_fft": 513}, "n_fft=513"),
        ({"f_max": 9000.0}, "f_max"),
        ({"power_floor": 0.0}, "power_floor"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"max_look_ahead": 0.02}, "max_look_ahead=0.02"),
    ],
)
def test_a_wrong_configuration_is_named(wrong, told):
    with pytest.raises(ValueError, match=told):
        TcnAdvConfig(**wrong)


@pytest.mark.parametrize("shape", [(1, 399), (16000,), (1, 1, 16000)])
def test_a_wrong_input_is_named(shape):
    with pytest.raises(ValueError, match="input_values"):
        tcn(**SMALL)(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_close_to_float32(dtype):
    values, mask = batch([90000, 8000])  # more samples than float16 can count
    net = tcn()
    with torch.no_grad():
        exact = net(values, mask).logits
        with torch.autocast("cpu", dtype):
            mixed = net(values, mask).logits
        whole = net.to(dtype)(values.to(dtype), mask).logits
    for rough in (mixed, whole):
        assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_torch_compile_gives_the_same_prediction():
    net, (values, mask) = tcn(**SMALL), batch([4000, 900])
    compiled = torch.compile(net, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(values, mask).logits, net(values, mask).logits, rtol=1e-4, atol=1e-4)
