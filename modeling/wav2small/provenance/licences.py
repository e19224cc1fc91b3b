"""What licences allow and require, and which licence a model made from several parts may have.

A student is made from everything that it learned from: its teacher, the audio of the teacher and of the student, and
its labels. It inherits every restriction and every requirement of these parts. This is a precaution and not legal
advice: it is not settled whether weights are a work derived from their training data, and this module keeps each
restriction as if they were. One choice to know: Creative Commons does not allow CC BY-SA and non-commercial material in
one adaptation; here the result of both is CC-BY-NC-SA-4.0, which keeps both restrictions.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from ..models.errors import Wav2SmallError


class Credit(IntEnum):
    """How a result must credit its sources; each level includes those before it."""

    NONE = 0
    NOTICE = 1  # copyright and licence text (MIT)
    NOTICES = 2  # also changes, patents, trademarks (Apache-2.0)
    NAMES = 3  # title and authors (CC BY)


@dataclass(frozen=True, slots=True)
class Licence:
    """What a licence allows and requires.

    Attributes:
        id: SPDX name.
        credit: how a result must credit this part.
        commercial: whether a result may be used commercially.
        derivatives: whether a result may be shared at all.
        share_alike: family of licences, one of which a result must have; `None`: any licence.
        research_only: whether a result may be used for research only.
        own: material of one's own, which nobody else may use: a result is kept private, or published under terms that
            its owner names.
    """

    id: str
    credit: Credit = Credit.NAMES
    commercial: bool = True
    derivatives: bool = True
    share_alike: str | None = None
    research_only: bool = False
    own: bool = False

    def summary(self) -> str:
        """What it allows and requires, in plain words.

        >>> licence_of(("a corpus", "CC-BY-NC-SA-4.0")).summary()
        'no commercial use, name the source, share alike'
        """
        if not self.derivatives:
            return "no derivatives: what is made from it may not be shared"
        if self.own:
            others = "" if self.commercial else "; other parts allow no commercial use"
            return f"your own: keep what is made from it private, or publish it under your own terms{others}"
        use = "research only" if self.research_only else "any use" if self.commercial else "no commercial use"
        asks = [
            *(["name the source"] if self.credit is Credit.NAMES else []),
            *(["keep its notices"] if Credit.NONE < self.credit < Credit.NAMES else []),
            *(["share alike"] if self.share_alike else []),
        ]
        return ", ".join([use, *asks])

    def conflict_with(self, other: "Licence") -> str | None:
        """Why this licence of a part does not allow a result under `other`; `None` if it does."""
        if not self.derivatives:
            return "allows no derivatives"
        if self.own and not other.own:
            return "is your own, and not published yet"
        if self.research_only and not other.research_only:
            return "allows research only"
        if other.commercial and not self.commercial:
            return "does not allow commercial use"
        if self.share_alike and other.share_alike != self.share_alike and not other.own:  # private: nothing is shared
            return f"requires a licence of its own kind ({self.id})"
        if other.credit < self.credit:
            return "requires attribution" if self.credit is Credit.NAMES else "requires that its notices are kept"
        return None


RESEARCH_ONLY = "LicenseRef-research-only"
PROPRIETARY = "LicenseRef-proprietary"

# licences of results, the freest first: `derive_licence` takes the first that every part allows
RESULTS = (
    Licence("CC0-1.0", Credit.NONE),
    Licence("MIT", Credit.NOTICE),
    Licence("Apache-2.0", Credit.NOTICES),
    Licence("CC-BY-4.0"),
    Licence("CC-BY-SA-4.0", share_alike="CC"),
    Licence("ODbL-1.0", share_alike="ODbL"),
    Licence("CC-BY-NC-4.0", commercial=False),
    Licence("CC-BY-NC-SA-4.0", commercial=False, share_alike="CC"),
    Licence(RESEARCH_ONLY, commercial=False, research_only=True),
    Licence(f"{RESEARCH_ONLY}-share-alike", commercial=False, research_only=True, share_alike="CC"),
    Licence(PROPRIETARY, own=True),
    Licence(f"{PROPRIETARY}-non-commercial", commercial=False, own=True),
    Licence(f"{PROPRIETARY}-research-only", commercial=False, research_only=True, own=True),
)
TABLE = (
    *RESULTS,
    *(Licence(id, Credit.NONE) for id in ("CC-PDM-1.0", "PDDL-1.0", "Unlicense", "0BSD", "MIT-0")),
    *(Licence(id, Credit.NOTICE) for id in ("BSD-2-Clause", "ISC", "CDLA-Permissive-2.0")),
    Licence("BSD-3-Clause", Credit.NOTICES),
    Licence("LicenseRef-facts"),  # single published figures, such as the norm of a word: free, but a source is named
    *(Licence(id) for id in ("CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "ODC-By-1.0", "CDLA-Permissive-1.0")),
    # a result may have a later version, so the results of these have version 4.0
    *(Licence(f"CC-BY-SA-{version}", share_alike="CC") for version in ("2.0", "2.5", "3.0")),
    *(Licence(f"CC-BY-NC-{version}", commercial=False) for version in ("2.0", "2.5", "3.0")),
    *(Licence(f"CC-BY-NC-SA-{version}", commercial=False, share_alike="CC") for version in ("2.0", "2.5", "3.0")),
    *(Licence(f"CC-BY-ND-{version}", derivatives=False) for version in ("2.0", "2.5", "3.0", "4.0")),
    *(
        Licence(f"CC-BY-NC-ND-{version}", commercial=False, derivatives=False)
        for version in ("2.0", "2.5", "3.0", "4.0")
    ),
)
KNOWN = {licence.id.lower(): licence for licence in TABLE}
KNOWN |= {  # other spellings: tags of the Hub, and common ones
    spelling: KNOWN[id.lower()]
    for spelling, id in {
        "odbl": "ODbL-1.0",
        "odc-by": "ODC-By-1.0",
        "pddl": "PDDL-1.0",
        "cc0": "CC0-1.0",
        "apache2.0": "Apache-2.0",
        "public-domain": "CC-PDM-1.0",
        "research-only": RESEARCH_ONLY,
        "proprietary": PROPRIETARY,
    }.items()
}

# licences on the cards of published models, by patterns of their ids on the Hub
PUBLISHED = {
    r"audeering/wav2small": "CC-BY-NC-SA-4.0",
    r"audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": "CC-BY-NC-SA-4.0",
    r"audeering/mobilenetv4-emotion": RESEARCH_ONLY,
    r"3loi/SER-Odyssey-Baseline-WavLM-.+": "MIT",
    r"openai/whisper-.+": "MIT",
}

Part = tuple[str, str | None]  # one of the sources of a result: its name and its licence


def find_licence(name: str | None) -> Licence | None:
    """Find a licence by its SPDX id or the spelling of the Hub, in upper or lower case; `None` if it is not known here.

    >>> find_licence("cc-by-4.0").id
    'CC-BY-4.0'
    """
    return KNOWN.get(re.sub(r"[\s_]+", "-", name.strip().lower())) if name else None


def licence_of(part: Part) -> Licence:
    """The licence of a part.

    Raises:
        Wav2SmallError: if it is not known; the message names the part.
    """
    name, text = part
    if licence := find_licence(text):
        return licence
    what = f"has a licence that is not known here ({text!r})" if text else "has no known licence"
    raise Wav2SmallError(
        f"{name} {what}: name it by its SPDX id, for a corpus under `licence:` in the recipe, for a model in its card "
        "(`license:` in README.md); a part without a known licence cannot be used"
    )


def published_licence(source: str) -> str | None:
    """The licence of a published model, by its id on the Hub; `None` if it is not known."""
    return next((licence for pattern, licence in PUBLISHED.items() if re.fullmatch(pattern, source)), None)


def derive_licence(parts: Iterable[Part]) -> str:
    """The freest licence that all parts allow for their result, as an SPDX id.

    Args:
        parts: names and licences.

    Raises:
        Wav2SmallError: if there are no parts, a licence is not known, one allows no derivatives, or no licence meets
            the requirements of all parts; the message names the parts.

    Example:
        >>> derive_licence([("a teacher", "MIT"), ("speech", "CC-BY-4.0")])
        'CC-BY-4.0'
    """
    parts = list(parts)
    if not parts:
        raise Wav2SmallError("its sources are not recorded, so no licence follows")
    known = [(part, licence_of(part)) for part in parts]
    for (name, _), licence in known:
        if not licence.derivatives:
            raise Wav2SmallError(
                f"{name} is {licence.id}, which allows no derivatives: a model that learned from it may not be "
                "shared; leave it out"
            )
    some_own = any(licence.own for _, licence in known)
    for result in (each for each in RESULTS if some_own or not each.own):
        if not any(licence.conflict_with(result) for _, licence in known):
            return result.id
    strict = {name: licence.id for (name, _), licence in known if licence.share_alike or not licence.commercial}
    together = ", ".join(f"{name} ({id})" for name, id in strict.items())
    raise Wav2SmallError(f"no licence meets the requirements of all of these: {together}; leave one of them out")


def check_licence(wanted: str, parts: Iterable[Part]) -> None:
    """Make sure that the result of these parts may have a licence: the derived one, or a stricter one.

    Args:
        wanted: SPDX id, or as the Hub spells it. Parts of one's own allow any; the others must allow it.
        parts: as for [`derive_licence`].

    Raises:
        Wav2SmallError: if a part does not allow it; the message names that part.
    """
    parts, result = list(parts), licence_of(("the result", wanted))
    if not result.own:  # what is one's own is published under the terms that its owner names
        parts = [part for part in parts if not licence_of(part).own]
        if not parts:
            return
    derived = licence_of(("the derived licence", derive_licence(parts)))
    for name, text in parts:
        part = licence_of((name, text))
        reason = part.conflict_with(result)
        if not reason and part.share_alike and result != derived:
            reason = f"requires {derived.id} and nothing stricter"
        if reason:
            raise Wav2SmallError(
                f"it cannot be {result.id}: {name} is {part.id}, which {reason}; the sources together allow "
                f"{derived.id}"
            )
