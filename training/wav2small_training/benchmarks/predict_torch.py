"""Predict a folder of recordings through torch, as `wav2small predict` does without it; `folder` measures both.

python -m wav2small_training.benchmarks.predict_torch CHECKPOINT FOLDER THREADS
"""

import sys

import torch

from wav2small.checkpoint import load_checkpoint
from wav2small.models.audio import audio_files, read_audio


def main(checkpoint: str, folder: str, threads: str) -> None:
    """Predict clip by clip, from the same audio, decoded by the same code as on the command line."""
    torch.set_num_threads(int(threads))
    model = load_checkpoint(checkpoint)
    with torch.inference_mode():
        for file in audio_files(folder):
            logits = model(torch.from_numpy(read_audio(file))[None]).logits[0].tolist()
            print(file, *(f"{value:.4f}" for value in logits), sep=",")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
