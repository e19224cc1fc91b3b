"""A result may have the licences that all of its parts allow; an error names the part that does not allow one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wav2small import Wav2SmallError
from wav2small.provenance.licences import (
    RESULTS,
    TABLE,
    Credit,
    check_licence,
    derive_licence,
    find_licence,
    licence_of,
    published_licence,
)

SHARED = [licence for licence in TABLE if licence.derivatives and not licence.own]
parts = st.lists(st.sampled_from([licence.id for licence in SHARED]), min_size=1, max_size=5)


def named(*licences: str) -> list[tuple[str, str]]:
    return [(f"part {i}", licence) for i, licence in enumerate(licences)]


@pytest.mark.parametrize(
    ("licences", "result"),
    [
        (["CC0-1.0", "public domain"], "CC0-1.0"),
        (["MIT", "CC0-1.0"], "MIT"),
        (["mit", "apache-2.0"], "Apache-2.0"),
        (["MIT", "CC BY 4.0", "cc0-1.0", "CC-BY-3.0"], "CC-BY-4.0"),
        (["MIT", "cc-by-nc-4.0"], "CC-BY-NC-4.0"),
        (["Apache-2.0", "CC-BY-SA-3.0"], "CC-BY-SA-4.0"),
        (["CC-BY-NC-SA-4.0", "MIT", "CC-BY-4.0"], "CC-BY-NC-SA-4.0"),
        (["CC-BY-SA-4.0", "CC-BY-NC-3.0"], "CC-BY-NC-SA-4.0"),
        (["odbl", "CC-BY-4.0"], "ODbL-1.0"),
        (["MIT", "research-only"], "LicenseRef-research-only"),
        (["CC-BY-NC-SA-4.0", "research-only"], "LicenseRef-research-only-share-alike"),
        (["LicenseRef-proprietary", "CC-BY-SA-4.0"], "LicenseRef-proprietary"),
        (["proprietary", "MIT", "CC-BY-NC-SA-4.0"], "LicenseRef-proprietary-non-commercial"),
    ],
)
def test_the_derived_licence_keeps_every_restriction_of_the_parts(licences, result):
    assert derive_licence(named(*licences)) == result


@pytest.mark.parametrize(
    ("licences", "told"),
    [
        (["MIT", None], "part 1 has no known licence: .*`licence:` in the recipe"),
        (["MIT", "other"], r"part 1 has a licence that is not known here \('other'\)"),
        (["meralion-public-licence", "MIT"], "part 0 has a licence that is not known here"),
        (["openrail"], "not known here"),
        (["MIT", "CC-BY-NC-ND-4.0"], "part 1 is CC-BY-NC-ND-4.0, which allows no derivatives"),
        (
            ["MIT", "odbl", "CC-BY-SA-4.0"],
            r"requirements of all of these: part 1 \(ODbL-1.0\), part 2 \(CC-BY-SA-4.0\)",
        ),
        (["odbl", "CC-BY-NC-4.0"], r"requirements of all of these: part 0 \(ODbL-1.0\), part 1 \(CC-BY-NC-4.0\)"),
        ([], "its sources are not recorded"),
    ],
)
def test_parts_that_allow_no_common_licence_are_named(licences, told):
    with pytest.raises(Wav2SmallError, match=told) as error:
        derive_licence(named(*licences))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("wanted", "licences"),
    [
        ("Apache-2.0", ["MIT"]),
        ("CC-BY-4.0", ["MIT", "Apache-2.0"]),
        ("cc-by-sa-4.0", ["CC-BY-4.0"]),
        ("CC-BY-NC-ND-4.0", ["CC-BY-4.0"]),
        ("CC-BY-3.0", ["CC-BY-4.0"]),
    ],
)
def test_a_stricter_licence_may_be_chosen(wanted, licences):
    check_licence(wanted, named(*licences))


@pytest.mark.parametrize(
    ("wanted", "licences", "told"),
    [
        ("Apache-2.0", ["MIT", "CC-BY-NC-SA-4.0"], "part 1 is CC-BY-NC-SA-4.0, which does not allow commercial use"),
        ("CC-BY-NC-4.0", ["CC-BY-NC-SA-4.0"], "requires a licence of its own kind"),
        ("CC-BY-NC-SA-4.0", ["MIT", "CC-BY-SA-4.0"], "part 1 .* requires CC-BY-SA-4.0 and nothing stricter"),
        ("MIT", ["Apache-2.0", "MIT"], "part 0 is Apache-2.0, which requires that its notices are kept"),
        ("Apache-2.0", ["MIT", "CC-BY-4.0"], "part 1 is CC-BY-4.0, which requires attribution"),
        ("CC-BY-NC-4.0", ["research-only"], "part 0 is LicenseRef-research-only, which allows research only"),
        ("our own", ["MIT"], "the result has a licence that is not known here"),
    ],
)
def test_a_freer_licence_is_an_error_that_names_the_part_that_does_not_allow_it(wanted, licences, told):
    with pytest.raises(Wav2SmallError, match=told):
        check_licence(wanted, named(*licences))


def test_what_is_ones_own_may_be_published_under_any_terms_that_the_other_parts_allow():
    own = licence_of(("mine", "LicenseRef-proprietary"))
    assert own.summary() == "your own: keep what is made from it private, or publish it under your own terms"
    check_licence("CC0-1.0", named("LicenseRef-proprietary"))
    check_licence("CC-BY-4.0", named("LicenseRef-proprietary", "CC-BY-4.0"))
    check_licence("LicenseRef-proprietary", named("LicenseRef-proprietary", "CC-BY-4.0"))
    with pytest.raises(Wav2SmallError, match=r"part 1 is CC-BY-NC-4\.0, which does not allow commercial use"):
        check_licence("CC-BY-4.0", named("LicenseRef-proprietary", "CC-BY-NC-4.0"))


@given(parts)
def test_the_derived_licence_may_always_be_given_and_no_freer_one(licences):
    known = named(*licences)
    try:
        derived = derive_licence(known)
    except Wav2SmallError:
        return
    check_licence(derived, known)
    strict = licence_of(("derived", derived))
    for part in known:
        assert not licence_of(part).conflict_with(strict)
    for freer in RESULTS[: RESULTS.index(strict)]:
        with pytest.raises(Wav2SmallError):
            check_licence(freer.id, known)


@given(parts, parts)
def test_a_chain_of_steps_gives_the_licence_of_all_parts_at_once(first, second):
    def outcome(*licences):
        try:
            return derive_licence(named(*licences))
        except Wav2SmallError:
            return None

    between = outcome(*first)
    assert (between and outcome(between, *second)) == outcome(*first, *second)


@given(st.sampled_from(TABLE), st.data())
def test_a_licence_is_found_in_upper_and_lower_case_and_with_spaces(licence, data):
    spelled = data.draw(st.sampled_from([licence.id, licence.id.lower(), licence.id.upper(), f" {licence.id}\n"]))
    assert find_licence(spelled) is licence
    assert find_licence(licence.id.replace("-", " ")) is licence


def test_the_summary_of_a_licence_says_what_it_allows_and_requires():
    assert find_licence("CC-BY-NC-SA-4.0").summary() == "no commercial use, name the source, share alike"
    assert find_licence("MIT").summary() == "any use, keep its notices"
    assert find_licence("CC-BY-ND-4.0").summary().startswith("no derivatives")
    assert all(licence.credit is Credit.NONE for licence in TABLE if licence.summary() == "any use")


@pytest.mark.parametrize(
    ("source", "licence"),
    [
        ("audeering/wav2small", "CC-BY-NC-SA-4.0"),
        ("audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim", "CC-BY-NC-SA-4.0"),
        ("3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes", "MIT"),
        ("3loi/SER-Odyssey-Baseline-WavLM-Arousal", "MIT"),
        ("3loi/another", None),
        ("someone/wav2vec2-large-robust-12-ft-emotion-msp-dim", None),
    ],
)
def test_the_licence_is_known_for_the_published_models_alone(source, licence):
    assert published_licence(source) == licence
