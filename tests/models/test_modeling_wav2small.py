"""The model is the paper's network, and a clip's answer does not depend on its company."""

import numpy as np
import pytest
import torch
from conftest import voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import wav2small as reference
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification, Wav2Vec2FeatureExtractor

from wav2small import Wav2SmallConfig, Wav2SmallError, Wav2SmallForAudioClassification
from wav2small.convert.student import hub_variant_keys, load_renamed
from wav2small.models.pipeline_adv import AdvPipeline

POOLINGS = ["token", "gram"]


def model(pooling: str = "token") -> Wav2SmallForAudioClassification:
    """A model with random weights and batch norm statistics, so that a slip of the mask would show."""
    result = Wav2SmallForAudioClassification(Wav2SmallConfig(pooling=pooling)).eval()
    load_renamed(result, reference.random_weights(pooling), hub_variant_keys(), "test")
    return result


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of these lengths, padded with rubbish, and their mask."""
    values = torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(1))
    mask = torch.zeros_like(values, dtype=torch.long)
    for i, length in enumerate(lengths):
        values[i, :length] = torch.from_numpy(voice_like(length / 16000 + 1e-3, seed=i)[:length])
        mask[i, :length] = 1
    return values, mask


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("seconds", [0.1, 0.7, 2.0])
def test_equals_an_independent_reading_of_the_paper(pooling, seconds):
    waveform = voice_like(seconds)
    with torch.no_grad():
        ours = model(pooling)(torch.from_numpy(waveform)[None]).logits[0].numpy()
    theirs = reference.forward(reference.random_weights(pooling), waveform)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_papers_network_has_72477_values_of_which_67395_learn():
    net = model("token")
    dft = sum(p.numel() for p in net.log_mel.parameters())
    assert dft == 4224
    assert net.log_mel.mel.numel() == 858
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == 67395
    assert net.num_parameters() + net.log_mel.mel.numel() == 72477


def test_the_hub_variant_has_15030_values_and_858_of_the_mel_matrix():
    net = model("gram")
    assert net.num_parameters() == 15030
    assert net.log_mel.mel.numel() == 858


@pytest.mark.parametrize(("pooling", "gmac"), [("token", 0.388), ("gram", 0.322)])
def test_five_seconds_cost_what_the_paper_says(pooling, gmac):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(pooling).to("meta")(torch.zeros(1, 80000, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, abs=5e-4)


@pytest.mark.parametrize("pooling", POOLINGS)
@settings(deadline=None, max_examples=15)
@given(lengths=st.lists(st.integers(64, 9000), min_size=1, max_size=5))
def test_a_clip_gives_the_same_answer_alone_and_padded_in_a_batch(pooling, lengths):
    net = model(pooling)
    values, mask = batch(lengths)
    with torch.no_grad():
        together = net(values, mask).logits
        for i, length in enumerate(lengths):
            alone = net(values[i : i + 1, :length]).logits[0]
            torch.testing.assert_close(together[i], alone, rtol=1e-5, atol=1e-4)


def test_the_level_does_not_matter():
    net, (values, _) = model(), batch([16000])
    with torch.no_grad():
        torch.testing.assert_close(net(values).logits, net(values * 30).logits, rtol=0, atol=2e-3)


def test_silence_gives_finite_numbers():
    assert torch.isfinite(model()(torch.zeros(1, 16000)).logits).all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_labels_give_a_loss_that_reaches_every_weight_that_learns(pooling):
    net = model(pooling).train()
    values, mask = batch([3200, 1600])
    labels = torch.tensor([[0.1, 0.5, 0.9], [0.8, 0.2, 0.4]])
    output = net(values, mask, labels=labels)
    assert output.loss.item() == pytest.approx((output.logits - labels).square().mean().item())
    output.loss.backward()
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, f"{name} gets no gradient"


def test_a_tuple_comes_on_request():
    values, _ = batch([1600])
    loss, logits = model()(values, labels=torch.zeros(1, 3), return_dict=False)
    assert loss.shape == () and logits.shape == (1, 3)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_saved_model_loads_as_it_was_through_the_auto_classes(pooling, tmp_path):
    net, (values, mask) = model(pooling), batch([4000, 900])
    net.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert AutoConfig.from_pretrained(tmp_path).pooling == pooling
    loaded = AutoModelForAudioClassification.from_pretrained(tmp_path)
    assert isinstance(loaded, Wav2SmallForAudioClassification)
    assert torch.equal(loaded(values, mask).logits, net(values, mask).logits)
    assert not any(weight.requires_grad for weight in loaded.log_mel.parameters()), "its spectrum would be trained"


def test_the_feature_extractor_pads_and_masks_and_leaves_the_rest_to_the_model(tmp_path):
    net = model()
    net.save_pretrained(tmp_path)
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    clips = [voice_like(0.5), voice_like(1.1, seed=1)]
    inputs = extractor(clips, sampling_rate=16000, padding=True, return_tensors="pt")
    with torch.no_grad():
        together = net(**inputs).logits
        for clip, answer in zip(clips, together, strict=True):
            alone = net(torch.from_numpy(clip)[None]).logits[0]
            torch.testing.assert_close(answer, alone, rtol=1e-5, atol=1e-4)


def test_labels_are_arousal_dominance_valence_and_the_problem_is_a_regression(tmp_path):
    model().save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.id2label == {0: "arousal", 1: "dominance", 2: "valence"}
    assert (config.problem_type, config.num_labels, config.sampling_rate) == ("regression", 3, 16000)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"pooling": "mean"}, "pooling"),
        ({"n_mels": 25}, "n_mels"),
        ({"f_max": 9000.0}, "f_max"),
        ({"f_min": -1}, "f_min"),
    ],
)
def test_a_wrong_configuration_is_named(wrong, told):
    with pytest.raises(ValueError, match=told):
        Wav2SmallConfig(**wrong)


@pytest.mark.parametrize("shape", [(1, 63), (16000,), (1, 1, 16000)])
def test_a_wrong_input_is_named(shape):
    with pytest.raises(ValueError, match="input_values"):
        model()(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_close_to_float32(dtype):
    values, mask = batch([90000, 8000])  # more samples than float16 can count
    net = model()
    with torch.no_grad():
        exact = net(values, mask).logits
        with torch.autocast("cpu", dtype):
            mixed = net(values, mask).logits
        whole = net.to(dtype)(values.to(dtype), mask).logits
    for rough in (mixed, whole):
        assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_half_precision_on_a_gpu_stays_close_to_float32():
    values, mask = batch([16000, 8000])
    net = model().cuda()
    with torch.no_grad():
        exact = net(values.cuda(), mask.cuda()).logits
        with torch.autocast("cuda", torch.float16):
            rough = net(values.cuda(), mask.cuda()).logits
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_torch_compile_gives_the_same_answer():
    net, (values, mask) = model(), batch([4000, 900])
    compiled = torch.compile(net, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(values, mask).logits, net(values, mask).logits, rtol=1e-5, atol=1e-5)


def test_the_pipeline_has_the_limits_of_the_predictor():
    model = Wav2SmallForAudioClassification(Wav2SmallConfig(channels=2))
    pipe = AdvPipeline(model=model, feature_extractor=Wav2Vec2FeatureExtractor(return_attention_mask=True))
    assert len(pipe((voice_like(0.1), 16000))) == 3
    with pytest.raises(Wav2SmallError, match=r"is 0.006 s long: at least 0.1 s are needed"):
        pipe((np.zeros(96, np.float32), 16000))
    with pytest.raises(Wav2SmallError, match="is longer than 10 minutes"):
        pipe((np.zeros(601 * 16000, np.int16), 16000))
