"""A recipe: one YAML file that says all of how a student is made; strict, typed, and without side effects."""

from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from wav2small.models.adv import LEAST_SECONDS

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=LEAST_SECONDS, le=60)]


class Entry(BaseModel):
    """What all parts of a recipe have in common: no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    later: ClassVar[frozenset[str]] = frozenset()  # keys written only where used: older recipes keep their hash

    @model_serializer(mode="wrap")
    def _without_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unused = {name for name in self.later if getattr(self, name) == type(self).model_fields[name].default}
        return {name: value for name, value in write(self).items() if name not in unused}

    def to_yaml(self) -> str:
        """All values, defaults included, as YAML that can be loaded again."""
        return str(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True))

    @model_validator(mode="after")
    def _ranges_rise(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            pair = isinstance(value, tuple) and len(value) == 2 and all(isinstance(end, int | float) for end in value)
            if pair and value[0] > value[1]:
                raise ValueError(f"{name} must rise, not {value[0]} to {value[1]}")
        return self


class Corpus(Entry):
    """One source of audio.

    Attributes:
        source: id of a data set on the Hub, a local folder (with or without a metadata.csv), or a pattern of Parquet
            (`*.parquet`) or WebDataset (`*.tar`) shards.
        licence: of the audio, as an SPDX id where there is one; the student's licence follows from it. For your own
            recordings `LicenseRef-proprietary`: the student stays private, or is published under terms of your own.
        config: configuration of the data set on the Hub.
        split: of the data set on the Hub.
        revision: of the data set on the Hub.
        weight: share of this source in the mixture, relative to the others.
        audio: column, or suffix in a WebDataset, that holds the audio.
        id: column that names a clip; default: the path of its audio.
        where: values that columns must have, for example `{split: train}`; a list allows each of its values.
        labels: where each clip has its own target: three columns (A, D, V, about 0..1), or one column of emotion
            words, which stand for their published norms.
        word: an emotion word for all clips, in the place of labels: `neutral` for read speech.
        scale: lowest and highest rating in these columns, such as `[1, 7]`; they become 0 and 1, and what is outside of
            them is an error. Without it the labels are about 0..1, as teachers predict them.
        agreement: column with the share of listeners who chose that emotion word (0..1): the less they agreed, the
            nearer the target is to the middle of the scale.
        credit: whom to name where the licence asks for it: title, authors, year; default: the source.
        speech: whether people can be heard in it. Where not (noise, music, silence), its clips have no A/D/V, and a
            student that also predicts the share of speech learns 0 from them.
    """

    later = frozenset({"scale"})

    source: str
    licence: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    weight: Positive = 1.0
    audio: str = "audio"
    id: str | None = None
    where: dict[str, str | list[str]] = {}
    labels: str | tuple[str, str, str] | None = None
    word: str | None = None
    scale: tuple[float, float] | None = None
    agreement: str | None = None
    credit: str | None = None
    speech: bool = True

    @property
    def labelled(self) -> bool:
        """Whether its clips have their own targets."""
        return self.labels is not None or self.word is not None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.labels is not None and self.word is not None:
            raise ValueError("give labels or word, not both")
        if self.agreement is not None and not isinstance(self.labels, str):
            raise ValueError("agreement is with an emotion word: labels must name its column")
        if self.scale is not None and not isinstance(self.labels, tuple):
            raise ValueError("scale is that of ratings: labels must name their three columns")
        if self.scale is not None and self.scale[0] == self.scale[1]:
            raise ValueError("scale must rise")
        return self


class Voice(Entry):
    """Random changes of a voice, which the teacher labels anew.

    Attributes:
        probability: of each of the changes, on its own; 0 turns all of them off.
        pitch: lowest and highest factor of the pitch; the formants stay.
        pitch_range: lowest and highest factor of how far the pitch moves about its median, in octaves: flat voices
            below 1, lively ones above it, such as 0.4 and 1.8; the formants stay. Default: unchanged.
        formants: lowest and highest factor of the formant frequencies, as between larger and smaller speakers; the
            pitch stays.
        tempo: lowest and highest factor of the speed of speaking; pitch and formants stay.
        effort_db: lowest and highest tilt of the spectrum, in dB per octave: soft to loud voices.
    """

    later = frozenset({"pitch_range"})

    probability: Share = 0.0
    pitch: tuple[Positive, Positive] = (0.75, 1.33)
    pitch_range: tuple[Positive, Positive] = (1.0, 1.0)
    formants: tuple[Positive, Positive] = (0.85, 1.18)
    tempo: tuple[Positive, Positive] = (0.72, 1.4)
    effort_db: tuple[float, float] = (-4.0, 4.0)


class Augmentation(Entry):
    """Random changes of the training clips. A number is the probability of a change; 0 turns it off.

    `voice`, `speed`, `join` and `mix` change how something is said, so the teacher labels their result. All other
    changes are those of a recording: room, microphone, line, noise. A student that learns the label of the clean clip
    from its recording becomes robust to them, see `teacher_input`.

    Attributes:
        voice: pitch and its range, formants, tempo and effort of the voice.
        speed: speed perturbation (Ko et al. 2015): tempo, pitch and formants change together, by a factor from
            `speed_range`.
        speed_range: lowest and highest factor.
        join: a second clip of the mixture follows the first part of the clip.
        mix: a second clip of the mixture is added (as in the paper), at a ratio from `mix_snr_db`.
        mix_snr_db: lowest and highest level of the first clip above the second, in dB.
        mix_corpora: where the second clip of `mix` comes from; default: the corpora of the mixture.
        teacher_input: what the teacher labels: the `"recording"`, with all changes (as in the paper), or the `"clean"`
            clip, before the changes of a recording.
        recordings: how many recordings of each labelled clip `wav2small mix` renders, since the teacher is the slow
            part; only with `teacher_input: clean`.
        unchanged: the recording stays as it is: a student needs clean clips too.
        reverberation: convolution with a room impulse response of `rir_folder`.
        rir_folder: recordings of room impulse responses; `rir_licence` and `rir_credit` are as for a corpus.
        microphone: frequency response of another microphone: a high shelf and a low shelf, -14 to 10 dB.
        band_limit: a band pass as of a telephone line, or a low pass.
        noise: recorded noise from `noise_folder`, at a ratio from `noise_snr_db`.
        noise_folder: recordings of noise; `noise_licence` and `noise_credit` are as for a corpus.
        noise_snr_db: lowest and highest level of the clip above the noise, in dB.
        coloured_noise: noise of a random colour, 8 to 40 dB below the clip.
        clipping: up to 30 % of the samples are clipped.
        codec: the clip is coded and decoded again, as MP3, Opus, Vorbis or 8-bit mu-law.
        level: a gain from `level_db`.
        level_db: lowest and highest gain, in dB.
    """

    later = frozenset({"mix_corpora"})

    voice: Voice = Voice()
    speed: Share = 0.0
    speed_range: tuple[Positive, Positive] = (0.84, 1.19)
    join: Share = 0.0
    mix: Share = 0.0
    mix_snr_db: tuple[float, float] = (0.0, 20.0)
    mix_corpora: list[Corpus] = []
    teacher_input: Literal["recording", "clean"] = "recording"
    recordings: Count = 1
    unchanged: Share = 0.0
    reverberation: Share = 0.0
    rir_folder: str | None = None
    rir_licence: str | None = None
    rir_credit: str | None = None
    microphone: Share = 0.0
    band_limit: Share = 0.0
    noise: Share = 0.0
    noise_folder: str | None = None
    noise_licence: str | None = None
    noise_credit: str | None = None
    noise_snr_db: tuple[float, float] = (0.0, 40.0)
    coloured_noise: Share = 0.0
    clipping: Share = 0.0
    codec: Share = 0.0
    level: Share = 0.0
    level_db: tuple[float, float] = (-30.0, 10.0)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for change, kind in (("noise", "noise"), ("reverberation", "rir")):
            for need in ("folder", "licence"):
                if getattr(self, change) and not getattr(self, f"{kind}_{need}"):
                    raise ValueError(f"{change} needs {kind}_{need}")
        if self.recordings > 1 and self.teacher_input != "clean":
            raise ValueError("several recordings share the label of the clean clip: they need teacher_input: clean")
        return self

    @property
    def needs_teacher(self) -> bool:
        """Whether a change makes a clip that no label of a single clip fits."""
        return bool(self.join or self.mix)


class Student(Entry):
    """The model to train.

    Attributes:
        model: its `model_type`.
        config: fields of its configuration that differ from the defaults.
        start: a checkpoint to go on from, instead of random weights.
    """

    model: Literal["wav2small", "mobilenet_adv", "tcn_adv"] = "wav2small"
    config: dict[str, Any] = {}
    start: str | None = None


class Optimizer(Entry):
    """AdamW with a linear warm-up and a cosine to zero.

    Attributes:
        gradient_clip: largest norm of the gradient.
        ema_decay: of the exponential moving average (EMA) of the weights, which is what is validated and saved. It is
            lower in the first steps, so that the random start is soon forgotten. 0 turns the average off.
    """

    learning_rate: Positive = 2e-3
    weight_decay: NotNegative = 0.01
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    gradient_clip: Positive = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.995


class Loss(Entry):
    """`ccc` * (1 - concordance correlation) + `l2` * mean squared error + `speech` * binary cross-entropy.

    The last is that of the share of speech, for students that predict it (tcn_adv), where the share is known.
    """

    ccc: NotNegative = 1.0
    l2: NotNegative = 1.0
    speech: NotNegative = 0.3


class Cache(Entry):
    """Where Parquet files of the Hub are kept, so that later epochs read the disk.

    Attributes:
        folder: on the disk of each machine.
        gigabytes: at most; what was not read for longest makes room.
    """

    folder: str
    gigabytes: Positive = 100.0


class Validation(Entry):
    """Clips that are not trained on, scored while training; the best student is best on its worst corpus.

    Attributes:
        corpora: where they come from.
        clips: how many.
        every: steps from one validation to the next.
    """

    corpora: Annotated[list[Corpus], Field(min_length=1)]
    clips: Count = 256
    every: Count = 200


def as_accelerate_spells(precision: object) -> object:
    """The name of a precision; YAML reads a bare `no` as false."""
    return "no" if precision in (False, "fp32") else precision


class MixtureRecipe(Entry):
    """The mixture of a recipe: which clips there are to train on, and who labels them. Enough for `wav2small mix`.

    Paths are relative to where the command is run.

    Attributes:
        name: of the mixture, or of the student.
        corpora: where the clips come from.
        teacher: checkpoint folder or Hub id of a model of ours, or of published teachers in their own layout; a list
            stands for the mean of its members. Its predictions are the targets, unclipped.
        teacher_labels: folder that `wav2small annotate` wrote; its labels are used instead of running the teacher.
        augmentation: random changes of the clips.
        crop_seconds: length of a training clip, or the range that each clip's length is drawn from.
        short_clips: what becomes of a clip that is shorter than its crop: `pad` (and mask), `repeat` it, or `join` the
            clips that follow it in its corpus, which needs a teacher.
        seed: of order, crops, augmentation and the student's random weights.
        workers: processes a process of the training uses to decode and augment; 0 for none.
        cache: where what was fetched from the Hub is kept.
        max_bad_share: share of unreadable items above which the training stops.
        precision: of the forward passes of student and teacher, on any device: fp32, fp16 or bf16. A resolved
            recipe says "no" for fp32, as accelerate does.
    """

    later = frozenset({"cache", "short_clips"})

    name: str
    corpora: Annotated[list[Corpus], Field(min_length=1)]
    teacher: str | list[str] | None = None
    teacher_labels: str | None = None
    augmentation: Augmentation = Augmentation()
    crop_seconds: Seconds | tuple[Seconds, Seconds] = 5.0
    short_clips: Literal["pad", "repeat", "join"] = "pad"
    seed: int = 0
    workers: Annotated[int, Field(ge=0)] = 1
    cache: Cache | None = None
    max_bad_share: Share = 0.05
    precision: Annotated[Literal["no", "fp16", "bf16"], BeforeValidator(as_accelerate_spells)] = "no"

    @property
    def crop_range(self) -> tuple[float, float]:
        """Shortest and longest crop, in s."""
        return self.crop_seconds if isinstance(self.crop_seconds, tuple) else (self.crop_seconds, self.crop_seconds)

    @property
    def mixture(self) -> "MixtureRecipe":
        """The mixture alone, where a recipe says more."""
        return MixtureRecipe.model_validate(self.model_dump(include=set(MixtureRecipe.model_fields)))

    @property
    def spoken_corpora(self) -> list[Corpus]:
        """Every corpus whose clips need a label."""
        return [corpus for corpus in self.corpora if corpus.speech]

    @model_validator(mode="after")
    def _one_source_of_targets(self) -> Self:
        labelled = {corpus.labelled for corpus in self.spoken_corpora}
        if len(labelled) == 2:
            raise ValueError("some corpora have labels and some have none")
        if sum((self.teacher is not None, self.teacher_labels is not None, labelled == {True})) != 1:
            raise ValueError("give one of: teacher, teacher_labels, or the labels of each corpus")
        if self.teacher is None and self.augmentation.needs_teacher:
            raise ValueError("the labels are those of single clips: augmentation.mix and .join need a teacher")
        if self.teacher is None and self.short_clips == "join":
            raise ValueError("the labels are those of single clips: short_clips: join needs a teacher")
        if self.teacher_labels and self.short_clips != "pad":
            raise ValueError("teacher labels are those of clips as they are: short_clips must be pad")
        return self


class Recipe(MixtureRecipe):
    """All of one experiment: a mixture, the student that trains on it, and how.

    Attributes:
        student: the model to train.
        optimizer: how its weights move.
        loss: what is minimised.
        validation: clips that choose the best student.
        steps: of the optimizer.
        batch: clips in a step, over all processes; the CCC in the loss is that of a batch.
        balance: how much more often clips in rare regions of the arousal-valence plane are drawn: 0 not at all, 1 as if
            the plane were evenly filled. Only for rendered mixtures, whose labels are known.
        trackers: of accelerate, such as "tensorboard".
        save_every: steps from one saved state to the next.
        save_minutes: minutes after which the state is saved, too.
        output: folder of the run.
    """

    later = MixtureRecipe.later | {"save_minutes"}

    student: Student = Student()
    optimizer: Optimizer = Optimizer()
    loss: Loss = Loss()
    validation: Validation
    steps: Count
    batch: Annotated[int, Field(ge=2)] = 128
    balance: Share = 0.0
    trackers: list[str] = []
    save_every: Count = 500
    save_minutes: Positive = 10.0
    output: str

    @property
    def spoken_corpora(self) -> list[Corpus]:
        """The corpora of training and validation whose clips need a label."""
        return [corpus for corpus in (*self.corpora, *self.validation.corpora) if corpus.speech]

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not self.loss.ccc and not self.loss.l2:
            raise ValueError("loss.ccc and loss.l2 are both 0: there is nothing to learn")
        return self
