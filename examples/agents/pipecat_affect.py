"""Pipecat: how the user sounds, as a frame for each turn and as a sentence for the language model.

Place `AffectProcessor` after what detects speech and before what collects the user's words:

    Pipeline([transport.input(), VADProcessor(...), AffectProcessor(wav2small.load()), stt, aggregators.user(), llm])

`python examples/agents/pipecat_affect.py call.flac` runs it on the first channel of a recording, without any service.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    DataFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    LLMMessagesAppendFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

import wav2small
from wav2small.models.audio import stream_audio

RATE, BLOCK = 16000, 320  # Hz, samples
BEFORE = 0.5  # s that are kept before speech is detected
LONGEST = 600.0  # s of a turn; what was before is forgotten
PAUSE = 0.5  # s of silence that end a turn


@dataclass
class AffectFrame(DataFrame):
    """How a turn of the user sounded.

    Attributes:
        prediction: its `start` and `end` count from the start of the turn.
    """

    prediction: wav2small.Prediction


class AffectProcessor(FrameProcessor):
    """Push an `AffectFrame`, and its sentence for the language model, after each turn of the user.

    Args:
        predictor: a model with affect words.
    """

    def __init__(self, predictor: wav2small.Predictor):
        super().__init__()
        self._predictor = predictor
        self._blocks: deque[np.ndarray] = deque()
        self._speaks, self._rate = False, RATE

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Listen to audio and to what detects speech; pass every frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._hear(frame)
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._speaks = True
        elif isinstance(frame, VADUserStoppedSpeakingFrame) and self._speaks:
            self._speaks = False
            turn = np.concatenate(self._blocks)
            self._blocks.clear()
            await self._tell(await asyncio.to_thread(self._predict, turn, self._rate))
        await self.push_frame(frame, direction)

    def _hear(self, frame: InputAudioRawFrame) -> None:
        self._rate = frame.sample_rate
        samples = np.frombuffer(frame.audio, np.int16).reshape(-1, frame.num_channels).mean(axis=1)
        self._blocks.append((samples / 32768).astype(np.float32))
        kept = sum(map(len, self._blocks))
        while kept > (LONGEST if self._speaks else BEFORE) * self._rate:
            kept -= len(self._blocks.popleft())

    def _predict(self, turn: np.ndarray, rate: int) -> wav2small.Prediction:
        return self._predictor.mean(self._predictor.timeline((turn, rate)))

    async def _tell(self, prediction: wav2small.Prediction) -> None:
        await self.push_frame(AffectFrame(prediction))
        if prediction.spoken:  # before the words of the turn reach the context
            message = {"role": "system", "content": prediction.describe()}
            await self.push_frame(LLMMessagesAppendFrame([message], run_llm=False))


class Printer(FrameProcessor):
    """Print what a language model would be told."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass every frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, AffectFrame):
            print(frame.prediction)  # noqa: T201
        elif isinstance(frame, LLMMessagesAppendFrame):
            print(frame.messages[0])  # noqa: T201
        await self.push_frame(frame, direction)


def recording(path: str) -> Iterator[InputAudioRawFrame]:
    """The first channel of a recording, and a second of silence, as frames of 20 ms."""
    for block in [*stream_audio(wav2small.Channel(path, 1), RATE), np.zeros(RATE, np.float32)]:
        for first in range(0, len(block), BLOCK):
            pcm = (32767 * np.clip(block[first : first + BLOCK], -1, 1)).astype(np.int16)
            yield InputAudioRawFrame(audio=pcm.tobytes(), sample_rate=RATE, num_channels=1)


async def main(path: str) -> None:
    """Run a pipeline on a recording."""
    detector = VADProcessor(vad_analyzer=SileroVADAnalyzer(sample_rate=RATE, params=VADParams(stop_secs=PAUSE)))
    worker = PipelineWorker(Pipeline([detector, AffectProcessor(wav2small.load()), Printer()]))
    started = asyncio.Event()
    worker.add_event_handler("on_pipeline_started", lambda worker, frame: started.set())

    async def play() -> None:
        await started.wait()
        for frame in recording(path):
            await worker.queue_frame(frame)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), play())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
