"""Broken recordings and zips, always the same: `python tests/fuzz_files.py FOLDER` writes them."""

import io
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

RECORDINGS, ZIPS = 600, 120
FORMATS = (
    ("wav", "PCM_16"), ("wav", "FLOAT"), ("wav", "PCM_U8"), ("wav", "GSM610"), ("wav", "IMA_ADPCM"), ("flac", "PCM_16"),
    ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III"), ("aiff", "PCM_24"), ("au", "ULAW"), ("caf", "PCM_16"),
    ("w64", "PCM_16"),
)  # fmt: skip
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def recordings(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Names and contents: each format cut, with bits changed, with other numbers in its header, or with parts moved."""
    random = np.random.default_rng(seed)
    rates = {"GSM610": 8000}
    samples = (0.1 * random.standard_normal(8000)).astype(np.float32)
    for i in range(RECORDINGS):
        suffix, subtype = FORMATS[i % len(FORMATS)]
        content = io.BytesIO()
        soundfile.write(content, samples, rates.get(subtype, 16000), subtype=subtype, format=suffix.upper())
        found = bytearray(content.getvalue())
        if (peak := found.find(b"PEAK")) > 0:  # it says when it was written
            found[peak + 12 : peak + 16] = bytes(4)
        yield f"{i:03}.{suffix}", mutated(same_stream_number(found) if suffix == "ogg" else found, random)


def same_stream_number(ogg: bytearray) -> bytearray:
    """An Ogg file whose random number of the stream is 0, with the checksums of its pages made right (RFC 3533)."""
    start = 0
    while start < len(ogg):
        end = start + 27 + ogg[start + 26] + sum(ogg[start + 27 : start + 27 + ogg[start + 26]])
        ogg[start + 14 : start + 18] = ogg[start + 22 : start + 26] = bytes(4)
        checksum = 0
        for byte in ogg[start:end]:
            checksum ^= byte << 24
            for _ in range(8):
                checksum = (checksum << 1 ^ (0x104C11DB7 if checksum >> 31 else 0)) & 0xFFFFFFFF
        struct.pack_into("<I", ogg, start + 22, checksum)
        start = end
    return ogg


def zips(seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Names and contents of zips of a recording and of zeros: changed, cut, and with other sizes than they say."""
    random = np.random.default_rng(seed)
    recording = io.BytesIO()
    soundfile.write(recording, (0.1 * random.standard_normal(8000)).astype(np.float32), 16000, format="WAV")
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    for i in range(ZIPS):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", kinds[i % len(kinds)]) as archive:
            for name, member in (("one.wav", recording.getvalue()), ("../../two.wav", bytes(2_000_000))):
                archive.writestr(zipfile.ZipInfo(name), member, kinds[i % len(kinds)])
        yield f"{i:03}.zip", mutated(bytearray(content.getvalue()), random)


def lying_zip(size: int = 600 * 2**20, says: int = 100) -> bytes:
    """A zip of a member of many zeros that says that it has a few."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("zeros.wav", "w", force_zip64=False) as member,
    ):
        for _ in range(size // 2**20):
            member.write(bytes(2**20))
    found = bytearray(content.getvalue())
    place = found.rindex(b"PK\x01\x02")
    struct.pack_into("<I", found, place + 24, says)
    struct.pack_into("<I", found, 22, says)
    return bytes(found)


def wav_of(rate: int, channels: int = 1, frames: int = 8000) -> bytes:
    """A WAV of 16 bits whose header says any rate."""
    data = np.random.default_rng(0).integers(-3000, 3000, frames * channels).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, channels, rate, min(2**32 - 1, rate * channels * 2), channels * 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def mutated(content: bytearray, random: np.random.Generator) -> bytes:
    """The same with one to four faults, most of them near the start, where formats say what follows."""
    for _ in range(random.integers(1, 5)):
        place = int(min(len(content) - 1, random.exponential(80)))
        kind = random.integers(5)
        if kind == 0:
            content = content[: int(random.integers(1, len(content) + 1))]
        elif kind == 1:
            content[place] ^= 1 << int(random.integers(8))
        elif kind == 2 and place + 4 <= len(content):
            order = "<I" if random.integers(2) else ">I"
            struct.pack_into(order, content, place, int(random.choice(NUMBERS)))
        elif kind == 3:
            content[place:place] = random.bytes(int(random.integers(1, 64)))
        else:
            content = content[:place] + content[place + int(random.integers(1, 64)) :] or bytearray(b"\0")
    return bytes(content)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (*recordings(), *zips()):
        (folder / name).write_bytes(content)
