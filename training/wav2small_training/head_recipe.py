"""The recipe of a teacher: a frozen encoder, labelled corpora, and the head that is fitted to them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from wav2small.models.adv import LEAST_SECONDS

from .recipe import Augmentation, Corpus, Count, Entry, Positive


class Encoder(Entry):
    """A frozen speech encoder, and which of its states a head hears.

    Attributes:
        source: folder or Hub id of a Whisper, wav2vec2 or WavLM model, or of a published teacher.
        states: the blocks whose states are pooled over time, from 1.
        revision: on the Hub.
        licence: of the weights, as an SPDX id; default: what is known of published models.
        credit: whom to name; default: the source.
    """

    source: str
    states: Annotated[list[Count], Field(min_length=1)]
    revision: str | None = None
    licence: str | None = None
    credit: str | None = None


class HeadCorpus(Corpus):
    """A labelled corpus to fit a head to.

    Attributes:
        speaker: column that names the speaker, so that nobody is fitted to and scored; default: each clip its own.
        copies: augmented copies of each clip that are fitted to as well.
    """

    speaker: str | None = None
    copies: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _has_targets(self) -> Self:
        if not self.labelled:
            raise ValueError("a head is fitted to labels: give labels or word")
        return self


class HeadRecipe(Entry):
    """How a teacher is made of a frozen encoder and labelled corpora: all of `wav2small train-head`.

    Attributes:
        name: of the teacher.
        encoder: that is kept as it is.
        corpora: that the head is fitted to, each centred by its own means. On the first, the scale is calibrated.
        neutral: corpora, or parts of them, of people who speak without emotion: what the head predicts for them on
            average, each corpus with the same weight, becomes the middle of the scale.
        augmentation: of the copies; only the changes of a recording.
        crop_seconds: the most that is heard of a clip, from its start.
        penalties: of the ridge regression, to choose from by unseen speakers and unseen corpora.
        networks: small networks beside the regression.
        units: hidden units of each.
        steps: of their training.
        seed: of copies and networks.
        licence: that the teacher shall have, as an SPDX id; default: what follows, which must allow commercial use.
        cache: folder of the features, which are computed once.
        output: folder of the teacher.
    """

    name: str
    encoder: Encoder
    corpora: Annotated[list[HeadCorpus], Field(min_length=1)]
    neutral: list[Corpus] = []  # noqa: RUF012
    augmentation: Augmentation = Augmentation()
    crop_seconds: Annotated[float, Field(ge=LEAST_SECONDS, le=30)] = 10.0
    penalties: Annotated[list[Positive], Field(min_length=1)] = [1.0, 2.0, 3.0]  # noqa: RUF012
    networks: Annotated[int, Field(ge=0)] = 4
    units: Count = 32
    steps: Count = 600
    seed: int = 0
    licence: str | None = None
    cache: str
    output: str
