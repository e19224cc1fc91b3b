"""Where a checkpoint comes from, as `provenance.json` beside its weights: teachers, corpora, recipe, code, parent.

The licence of a checkpoint is never chosen: it follows from the chain (see `licences`), when a step writes
the file and again whenever it is read.

```python
here = Provenance(step="train", name="my student", corpora=[Link("emodb", "CC-BY-4.0", use="training", clips=410)])
write_provenance(here, folder)
read_provenance(folder).check_licence("CC-BY-4.0")
```
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import hub
from ..atomic import whole_file
from ..models.errors import Wav2SmallError
from . import licences

PROVENANCE_FILE = "provenance.json"
FORMAT = 1
MODEL_USES = ("teacher", "parent")
AUDIO_USES = ("training", "mixing", "noise", "rooms", "labels", "calibration", "evaluation")


def utc_now() -> str:
    """The time in UTC, as ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def code_version() -> dict[str, Any]:
    """Version of wav2small and, where it runs from a checkout, the commit."""
    package = Path(__file__).parents[1]
    root, commit = package.parents[1], None
    if (root / ".git").exists() and package.parent.name == "modeling":
        command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        try:
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
            commit = done.stdout.strip()
        except (OSError, subprocess.CalledProcessError):  # no git here: the version must do
            pass
    return {"wav2small": version("wav2small"), "commit": commit}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a step made a checkpoint from.

    Attributes:
        step: "train", "distill", "mix", "annotate", "convert" or "export".
        name: of the result.
        teachers: models whose answers were learned; links of use "teacher".
        corpora: audio and labels; links of any other use.
        parent: checkpoint whose weights the step began with; a link of use "parent".
        recipe: name, `sha256` of the resolved recipe, and facts such as steps and seed.
        onnx: date and code of the export, where there are ONNX files.
        evaluation: figures, with what they were measured on.
        code: version of wav2small and, in a checkout, its commit ("-dirty" if files were changed).
        date: UTC, ISO 8601.
        licence: SPDX id that follows from the links; not to be given.

    Raises:
        Wav2SmallError: if the licence of a link is unknown, or no licence meets what all links ask for.
    """

    step: str
    name: str
    teachers: Sequence["Link"] = ()
    corpora: Sequence["Link"] = ()
    parent: "Link | None" = None
    recipe: dict[str, Any] | None = None
    onnx: dict[str, Any] | None = None
    evaluation: dict[str, Any] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=code_version)
    date: str = field(default_factory=utc_now)
    licence: str = field(init=False)

    def __post_init__(self) -> None:
        for name in ("teachers", "corpora"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        counted = [(link.id, link.licence) for link in self.direct_links() if link.shapes_weights]
        try:
            licence = licences.derive_licence(counted)
        except Wav2SmallError as error:
            raise Wav2SmallError(f"{self.name}: {error}") from None
        object.__setattr__(self, "licence", licence)

    def direct_links(self) -> list["Link"]:
        """What this step itself used: parent, teachers, corpora."""
        return [*([self.parent] if self.parent else []), *self.teachers, *self.corpora]

    def links(self) -> Iterator["Link"]:
        """All links of the chain, each followed by those beneath it."""
        for link in self.direct_links():
            yield link
            if link.provenance:
                yield from link.provenance.links()

    def roots(self) -> Iterator["Link"]:
        """The links that a licence follows from: those that count and have nothing known beneath them."""
        for link in self.direct_links():
            if link.shapes_weights:
                yield from link.provenance.roots() if link.provenance else [link]

    def check_licence(self, licence: str) -> None:
        """Make sure that the checkpoint may be published under a licence: the derived one, or a stricter one.

        Raises:
            Wav2SmallError: if a link forbids it; the message names the link.
        """
        try:
            licences.check_licence(licence, [(f"the {link.use} {link.id}", link.licence) for link in self.roots()])
        except Wav2SmallError as error:
            raise Wav2SmallError(f"{self.name}: {error}") from None

    def attributions(self) -> list[str]:
        """One line for each part of the chain whose licence asks to be kept or named, each part once."""
        lines: dict[tuple[str, str | None], list[str]] = {}
        for link in self.roots():
            if licences.licence_of((link.id, link.licence)).credit > licences.Credit.NONE:
                lines.setdefault((link.credit or link.id, link.licence), []).append(link.use)
        return [f"{name} ({licence}): {', '.join(dict.fromkeys(uses))}" for (name, licence), uses in lines.items()]

    def to_dict(self) -> dict[str, Any]:
        """What `provenance.json` holds."""
        values: dict[str, Any] = {"format": FORMAT, "step": self.step, "name": self.name, "licence": self.licence}
        values |= {"date": self.date, "code": self.code, "recipe": self.recipe, "onnx": self.onnx}
        values |= {name: [link.to_dict() for link in getattr(self, name)] for name in ("teachers", "corpora")}
        return values | {"parent": self.parent and self.parent.to_dict(), "evaluation": self.evaluation}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Provenance":
        """Read what [`to_dict`] gave.

        Raises:
            Wav2SmallError: if it is of a newer format, or its licence is not the one that follows from its links.
            ValueError, TypeError: if it is not of this format.
        """
        values = dict(values)
        found = values.pop("format", None)
        if isinstance(found, int) and found > FORMAT:
            raise Wav2SmallError(f"it is of format {found}, and this wav2small reads {FORMAT}: install a newer one")
        if found != FORMAT:
            raise ValueError(f"format is {found!r}")
        licence = values.pop("licence", None)
        for name in ("teachers", "corpora"):
            values[name] = tuple(Link.from_dict(link) for link in values.get(name, ()))
        if values.get("parent") is not None:
            values["parent"] = Link.from_dict(values["parent"])
        kinds: dict[str, Any] = {"step": str, "name": str, "date": str, "code": dict, "evaluation": dict}
        kinds |= {"recipe": dict | None, "onnx": dict | None}
        for name, kind in kinds.items():
            if not isinstance(values.get(name), kind):
                raise ValueError(f"{name} is {values.get(name)!r}")
        made = cls(**values)
        if made.licence != licence:
            raise Wav2SmallError(
                f"{made.name} says that its licence is {licence}, but {made.licence} follows from what it was made "
                "from: it was changed by hand, and cannot be relied upon"
            )
        return made


@dataclass(frozen=True)
class Link:
    """One thing that a step used.

    Attributes:
        id: on the Hub, or the name of a folder.
        licence: SPDX id; `None`: unknown, which only evaluation data may be.
        use: "teacher" or "parent" for a model; for audio "training", "mixing", "noise", "rooms", "labels",
            "calibration" or "evaluation".
        revision: commit on the Hub.
        clips: how many.
        hours: of audio.
        credit: whom to name: title, authors, year; default: the id.
        provenance: of a model that has one.

    Raises:
        ValueError: if a value cannot be.
    """

    id: str
    licence: str | None
    use: str
    revision: str | None = None
    clips: int | None = None
    hours: float | None = None
    credit: str | None = None
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        if self.use not in (*MODEL_USES, *AUDIO_USES):
            raise ValueError(f"use is {self.use!r}: it must be one of {', '.join((*MODEL_USES, *AUDIO_USES))}")
        for name in ("id", "licence", "revision", "credit"):
            if not isinstance(getattr(self, name), str | None):
                raise ValueError(f"{name} is {getattr(self, name)!r}")
        for name in ("clips", "hours"):
            amount = getattr(self, name)
            if amount is not None and not (isinstance(amount, int | float) and amount >= 0):
                raise ValueError(f"{name} is {amount!r}")
        if not self.id:
            raise ValueError("id is empty")
        if known := licences.find_licence(self.licence):
            object.__setattr__(self, "licence", known.id)
        if self.provenance and self.provenance.licence != self.licence:
            raise ValueError(f"the licence of {self.id} is not that of its provenance")

    @property
    def shapes_weights(self) -> bool:
        """Whether it shaped the weights, so that their licence follows from it."""
        return self.use != "evaluation"

    def to_dict(self) -> dict[str, Any]:
        """What is known, as JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["provenance"] = self.provenance and self.provenance.to_dict()
        return {name: value for name, value in values.items() if value is not None or name == "licence"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Link":
        """Read what [`to_dict`] gave."""
        values = dict(values)
        if values.get("provenance") is not None:
            values["provenance"] = Provenance.from_dict(values["provenance"])
        return cls(**values)


def read_provenance(source: str | Path, revision: str | None = None) -> Provenance:
    """Read the provenance of a checkpoint.

    Args:
        source: a folder, or an id on the Hub.
        revision: branch, tag or commit on the Hub.

    Raises:
        Wav2SmallError: if there is none, it cannot be read, or its licence does not follow from its links.
    """
    file = hub.resolve_checkpoint(source, [PROVENANCE_FILE], revision) / PROVENANCE_FILE
    if not file.is_file():
        raise Wav2SmallError(f"{source} has no {PROVENANCE_FILE}: wav2small did not make it, or an older version did")
    try:
        return Provenance.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except Wav2SmallError as error:
        raise Wav2SmallError(f"{source}, {PROVENANCE_FILE}: {error}") from None
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise Wav2SmallError(f"{source}: {PROVENANCE_FILE} is not a provenance that can be read ({error})") from None


def write_provenance(provenance: Provenance, folder: Path) -> None:
    """Write `provenance.json` into a folder, whole or not at all.

    Raises:
        Wav2SmallError: if the folder does not exist or cannot be written to.
    """
    with whole_file(folder / PROVENANCE_FILE) as temporary:
        text = json.dumps(provenance.to_dict(), indent=1, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def link_model(source: str, use: str, revision: str | None = None, licence: str | None = None) -> Link:
    """Find out what is known of a model: its own provenance or, where it has none, its licence.

    The licence is looked for, in this order, among the published models, in the members of a teacher of ours, in the
    card, and by the id that config.json says the model was loaded from.

    Args:
        source: a folder, or an id on the Hub.
        use: of the link: "teacher" or "parent".
        revision: branch, tag or commit on the Hub; the link gets the commit.
        licence: what the user says it is, for a model of which nothing is known.

    Raises:
        Wav2SmallError: if the model cannot be found, or the licence is known and is not the one that was given.
    """
    local = Path(source).is_dir()
    folder = hub.resolve_checkpoint(source, [PROVENANCE_FILE, "README.md", "config.json"], revision)
    if (folder / PROVENANCE_FILE).is_file():
        chain = read_provenance(folder)
        found: str | None = chain.licence
    else:
        chain, found = None, (None if local else licences.published_licence(source)) or _licence_in(folder)
    if found and licence and licences.find_licence(found) != licences.find_licence(licence):
        raise Wav2SmallError(f"{source} is {found}, not {licence}: leave the licence away")
    name = Path(source).resolve().name if local else source
    return Link(name, found or licence, use, hub.commit_of(folder) or revision, provenance=chain)


def _licence_in(folder: Path) -> str | None:
    """What the files of a model say of its licence."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        members = [(str(member["source"]), member["licence"]) for member in config.get("members", ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # whoever loads the model will say so
        config, members = {}, []
    if members and all(licence for _, licence in members):
        return licences.derive_licence(members)
    if (folder / "README.md").is_file():
        from huggingface_hub import metadata_load

        try:
            card = metadata_load(folder / "README.md") or {}
        except Exception as error:  # of YAML, or of huggingface_hub
            reason = str(error).splitlines()[0]
            raise Wav2SmallError(f"{folder / 'README.md'} has front matter that is not YAML ({reason})") from None
        if card.get("license"):
            return str(card["license"])
    return licences.published_licence(str(config.get("_name_or_path", "")))
