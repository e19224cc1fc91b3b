"""Make a call of two speakers from the example recordings, with its transcript: `python examples/call.py FOLDER`."""

import sys
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).parent
RATE, PAUSE = 16000, 0.6  # Hz, s
TURNS = [  # file, its part in s, speaker, and what is said (EmoDB's sentences, LibriSpeech's reader)
    ("woman_libri1183.flac", (0.0, 6.2), "Reader", "(reads from a book)"),
    ("neutral_emodb15.flac", (0.0, 2.0), "Actor", "Der Lappen liegt auf dem Eisschrank."),
    ("woman_libri1183.flac", (0.0, 3.0), "Reader", "(reads on)"),
    ("joy_emodb15.flac", (0.0, 2.0), "Actor", "Heute abend könnte ich es ihm sagen."),
    ("woman_libri1183.flac", (3.0, 6.2), "Reader", "(reads on)"),
    ("neutral_emodb15.flac", (0.0, 2.0), "Actor", "Der Lappen liegt auf dem Eisschrank."),
]


def clock(seconds: float) -> str:
    """A time as SRT writes it."""
    milliseconds = round(1000 * seconds)
    return f"00:{milliseconds // 60000:02}:{milliseconds // 1000 % 60:02},{milliseconds % 1000:03}"


def main(folder: Path) -> None:
    """Write call.flac, one speaker in each channel, and call.srt."""
    parts, captions, position = [], [], PAUSE
    speakers = sorted({speaker for _, _, speaker, _ in TURNS})
    for number, (file, (first, last), speaker, text) in enumerate(TURNS, 1):
        clip, _ = soundfile.read(HERE / file, dtype="float32")
        clip = clip[round(first * RATE) : round(last * RATE)]
        both = np.zeros((round(PAUSE * RATE) + len(clip), 2), np.float32)
        both[-len(clip) :, speakers.index(speaker)] = clip
        parts.append(both)
        end = position + len(clip) / RATE
        captions.append(f"{number}\n{clock(position)} --> {clock(end)}\n[{speaker}]: {text}\n")
        position = end + PAUSE
    soundfile.write(folder / "call.flac", np.concatenate(parts), RATE)
    (folder / "call.srt").write_text("\n".join(captions), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
