"""The teacher averages its members, hears a clip the same way in any batch, and never loads half."""

import json

import numpy as np
import pytest
import torch
from conftest import voice_like
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import result, without_our_package
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2Config

from wav2small import AdvTeacherConfig, AdvTeacherForAudioClassification, Wav2SmallError, teacher_from
from wav2small.models.configuration_adv_teacher import WAV2VEC2_LARGE_ROBUST_12, WAVLM_LARGE
from wav2small.testing import TINY_ENCODER, write_dawn_checkpoint, write_odyssey_checkpoint


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("published")
    return [write_dawn_checkpoint(folder / "dawn"), write_odyssey_checkpoint(folder / "odyssey")]


@pytest.fixture(scope="module")
def teacher(sources) -> AdvTeacherForAudioClassification:
    return teacher_from(sources)


@pytest.fixture
def saved(teacher, tmp_path):
    teacher.save_pretrained(tmp_path / "teacher_of_two")
    return tmp_path / "teacher_of_two"


def clip(seconds: float, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(voice_like(seconds, seed))


def padded(clips: list[torch.Tensor], filler: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips side by side, (batch, samples), and their mask."""
    waveforms = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True, padding_value=filler)
    lengths = torch.tensor([len(clip) for clip in clips])
    return waveforms, (torch.arange(waveforms.shape[1]) < lengths[:, None]).long()


@torch.no_grad()
def answer(teacher, *inputs):
    return teacher(*inputs)


def members(change: dict, which: int = 0) -> list[dict]:
    """The two members of a tiny teacher, one of them changed."""
    both = [
        {"encoder": {"model_type": "wav2vec2", **TINY_ENCODER}, "head": "mean_pool"},
        {"encoder": {"model_type": "wavlm", **TINY_ENCODER}, "head": "attentive_stats", "mean": 0.0, "std": 0.1},
    ]
    both[which] = {**both[which], **change}
    return both


# ---- what it answers ----


def test_the_answer_is_the_mean_of_the_members(teacher):
    output = answer(teacher, torch.stack([clip(1, seed) for seed in (1, 2)]))
    assert output.logits.shape == (2, 3)
    assert output.member_logits.shape == (2, 2, 3)
    torch.testing.assert_close(output.logits, output.member_logits.mean(dim=1))
    assert (output.member_logits[:, 0] - output.member_logits[:, 1]).abs().min() > 1e-3, "the members are the same"


@settings(max_examples=5, deadline=None)
@given(weights=st.lists(st.floats(0.01, 100), min_size=2, max_size=2))
def test_the_mean_is_weighted_and_the_weights_sum_to_one(sources, teacher, weights):
    weighted = teacher_from(sources, weights=weights)
    shares = [member["weight"] for member in weighted.config.members]
    assert sum(shares) == pytest.approx(1)
    assert shares[0] / shares[1] == pytest.approx(weights[0] / weights[1])
    output = answer(weighted, clip(0.3)[None])
    one, two = answer(teacher, clip(0.3)[None]).member_logits[0]
    torch.testing.assert_close(output.logits[0], shares[0] * one + shares[1] * two)


def test_order_and_scale_bring_a_member_to_arousal_dominance_valence(teacher):
    change = {"order": [2, 0, 1], "scale": 1 / 6, "offset": -1 / 6}
    config = AdvTeacherConfig(members=[{**teacher.config.members[0], **change}, teacher.config.members[1]])
    changed = AdvTeacherForAudioClassification(config).eval()
    changed.load_state_dict(teacher.state_dict())
    before = answer(teacher, clip(1)[None]).member_logits[0]
    after = answer(changed, clip(1)[None]).member_logits[0]
    torch.testing.assert_close(after[0], (before[0, [2, 0, 1]] - 1) / 6)  # of labels 1..7
    torch.testing.assert_close(after[1], before[1])


def test_answers_are_not_clipped(teacher):
    logits = answer(teacher, torch.stack([clip(0.5, seed) for seed in range(8)])).member_logits
    assert logits.min() < 0 or logits.max() > 1


def test_labels_give_the_mean_squared_error_and_a_tuple_holds_the_same(teacher):
    waveforms, labels = clip(0.5)[None], torch.tensor([[0.2, 0.5, 0.9]])
    output = answer(teacher, waveforms, None, labels)
    torch.testing.assert_close(output.loss, (output.logits - labels).square().mean())
    loss, logits, member_logits = answer(teacher, waveforms, None, labels, False)
    assert torch.equal(loss, output.loss)
    assert torch.equal(logits, output.logits)
    assert torch.equal(member_logits, output.member_logits)
    assert len(answer(teacher, waveforms, None, None, False)) == 2


def test_level_matters_only_to_a_member_with_a_fixed_deviation(teacher):
    quiet, loud = answer(teacher, torch.stack([clip(1) / 4, clip(1)])).member_logits
    torch.testing.assert_close(quiet[0], loud[0], atol=1e-3, rtol=0)
    assert (quiet[1] - loud[1]).abs().max() > 1e-2


# ---- batches ----


@settings(max_examples=12, deadline=None)
@given(lengths=st.lists(st.integers(400, 12000), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_a_clip_gives_the_same_answer_alone_and_padded_in_a_batch(teacher, lengths, seed):
    clips = [clip(1, seed + i)[:length] for i, length in enumerate(lengths)]
    together = answer(teacher, *padded(clips)).member_logits
    for one, both in zip(clips, together, strict=True):
        alone = answer(teacher, one[None]).member_logits[0]
        torch.testing.assert_close(both, alone, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", [torch.long, torch.bool, torch.float32, torch.bfloat16])
def test_masks_of_any_type_mean_the_same_and_hide_what_lies_in_the_padding(teacher, kind):
    clips = [clip(0.9, 1), clip(0.4, 2)]
    silent, mask = padded(clips)
    noisy, _ = padded(clips, filler=7.0)
    expected = answer(teacher, silent, mask).member_logits
    torch.testing.assert_close(answer(teacher, noisy, mask.to(kind)).member_logits, expected, atol=1e-5, rtol=0)


def test_a_mask_of_ones_changes_nothing(teacher):
    waveforms = clip(0.7)[None]
    masked = answer(teacher, waveforms, torch.ones_like(waveforms))
    torch.testing.assert_close(masked.member_logits, answer(teacher, waveforms).member_logits, atol=1e-5, rtol=0)


def test_a_clip_below_one_frame_is_refused_alone_and_filled_with_zeros_in_a_batch(teacher):
    short = clip(1)[8000:8399]
    with pytest.raises(ValueError, match="399 samples: the model needs at least 400"):
        teacher(short[None])
    waveforms, mask = padded([clip(1), short], filler=7.0)
    among_others = answer(teacher, waveforms, mask).member_logits[1]
    waveforms, mask = padded([clip(1)[:400], short])
    torch.testing.assert_close(among_others, answer(teacher, waveforms, mask).member_logits[1], atol=1e-3, rtol=0)


def test_a_waveform_without_a_batch_is_refused(teacher):
    with pytest.raises(ValueError, match=r"shape \(16000,\): it must be \(batch, samples\)"):
        teacher(clip(1))


@given(samples=st.integers(400, 500_000))
def test_the_frames_of_a_clip_are_those_of_the_encoder_and_fewer_than_the_published_count(teacher, samples):
    for member in teacher.members:
        frames = member.frames(torch.tensor([samples])).item()
        assert frames == member.encoder._get_feat_extract_output_lengths(torch.tensor([samples])).item()
        assert 1 <= (samples - 1) // 320 + 1 - frames <= 2
        assert member.least_samples == 400


# ---- training and other ways to run it ----


def test_every_parameter_gets_a_gradient_also_from_short_clips(sources):
    teacher = teacher_from(sources).train()
    for member in teacher.members:
        member.encoder.config.layerdrop = 0.0  # else a layer may be skipped
    waveforms, mask = padded([clip(0.1), clip(0.03)])
    teacher(waveforms, mask, labels=torch.full((2, 3), 0.5)).loss.backward()
    without = [name for name, value in teacher.named_parameters() if value.grad is None or not value.grad.any()]
    assert not without
    assert all(value.grad.isfinite().all() for value in teacher.parameters())


def test_spec_augment_cannot_be_switched_on():
    encoder = {"model_type": "wav2vec2", **TINY_ENCODER, "apply_spec_augment": True, "mask_time_prob": 0.9}
    teacher = AdvTeacherForAudioClassification(AdvTeacherConfig(members=[{"encoder": encoder, "head": "mean_pool"}]))
    assert not teacher.members[0].encoder.config.apply_spec_augment
    assert not any("masked_spec_embed" in name for name in teacher.state_dict())


def test_bfloat16_stays_near_float32(teacher, saved):
    half = AdvTeacherForAudioClassification.from_pretrained(saved, dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    waveforms, mask = padded([clip(1, 1), clip(0.5, 2)])
    output = answer(half, waveforms, mask)
    assert output.logits.dtype == torch.float32
    torch.testing.assert_close(output.logits, answer(teacher, waveforms, mask).logits, atol=0.1, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="half precision is for GPUs, and there is none")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_on_a_gpu_stays_near_float32(teacher, saved, dtype):
    half = AdvTeacherForAudioClassification.from_pretrained(saved, dtype=dtype).to("cuda")
    waveforms, mask = padded([clip(1, 1), clip(0.5, 2)])
    output = answer(half, waveforms.cuda(), mask.cuda())
    torch.testing.assert_close(output.logits.cpu(), answer(teacher, waveforms, mask).logits, atol=0.1, rtol=0)


def test_a_compiled_teacher_answers_the_same(teacher):
    compiled = torch.compile(teacher, backend="eager")
    waveforms, mask = padded([clip(0.3, 1), clip(0.2, 2)])
    torch.testing.assert_close(
        answer(compiled, waveforms, mask).logits, answer(teacher, waveforms, mask).logits, atol=1e-5, rtol=0
    )


# ---- the full size ----


def test_the_default_is_the_papers_teacher_at_its_published_size():
    config = AdvTeacherConfig()
    with torch.device("meta"):
        teacher = AdvTeacherForAudioClassification(config)
    millions = [sum(value.numel() for value in member.parameters()) / 1e6 for member in teacher.members]
    assert millions == pytest.approx([165.3, 318.6], abs=0.05)  # the files hold 661.4 MB and 1,274.5 MB of float32
    names = {name.removeprefix("members.1.") for name in teacher.state_dict() if name.startswith("members.1.")}
    assert {"head.attention", "head.sap_linear.weight", "head.norm.bias", "head.out_proj.weight"} <= names
    assert "encoder.encoder.layers.0.attention.rel_attn_embed.weight" in names
    assert "encoder.encoder.layers.23.attention.gru_rel_pos_const" in names
    assert "encoder.feature_extractor.conv_layers.0.conv.bias" not in names
    assert teacher.state_dict()["members.0.encoder.feature_extractor.conv_layers.6.conv.bias"].shape == (512,)
    assert "members.0.encoder.encoder.layers.12.layer_norm.weight" not in teacher.state_dict()
    assert [member["licence"] for member in config.members] == ["CC-BY-NC-SA-4.0", "MIT"]


# ---- saved and loaded ----


def test_a_saved_teacher_answers_the_same(teacher, saved):
    loaded = AdvTeacherForAudioClassification.from_pretrained(saved)
    assert loaded.config.members == teacher.config.members
    assert all(torch.equal(value, teacher.state_dict()[name]) for name, value in loaded.state_dict().items())
    expected = answer(teacher, clip(1)[None]).member_logits
    torch.testing.assert_close(answer(loaded, clip(1)[None]).member_logits, expected, atol=1e-6, rtol=0)


def test_a_saved_teacher_runs_where_only_transformers_is_installed(teacher, saved, tmp_path):
    np.save(saved / "clip.npy", voice_like(1.1))
    code = """
import json, sys, numpy, torch
from transformers import AutoModelForAudioClassification, pipeline
folder = sys.argv[1]
waveform = numpy.load(folder + "/clip.npy")
model = AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True)
with torch.no_grad():
    logits = model(torch.from_numpy(waveform)[None]).logits[0]
pipe = pipeline("audio-classification", model=folder, trust_remote_code=True)
model.save_pretrained("again")
again = AutoModelForAudioClassification.from_pretrained("again", trust_remote_code=True)
with torch.no_grad():
    same = torch.allclose(again(torch.from_numpy(waveform)[None]).logits[0], logits, atol=1e-6)
name = type(model).__module__
print(json.dumps({"class": name, "logits": logits.tolist(), "same": same, "pipeline": pipe(waveform)}))
"""
    told = result(without_our_package, code, saved, folder=tmp_path)
    assert told["class"].startswith("transformers_modules."), "the class came from an installed package"
    assert told["same"], "saved again from remote code, the teacher answers differently"
    expected = answer(teacher, clip(1.1)[None]).logits[0].numpy()
    np.testing.assert_allclose(told["logits"], expected, atol=1e-5)
    assert [entry["label"] for entry in told["pipeline"]] == ["arousal", "dominance", "valence"]
    np.testing.assert_allclose([entry["score"] for entry in told["pipeline"]], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.pop("members.0.head.out_proj.weight"), "missing key members.0.head.out_proj.weight"),
        (lambda w: w.pop("members.1.head.attention"), "missing key members.1.head.attention"),
        (lambda w: w.update({"members.2.head.dense.bias": torch.zeros(16)}), "unexpected key members.2.head"),
        (lambda w: w.update({"members.1.head.out_proj.bias": torch.zeros(8)}), "mismatched key members.1.head.out"),
    ],
)  # fmt: skip
def test_a_saved_teacher_with_a_wrong_weight_is_refused_by_key(saved, change, told):
    weights = load_file(saved / "model.safetensors")
    change(weights)
    save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Wav2SmallError, match=told):
        AdvTeacherForAudioClassification.from_pretrained(saved)
    with pytest.raises(Wav2SmallError, match=told):
        AdvTeacherForAudioClassification.from_pretrained(saved, ignore_mismatched_sizes=True, output_loading_info=True)


# ---- the configuration ----


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"head": "max_pool"}, "head='max_pool': it must be one of mean_pool, attentive_stats"),
        ({"order": [0, 1, 1]}, "order=.0, 1, 1.: it must hold 0, 1 and 2"),
        ({"order": [0, 1]}, "order=.0, 1.: it must hold 0, 1 and 2"),
        ({"scale": 0}, "scale=0"),
        ({"scale": "big"}, "scale='big': it must be a finite number"),
        ({"offset": float("nan")}, "offset=nan: it must be a finite number"),
        ({"weight": 0}, "weight=0: it must be above 0"),
        ({"weight": float("inf")}, "weight=inf: it must be a finite number"),
        ({"std": 0.0}, "std=0.0: it must be above 0"),
        ({"std": None}, "mean=0.0, std=None: give both, or neither"),
        ({"dropout": 1.5}, "dropout=1.5: it must be from 0 to 1"),
        ({"heads": "mean_pool"}, "unexpected keyword argument 'heads'"),
        ({"encoder": "wavlm"}, "encoder='wavlm': it must be a dict"),
        ({"encoder": {"model_type": "hubert"}}, "encoder: model_type='hubert': it must be one of wav2vec2, wavlm"),
        ({"encoder": {**WAVLM_LARGE, "hiden_size": 8}}, "encoder: hiden_size is no field of WavLMConfig"),
        ({"encoder": {**WAVLM_LARGE, "feat_extract_norm": "group"}}, "encoder: feat_extract_norm='group'"),
        ({"encoder": {**WAVLM_LARGE, "add_adapter": True}}, "encoder: add_adapter=True"),
        ({"encoder": {**WAVLM_LARGE, "conv_dim": [512]}}, "encoder: .*conv_dim"),
    ],
)  # fmt: skip
def test_a_member_that_cannot_be_is_refused_by_field(change, told):
    with pytest.raises(ValueError, match=told) as error:
        AdvTeacherConfig(members=members(change, which=1))
    assert str(error.value).startswith("members[1]: ")
    assert "\n" not in str(error.value)


def test_a_teacher_without_members_is_refused():
    with pytest.raises(ValueError, match="members is empty"):
        AdvTeacherConfig(members=[])


def test_the_configuration_survives_json_and_names_every_field_of_an_encoder():
    config = AdvTeacherConfig(members=members({"weight": 3, "source": "someone/model", "revision": "abc"}))
    again = AdvTeacherConfig.from_dict(json.loads(config.to_json_string()))
    assert again.members == config.members
    assert [member["weight"] for member in again.members] == [0.75, 0.25]
    assert again.members[0]["encoder"].keys() == WAV2VEC2_LARGE_ROBUST_12.keys()
    assert again.members[1]["encoder"].keys() == WAVLM_LARGE.keys()


def test_a_whole_configuration_of_transformers_makes_an_encoder():
    whole = Wav2Vec2Config(**TINY_ENCODER).to_dict()
    config = AdvTeacherConfig(members=[{"encoder": whole, "head": "mean_pool"}])
    assert config.members[0]["encoder"]["hidden_size"] == TINY_ENCODER["hidden_size"]
    assert "vocab_size" not in config.members[0]["encoder"]
