"""LiveKit agents: how the user sounds, as a sentence in the language model's context for each turn.

Derive your agent from `AffectAgent`. `python examples/agents/livekit_affect.py call.flac call.srt` runs one on the
first channel of a recording, in real time and without any service: its transcript takes the place of a speech
recogniser.
"""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterable, Iterator
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession, ModelSettings, TurnHandlingOptions, inference, llm, stt
from livekit.agents.voice.io import AudioInput

import wav2small
from wav2small.models.audio import stream_audio

RATE, BLOCK = 16000, 0.02  # Hz, s
LONGEST = 60.0  # s of a turn, with the pause before it; what was before is forgotten
END = 2.0  # s of silence after a recording


class AffectAgent(Agent):
    """An agent whose language model is told how each turn of the user sounded.

    Args:
        predictor: a model with affect words.
        arguments: of `Agent`.
    """

    def __init__(self, predictor: wav2small.Predictor, **arguments: Any):
        super().__init__(**arguments)
        self._predictor = predictor
        self._heard: deque[rtc.AudioFrame] = deque()

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterable[stt.SpeechEvent]:
        """Listen to the audio on its way to the speech recogniser."""

        async def tapped() -> AsyncIterable[rtc.AudioFrame]:
            async for frame in audio:
                self._heard.append(frame)
                while sum(one.duration for one in self._heard) > LONGEST:
                    self._heard.popleft()
                yield frame

        async for event in Agent.default.stt_node(self, tapped(), model_settings):
            yield event

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        """Tell the language model how the turn sounded, before it answers."""
        frames = list(self._heard)
        self._heard.clear()
        prediction = await asyncio.to_thread(self.predict, frames)
        if prediction and prediction.spoken:
            turn_ctx.add_message(role="system", content=prediction.describe())

    def predict(self, frames: list[rtc.AudioFrame]) -> wav2small.Prediction | None:
        """Predict what somebody says in these frames; `None` if nobody speaks."""
        if not frames:
            return None
        frame = rtc.combine_audio_frames(frames)
        samples = np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels).astype(np.float32) / 32768
        source = samples.mean(axis=1), frame.sample_rate
        turns = wav2small.find_turns(source)  # without the pause before the turn
        return self._predictor.mean(self._predictor.segments(source, turns)) if turns else None


class Recording(AudioInput):
    """The first channel of a recording as a microphone, in real time."""

    def __init__(self, path: str):
        super().__init__(label="recording")
        self._blocks = self._cut(path)
        self.ended = asyncio.Event()

    @staticmethod
    def _cut(path: str) -> Iterator[np.ndarray]:
        for block in [*stream_audio(wav2small.Channel(path, 1), RATE), np.zeros(int(END * RATE), np.float32)]:
            yield from np.array_split(block, max(1, round(len(block) / RATE / BLOCK)))

    async def __anext__(self) -> rtc.AudioFrame:
        """The next 20 ms."""
        block = next(self._blocks, None)
        if block is None:
            self.ended.set()
            raise StopAsyncIteration
        await asyncio.sleep(len(block) / RATE)
        pcm = (32767 * np.clip(block, -1, 1)).astype(np.int16)
        return rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm))


class Transcript(stt.STT):
    """The transcript of a recording in place of a speech recogniser: each turn gets the next text of the speaker."""

    def __init__(self, path: str, speaker: str):
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._texts = iter([one.text or "" for one in wav2small.read_segments(path) if one.speaker == speaker])

    async def _recognize_impl(self, buffer: Any, **options: Any) -> stt.SpeechEvent:
        said = [stt.SpeechData(language="de", text=next(self._texts, ""))]
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=said)


class Printing(AffectAgent):
    """Prints what a language model would be told."""

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        """Print the user's words, and what stands beside them."""
        await super().on_user_turn_completed(turn_ctx, new_message)
        told = turn_ctx.messages()[-1].text_content
        print(f"user: {new_message.text_content}\nsystem: {told}", flush=True)  # noqa: T201


async def main(recording: str, transcript: str, speaker: str = "Actor") -> None:
    """Run an agent on a recording."""
    recogniser, turns = Transcript(transcript, speaker), TurnHandlingOptions(turn_detection="vad")
    session = AgentSession(stt=recogniser, vad=inference.VAD(), turn_handling=turns)
    session.input.audio = source = Recording(recording)
    await session.start(Printing(wav2small.load(), instructions="Answer in one sentence."))
    await source.ended.wait()
    await session.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
