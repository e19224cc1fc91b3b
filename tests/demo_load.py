"""Twenty people ask the demo at once: `python tests/demo_load.py` prints how long each waits; `make bench` calls it."""

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import soundfile
from gradio_client import Client, handle_file

PEOPLE = 20
SECONDS = 5.0


def ask_at_once(url: str, file: Path, people: int = PEOPLE) -> list[dict[str, Any]]:
    """Everybody uploads the recording and asks `/predict` at the same moment.

    Returns:
        What each got, with `waited`: s from the upload to the answer.
    """
    together = Barrier(people)
    clients = [Client(url, verbose=False) for _ in range(people)]

    def ask(client: Client) -> dict[str, Any]:
        together.wait(60)
        begin = time.perf_counter()
        answer = client.predict(audio=handle_file(file), api_name="/predict")
        return {**answer, "waited": time.perf_counter() - begin}

    with ThreadPoolExecutor(people) as pool:
        return list(pool.map(ask, clients))


def main() -> None:
    """Measure the demo of this checkout, with 5 s of audio."""
    from conftest import voice_like
    from demo_server import Demo

    with tempfile.TemporaryDirectory() as folder, Demo(Path(folder)) as demo:
        file = Path(folder) / "speech.wav"
        soundfile.write(file, voice_like(SECONDS), 16000)
        ask_at_once(demo.url, file, people=1)
        waited = sorted(one["waited"] for one in ask_at_once(demo.url, file))
    sys.stdout.write(
        f"demo, {PEOPLE} people at once, {SECONDS:.0f} s of audio: median {waited[len(waited) // 2]:.2f} s, "
        f"longest {waited[-1]:.2f} s\n"
    )


if __name__ == "__main__":
    main()
