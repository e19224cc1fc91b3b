"""A recipe: one YAML file that says all of how a student comes to be; strict, typed, and without side effects."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wav2small.models.errors import Wav2SmallError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Entry(BaseModel):
    """What all parts of a recipe have in common: no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Corpus(Entry):
    """One source of audio.

    Attributes:
        source: id of a data set on the Hub, a local folder (with or without a metadata.csv), or a pattern of Parquet
            (`*.parquet`) or WebDataset (`*.tar`) shards.
        licence: of the audio, as an SPDX id where there is one; the student's licence follows from it.
        config: configuration of the data set on the Hub.
        split: of the data set on the Hub.
        revision: of the data set on the Hub.
        weight: share of this source in the mixture, relative to the others.
        audio: column, or suffix in a WebDataset, that holds the audio.
        id: column that names a clip; default: the path of its audio.
        where: values that columns must have, for example `{split: train}`.
        labels: where each clip brings its own target: three columns (A, D, V, about 0..1), or one column of emotion
            words, which stand for their published norms.
        word: an emotion word for all clips, in the place of labels: `neutral` for read speech.
        agreement: column with the share of listeners who heard that emotion word: the target moves by the rest towards
            the middle of the scale.
        credit: whom to name where the licence asks for it: title, authors, year; default: the source.
    """

    source: str
    licence: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    weight: Positive = 1.0
    audio: str = "audio"
    id: str | None = None
    where: dict[str, str] = {}
    labels: str | tuple[str, str, str] | None = None
    word: str | None = None
    agreement: str | None = None
    credit: str | None = None

    @property
    def labelled(self) -> bool:
        """Whether its clips bring their targets along."""
        return self.labels is not None or self.word is not None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.labels is not None and self.word is not None:
            raise ValueError("give labels or word, not both")
        if self.agreement is not None and not isinstance(self.labels, str):
            raise ValueError("agreement is with an emotion word: labels must name its column")
        return self


class Augmentation(Entry):
    """Changes of the audio; a probability of 0 turns one off.

    The first three change what there is to hear, and so the teacher's answer; the others are the recording's, and a
    student that learns the answer to the clean audio under them becomes robust: see `teacher_hears`.

    Attributes:
        shorten: probability of a cut to a random length of at least 0.5 s.
        speed: probability of another tape speed from `speed_range`: pitch and formants of a speaker who is not there.
        speed_range: slowest and fastest.
        mix: probability that a second clip of the mixture is added (paper).
        mix_snr_db: lowest and highest level of the first clip above the second, in dB.
        teacher_hears: `"recording"`: all of these changes (paper); `"clean"`: only shorten, speed and mix.
        noise: probability of recorded noise from `noise_folder`, at `noise_snr_db`; `noise_licence` and `noise_credit`
            are as for a corpus.
        rooms: probability of a measured room from `rooms_folder`, likewise.
        level: probability of a gain drawn from `level_db`.
        band_limit: probability of a band pass or a low pass, as of a telephone.
        tilt: probability of a high shelf and of a low shelf, -14 to 10 dB, as between microphones.
        hiss: probability of coloured noise 8 to 40 dB below the clip.
        clipping: probability of clipping up to 30 % of the samples.
    """

    shorten: Share = 0.0
    speed: Share = 0.0
    speed_range: tuple[Positive, Positive] = (0.84, 1.19)
    mix: Share = 0.0
    mix_snr_db: tuple[float, float] = (0.0, 20.0)
    teacher_hears: Literal["recording", "clean"] = "recording"
    noise: Share = 0.0
    noise_folder: str | None = None
    noise_licence: str | None = None
    noise_credit: str | None = None
    noise_snr_db: tuple[float, float] = (0.0, 40.0)
    rooms: Share = 0.0
    rooms_folder: str | None = None
    rooms_licence: str | None = None
    rooms_credit: str | None = None
    level: Share = 0.0
    level_db: tuple[float, float] = (-30.0, 10.0)
    band_limit: Share = 0.0
    tilt: Share = 0.0
    hiss: Share = 0.0
    clipping: Share = 0.0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for kind in ("noise", "rooms"):
            for need in ("folder", "licence"):
                if getattr(self, kind) and not getattr(self, f"{kind}_{need}"):
                    raise ValueError(f"{kind} needs {kind}_{need}")
        for name in ("mix_snr_db", "noise_snr_db", "level_db", "speed_range"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must rise, not {low} to {high}")
        return self


class Student(Entry):
    """The model to train.

    Attributes:
        model: its `model_type`.
        config: fields of its configuration that differ from the defaults.
        start: a checkpoint to go on from, instead of random weights.
    """

    model: Literal["wav2small", "mobilenet_adv", "prosody_adv"] = "wav2small"
    config: dict[str, Any] = {}
    start: str | None = None


class Optimizer(Entry):
    """AdamW with a linear warm-up and a cosine to zero.

    Attributes:
        gradient_clip: largest norm of the gradient.
        ema_decay: of the moving average of the weights; the average is what is evaluated and saved. 0 turns it off.
    """

    learning_rate: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    gradient_clip: Positive = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.995


class Loss(Entry):
    """`ccc` * (1 - concordance correlation) + `l2` * mean squared error."""

    ccc: Annotated[float, Field(ge=0)] = 1.0
    l2: Annotated[float, Field(ge=0)] = 1.0


class Evaluation(Entry):
    """Held-out clips, scored while training; the best student is the one that does best on its worst corpus.

    Attributes:
        corpora: where they come from.
        clips: how many.
        every: steps from one evaluation to the next.
    """

    corpora: Annotated[list[Corpus], Field(min_length=1)]
    clips: Count = 256
    every: Count = 200


class Recipe(Entry):
    """All of one experiment. Paths are relative to where the command is run.

    Attributes:
        name: of the student.
        corpora: the mixture to train on.
        teacher: checkpoint folder or Hub id of a model of ours, or of published teachers in their own layout; a list
            stands for the mean of its members. Its answers are the targets, unclipped.
        annotations: folder that `wav2small annotate` wrote; its answers are used instead of running the teacher.
        batch: clips a step, over all processes.
        crop_seconds: length of a training clip; shorter audio is padded and masked.
        workers: processes a process of the training uses to decode and augment; 0 for none.
        max_bad_share: share of unreadable items above which the training stops.
        precision: of the forward passes.
        trackers: of accelerate, such as "tensorboard".
        output: folder of the run.
    """

    name: str
    corpora: Annotated[list[Corpus], Field(min_length=1)]
    teacher: str | list[str] | None = None
    annotations: str | None = None
    student: Student = Student()
    augmentation: Augmentation = Augmentation()
    optimizer: Optimizer = Optimizer()
    loss: Loss = Loss()
    evaluation: Evaluation
    steps: Count
    batch: Annotated[int, Field(ge=2)] = 64
    crop_seconds: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    seed: int = 0
    workers: Annotated[int, Field(ge=0)] = 1
    max_bad_share: Share = 0.05
    precision: Literal["no", "fp16", "bf16"] = "no"
    trackers: list[str] = []
    save_every: Count = 500
    output: str

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        labelled = {corpus.labelled for corpus in (*self.corpora, *self.evaluation.corpora)}
        if len(labelled) == 2:
            raise ValueError("some corpora have labels and some have none")
        if sum((self.teacher is not None, self.annotations is not None, labelled == {True})) != 1:
            raise ValueError("give one of: teacher, annotations, or the labels of each corpus")
        if self.teacher is None and self.augmentation.mix:
            raise ValueError("annotations and labels hold answers for single clips: augmentation.mix needs a teacher")
        if not self.loss.ccc and not self.loss.l2:
            raise ValueError("loss.ccc and loss.l2 are both 0: there is nothing to learn")
        return self

    def to_yaml(self) -> str:
        """All values, defaults included, as YAML that [`load`] reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: of the YAML file.
        overrides: `key=value`, keys with dots and list positions (`corpora.0.weight=2`), values as in YAML.

    Raises:
        Wav2SmallError: for a file that cannot be read, unknown or contradictory keys; it names file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree, values = yaml.compose(text), yaml.safe_load(text)
    except OSError as error:
        raise Wav2SmallError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise Wav2SmallError(f"{path}{place}: {getattr(error, 'problem', None) or 'not YAML'}") from None
    if not isinstance(values, dict):
        raise Wav2SmallError(f"{path} is not a recipe: it must hold keys and values")
    changed = {}
    for override in overrides or []:
        key, equals, value = override.partition("=")
        if not equals:
            raise Wav2SmallError(f"{override}: an override is written key=value")
        changed[_set(values, key, yaml.safe_load(value))] = override
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = next((text for key, text in changed.items() if first["loc"][: len(key)] == key), None)
        where = where or f"{path}, line {_line(tree, first['loc'])}"
        key = ".".join(str(part) for part in first["loc"])
        message = {"extra_forbidden": "unknown key", "missing": "is missing"}.get(first["type"], first["msg"])
        raise Wav2SmallError(f"{where}: {key + ': ' if key else ''}{message.removeprefix('Value error, ')}") from None


def _set(values: Any, key: str, value: Any) -> tuple:
    """Set one dotted key; return it as a tuple."""
    parts = tuple(int(part) if part.isdigit() else part for part in key.split("."))
    try:
        for part in parts[:-1]:
            values = values.setdefault(part, {}) if isinstance(values, dict) else values[part]
        values[parts[-1]] = value
    except (TypeError, IndexError, AttributeError):
        raise Wav2SmallError(f"{key}={value}: the recipe has no such place") from None
    return parts


def _line(node: yaml.Node, location: tuple) -> int:
    """Line of a key in the file, or of the nearest key above it that is there."""
    line = node.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1
