"""Trains the prosody teacher on a mixture with targets: functionals once, then a small ensemble on them.

python -m wav2small_training.distillation.train_prosody RECIPE [key=value ...]

The recipe is one for `wav2small distill` whose student is a `prosody_adv` and whose corpora have labels.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.progress import track

from wav2small.atomic import whole_folder
from wav2small.cli.command import run_command
from wav2small.models.adv import LABELS
from wav2small.models.auto import ProsodyAdvConfig, ProsodyAdvForAudioClassification  # which makes it save its code
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import write_provenance

from ..data import provenance
from ..data.corpora import label, open_rows, waveform
from ..metrics import ccc, pearson
from ..recipe import Corpus, Recipe
from ..recipe_file import load_recipe

MIXUP = 0.3  # of the Beta distribution that mixes two clips of a corpus, functionals and targets


def train(recipe: Recipe) -> dict[str, list[float]]:
    """Train on the corpora of a recipe, a like number of clips of each in a batch; write the teacher to its output.

    Args:
        recipe: `batch` clips of each corpus for each member of the ensemble, `steps`, `optimizer`, `loss`.

    Returns:
        CCC and Pearson's r (A, D, V) on the clips of the recipe's evaluation.

    Raises:
        Wav2SmallError: if the corpora have no labels, or the output exists.
    """
    if recipe.student.model != ProsodyAdvConfig.model_type:
        raise Wav2SmallError(f"{recipe.name} trains a {recipe.student.model}: use wav2small distill")
    if Path(recipe.output).exists():  # before minutes of work
        raise Wav2SmallError(f"{recipe.output} exists already: choose another output or remove it first")
    origin = replace(provenance.of_student(recipe), step="train")
    torch.manual_seed(recipe.seed)
    model = ProsodyAdvForAudioClassification(ProsodyAdvConfig(**recipe.student.config))
    parts = [described(model, corpus) for corpus in recipe.corpora]
    # each corpus counts the same, however many clips it has
    model.mean.copy_(torch.stack([clips.mean(dim=0) for clips, _ in parts]).mean(dim=0))
    model.deviation.copy_(torch.stack([clips.std(dim=0) for clips, _ in parts]).mean(dim=0) + 1e-3)
    parts = [(model.standardize(clips), targets) for clips, targets in parts]

    settings, networks = recipe.optimizer, model.networks
    optimizer = torch.optim.AdamW(networks.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, recipe.steps, pct_start=0.1)
    model.train()
    for _ in track(range(recipe.steps), recipe.name):
        batches = [draw(*part, model.config.members, recipe.batch) for part in parts]
        answers = networks(torch.cat([clips for clips, _ in batches], dim=1)).split(recipe.batch, dim=1)
        loss = sum(
            recipe.loss.ccc * (1 - agreement(answer, target)).mean()
            + recipe.loss.l2 * (answer - target).square().mean()
            for answer, (_, target) in zip(answers, batches, strict=True)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()

    figures = scores(model, [described(model, corpus) for corpus in recipe.validation.corpora])
    with whole_folder(Path(recipe.output)) as folder:
        model.save_pretrained(folder)
        write_provenance(replace(origin, evaluation=figures), folder)
    return figures


@torch.inference_mode()
def described(model: ProsodyAdvForAudioClassification, corpus: Corpus) -> tuple[torch.Tensor, torch.Tensor]:
    """Functionals (clips, 154) and targets (clips, 3) of a corpus."""
    if not corpus.labelled:
        raise Wav2SmallError(f"{corpus.source} has no labels to learn: see labels in the recipe")
    clips, targets = [], []
    for row in track(open_rows(corpus), f"functionals of {corpus.source}"):
        clips.append(model.describe(torch.from_numpy(waveform(row, corpus))[None])[0])
        targets.append(torch.from_numpy(label(row, corpus)))
    return torch.stack(clips), torch.stack(targets)


def draw(clips: torch.Tensor, targets: torch.Tensor, members: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch for each member: (members, size, 154) and (members, size, 3), two clips mixed into each."""
    chosen = torch.randint(len(clips), (2, members, size))
    share = torch.distributions.Beta(MIXUP, MIXUP).sample((members, size, 1))
    mixed = [share * each[chosen[0]] + (1 - share) * each[chosen[1]] for each in (clips, targets)]
    return mixed[0], mixed[1]


def agreement(answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """CCC of each member and dimension, (members, 3), over a batch (members, size, 3)."""
    shift = (answer.mean(dim=1) - target.mean(dim=1)).square()
    variances = answer.var(dim=1, correction=0) + target.var(dim=1, correction=0)
    centred = (answer - answer.mean(dim=1, keepdim=True)) * (target - target.mean(dim=1, keepdim=True))
    return 2 * centred.mean(dim=1) / (variances + shift + 1e-6)


@torch.inference_mode()
def scores(
    model: ProsodyAdvForAudioClassification, parts: list[tuple[torch.Tensor, torch.Tensor]]
) -> dict[str, list[float]]:
    """CCC and Pearson's r on held-out clips."""
    answers, targets = [], []
    for clips, target in parts:
        networks_input = model.standardize(clips).expand(model.config.members, -1, -1)
        answers.append(model.networks(networks_input).mean(dim=0).numpy())
        targets.append(target.numpy())
    predicted, wanted = np.concatenate(answers), np.concatenate(targets)
    return {"ccc": ccc(predicted, wanted).round(4).tolist(), "pearson": pearson(predicted, wanted).round(4).tolist()}


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Train a prosody teacher from a recipe."""
    figures = train(load_recipe(recipe, overrides))
    for name, values in figures.items():
        named = zip(LABELS, values, strict=True)
        typer.echo(f"{name}: {', '.join(f'{dimension} {value:.3f}' for dimension, value in named)}")


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
