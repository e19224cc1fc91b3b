"""Audio from files, bytes or arrays -> mono float32 at the model's sampling rate, or one clear error."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .errors import Wav2SmallError

try:  # this file is also remote code, which must load with transformers and torch alone
    import soundfile
    import soxr
except ImportError:
    soundfile = soxr = None

SUFFIXES = frozenset({".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav"})
if find_spec("av"):  # FFmpeg's libraries, the extra "formats"
    SUFFIXES |= {".3gp", ".aac", ".amr", ".m4a", ".mka", ".mkv", ".mov", ".mp4", ".webm", ".wma"}
RATES = range(1_000, 768_001)  # Hz; a header can claim any rate, and a resampler takes memory for it
BLOCK_SECONDS = 10.0
BLOCK_VALUES = 2**22  # of all channels in a block, at most: 16 MB
LEAST_SECONDS = 0.1  # shortest clip, as adv.py says, which is not copied into a checkpoint
MAX_SECONDS = 600.0  # longest clip of one forward pass; a timeline has no limit
LOUDEST = 64.0  # floats go from -1 to 1, and some files a little beyond
SILENT = 1e-4  # largest sample below which channels are not compared
CANCELLED = 1e-3  # share of the energy of channels that their mean keeps at least; without it they cancel each other
# what FFmpeg may take a file for, and never a playlist, which names other files and addresses
CONTAINERS = (
    "aac,aiff,amr,asf,avi,caf,eac3,ac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,wav,w64"
)


@dataclass(frozen=True)
class Channel:
    """One channel of a source, itself a source: a call may have one speaker in each channel.

    Attributes:
        source: a path, bytes, a file object, or `(array, rate)`.
        number: of the channel, from 1.
    """

    source: Any
    number: int


def audio_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Audio files in a folder and below, sorted; found by the suffixes of the formats that can be read.

    Raises:
        Wav2SmallError: if there are no such files.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise Wav2SmallError(f"{folder} holds no audio files ({', '.join(sorted(SUFFIXES))})")
    return found


def source_name(source: Any) -> str:
    """The name of a source in errors: its path, or its kind."""
    if isinstance(source, Channel):
        return f"{source_name(source.source)}, channel {source.number}"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>"
    if isinstance(source, tuple):
        return "<array>"
    return str(getattr(source, "name", "<file object>"))


def read_audio(source: Any, sampling_rate: int = 16000, max_seconds: float | None = None) -> np.ndarray:
    """Read audio as one waveform. [`read_clip`] has the limits of a clip.

    Args:
        source: a path, the bytes of a file, a binary file object that can seek, `(array, rate)`, or a [`Channel`] of
            these. An array has the shape (samples,) or (samples, channels); integers are scaled by their type's range.
        sampling_rate: of the result, in Hz.
        max_seconds: longest recording that is read; a longer one is an error, found before it fills the memory.

    Returns:
        (samples,) float32, the mean of all channels, nominally in -1..1.

    Raises:
        Wav2SmallError: if the source is missing, empty, no audio, too long, or holds NaN or infinite samples.

    Example:
        >>> stereo = np.zeros((44100, 2), np.int16)
        >>> read_audio((stereo, 44100)).shape
        (16000,)
    """
    blocks, samples = [], 0
    try:
        for block in stream_audio(source, sampling_rate):
            blocks.append(block)
            samples += len(block)
            if max_seconds is not None and samples > max_seconds * sampling_rate:
                raise Wav2SmallError(
                    f"{source_name(source)} is longer than {max_seconds / 60:g} minutes: cut it or predict a timeline"
                )
        return np.concatenate(blocks)
    except MemoryError:
        raise Wav2SmallError(f"{source_name(source)} does not fit into the memory: cut it") from None


def read_clip(source: Any, sampling_rate: int = 16000) -> np.ndarray:
    """Read audio of 0.1 s to 10 minutes, as a model takes it at once; arguments and errors as for [`read_audio`].

    >>> read_clip((np.zeros(800), 8000)).shape
    (1600,)
    """
    waveform = read_audio(source, sampling_rate, MAX_SECONDS)
    check_length(source, len(waveform) / sampling_rate)
    return waveform


def check_length(source: Any, seconds: float) -> None:
    """Raise the error for audio below 0.1 s."""
    if seconds < LEAST_SECONDS:
        raise Wav2SmallError(f"{source_name(source)} is {seconds:.3f} s long: at least {LEAST_SECONDS} s are needed")


def stream_audio(source: Any, sampling_rate: int = 16000) -> Iterator[np.ndarray]:
    """Read audio of any length block by block; arguments and errors are those of [`read_audio`].

    >>> [len(block) for block in stream_audio((np.zeros(25 * 16000), 16000))]
    [160000, 160000, 80000]
    """
    called = source_name(source)
    channel = source.number if isinstance(source, Channel) else None
    rate, blocks = open_audio(source)
    if rate == sampling_rate:
        resampler = None
    elif soxr is None:
        raise Wav2SmallError(f"{called} has a rate of {rate} Hz, not {sampling_rate}: pip install soxr to resample it")
    else:
        resampler = soxr.ResampleStream(rate, sampling_rate, 1, dtype="float32", quality="HQ")
    position = 0
    for block in blocks:
        mono = _one_channel(block, channel, called)
        bad = np.flatnonzero(~np.isfinite(mono))
        if bad.size:
            at = (position + bad[0]) / rate
            raise Wav2SmallError(f"{called} holds NaN or infinite samples, the first at {at:.3f} s: clean it first")
        position += len(mono)
        yield mono if resampler is None else resampler.resample_chunk(mono)
    if position == 0:
        raise Wav2SmallError(f"{called} holds no samples")
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def count_channels(source: Any) -> int:
    """How many channels a source has; arguments and errors are those of [`read_audio`].

    >>> count_channels((np.zeros((100, 2)), 8000))
    2
    """
    block = next(open_audio(source)[1], np.zeros(0))
    return int(block.shape[1]) if block.ndim == 2 else 1


def _one_channel(block: np.ndarray, channel: int | None, called: str) -> np.ndarray:
    """(samples,): one channel of a block, from 1, or the mean of all."""
    table = block.reshape(len(block), -1)
    loudest = check_loudness(table, called)
    if channel is None:
        with np.errstate(invalid="ignore"):
            mono = table.mean(axis=1, dtype=np.float32)
        if table.shape[1] > 1 and SILENT < loudest < np.inf:
            kept = float(np.vdot(mono, mono)) * table.shape[1]
            if kept < CANCELLED * sum(float(np.vdot(one, one)) for one in table.T):
                raise Wav2SmallError(
                    f"the channels of {called} cancel each other out: give one of them, Channel(source, 1) or "
                    "--channels split"
                )
        return mono
    if not 1 <= channel <= table.shape[1]:
        raise Wav2SmallError(f"{called}: it has the channels 1 to {table.shape[1]}")
    return table[:, channel - 1]


def check_loudness(block: np.ndarray, called: str) -> float:
    """The largest absolute sample; NaN and infinite samples are found later.

    Raises:
        Wav2SmallError: if it is far above 1.
    """
    loudest = max(float(block.max(initial=0)), -float(block.min(initial=0)))  # without a copy
    if LOUDEST < loudest < np.inf:
        raise Wav2SmallError(
            f"{called} holds samples up to {loudest:.3g}, and floats go from -1 to 1: divide 16-bit values by 32768"
        )
    return loudest


def open_audio(source: Any) -> tuple[int, Iterator[np.ndarray]]:
    """Sampling rate of a source, and its blocks as they are: (samples,) or (samples, channels), at most 16 MB each.

    Args:
        source: as for [`read_audio`]; of a [`Channel`], all channels.

    Raises:
        Wav2SmallError: as [`read_audio`], and if the rate is not between 1 and 768 kHz.
    """
    called = source_name(source)
    if isinstance(source, Channel):
        source = source.source
    rate, blocks = _array_blocks(source) if isinstance(source, tuple) else _file_blocks(source, called)
    if rate not in RATES:
        raise Wav2SmallError(
            f"{called} has a rate of {rate} Hz: rates of {RATES[0]} to {RATES[-1]} Hz are read, convert it"
        )
    return rate, blocks


def _block_size(rate: int, channels: int) -> int:
    """Samples of each channel in a block."""
    return max(1, min(int(BLOCK_SECONDS * rate), BLOCK_VALUES // max(1, channels)))


def _array_blocks(source: tuple[Any, ...]) -> tuple[int, Iterator[np.ndarray]]:
    if len(source) != 2:
        raise Wav2SmallError(f"an array must come with its rate, as (array, rate): got a tuple of {len(source)}")
    array, rate = np.asarray(source[0]), source[1]
    if not isinstance(rate, int | np.integer | float) or not 0 < rate < np.inf or rate != int(rate):
        raise Wav2SmallError(f"the rate of an array must be a whole number of Hz above 0, not {rate!r}")
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] > max(32, array.shape[0])):
        raise Wav2SmallError(f"an array must be (samples,) or (samples, channels), not {array.shape}: transpose it")
    as_floats(array[:0])  # the type is checked before the first block
    if array.dtype == np.int32 and array.size and 0 < max(int(array.max()), -int(array.min())) <= 2**15:
        raise Wav2SmallError("an array of int32 holds values of 16 bits at most: give it as int16")
    size = _block_size(int(rate), array.shape[1] if array.ndim == 2 else 1)
    return int(rate), (as_floats(array[i : i + size]) for i in range(0, len(array), size))


def as_floats(array: np.ndarray) -> np.ndarray:
    """Samples of any type as float32; integers are scaled by their type's range.

    Raises:
        Wav2SmallError: if they are neither floats nor integers of a sound.
    """
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / 128
    if array.dtype in (np.int8, np.int16, np.int32):
        return array.astype(np.float32) / (np.iinfo(array.dtype).max + 1)
    if array.dtype.kind != "f":
        raise Wav2SmallError(
            f"an array must hold floats in -1..1, or signed integers of 8, 16 or 32 bits, not {array.dtype}: give "
            "lists of 16-bit values as np.array(values, np.int16)"
        )
    with np.errstate(over="ignore"):  # it becomes infinite, and is refused
        return array.astype(np.float32, copy=False)


class _Bounded:
    """A binary file for readers written in C: where a broken header leads out of it, a seek ends at its end."""

    def __init__(self, file: Any):
        self._file = file
        self.read, self.tell, self.name = file.read, file.tell, source_name(file)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            place: int = self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            place = self._file.seek(0, os.SEEK_END)
        return place


def _file_blocks(source: Any, called: str) -> tuple[int, Iterator[np.ndarray]]:
    if soundfile is None:
        raise Wav2SmallError(f"{called} cannot be read without soundfile: pip install soundfile")
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            if not path.exists():
                raise Wav2SmallError(f"{called}: no such file")
            if not path.is_file():
                raise Wav2SmallError(f"{called} is not a file")
            if path.stat().st_size == 0:
                raise Wav2SmallError(f"{called} is empty (0 bytes)")
            source = path.open("rb")
        except OSError as error:
            raise Wav2SmallError(f"{called} cannot be opened: {error.strerror}") from None
    elif isinstance(source, bytes | bytearray | memoryview):
        if not len(source):
            raise Wav2SmallError(f"{called} is empty (0 bytes)")
        source = io.BytesIO(source)
    elif not hasattr(source, "read"):
        raise Wav2SmallError(
            f"audio must be a path, bytes, a file object or (array, rate), not {type(source).__name__}"
        )
    source = _Bounded(source)
    try:
        file = soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, TypeError, OSError) as error:
        source.seek(0)
        return _ffmpeg_blocks(source, called, error)
    return file.samplerate, _decode(file, called)


def _decode(file: Any, called: str) -> Iterator[np.ndarray]:
    size = _block_size(file.samplerate, file.channels)
    with file:
        try:
            while len(block := file.read(size, dtype="float32", always_2d=True)):
                yield block
        except (soundfile.LibsndfileError, OSError, ValueError) as error:
            raise Wav2SmallError(_unreadable(called, error)) from None


def _ffmpeg_blocks(file: Any, called: str, reason: Exception) -> tuple[int, Iterator[np.ndarray]]:
    """What soundfile cannot read, by FFmpeg's libraries: AAC, WMA, WebM and others.

    Args:
        file: a binary file object.
        called: its name in errors.
        reason: why soundfile cannot read it.
    """
    if not find_spec("av"):
        hint = "convert it to WAV, FLAC, OGG or MP3; for M4A, AAC, WebM and WMA: pip install 'wav2small[formats]'"
        raise Wav2SmallError(_unreadable(called, reason, hint))
    av = import_module("av")  # as a statement, transformers would take it for a requirement of this remote code
    try:
        container = av.open(file, options={"format_whitelist": CONTAINERS, "protocol_whitelist": "none"})
        stream = container.streams.audio[0]
        rate = stream.codec_context and stream.codec_context.sample_rate
        if not rate:
            raise ValueError("the format was guessed, and wrongly, or the coding is not known")
    except (av.FFmpegError, IndexError, ValueError, OSError):
        raise Wav2SmallError(_unreadable(called, reason)) from None

    def blocks() -> Iterator[np.ndarray]:
        resampler = av.AudioResampler(format="fltp", rate=rate)  # the same rate and channels, as planes of floats
        parts, samples = [], 0
        with container:
            try:
                for frame in container.decode(stream):
                    for converted in resampler.resample(frame):
                        parts.append(converted.to_ndarray().T)  # (samples, channels)
                        samples += len(parts[-1])
                    if samples >= _block_size(rate, parts[-1].shape[1] if parts else 1):
                        yield np.concatenate(parts)
                        parts, samples = [], 0
            except (av.FFmpegError, OSError, ValueError) as error:
                raise Wav2SmallError(_unreadable(called, error)) from None
        if samples:
            yield np.concatenate(parts)

    return rate, blocks()


def _unreadable(called: str, error: Exception, hint: str = "convert it to WAV, FLAC, OGG or MP3") -> str:
    reason = " ".join(str(getattr(error, "error_string", error)).split()).strip(" .") or "unknown format"
    return f"{called} is not readable audio ({reason}): {hint}"
