"""The microphone -> a line that moves with the voice, or a line of JSON for each prediction."""

import json
import queue
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from ..inference.baseline import hold
from ..inference.prediction import Prediction
from ..inference.predictor import Predictor
from ..models.errors import Wav2SmallError

WINDOW, HOP = 3.0, 0.5  # s
BLOCK = 0.1  # s
HISTORY = 20  # predictions that the inertia of the line looks back to
BAR = 10  # characters
NOTICE = "Emotion recognition listens. Tell everybody who can be heard (EU AI Act, Article 50(3)): wav2small notice"


def listen(predictor: Predictor, device: str | None, as_json: bool) -> None:
    """Predict what the microphone hears, until the user stops it with Ctrl-C.

    Args:
        predictor: the model.
        device: number of a device or part of its name; `None` for the default one.
        as_json: print a line of JSON for each prediction.

    Raises:
        Wav2SmallError: if there is no such device, or sounddevice is missing.
    """
    print(NOTICE, file=sys.stderr, flush=True)  # noqa: T201
    show = show_json if as_json else Line().show
    try:
        with microphone(device) as (rate, blocks):
            stream = predictor.stream(WINDOW, HOP, rate)
            for block in blocks:
                for prediction in stream.push(block):
                    show(prediction)
    except KeyboardInterrupt:
        print(file=sys.stderr)  # noqa: T201


@contextmanager
def microphone(device: str | None) -> Iterator[tuple[int, Iterator[Any]]]:
    """Open a microphone: its sampling rate, and its blocks (frames, 1) float32 as they come."""
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise Wav2SmallError(f"the microphone needs {error.name}: pip install 'wav2small[microphone]'") from None
    except OSError as error:  # sounddevice without PortAudio
        raise Wav2SmallError(f"the microphone needs PortAudio ({error}): apt install libportaudio2") from None
    chosen: int | str | None = int(device) if device and device.isdigit() else device
    waiting: queue.Queue[Any] = queue.Queue()

    def receive(block: Any, frames: int, time: Any, status: Any) -> None:
        waiting.put(block.copy())

    try:
        rate = int(sounddevice.query_devices(chosen, "input")["default_samplerate"])
        opened = sounddevice.InputStream(
            samplerate=rate, blocksize=int(BLOCK * rate), device=chosen, channels=1, dtype="float32", callback=receive
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        hint = "`python -m sounddevice` lists them, --device chooses one"
        raise Wav2SmallError(f"there is no microphone {device or 'by default'} ({error}): {hint}") from None
    with opened:
        yield rate, (waiting.get() for _ in count())


def show_json(prediction: Prediction, write: Callable[[str], Any] = print) -> None:
    """Print a prediction as one line of JSON, at once."""
    write(json.dumps(prediction.as_dict(), ensure_ascii=False))
    sys.stdout.flush()


class Line:
    """One line of a terminal, which moves with the voice; numbers glide, and a word stays for some seconds."""

    def __init__(self) -> None:
        self._recent: list[Prediction] = []

    def text(self, prediction: Prediction) -> str:
        """The line for the newest prediction."""
        self._recent = [*self._recent, prediction][-HISTORY:]
        newest = hold(self._recent)[-1]
        if not newest.spoken:
            return f"{newest.end:6.1f} s  {newest.word}"
        bars = (
            f"{name} {'#' * round(BAR * min(1, max(0, value))):.<{BAR}} {value:.2f}"
            for name, value in zip("ADV", newest.as_array().tolist(), strict=True)
        )
        return f"{newest.end:6.1f} s  {'  '.join(bars)}  {newest.word or ''}"

    def show(self, prediction: Prediction) -> None:
        """Write the line over the one before it."""
        sys.stdout.write(f"\r{self.text(prediction):<79}")
        sys.stdout.flush()
