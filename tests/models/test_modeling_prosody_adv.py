"""The prosody teacher is the mean of its networks on functionals; a clip's answer does not depend on its company."""

import json

import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import result, without_our_package
from students import prosody
from test_remote_code import check

from wav2small import Wav2SmallError
from wav2small.models.configuration_prosody_adv import ProsodyAdvConfig
from wav2small.models.functionals import SIZE
from wav2small.models.modeling_prosody_adv import ProsodyAdvForAudioClassification

LABELS = torch.tensor([[0.1, 0.5, 0.9], [0.8, 0.2, 0.4], [0.3, 0.3, 0.3]])


@pytest.fixture(scope="module")
def model() -> ProsodyAdvForAudioClassification:
    return prosody()


def batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of these lengths, padded with rubbish, and their mask."""
    values = torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(1))
    mask = torch.zeros_like(values, dtype=torch.long)
    for i, length in enumerate(lengths):
        values[i, :length] = torch.from_numpy(voice_like(length / RATE + 1e-3, seed=i)[:length])
        mask[i, :length] = 1
    return values, mask


@settings(deadline=None, max_examples=5)
@given(lengths=st.lists(st.integers(1, 16000), min_size=2, max_size=3))
def test_a_clip_gives_the_same_answer_alone_and_padded_in_a_batch(model, lengths):
    values, mask = batch(lengths)
    with torch.no_grad():
        described, together = model.describe(values, mask), model(values, mask).logits
        for i, length in enumerate(lengths):
            alone = values[i : i + 1, :length]
            assert torch.equal(model.describe(alone)[0], described[i]), f"{length} samples among {lengths}"
            torch.testing.assert_close(model(alone).logits[0], together[i], rtol=1e-5, atol=1e-5)


def test_the_answers_are_the_mean_of_the_networks_on_standardised_functionals(model):
    """Parity with a literal reading in numpy."""
    values, mask = batch([16000, 9000])
    with torch.no_grad():
        answers, described = model(values, mask).logits.numpy(), model.describe(values, mask).numpy()
    x = np.clip((described - model.mean.numpy()) / model.deviation.numpy(), -4, 4)
    (w1, w2, w3), (b1, b2, b3) = ([each.detach().numpy() for each in part] for part in
                                  (model.networks.weights, model.networks.biases))  # fmt: skip
    silu = lambda y: y / (1 + np.exp(-y))  # noqa: E731
    members = [silu(silu(x @ w1[i] + b1[i]) @ w2[i] + b2[i]) @ w3[i] + b3[i] for i in range(len(w1))]
    assert np.std(members, axis=0).min() > 0.01, "networks that agree would hide a slip"
    np.testing.assert_allclose(answers, np.mean(members, axis=0), atol=1e-4)


def test_the_answers_depend_on_the_clip_and_not_on_its_level(model):
    values, mask = batch([9000, 9000, 5000])
    with torch.no_grad():
        logits, louder = model(10 * values, mask).logits, model(80 * values, mask).logits
    assert logits.std(dim=0).min() > 0.01
    torch.testing.assert_close(louder, logits, rtol=0, atol=5e-3)


def test_a_functional_beyond_four_deviations_says_no_more(model):
    far = model.mean + model.deviation * torch.tensor([[4.0], [400.0], [-4.0], [-9.0]])
    first, second, third, fourth = model.standardize(far)
    torch.testing.assert_close(first, torch.full((SIZE,), 4.0))
    assert torch.equal(first.round(decimals=3), second) and torch.equal(third.round(decimals=3), fourth)


def test_silence_and_a_single_sample_give_finite_numbers(model):
    with torch.no_grad():
        assert torch.isfinite(model(torch.zeros(2, 8000)).logits).all()
        assert torch.isfinite(model(torch.ones(1, 1)).logits).all()


def test_labels_give_a_loss_that_reaches_every_parameter():
    net = prosody().train()
    values, mask = batch([6000, 5000, 3000])
    output = net(values, mask, labels=LABELS)
    assert output.loss.item() == pytest.approx((output.logits - LABELS).square().mean().item())
    output.loss.backward()
    for key, parameter in net.named_parameters():
        for member, gradient in enumerate(parameter.grad):
            assert gradient.abs().sum() > 0, f"{key} of network {member} gets no gradient"
    loss, logits = net.eval()(values, mask, LABELS, return_dict=False)
    assert loss.shape == () and torch.equal(net(values, mask, return_dict=False)[0], logits)


def test_dropout_is_for_training_alone():
    net, (values, mask) = prosody(), batch([6000, 5000])
    with torch.no_grad():
        assert torch.equal(net(values, mask).logits, net(values, mask).logits)
        net.train()
        assert not torch.equal(net(values, mask).logits, net(values, mask).logits)


def test_half_precision_describes_as_float32_does(model):
    values, mask = batch([12000, 8000])
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.describe(values, mask), model.describe(values, mask).float())
        rough = model(values, mask).logits.float()
    with torch.no_grad():
        torch.testing.assert_close(rough, model(values, mask).logits, rtol=0.05, atol=0.05)
        double = prosody().double()(values.double(), mask).logits
        torch.testing.assert_close(double.float(), model(values, mask).logits, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_gpu_answers_like_the_cpu(model):
    values, mask = batch([16000, 8000])
    with torch.no_grad():
        expected = model(values, mask).logits
        answers = prosody().cuda()(values.cuda(), mask.cuda()).logits.cpu()
    torch.testing.assert_close(answers, expected, rtol=0.01, atol=0.01)


def test_a_saved_model_loads_as_it_was(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = ProsodyAdvForAudioClassification.from_pretrained(tmp_path)
    assert (loaded.config.members, loaded.config.hidden_size) == (3, 8)
    assert loaded.config.id2label == {0: "arousal", 1: "dominance", 2: "valence"}
    assert not loaded.training
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_it_loads_as_remote_code_in_a_clean_process_with_its_pipeline(model, tmp_path):
    folder = tmp_path / "remote_code_prosody"
    model.save_pretrained(folder)
    soundfile.write(folder / "a.wav", voice_like(1.3), RATE)
    code = """
import json, os, sys, torch, soundfile
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, pipeline
folder = sys.argv[1]
model = AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True).eval()
extractor = AutoFeatureExtractor.from_pretrained(folder)
waveform, rate = soundfile.read(folder + "/a.wav", dtype="float32")
with torch.no_grad():
    inputs = extractor([waveform, waveform[:9000]], sampling_rate=rate, padding=True, return_tensors="pt")
    logits = model(**inputs).logits
model.save_pretrained("again")
pipe = pipeline("audio-classification", model=folder, trust_remote_code=True)
print(json.dumps({"class": type(model).__module__, "logits": logits.tolist(), "files": sorted(os.listdir("again")),
                  "pipeline": pipe(folder + "/a.wav")}))
"""
    answer = result(without_our_package, code, folder, folder=tmp_path)
    assert answer["class"].startswith("transformers_modules."), "the class came from an installed package"
    assert {"functionals.py", "pipeline_adv.py", "audio.py", "errors.py", "log_mel.py"} <= set(answer["files"])
    waveform = torch.from_numpy(soundfile.read(folder / "a.wav", dtype="float32")[0])[None]
    with torch.no_grad():
        expected = [model(waveform[:, :length]).logits[0].numpy() for length in (waveform.shape[1], 9000)]
    np.testing.assert_allclose(answer["logits"], expected, atol=1e-4)
    check(answer["pipeline"], expected[0], "pipeline")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"members": 0}, "members=0, hidden_size=128: both must be at least 1"),
        ({"hidden_size": 0}, "hidden_size=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"sampling_rate": 8000}, "sampling_rate=8000: the functionals are made for 16000 Hz"),
    ],
)
def test_a_wrong_configuration_is_named(fields, told):
    with pytest.raises(ValueError, match=told):
        ProsodyAdvConfig(**fields)


@pytest.mark.parametrize("shape", [(1, 0), (16000,), (1, 1, 16000)])
def test_a_wrong_input_is_named(model, shape):
    with pytest.raises(ValueError, match="input_values"):
        model(torch.zeros(shape))


def test_the_table_of_models_counts_it(model, tmp_path, monkeypatch):
    pytest.importorskip("accelerate", reason="the table needs the extra [training]")
    from wav2small_training.benchmarks import model_table

    model.save_pretrained(tmp_path / "teacher")
    monkeypatch.setattr(model_table, "PRESETS", {})
    (row,) = model_table.entries([tmp_path / "teacher"], tmp_path)
    assert row.values == sum(parameter.numel() for parameter in model.parameters())
    assert (row.name, row.size("fp32")) == ("teacher", "-") and 0 < row.gmac < 0.1


@pytest.mark.export
def test_its_export_is_refused_in_one_sentence_and_nothing_is_written(model, tmp_path):
    export = pytest.importorskip(
        "wav2small_training.exporters.export", reason="ONNX export needs the extra [export]"
    ).export
    model.save_pretrained(tmp_path / "teacher")
    with pytest.raises(Wav2SmallError, match=r"holds a prosody_adv, which cannot become ONNX: distil") as error:
        export(str(tmp_path / "teacher"), tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()
    assert "onnx" not in json.dumps(sorted(path.name for path in (tmp_path / "teacher").iterdir()))
