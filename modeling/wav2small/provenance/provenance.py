"""What a checkpoint was made from, as `provenance.json` beside its weights: teachers, corpora, recipe, code, parent.

Nobody chooses the licence of a checkpoint. It follows from the sources (see `licences`): it is derived when the file is
written, and derived again and compared whenever the file is read.

Example:
    >>> speech = Link("emodb", "CC-BY-4.0", use="training", clips=410)
    >>> made = Provenance(step="train", name="my student", corpora=[speech])
    >>> made.licence
    'CC-BY-4.0'
    >>> made.check_licence("Apache-2.0")
    Traceback (most recent call last):
    wav2small.models.errors.Wav2SmallError: my student: it cannot be Apache-2.0: the training emodb is CC-BY-4.0, ...
"""

import hashlib
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
    """The time now, in UTC, as ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def code_version() -> dict[str, Any]:
    """Version of wav2small, with [`checkout_version`] where it runs from a checkout."""
    package = Path(__file__).parents[1]
    checkout = package.parents[1] if package.parent.name == "modeling" else package
    return {"wav2small": version("wav2small"), **checkout_version(checkout)}


def checkout_version(root: Path) -> dict[str, str | None]:
    """The `commit` of a checkout, None elsewhere; and the SHA-256 of `git diff HEAD` as `diff`, where files differ."""
    if not (root / ".git").exists():
        return {"commit": None}
    git = ["git", "--no-optional-locks"]
    try:
        commit, diff = (
            subprocess.run([*git, *command], cwd=root, capture_output=True, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["diff", "HEAD"])
        )
    except (OSError, subprocess.CalledProcessError):  # without git, the version is all that is known
        return {"commit": None}
    return {"commit": commit.decode().strip(), **({"diff": hashlib.sha256(diff).hexdigest()} if diff else {})}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What one step made a checkpoint from.

    Attributes:
        step: "train", "distill", "average", "mix", "annotate", "convert" or "export".
        name: of the result.
        teachers: models whose predictions were the targets; links of use "teacher".
        corpora: audio and labels; links of any other use.
        parent: checkpoint whose weights were the start; a link of use "parent".
        recipe: name, `sha256` of the resolved recipe, and facts such as steps and seed.
        onnx: date and code of the export, where there are ONNX files.
        evaluation: scores, and the data they were measured on.
        code: version of wav2small and, in a checkout, its commit; where files were changed, `diff` is the SHA-256 of
            `git diff HEAD`. Older files say "-dirty" after the commit instead.
        date: UTC, ISO 8601.
        licence: SPDX id that follows from the links; not an argument.

    Raises:
        Wav2SmallError: if the licence of a link is unknown, or no licence meets the requirements of all links.
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
        """The links of this step itself: parent, teachers, corpora."""
        return [*([self.parent] if self.parent else []), *self.teachers, *self.corpora]

    def links(self) -> Iterator["Link"]:
        """All links, each followed by those of its own provenance."""
        for link in self.direct_links():
            yield link
            if link.provenance:
                yield from link.provenance.links()

    def roots(self) -> Iterator["Link"]:
        """The links that the licence follows from: they shaped the weights, and no sources of theirs are recorded."""
        for link in self.direct_links():
            if link.shapes_weights:
                yield from link.provenance.roots() if link.provenance else [link]

    def check_licence(self, licence: str) -> None:
        """Make sure that the checkpoint may be published under a licence: the derived one, or a stricter one.

        Raises:
            Wav2SmallError: if a link does not allow it; the message names the link.
        """
        try:
            licences.check_licence(licence, [(f"the {link.use} {link.id}", link.licence) for link in self.roots()])
        except Wav2SmallError as error:
            raise Wav2SmallError(f"{self.name}: {error}") from None

    def attributions(self) -> list[str]:
        """One line for each source whose licence requires a notice or a credit; each source once."""
        lines: dict[tuple[str, str | None], list[str]] = {}
        for link in self.roots():
            if licences.licence_of((link.id, link.licence)).credit > licences.Credit.NONE:
                lines.setdefault((link.credit or link.id, link.licence), []).append(link.use)
        return [f"{name} ({licence}): {', '.join(dict.fromkeys(uses))}" for (name, licence), uses in lines.items()]

    def to_dict(self) -> dict[str, Any]:
        """The content of `provenance.json`."""
        values: dict[str, Any] = {"format": FORMAT, "step": self.step, "name": self.name, "licence": self.licence}
        values |= {"date": self.date, "code": self.code, "recipe": self.recipe, "onnx": self.onnx}
        values |= {name: [link.to_dict() for link in getattr(self, name)] for name in ("teachers", "corpora")}
        return values | {"parent": self.parent and self.parent.to_dict(), "evaluation": self.evaluation}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Provenance":
        """The opposite of [`to_dict`].

        Raises:
            Wav2SmallError: if it has a newer format, or its licence is not the one that follows from its links.
            ValueError, TypeError: if it does not have this format.
        """
        values = dict(values)
        found = values.pop("format", None)
        if isinstance(found, int) and found > FORMAT:
            raise Wav2SmallError(
                f"it has format {found}, but this version reads format {FORMAT}: install a newer wav2small"
            )
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
                f"{made.name} states the licence {licence}, but {made.licence} follows from its sources: the file was "
                "changed by hand and cannot be trusted"
            )
        return made


@dataclass(frozen=True)
class Link:
    """One source of a step: a model, or audio.

    Attributes:
        id: on the Hub, or the name of a folder.
        licence: SPDX id; `None`, if it is unknown, is possible for evaluation data only.
        use: "teacher" or "parent" for a model; for audio "training", "mixing", "noise", "rooms", "labels",
            "calibration" or "evaluation".
        revision: commit on the Hub.
        clips: how many.
        hours: of audio.
        credit: title, authors and year to name; default: the id.
        provenance: of a model that has one.

    Raises:
        ValueError: if a value is not possible.
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
        """Whether the weights, and so their licence, depend on it."""
        return self.use != "evaluation"

    def to_dict(self) -> dict[str, Any]:
        """The fields that are known, ready for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["provenance"] = self.provenance and self.provenance.to_dict()
        return {name: value for name, value in values.items() if value is not None or name == "licence"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Link":
        """The opposite of [`to_dict`]."""
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
        Wav2SmallError: if there is no file, it cannot be read, or its licence does not follow from its links.
    """
    file = hub.resolve_checkpoint(source, [PROVENANCE_FILE], revision) / PROVENANCE_FILE
    if not file.is_file():
        raise Wav2SmallError(f"{source} has no {PROVENANCE_FILE}: it was not made by wav2small, or by an older version")
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
    """Link to a model, with its provenance or, if it has none, with its licence.

    The licence is searched in this order: the known published models, the members of a converted teacher, the card, and
    the id in config.json from which the model was loaded.

    Args:
        source: a folder, or an id on the Hub.
        use: of the link: "teacher" or "parent".
        revision: branch, tag or commit on the Hub; the link gets the commit.
        licence: SPDX id given by the user, for a model that does not state one.

    Raises:
        Wav2SmallError: if the model cannot be found, or its known licence is not the one given.
    """
    local = Path(source).is_dir()
    folder = hub.resolve_checkpoint(source, [PROVENANCE_FILE, "README.md", "config.json"], revision)
    if (folder / PROVENANCE_FILE).is_file():
        chain = read_provenance(folder)
        found: str | None = chain.licence
    else:
        known = None if local else licences.published_licence(source.partition("@")[0])
        chain, found = None, known or _licence_in(folder)
    if found and licence and licences.find_licence(found) != licences.find_licence(licence):
        raise Wav2SmallError(f"{source} has the licence {found}, not {licence}: do not name another one")
    name, _, pinned = (Path(source).resolve().name, "", "") if local else source.partition("@")
    if local and chain and name in ("best", "last"):  # of a run, which has the name
        name = chain.name
    return Link(name, found or licence, use, hub.commit_of(folder) or revision or pinned or None, provenance=chain)


def _licence_in(folder: Path) -> str | None:
    """The licence that the files of a model state."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        members = [(str(member["source"]), member["licence"]) for member in config.get("members", ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # loading the model reports this error
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
