"""Distillation: a student learns to predict what its teacher predicts (arXiv 2408.13920).

wav2small distill RECIPE [key=value ...] [--resume]
accelerate launch -m wav2small_training.distillation.distill RECIPE [key=value ...] [--resume]
"""

import json
import shutil
import signal
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from accelerate import Accelerator
from accelerate.utils import set_seed
from rich.progress import TextColumn
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedModel, get_cosine_schedule_with_warmup

from wav2small.atomic import replace_folder, whole_file
from wav2small.checkpoint import load_checkpoint
from wav2small.cli.command import run_command
from wav2small.models.adv import LABELS, SAMPLING_RATE
from wav2small.models.auto import CLASSES
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import Provenance, write_provenance

from ..data import provenance
from ..data.augment import Augment
from ..data.batches import MixedBatches
from ..data.check import refuse_what_fails
from ..data.mixture import Mixture
from ..data.overlap import shared_clips
from ..data.patience import Waiting
from ..data.pins import pinned
from ..data.rendered import RenderedClips, is_rendered
from ..progress import progress
from ..recipe import Augmentation, MixtureRecipe, Recipe
from ..recipe_file import load_recipe
from ..run_folder import locked, open_run
from . import loop_state
from .ema import ema_update
from .loop_state import LoopState
from .losses import DistillationLoss
from .report import write_report
from .save_clock import SaveClock, Termination
from .targets import Targets, ValidationSet, to_device
from .work import check_shared

MAY_CHANGE = ("steps", "workers", "save_every", "save_minutes", "trackers", "cache")  # when a run goes on


def distill(recipe: Recipe, resume: bool = False) -> LoopState:
    """Train the student of a recipe.

    The output folder gets `best/` and `last/` (the averaged student, as `save_pretrained` writes it, with its
    `provenance.json`), `recipe.yaml` (all values), `history.json`, `report.md` and `curve.png` (CCC to the targets on
    validation clips; step 0 is the untrained student) and `state/` (to resume from).

    Args:
        recipe: what to do.
        resume: go on from the last saved state in the output folder.

    Returns:
        Where the run stands at its end.

    On SIGTERM the state is saved after the step, and the process ends with the code 143. When it goes on, a run may
    have more `steps` and other `workers`.

    Raises:
        Wav2SmallError: if the output folder is taken or in use, there is nothing to resume, data cannot be read, or
            teacher and audio leave the student without a licence.
    """
    out = Path(recipe.output)
    accelerator = Accelerator(mixed_precision=recipe.precision, log_with=recipe.trackers or None, project_dir=out)
    check_shared(out, accelerator)
    if accelerator.is_main_process:
        refuse_what_fails(recipe)
    recipe = pinned(recipe, out, accelerator)
    origin = provenance.of_student(recipe)
    with locked(out) if accelerator.is_main_process else nullcontext(), Termination() as termination:
        return train(recipe, origin, accelerator, prepare_run(out, recipe, resume, accelerator), termination)


def train(
    recipe: Recipe, origin: Provenance, accelerator: Accelerator, saved: Path | None, termination: Termination
) -> LoopState:
    """Train in a folder that is prepared and locked; go on from a saved state, if there is one."""
    out = Path(recipe.output)
    set_seed(recipe.seed)  # the same student on every process
    student = make_student(recipe)
    targets = Targets(recipe, accelerator)
    validation = ValidationSet(recipe, targets) if accelerator.is_main_process else None
    loader = make_loader(recipe, targets, accelerator)

    settings = recipe.optimizer
    weights = [parameter for parameter in student.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = get_cosine_schedule_with_warmup(optimizer, settings.warmup_steps, recipe.steps)
    student, optimizer = accelerator.prepare(student, optimizer)
    plain = accelerator.unwrap_model(student, keep_torch_compile=False)
    average = AveragedModel(plain, multi_avg_fn=ema_update(settings.ema_decay), use_buffers=True)
    objective = DistillationLoss(recipe.loss, accelerator)
    state = LoopState()
    parts = (state, average, schedule)
    if saved:
        loop_state.restore(accelerator, loader, parts, saved)
    accelerator.init_trackers(recipe.name, {"recipe": recipe.to_yaml()})

    start = time.monotonic() - state.seconds
    clock = SaveClock(recipe.save_every, recipe.save_minutes, accelerator)
    stream = iter(loader)
    columns = (TextColumn("loss {task.fields[loss]}"), TextColumn("skipped {task.fields[skipped]}"), Waiting())
    with progress(*columns, disable=not accelerator.is_main_process) as bar:
        task = bar.add_task(recipe.name, total=recipe.steps, loss="-", skipped=0)
        if validation and state.step == 0:
            for sentence in shared_clips(recipe):
                bar.console.print(f"[yellow]warning:[/] {sentence}: their figures flatter the student")
        while True:
            last = state.step == recipe.steps
            if validation and (last or state.step % recipe.validation.every == 0):
                validate(state, validation, average.module, out, origin)
                bar.console.print(f"step {state.step}: CCC to the targets (A, D, V) {state.history[-1]['ccc']}")
            stop, save = clock.due(state.step, termination.asked)
            if last or save:
                state.seconds = time.monotonic() - start
                if accelerator.is_main_process:
                    save_student(average.module, out / "last", origin, state)
                loop_state.save(accelerator, loader, parts, out / "state")
            if last or stop:
                break
            batch = to_device(next(stream), accelerator.device)
            student.train()
            output = student(batch["input_values"], batch["attention_mask"])
            loss = objective(output.logits, targets(batch), getattr(output, "speech", None), batch["speech"])
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(student.parameters(), settings.gradient_clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            average.update_parameters(plain)
            state.advance(loss.item() / accelerator.num_processes, batch["skipped"])
            bar.update(task, completed=state.step, loss=f"{state.loss:.3f}", skipped=state.skipped)
            accelerator.log({"loss": state.loss, "learning_rate": schedule.get_last_lr()[0]}, step=state.step)
    if last and accelerator.is_main_process:
        write_report(recipe, state)
    # DistributedDataParallel goes before the process group: as the group's last owner it would wait, with Python's lock
    # held, for a thread of gloo that waits for this lock.
    del student
    accelerator.free_memory()
    accelerator.end_training()
    if not last:
        bar.console.print(f"stopped after step {state.step}, which is saved: go on with --resume")
        raise SystemExit(128 + signal.SIGTERM)
    return state


def prepare_run(out: Path, recipe: Recipe, resume: bool, accelerator: Accelerator) -> Path | None:
    """Check the output folder and write the resolved recipe; give the state to resume from, if any."""
    if recipe.batch % accelerator.num_processes:
        raise Wav2SmallError(f"batch={recipe.batch} cannot be shared evenly by {accelerator.num_processes} processes")
    saved = loop_state.find(out / "state")
    if resume and saved is None:
        raise Wav2SmallError(f"{out} holds no state to resume from: start without --resume")
    processes = len(list(saved.glob("loader_*.json"))) if saved else 0
    if resume and processes != accelerator.num_processes:
        raise Wav2SmallError(
            f"{out} was started with {processes} processes, not {accelerator.num_processes}: go on with as many"
        )
    if not resume and saved is not None:
        raise Wav2SmallError(f"{out} holds a run already: go on with --resume, or choose another output")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        open_run(out / "recipe.yaml", recipe.to_yaml(), MAY_CHANGE)  # it may be there: killed before its first state
    return saved if resume else None


def make_student(recipe: Recipe) -> PreTrainedModel:
    """A student with random weights, or the checkpoint to go on from, in the memory layout that is fast on CPUs."""
    model_class = CLASSES[recipe.student.model]
    if recipe.student.start:
        student = load_checkpoint(recipe.student.start)
        if not isinstance(student, model_class):
            kind = student.config.model_type
            raise Wav2SmallError(f"{recipe.student.start} holds a {kind}, and the recipe a {recipe.student.model}")
    else:
        student = model_class(model_class.config_class(**recipe.student.config))
    return student.to(memory_format=torch.channels_last)


def make_mixture(recipe: MixtureRecipe, targets: Targets, accelerator: Accelerator, measure_speech: bool) -> Mixture:
    """The stream of a recipe's training clips; each process has its own share."""
    return Mixture(
        recipe.corpora,
        recipe.seed,
        recipe.crop_range,
        Augment(recipe.augmentation),
        targets.teacher_labels,
        recipe.max_bad_share,
        measure_speech,
        recipe.short_clips,
        recipe.cache,
        accelerator.process_index,
        accelerator.num_processes,
    )


def make_loader(recipe: Recipe, targets: Targets, accelerator: Accelerator) -> MixedBatches | RenderedClips:
    """The mixture in batches: rendered before, or decoded and augmented by worker processes."""
    if all(map(is_rendered, recipe.corpora)) and recipe.augmentation == Augmentation():
        return RenderedClips(recipe, accelerator.process_index, accelerator.num_processes)
    if recipe.balance:
        raise Wav2SmallError(f"{recipe.name}: balance needs rendered mixtures without augmentation: see wav2small mix")
    predicts_speech = recipe.student.model == "tcn_adv" and recipe.loss.speech > 0
    mixture = make_mixture(recipe, targets, accelerator, predicts_speech)
    return MixedBatches(
        mixture,
        recipe.batch // accelerator.num_processes,
        round(recipe.crop_range[1] * SAMPLING_RATE),
        recipe.workers,
    )


def validate(
    state: LoopState, validation: ValidationSet, student: PreTrainedModel, out: Path, origin: Provenance
) -> None:
    """Score the student, write its score down, and save it where it is the best so far."""
    if state.history and state.history[-1]["step"] == state.step:  # before the run was stopped
        return
    scores, speech_error = validation.score(student)
    mean = sum(scores) / len(scores)
    entry = {"step": state.step, "loss": state.loss, "ccc": scores}
    state.history.append(entry if speech_error is None else {**entry, "speech_error": speech_error})
    with whole_file(out / "history.json") as temporary:
        temporary.write_text(json.dumps(state.history, indent=1) + "\n", encoding="utf-8")
    if mean > state.best:
        state.best = mean
        save_student(student, out / "best", origin, state)


def save_student(student: PreTrainedModel, folder: Path, origin: Provenance, state: LoopState) -> None:
    """Save a student and its provenance in the place of an earlier one, which stays if this is interrupted."""
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    student.save_pretrained(new)
    scored = state.history[-1]
    figures = {"step": scored["step"], "ccc_to_targets": dict(zip(LABELS, scored["ccc"], strict=True))}
    if "speech_error" in scored:
        figures["speech_error"] = scored["speech_error"]
    write_provenance(replace(origin, evaluation=figures), new)
    replace_folder(new, folder)


def main(
    recipe: Annotated[Path, typer.Argument(help="YAML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last saved state.")] = False,
) -> None:
    """Train a student from a recipe."""
    settings = load_recipe(recipe, overrides)
    state = distill(settings, resume)
    if state.history:  # on the main process
        typer.echo(f"{state.step * settings.batch / state.seconds:.1f} clips/s; report: {settings.output}/report.md")


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
