"""A converted teacher predicts what the published one predicts; one that does not fit is an error that says why.

The reference is a second, literal reading of the published description: plain torch functions on encoders of
transformers that are built here from the file of weights, one clip at a time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import voice_like
from safetensors.torch import load_file
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2Model, WavLMConfig, WavLMModel

from wav2small import AdvTeacherForAudioClassification, Wav2SmallError, teacher_from
from wav2small.convert.teacher import convert_teacher, is_teacher
from wav2small.testing import TINY_ENCODER, write_dawn_checkpoint, write_odyssey_checkpoint

WRITERS = {"dawn": write_dawn_checkpoint, "odyssey": write_odyssey_checkpoint}
# on and off the grid of frames; one frame, and so many that WavLM puts several distances into one bucket
LENGTHS = (400, 719, 720, 7999, 16000, 16001, 31011)


def weights_of(folder: str) -> dict[str, torch.Tensor]:
    file = Path(folder) / "model.safetensors"
    return load_file(file) if file.is_file() else torch.load(file.with_name("pytorch_model.bin"), weights_only=True)


def encoder_of(weights: dict[str, torch.Tensor], prefix: str, encoder: torch.nn.Module) -> torch.nn.Module:
    """Load the part of the weights under a prefix; torch itself knows both names of a weight norm."""
    part = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    missing, unexpected = encoder.load_state_dict(part, strict=False)
    assert set(missing) <= {"masked_spec_embed"}
    assert not unexpected
    return encoder.eval()


@torch.no_grad()
def dawn(folder: str, waveform: np.ndarray) -> np.ndarray:
    """The model card of `audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim`, read literally."""
    weights = weights_of(folder)
    encoder = encoder_of(weights, "wav2vec2.", Wav2Vec2Model(Wav2Vec2Config(**TINY_ENCODER, conv_bias=True)))
    signal = waveform.astype(np.float64)
    signal = (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)
    hidden = encoder(torch.tensor(signal[None], dtype=torch.float32)).last_hidden_state
    pooled = hidden.mean(dim=1)
    dense = functional.linear(pooled, weights["classifier.dense.weight"], weights["classifier.dense.bias"])
    out = functional.linear(dense.tanh(), weights["classifier.out_proj.weight"], weights["classifier.out_proj.bias"])
    return out[0].numpy()


@torch.no_grad()
def odyssey(folder: str, waveform: np.ndarray) -> np.ndarray:
    """MSP-Podcast_Challenge with batches of one, read literally: net/pooling.py, net/ser.py, utils/dataset."""
    weights = weights_of(folder)
    config = json.loads((Path(folder) / "config.json").read_text())
    encoder = encoder_of(weights, "ssl_model.", WavLMModel(WavLMConfig(**TINY_ENCODER, conv_bias=False)))
    signal = (waveform.astype(np.float64) - config["mean"]) / (config["std"] + 0.000001)
    signal = torch.tensor(signal[None], dtype=torch.float32)
    hidden = encoder(signal, attention_mask=torch.ones_like(signal)).last_hidden_state
    frames = (len(waveform) - 1) // 320 + 1
    x = hidden[:, :frames]
    linear = functional.linear(x, weights["pool_model.sap_linear.weight"], weights["pool_model.sap_linear.bias"])
    scores = (torch.tanh(linear) @ weights["pool_model.attention"]).squeeze(2)
    share = torch.softmax(scores, dim=1)[:, :, None]
    mean = (x * share).sum(dim=1)
    deviation = torch.sqrt(torch.clamp((x**2 * share).sum(dim=1) - mean**2, min=1e-5))
    h = torch.cat((mean, deviation), dim=1)
    h = functional.linear(h, weights["ser_model.fc.0.0.weight"], weights["ser_model.fc.0.0.bias"])
    h = functional.layer_norm(h, h.shape[1:], weights["ser_model.fc.0.1.weight"], weights["ser_model.fc.0.1.bias"])
    out = functional.linear(functional.relu(h), weights["ser_model.out.0.weight"], weights["ser_model.out.0.bias"])
    return out[0].numpy()


REFERENCES = {"dawn": dawn, "odyssey": odyssey}


# ---- equal predictions ----


@pytest.mark.parametrize("masked_spec_embed", [True, False])
@pytest.mark.parametrize("old_weight_norm", [True, False])
@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("kind", ["dawn", "odyssey"])
def test_a_converted_teacher_predicts_what_the_published_one_predicts(
    tmp_path, kind, file, old_weight_norm, masked_spec_embed
):
    source = WRITERS[kind](
        tmp_path / "theirs", file=file, old_weight_norm=old_weight_norm, masked_spec_embed=masked_spec_embed
    )
    assert is_teacher(source)
    convert_teacher(source, tmp_path / f"ours_{kind}", licence="MIT")
    teacher = AdvTeacherForAudioClassification.from_pretrained(tmp_path / f"ours_{kind}")
    predictions = []
    for seed, length in enumerate(LENGTHS):
        waveform = voice_like(2, seed)[:length]
        with torch.no_grad():
            predictions.append(teacher(torch.from_numpy(waveform)[None]).logits[0].numpy())
        np.testing.assert_allclose(
            predictions[-1], REFERENCES[kind](source, waveform), atol=1e-5, err_msg=f"{length} samples"
        )
    assert np.ptp(predictions, axis=0).min() > 1e-2, "all clips sound alike, which proves nothing"


def test_a_teacher_of_two_members_predicts_the_weighted_mean_of_both(tmp_path):
    sources = [write(tmp_path / kind) for kind, write in WRITERS.items()]
    teacher = teacher_from(sources, weights=[1, 3])
    waveform = voice_like(1.2)
    with torch.no_grad():
        output = teacher(torch.from_numpy(waveform)[None])
    expected = np.stack([dawn(sources[0], waveform), odyssey(sources[1], waveform)])
    np.testing.assert_allclose(output.member_logits[0].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(output.logits[0].numpy(), expected[0] / 4 + expected[1] * 3 / 4, atol=1e-5)
    assert not teacher.training


@pytest.mark.parametrize(
    "labels", [["valence", "arousal", "dominance"], ["V", "A", "D"], ["EmoVal", "EmoAct", "EmoDom"]]
)
def test_outputs_in_another_order_are_found_by_their_names(tmp_path, labels):
    source = write_odyssey_checkpoint(tmp_path / "theirs", change={"id2label": dict(enumerate(labels))})
    teacher = teacher_from([source])
    waveform = voice_like(0.6)
    with torch.no_grad():
        prediction = teacher(torch.from_numpy(waveform)[None]).logits[0].numpy()
    np.testing.assert_allclose(prediction, odyssey(source, waveform)[[1, 2, 0]], atol=1e-5)


# ---- errors ----


@pytest.mark.parametrize(
    ("kind", "change_weights", "told"),
    [
        ("dawn", {"classifier.out_proj.weight": None}, "lacks the key classifier.out_proj.weight"),
        ("dawn", {"classifier.dense.bias": None}, "lacks the key classifier.dense.bias"),
        ("dawn", {"wav2vec2.encoder.pos_conv_embed.conv.weight_g": None}, "lacks the key wav2vec2.encoder.pos_conv"),
        ("dawn", {"wav2vec2.encoder.layers.2.layer_norm.bias": torch.zeros(16)}, "unexpected key wav2vec2.encoder"),
        ("dawn", {"lm_head.weight": torch.zeros(32, 16)}, "unexpected key lm_head.weight"),
        ("dawn", {"classifier.out_proj.bias": torch.zeros(8)}, r"classifier.out_proj.bias of shape \(8,\), not \(3,\)"),
        ("odyssey", {"pool_model.attention": None}, "lacks the key pool_model.attention"),
        ("odyssey", {"ser_model.fc.0.1.weight": None}, "lacks the key ser_model.fc.0.1.weight"),
        ("odyssey", {"ssl_model.encoder.layers.0.attention.rel_attn_embed.weight": None}, "rel_attn_embed"),
        ("odyssey", {"ser_model.fc.1.0.weight": torch.zeros(16, 16)}, "unexpected key ser_model.fc.1.0.weight"),
        ("odyssey", {"pool_model.attention": torch.zeros(1, 16)}, r"attention of shape \(1, 16\), not \(16, 1\)"),
        ("odyssey", {"unknown": torch.zeros(1)}, "unexpected key unknown"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_an_error_that_names_the_key_and_nothing_is_written(
    tmp_path, kind, change_weights, told
):
    source = WRITERS[kind](tmp_path / "theirs", change_weights=change_weights)
    with pytest.raises(Wav2SmallError, match=told):
        convert_teacher(source, tmp_path / "ours", licence="MIT")
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("odyssey", {"ssl_type": "microsoft/wavlm-base-plus"}, "ssl_type 'microsoft/wavlm-base-plus', not"),
        ("odyssey", {"num_classes": 8}, "num_classes 8, not 3"),
        ("odyssey", {"classifier_hidden_layers": 2}, "classifier_hidden_layers 2, not 1"),
        ("odyssey", {"mean": None}, "lacks mean"),
        ("odyssey", {"std": None}, "lacks std"),
        ("odyssey", {"std": 0}, "std=0: it must be above 0"),
        ("odyssey", {"sampling_rate": 8000}, "sampling_rate 8000, not 16000"),
        ("odyssey", {"id2label": {0: "angry", 1: "sad", 2: "happy"}}, "not arousal, dominance and valence"),
        ("odyssey", {"num_hidden_layers": None}, "lacks the key ssl_model.encoder.layers.10"),
        ("dawn", {"id2label": {0: "arousal", 1: "arousal", 2: "valence"}}, "not arousal, dominance and valence"),
        ("dawn", {"feat_extract_norm": "group"}, "feat_extract_norm='group': it must be 'layer'"),
        ("dawn", {"pooling_mode": "max"}, "not in the layout of a known teacher"),
        ("dawn", {"model_type": "hubert"}, "model_type 'hubert'"),
    ],
)  # fmt: skip
def test_a_config_that_differs_from_the_published_one_is_an_error_that_names_the_field(tmp_path, kind, change, told):
    source = WRITERS[kind](tmp_path / "theirs", change=change)
    with pytest.raises(Wav2SmallError, match=told):
        teacher_from([source])


def test_a_list_of_another_length_and_an_empty_list_of_sources_are_errors(tmp_path):
    source = write_dawn_checkpoint(tmp_path / "theirs")
    with pytest.raises(Wav2SmallError, match="weights has 2 entries for 1 sources"):
        teacher_from([source], weights=[1, 2])
    with pytest.raises(Wav2SmallError, match="members is empty"):
        teacher_from([])


@pytest.mark.parametrize("content", ["no json", "[]", None])
def test_a_config_that_cannot_be_read_is_an_error_of_one_line(tmp_path, content):
    source = write_dawn_checkpoint(tmp_path / "theirs")
    (tmp_path / "theirs" / "config.json").unlink()
    if content is not None:
        (tmp_path / "theirs" / "config.json").write_text(content)
    with pytest.raises(
        Wav2SmallError, match=r"theirs(: its config.json is not a JSON object| has no readable config.json)"
    ) as error:
        convert_teacher(source, tmp_path / "ours", licence="MIT")
    assert "\n" not in str(error.value)


def test_a_teacher_that_is_neither_a_folder_nor_on_the_hub_is_an_error_of_one_line(tmp_path):
    with pytest.raises(
        Wav2SmallError, match="nobody/nothing is not a folder here and cannot be loaded from the Hub"
    ) as error:
        convert_teacher("nobody/nothing", tmp_path / "ours")
    assert "\n" not in str(error.value)


def test_a_student_and_a_folder_without_config_are_not_taken_for_a_teacher(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2", "half_mel": 13, "hidden": 338}))
    assert not is_teacher(str(tmp_path)), "this is the small student of the same authors"
    (tmp_path / "config.json").unlink()
    assert not is_teacher(str(tmp_path)), "a folder with weights alone"


# ---- where a member comes from ----


def test_a_member_from_a_local_folder_has_the_licence_that_was_given_or_none(tmp_path):
    source = write_dawn_checkpoint(tmp_path / "my_dawn")
    (member,) = teacher_from([source]).config.members
    assert (member["source"], member["revision"], member["licence"]) == ("my_dawn", None, None)
    told = teacher_from([source], revisions=["v1"], licences=["CC-BY-4.0"])
    assert told.config.members[0]["revision"] == "v1"
    assert told.config.members[0]["licence"] == "CC-BY-4.0"


def test_a_local_folder_named_like_a_published_model_has_no_known_licence(tmp_path, monkeypatch):
    name = "3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes"
    write_odyssey_checkpoint(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert teacher_from([name]).config.members[0]["licence"] is None


def test_a_source_on_the_hub_keeps_its_commit_and_licence(tmp_path):
    """The Hub is its own cache on disk, as a download leaves it, read without network by a process of its own."""
    name, commit = "3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes", "00d0e12ba9bf957f5aeea36e8663c8c61cb50ac9"
    cache = tmp_path / f"models--{name.replace('/', '--')}"
    write_odyssey_checkpoint(cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    code = """
import json, sys
from pathlib import Path
from wav2small import AdvTeacherForAudioClassification
from wav2small.convert.teacher import convert_teacher, is_teacher
assert is_teacher(sys.argv[1])
convert_teacher(sys.argv[1], Path("ours"))
print(json.dumps(AdvTeacherForAudioClassification.from_pretrained("ours").config.members))
"""
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, name],
        capture_output=True, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (member,) = json.loads(done.stdout.strip().splitlines()[-1])
    assert (member["source"], member["revision"], member["licence"]) == (name, commit, "MIT")
