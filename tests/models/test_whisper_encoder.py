"""A Whisper encoder in a teacher: parity with transformers', clips of any length, batches, half precision."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT, voice_like
from safetensors.torch import save_file
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from wav2small import AdvTeacherForAudioClassification, Wav2SmallError
from wav2small.convert.encoder import encoder_from
from wav2small.models.whisper_encoder import LEAST_SAMPLES, log_mel

SIZES = {
    "d_model": 32, "encoder_layers": 4, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "num_mel_bins": 80,
    "max_source_positions": 1500, "vocab_size": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1,
}  # fmt: skip
WHISPER_BASE = ROOT.parent / "shared" / "models" / "whisper-base-encoder"


def write_whisper(folder, prefix="model.encoder."):
    """A small Whisper checkpoint with random weights, in the layout of the Hub; its encoder."""
    torch.manual_seed(0)
    encoder = WhisperEncoder(WhisperConfig(**SIZES)).eval()
    for parameter in encoder.parameters():  # as large as in a trained model, so that each layer matters
        torch.nn.init.normal_(parameter, std=0.2)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper", **SIZES}))
    weights = {f"{prefix}{name}": value.contiguous() for name, value in encoder.state_dict().items()}
    weights["model.decoder.embed_tokens.weight"] = torch.zeros(100, 32)
    save_file(weights, folder / "model.safetensors")
    return encoder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """A teacher with all four blocks of a small Whisper model, whose head is drawn at random; and its encoder."""
    folder = tmp_path_factory.mktemp("whisper") / "whisper-tiny"
    encoder = write_whisper(folder)
    teacher = encoder_from(str(folder), [2, 4], hidden=5, licence="MIT")
    torch.manual_seed(1)
    for parameter in teacher.members[0].head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return teacher, encoder, folder


def test_the_spectrogram_is_that_of_the_feature_extractor_on_a_clip_of_its_own_length():
    clip = voice_like(1.37)
    expected = WhisperFeatureExtractor()._np_extract_fbank_features(clip[None], "cpu")[0]
    found = log_mel(torch.from_numpy(clip)[None], 80, None)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_the_states_are_those_of_transformers_on_thirty_seconds(whisper):
    teacher, encoder, _ = whisper
    clip = np.tile(voice_like(3), 10)
    mel = torch.from_numpy(WhisperFeatureExtractor()(clip, sampling_rate=16000, return_tensors="np").input_features)
    with torch.no_grad():
        expected = encoder(mel, output_hidden_states=True).hidden_states[2]  # the last one is behind the layer norm
        states, _ = teacher.members[0].encoder(torch.from_numpy(clip)[None], None)
    np.testing.assert_allclose(states[1], expected, atol=2e-3)


def test_whisper_base_hears_what_transformers_hears():
    if not WHISPER_BASE.is_dir():
        pytest.skip(f"no real encoder: {WHISPER_BASE} is absent")
    teacher = encoder_from(str(WHISPER_BASE), [3], licence="MIT")
    config = WhisperConfig.from_pretrained(WHISPER_BASE)
    encoder = WhisperEncoder(config).eval()
    ours = teacher.members[0].encoder.state_dict()
    assert encoder.load_state_dict(ours, strict=False).missing_keys == ["layer_norm.weight", "layer_norm.bias"]
    encoder.layer_norm = torch.nn.Identity()
    clip = np.tile(voice_like(3), 10)
    mel = torch.from_numpy(WhisperFeatureExtractor()(clip, sampling_rate=16000, return_tensors="np").input_features)
    with torch.no_grad():
        expected = encoder(mel).last_hidden_state
        states, _ = teacher.members[0].encoder(torch.from_numpy(clip)[None], None)
    np.testing.assert_allclose(states[2], expected, atol=5e-3)


def test_a_clip_gives_the_same_alone_and_padded_in_a_batch(whisper):
    teacher, _, _ = whisper
    clips = [voice_like(seconds, seed=i) for i, seconds in enumerate((2.3, 0.9, 0.31, 0.1, 1.001))]
    longest = max(map(len, clips))
    batch, mask = torch.full((len(clips), longest), 0.3), torch.zeros(len(clips), longest, dtype=torch.long)
    for i, clip in enumerate(clips):
        batch[i, : len(clip)], mask[i, : len(clip)] = torch.from_numpy(clip), 1
    with torch.no_grad():
        together = teacher(batch, mask).logits
        alone = torch.cat([teacher(torch.from_numpy(clip)[None]).logits for clip in clips])
    assert together.std(dim=0).min() > 1e-3, "the clips must differ for the test to mean anything"
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_a_clip_below_0_3_seconds_is_heard_with_silence_behind_it(whisper):
    teacher, _, _ = whisper
    clip = torch.from_numpy(voice_like(0.12))[None]
    filled = torch.nn.functional.pad(clip, (0, LEAST_SAMPLES - clip.shape[1]))
    with torch.no_grad():
        torch.testing.assert_close(teacher(clip).logits, teacher(filled).logits)


def test_more_than_thirty_seconds_are_refused(whisper):
    with pytest.raises(ValueError, match="30 s at most"):
        whisper[0](torch.zeros(1, 480_001))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_the_head_stays_float32(whisper, tmp_path, dtype):
    teacher, _, _ = whisper
    teacher.save_pretrained(tmp_path / f"whisper_teacher_{dtype}"[-20:])
    half = AdvTeacherForAudioClassification.from_pretrained(tmp_path / f"whisper_teacher_{dtype}"[-20:], dtype=dtype)
    assert half.members[0].encoder.conv1.weight.dtype == dtype
    assert {value.dtype for value in half.members[0].head.state_dict().values()} == {torch.float32}
    clip = torch.from_numpy(voice_like(1.5))[None]
    with torch.no_grad():
        torch.testing.assert_close(half(clip).logits, teacher(clip).logits, atol=0.05, rtol=0)


def test_the_head_is_a_linear_map_plus_a_small_network_on_standardised_statistics(whisper):
    teacher, _, _ = whisper
    member, clip = teacher.members[0], torch.from_numpy(voice_like(1.0))[None]
    head = member.head
    head.mean.normal_(generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        states, _ = member.encode(clip, None)
        parts = [
            f(s[0].double()) for s in states for f in (lambda s: s.mean(0), lambda s: (s.std(0, False) + 1e-3).log())
        ]
        x = (torch.cat(parts).float() - head.mean) / head.deviation
        expected = head.linear(x) + head.out_proj(torch.nn.functional.gelu(head.dense(x)))
        torch.testing.assert_close(teacher(clip).logits[0], expected, atol=1e-4, rtol=0)
    head.mean.zero_()


@pytest.mark.parametrize("prefix", ["model.encoder.", "encoder."])
def test_an_encoder_is_found_under_either_of_its_published_names(tmp_path, prefix):
    encoder = write_whisper(tmp_path / "whisper", prefix)
    teacher = encoder_from(str(tmp_path / "whisper"), [1], licence="MIT")
    assert len(teacher.members[0].encoder.layers) == 1, "blocks that no state needs are left out"
    torch.testing.assert_close(teacher.members[0].encoder.layers[0].fc1.weight, encoder.layers[0].fc1.weight)


def test_what_does_not_fit_is_told_in_one_sentence(whisper, tmp_path):
    _, _, folder = whisper
    for arguments, told in (
        ({"states": [5]}, "has 4 encoder blocks, not 5"),
        ({"states": [3], "blocks": 2}, "the blocks 1 to 2, and no 3"),
        ({"states": []}, "needs them"),
    ):
        with pytest.raises(Wav2SmallError, match=told) as error:
            encoder_from(str(folder), **arguments)
        assert "\n" not in str(error.value) and str(folder) in str(error.value)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(Wav2SmallError, match="is no encoder of a teacher"):
        encoder_from(str(tmp_path), [1])


def test_the_encoder_of_a_published_teacher_can_be_kept_with_a_new_head(tmp_path):
    from wav2small.testing import write_odyssey_checkpoint

    source = write_odyssey_checkpoint(tmp_path / "odyssey")
    teacher = encoder_from(source, [1, 2], licence="MIT")
    clip = torch.from_numpy(voice_like(1.0))[None]
    with torch.no_grad():
        assert teacher(clip).logits.tolist() == [[0.0, 0.0, 0.0]], "an untrained head predicts 0"
        states, _ = teacher.members[0].encode(clip, None)
    assert [state.shape[2] for state in states] == [16, 16]
