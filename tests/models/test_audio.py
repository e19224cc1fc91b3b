"""Any audio becomes 16 kHz mono float32, or one sentence names it and the mend."""

import io

import numpy as np
import pytest
import soundfile
from conftest import RATE, voice_like
from fuzz_files import wav_of
from hypothesis import given, settings
from hypothesis import strategies as st

from wav2small import Wav2SmallError
from wav2small.models import audio
from wav2small.models.adv import LEAST_SECONDS
from wav2small.models.audio import Channel, open_audio, read_audio, read_clip, source_name, stream_audio


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_16", 1e-4),
        ("wav", "PCM_24", 1e-6),
        ("wav", "FLOAT", 0),
        ("wav", "PCM_U8", 1e-2),
        ("flac", "PCM_16", 1e-4),
        ("ogg", "VORBIS", 0.1),
        ("mp3", "MPEG_LAYER_III", 0.1),
        ("aiff", "PCM_16", 1e-4),
    ],
)
def test_every_format_gives_the_samples(tmp_path, suffix, subtype, tolerance):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(RATE), RATE, subtype=subtype)
    waveform = read_audio(path)
    assert waveform.dtype == np.float32 and waveform.ndim == 1
    assert abs(len(waveform) - RATE) <= 1200  # MP3 pads its frames
    if tolerance < 0.1:
        np.testing.assert_allclose(waveform, tone(RATE), atol=tolerance)
    else:
        assert np.corrcoef(waveform[2000:12000], tone(RATE)[2000:12000])[0, 1] > 0.99


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_any_rate_is_resampled_to_the_same_tone(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate), rate)
    waveform = read_audio(path)
    assert abs(len(waveform) - RATE) <= 2
    middle = slice(1000, 15000)  # the filter rings at the ends
    np.testing.assert_allclose(waveform[middle], tone(RATE)[middle], atol=2e-3)


def test_six_channels_become_their_mean(tmp_path):
    path = tmp_path / "a.wav"
    channels = np.stack([tone(RATE, hz=200 * (i + 1)) for i in range(6)], axis=1)
    soundfile.write(path, channels, RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path), channels.mean(axis=1), atol=1e-6)


def test_path_string_bytes_file_object_and_array_are_the_same_audio(wav):
    expected, rate = soundfile.read(wav, dtype="float32")
    content = wav.read_bytes()
    for source in (wav, str(wav), content, bytearray(content), io.BytesIO(content), (expected, rate)):
        np.testing.assert_array_equal(read_audio(source), expected)
    with wav.open("rb") as file:
        np.testing.assert_array_equal(read_audio(file), expected)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8])
def test_integers_are_scaled_by_the_range_of_their_type(dtype):
    info = np.iinfo(dtype)
    middle = (info.min + info.max + 1) // 2
    waveform = read_audio((np.array([info.min, middle, info.max], dtype), RATE))
    np.testing.assert_allclose(waveform, [-1, 0, 1], atol=0.01)


def test_a_truncated_recording_gives_what_is_there(tmp_path, wav):
    cut = tmp_path / "cut.wav"
    cut.write_bytes(wav.read_bytes()[:20044])
    np.testing.assert_array_equal(read_audio(cut), read_audio(wav)[:10000])


@settings(deadline=None, max_examples=25)
@given(samples=st.integers(1, 400_000), rate=st.sampled_from([8000, 16000, 44100]))
def test_blocks_put_together_are_the_whole(samples, rate):
    signal = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    whole = read_audio((signal, rate))
    np.testing.assert_array_equal(np.concatenate(list(stream_audio((signal, rate)))), whole)
    assert abs(len(whole) - samples * RATE / rate) <= 1


def bad_files(folder, good):
    """Every bad file with what the message must say."""
    flac = folder / "cut.flac"
    soundfile.write(flac, voice_like(2), RATE)
    flac.write_bytes(flac.read_bytes()[:300])
    broken = np.zeros(RATE, np.float32)
    broken[8000] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE, subtype="FLOAT")
    broken[8000] = np.inf
    soundfile.write(folder / "inf.wav", broken, RATE, subtype="FLOAT")
    soundfile.write(folder / "zero.wav", np.zeros(0, np.float32), RATE)
    (folder / "text.wav").write_text("this is no audio, whatever its name says\n" * 20)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "headerless.raw").write_bytes(good.read_bytes()[44:])
    (folder / "folder.wav").mkdir()
    return {
        "missing.wav": "no such file",
        "empty.wav": r"empty \(0 bytes\)",
        "text.wav": "not readable audio .*: convert it to WAV, FLAC, OGG or MP3",
        "headerless.raw": "not readable audio",
        "zero.wav": "holds no samples",
        "nan.wav": "NaN or infinite samples, the first at 0.500 s",
        "inf.wav": "NaN or infinite samples, the first at 0.500 s",
        "cut.flac": "cut.flac",
        "folder.wav": "is not a file",
    }


def test_every_bad_file_is_one_sentence_that_names_it(tmp_path, wav):
    for file, told in bad_files(tmp_path, wav).items():
        with pytest.raises(Wav2SmallError, match=told) as error:
            read_audio(tmp_path / file)
        assert file in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("rate", [1, 999, 768_001, 150_000_000, 2**31 - 1])
def test_a_header_that_claims_an_absurd_rate_is_refused_before_anything_is_resampled(rate):
    with pytest.raises(Wav2SmallError, match=f"a rate of {rate} Hz: rates of 1000 to 768000 Hz are read"):
        read_audio(wav_of(rate))


def test_a_block_of_many_channels_is_no_larger_than_others():
    rate, blocks = open_audio(wav_of(768_000, channels=1000, frames=20_000))
    first = next(blocks)
    assert rate == 768_000 and first.shape[1] == 1000
    assert first.nbytes <= 2**24


def test_a_recording_that_does_not_fit_into_the_memory_is_one_sentence(wav, monkeypatch):
    monkeypatch.setattr(audio.np, "concatenate", lambda *_: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(Wav2SmallError, match="does not fit into the memory: cut it"):
        read_audio(wav)


def test_channels_that_cancel_each_other_out_are_refused_and_each_can_be_read():
    voice = voice_like(1)
    both = np.stack([voice, -voice], axis=1)
    with pytest.raises(Wav2SmallError, match="the channels of <array> cancel each other out: give one of them"):
        read_audio((both, RATE))
    np.testing.assert_array_equal(read_audio(Channel((both, RATE), 2)), -voice)
    assert np.abs(read_audio((np.stack([voice, -0.8 * voice], axis=1), RATE))).max() > 0.005
    assert not read_audio((np.zeros((RATE, 2)), RATE)).any()


def test_a_playlist_is_not_followed(tmp_path, wav):
    """FFmpeg would read other files of this machine, and addresses on the internet."""
    pytest.importorskip("av", reason="the extra [formats]")
    for name, text in {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nfile://{wav}\n#EXT-X-ENDLIST\n",
        "list.wav": f"ffconcat version 1.0\nfile {wav}\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(Wav2SmallError, match="is not readable audio"):
            read_audio(tmp_path / name)


def test_a_clip_has_limits(tmp_path):
    with pytest.raises(Wav2SmallError, match=r"is 0.050 s long: at least 0.1 s are needed"):
        read_clip((np.zeros(800), RATE))
    with pytest.raises(Wav2SmallError, match="longer than 10 minutes"):
        read_clip((np.zeros(601 * RATE, np.int16), RATE))
    assert audio.LEAST_SECONDS == LEAST_SECONDS


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ((np.zeros((2, 16000)), RATE), "transpose"),
        ((np.zeros((2, 3, 4)), RATE), "transpose"),
        ((np.zeros(0), RATE), "no samples"),
        ((np.zeros(100), 0), "rate"),
        ((np.zeros(100), 44100.5), "rate"),
        ((np.zeros(100), "16000"), "rate"),
        ((np.zeros(100, complex), RATE), "floats in -1..1, or signed integers"),
        ((1e18 * voice_like(0.1), RATE), r"samples up to .*e\+1[67], and floats go from -1 to 1: divide 16-bit"),
        ((1e37 * voice_like(0.1), RATE), "floats go from -1 to 1"),
        ((1e300 * voice_like(0.1).astype(float), RATE), "infinite"),
        ((20_000 * voice_like(0.1), RATE), "floats go from -1 to 1"),
        (((20_000 * voice_like(0.1)).astype(np.int32), RATE), "int32 holds values of 16 bits at most"),
        (((20_000 * voice_like(0.1)).astype(np.int64), RATE), r"not int64: give lists of 16-bit values as np.array"),
        (([1000, -2000, 3000] * 100, RATE), r"not int64: give lists of 16-bit values as np.array"),
        (("x" * 300, RATE), "an array must"),
        ("x" * 300, "File name too long|no such file"),
        ((np.zeros(100),), "with its rate"),
        (np.zeros(100), "a path, bytes, a file object"),
        (None, "a path, bytes, a file object"),
        (b"", "empty"),
        (b"nonsense", "not readable audio"),
    ],
)
def test_a_wrong_source_is_told_what_it_should_be(source, told):
    with pytest.raises(Wav2SmallError, match=told):
        read_audio(source)


def test_a_source_has_a_name_for_errors(wav):
    assert source_name(wav) == str(wav)
    assert source_name(b"") == "<bytes>"
    assert source_name((np.zeros(1), 1)) == "<array>"
    assert source_name(io.BytesIO()) == "<file object>"
    with wav.open("rb") as file:
        assert source_name(file) == str(wav)
