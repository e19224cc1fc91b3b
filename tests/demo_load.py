"""Twenty people use the demo at once: `python tests/demo_load.py` prints how long they wait; `make bench` calls it."""

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


def predict_at_once(url: str, file: Path, people: int = PEOPLE) -> list[dict[str, Any]]:
    """Each of several people uploads the recording and calls `/predict`, all at the same moment.

    Returns:
        The prediction that each of them gets, with `waited`: s from the upload to the prediction.
    """
    all_ready = Barrier(people)
    clients = [Client(url, verbose=False) for _ in range(people)]

    def predict(client: Client) -> dict[str, Any]:
        all_ready.wait(60)
        start = time.perf_counter()
        prediction = client.predict(audio=handle_file(file), api_name="/predict")
        return {**prediction, "waited": time.perf_counter() - start}

    with ThreadPoolExecutor(people) as pool:
        return list(pool.map(predict, clients))


def main() -> None:
    """Measure the demo of this checkout, with 5 s of audio."""
    from conftest import RATE, spoken
    from demo_server import Demo

    with tempfile.TemporaryDirectory() as folder, Demo(Path(folder)) as demo:
        file = Path(folder) / "speech.wav"
        soundfile.write(file, spoken(SECONDS), RATE)
        predict_at_once(demo.url, file, people=1)  # the first call is slower
        waited = sorted(one["waited"] for one in predict_at_once(demo.url, file))
    sys.stdout.write(
        f"demo, {PEOPLE} people at once, {SECONDS:.0f} s of audio: median {waited[len(waited) // 2]:.2f} s, "
        f"longest {waited[-1]:.2f} s\n"
    )


if __name__ == "__main__":
    main()
