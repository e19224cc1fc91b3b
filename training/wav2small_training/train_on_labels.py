"""Trains Wav2Small directly on emotion words mapped to published norms: the first checkpoint, without a teacher.

    python -m wav2small_training.train_on_labels SPEECH_FOLDER OUT_FOLDER

SPEECH_FOLDER holds one folder a corpus (emodb, emogator; noise and rooms for augmentation), each with a metadata.csv.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import track
from scipy.signal import butter, fftconvolve, sosfilt
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wav2small import Wav2SmallConfig, Wav2SmallForAudioClassification
from wav2small.atomic import whole_folder
from wav2small.audio import read

from .losses import ccc_loss
from .metrics import ccc, pearson
from .norms import adv

RATE = 16000
CORPORA = ("emodb", "emogator")


@dataclass(frozen=True)
class Clip:
    """One labelled recording: waveform (samples,) at 16 kHz, target (3,) arousal, dominance, valence in 0..1."""

    waveform: np.ndarray
    target: np.ndarray
    corpus: str
    split: str
    sex: str


def rows(folder: Path) -> list[dict[str, str]]:
    """Read the metadata.csv of one corpus."""
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load_clips(speech: Path) -> list[Clip]:
    """Read all labelled clips; where listeners disagreed, the target moves towards the mean of the norms."""
    clips = []
    for corpus in CORPORA:
        entries = rows(speech / corpus)
        centre = np.mean([adv(entry["emotion"]) for entry in entries], axis=0)
        for entry in track(entries, f"reading {corpus}"):
            agreement = float(entry.get("rater_agreement") or 1)
            target = agreement * adv(entry["emotion"]) + (1 - agreement) * centre
            waveform = read(speech / corpus / entry["file_name"])
            clips.append(Clip(waveform, target.astype(np.float32), corpus, entry["split"], entry.get("sex", "")))
    return clips


class Augment:
    """Random room, band limit, noise and clipping; the level needs none, since the model normalises it."""

    def __init__(self, speech: Path):
        self.noises = [read(speech / "noise" / row["file_name"]) for row in rows(speech / "noise")]
        self.rooms = [read(speech / "rooms" / row["file_name"]) for row in rows(speech / "rooms")]

    def __call__(self, waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Change one waveform (samples,); its length stays."""
        samples = len(waveform)
        if random.random() < 0.3:
            room = self.rooms[random.integers(len(self.rooms))]
            onset = int(np.argmax(np.abs(room)))
            wet = fftconvolve(waveform, room[onset:])[:samples]
            waveform = wet * (waveform.std() / (wet.std() + 1e-9))
        if random.random() < 0.3:
            low, high = random.uniform(50, 400), random.uniform(3000, 7500)
            waveform = sosfilt(butter(2, (low, high), "bandpass", fs=RATE, output="sos"), waveform)
        if random.random() < 0.6:
            noise = random.standard_normal(samples)
            if random.random() < 0.6:
                recorded = self.noises[random.integers(len(self.noises))]
                noise = np.resize(np.roll(recorded, random.integers(len(recorded))), samples)
            snr_db = random.uniform(0, 40)
            gain = waveform.std() / (noise.std() + 1e-9) * 10 ** (-snr_db / 20)
            waveform = waveform + gain * noise
        if random.random() < 0.1:
            limit = random.uniform(0.2, 1) * np.abs(waveform).max()
            waveform = np.clip(waveform, -limit, limit)
        return waveform.astype(np.float32)


def draw(groups: list[list[Clip]], size: int, crop: int, augment: Augment, random: np.random.Generator):
    """One batch, an equal share from each group: waveforms (size, crop), mask (size, crop), targets (size, 3)."""
    waveforms, mask = np.zeros((size, crop), np.float32), np.zeros((size, crop), np.int64)
    targets = np.zeros((size, 3), np.float32)
    for i in range(size):
        group = groups[i % len(groups)]
        clip = group[random.integers(len(group))]
        start = random.integers(max(1, len(clip.waveform) - crop + 1))
        piece = clip.waveform[start : start + crop]
        waveforms[i, : len(piece)] = augment(piece, random)
        mask[i, : len(piece)], targets[i] = 1, clip.target
    return torch.from_numpy(waveforms), torch.from_numpy(mask), torch.from_numpy(targets)


@torch.inference_mode()
def scores(model: torch.nn.Module, clips: list[Clip], level_db: float | None = None) -> dict[str, list[float]]:
    """CCC and Pearson's r (A, D, V) on whole clips, as they are or all brought to one RMS level in dB."""
    model.eval()
    predictions = []
    for clip in clips:
        gain = 1 if level_db is None else 10 ** (level_db / 20) / (clip.waveform.std() + 1e-9)
        predictions.append(model(torch.from_numpy(clip.waveform * np.float32(gain))[None]).logits[0].numpy())
    return agreement(np.stack(predictions), clips)


def agreement(predictions: np.ndarray, clips: list[Clip]) -> dict[str, list[float]]:
    """CCC and Pearson's r of predictions (clips, 3)."""
    targets = np.stack([clip.target for clip in clips])
    return {
        "ccc": ccc(predictions, targets).round(3).tolist(),
        "pearson": pearson(predictions, targets).round(3).tolist(),
    }


def loudness_baseline(train: list[Clip], held_out: list[Clip]) -> dict[str, list[float]]:
    """Least squares from the RMS level in dB to the targets: what a model must beat."""

    def level(clips: list[Clip]) -> np.ndarray:
        return np.array([[20 * np.log10(clip.waveform.std() + 1e-9), 1] for clip in clips])

    weights, *_ = np.linalg.lstsq(level(train), np.stack([clip.target for clip in train]), rcond=None)
    return agreement(level(held_out) @ weights, held_out)


def train(
    speech: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    out: Path,
    steps: int = 2400,
    batch: int = 32,
    crop_seconds: float = 3.0,
    learning_rate: float = 3e-3,
    evaluate_every: int = 200,
    seed: int = 0,
) -> None:
    """Train on the labelled clips of SPEECH, write the checkpoint and its scores to OUT."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    clips, augment = load_clips(speech), Augment(speech)
    groups = [[clip for clip in clips if clip.corpus == corpus and clip.split == "train"] for corpus in CORPORA]
    held_out = {corpus: [c for c in clips if c.corpus == corpus and c.split == "validation"] for corpus in CORPORA}

    model = Wav2SmallForAudioClassification(Wav2SmallConfig()).to(memory_format=torch.channels_last)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, pct_start=0.1)
    history = []
    for step in track(range(1, steps + 1), "training"):
        model.train()
        waveforms, mask, targets = draw(groups, batch, int(crop_seconds * RATE), augment, random)
        predictions = model(waveforms, mask).logits
        loss = ccc_loss(predictions, targets) + (predictions - targets).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % evaluate_every == 0 or step == steps:
            history.append({"step": step, "loss": round(loss.item(), 3), **scores(average.module, held_out["emodb"])})
            typer.echo(json.dumps(history[-1]))

    student = average.module.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    report = {
        "trained_on": {corpus: len(group) for corpus, group in zip(CORPORA, groups, strict=True)},
        "settings": {"steps": steps, "batch": batch, "crop_seconds": crop_seconds, "seed": seed},
        "history": history,
        "held_out_speakers": {
            corpus: {
                "clips": len(held),
                "as recorded": scores(student, held),
                "level-normalised": scores(student, held, level_db=-26),
                "loudness baseline": loudness_baseline(groups[i], held),
            }
            for i, (corpus, held) in enumerate(held_out.items())
        },
    }
    with whole_folder(out) as folder:
        student.save_pretrained(folder)
        (folder / "training.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    typer.echo(json.dumps(report["held_out_speakers"], indent=2))


if __name__ == "__main__":
    typer.run(train)
