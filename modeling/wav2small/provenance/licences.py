"""What licences allow and ask, and which of them the result of several parts may have.

A student is made from all it learned from: its teacher, the audio that teacher and student heard, its labels. What any
of these forbids or asks for is carried over to the student. This is engineering care, not legal advice: whether weights
are a work derived from their training data is not settled, and each restriction is kept as if they were. One choice is
worth knowing: Creative Commons lets nobody mix CC BY-SA with non-commercial material in one adaptation; here such a
result is CC-BY-NC-SA-4.0, which keeps both restrictions.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from ..models.errors import Wav2SmallError


class Credit(IntEnum):
    """How much of where it came from a result must say; each step includes those before it."""

    NONE = 0
    NOTICE = 1  # copyright and licence text (MIT)
    NOTICES = 2  # also changes, patents, trademarks (Apache-2.0)
    NAMES = 3  # title and authors (CC BY)


@dataclass(frozen=True, slots=True)
class Licence:
    """What a licence allows and asks.

    Attributes:
        id: SPDX name.
        credit: that a result must give.
        commercial: whether a result may be used for money.
        derivatives: whether a result may be shared at all.
        share_alike: family of licences that a result must have one of; `None`: any.
        research_only: whether a result may be used for nothing but research.
    """

    id: str
    credit: Credit = Credit.NAMES
    commercial: bool = True
    derivatives: bool = True
    share_alike: str | None = None
    research_only: bool = False

    def summary(self) -> str:
        """What it allows and asks, in plain words."""
        if not self.derivatives:
            return "no derivatives: what is made from it may not be shared"
        use = "research only" if self.research_only else "any use" if self.commercial else "no commercial use"
        asks = [
            *(["name the source"] if self.credit is Credit.NAMES else []),
            *(["keep its notices"] if Credit.NONE < self.credit < Credit.NAMES else []),
            *(["share alike"] if self.share_alike else []),
        ]
        return ", ".join([use, *asks])

    def conflict_with(self, other: "Licence") -> str | None:
        """Why a result under `other` may not be made from a part under this; `None` if it may."""
        if not self.derivatives:
            return "allows no derivatives"
        if self.research_only and not other.research_only:
            return "allows research only"
        if other.commercial and not self.commercial:
            return "forbids commercial use"
        if self.share_alike and other.share_alike != self.share_alike:
            return f"asks for its own kind of licence ({self.id}) again"
        if other.credit < self.credit:
            return "asks for attribution" if self.credit is Credit.NAMES else "asks that its notices are kept"
        return None


RESEARCH_ONLY = "LicenseRef-research-only"

# What a result can have, the freest first: `derive_licence` takes the first that every part allows.
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
)
TABLE = (
    *RESULTS,
    *(Licence(id, Credit.NONE) for id in ("CC-PDM-1.0", "PDDL-1.0", "Unlicense", "0BSD", "MIT-0")),
    *(Licence(id, Credit.NOTICE) for id in ("BSD-2-Clause", "ISC", "CDLA-Permissive-2.0")),
    Licence("BSD-3-Clause", Credit.NOTICES),
    Licence("LicenseRef-facts"),  # single published figures, such as the norm of a word: free, but a source is named
    *(Licence(id) for id in ("CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "ODC-By-1.0", "CDLA-Permissive-1.0")),
    # a later version may be chosen for what is made from these, and so their results are 4.0
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
KNOWN |= {  # other spellings: tags of the Hub, and what people write
    spelling: KNOWN[id.lower()]
    for spelling, id in {
        "odbl": "ODbL-1.0",
        "odc-by": "ODC-By-1.0",
        "pddl": "PDDL-1.0",
        "cc0": "CC0-1.0",
        "apache2.0": "Apache-2.0",
        "public-domain": "CC-PDM-1.0",
        "research-only": RESEARCH_ONLY,
    }.items()
}

# Licences on the cards of published models, by their ids on the Hub.
PUBLISHED = {
    r"audeering/wav2small": "CC-BY-NC-SA-4.0",
    r"audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim": "CC-BY-NC-SA-4.0",
    r"audeering/mobilenetv4-emotion": RESEARCH_ONLY,
    r"3loi/SER-Odyssey-Baseline-WavLM-.+": "MIT",
    r"openai/whisper-.+": "MIT",
}

Part = tuple[str, str | None]  # name of what a result was made from, and its licence


def find_licence(name: str | None) -> Licence | None:
    """Look a licence up by its SPDX name or as the Hub spells it, in any case; `None` if it is not known here."""
    return KNOWN.get(re.sub(r"[\s_]+", "-", name.strip().lower())) if name else None


def licence_of(part: Part) -> Licence:
    """Look the licence of a part up.

    Raises:
        Wav2SmallError: if it is not known; the message names the part.
    """
    name, text = part
    if licence := find_licence(text):
        return licence
    what = f"has a licence that is not known here ({text!r})" if text else "has no known licence"
    raise Wav2SmallError(
        f"{name} {what}: name it by its SPDX id, for a corpus under `licence:` in the recipe, for a model in its card "
        "(`license:` in README.md); what has no such licence cannot be used"
    )


def published_licence(source: str) -> str | None:
    """The licence of a published model, by its id on the Hub; `None` if it is not known."""
    return next((licence for pattern, licence in PUBLISHED.items() if re.fullmatch(pattern, source)), None)


def derive_licence(parts: Iterable[Part]) -> str:
    """The freest licence that a result made from all of these parts may have, as an SPDX id.

    Args:
        parts: names and licences.

    Raises:
        Wav2SmallError: if there are no parts, a licence is not known, one allows no derivatives, or no licence meets
            what they ask for together; the message names the parts.
    """
    parts = list(parts)
    if not parts:
        raise Wav2SmallError("nothing is said of what it was made from, so no licence follows")
    known = [(part, licence_of(part)) for part in parts]
    for (name, _), licence in known:
        if not licence.derivatives:
            raise Wav2SmallError(
                f"{name} is {licence.id}, which allows no derivatives: a model that learned from it may not be "
                "shared; leave it out"
            )
    for result in RESULTS:
        if not any(licence.conflict_with(result) for _, licence in known):
            return result.id
    strict = {name: licence.id for (name, _), licence in known if licence.share_alike or not licence.commercial}
    together = ", ".join(f"{name} ({id})" for name, id in strict.items())
    raise Wav2SmallError(f"no licence meets what these ask for together: {together}; leave one of them out")


def check_licence(wished: str, parts: Iterable[Part]) -> None:
    """Make sure that a result made from these parts may be given a licence: the derived one, or a stricter one.

    Args:
        wished: SPDX id, or as the Hub spells it.
        parts: as for [`derive_licence`].

    Raises:
        Wav2SmallError: if a part forbids it; the message names that part.
    """
    parts = list(parts)
    derived, result = licence_of(("what it was made from", derive_licence(parts))), licence_of(("the result", wished))
    for name, text in parts:
        part = licence_of((name, text))
        reason = part.conflict_with(result)
        if not reason and part.share_alike and result != derived:
            reason = f"asks for {derived.id} and nothing stricter"
        if reason:
            raise Wav2SmallError(
                f"it cannot be {result.id}: {name} is {part.id}, which {reason}; all that it was made from allows "
                f"{derived.id}"
            )
