"""The pictures of the page, as HTML."""

import xml.etree.ElementTree as Xml

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("gradio", reason="the demo needs the extra [space]")

import wav2small
from wav2small import Prediction
from wav2small_demo import pictures

WORDS = wav2small.load().words


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-2, 3), min_size=3, max_size=3), st.text(max_size=20))
def test_pictures_stay_inside_their_frame_and_names_of_files_stay_text(values, name):
    prediction = Prediction(*values, start=0.0, end=1.0, word="calm")
    name = "".join(letter for letter in name if letter.isprintable())
    plane = Xml.fromstring(pictures.plane([(name + "<b>", prediction)], WORDS))
    (circle,) = plane.iter("circle")
    assert 0 <= float(circle.get("cx")) <= pictures.PLANE and 0 <= float(circle.get("cy")) <= pictures.PLANE
    assert not list(plane.iter("b"))
    gauges = Xml.fromstring(pictures.gauges(prediction, WORDS))
    assert [gauge.get("aria-label") for gauge in gauges] == ["arousal", "dominance", "valence"]
    for gauge in gauges:
        assert 0 <= float(gauge.get("aria-valuenow")) <= 1


def test_every_affect_word_stands_in_the_region_of_the_plane_where_predictions_have_it():
    plane = Xml.fromstring(pictures.plane([("", Prediction(0.5, 0.5, 0.5, 0, 1))], WORDS))
    areas = list(plane.iter("rect"))
    labels = [text.text for text in plane.iter("text")]
    assert len(areas) == len(labels) == 9
    for area, label in zip(areas, labels, strict=True):
        x, y, width, height = (float(area.get(name)) for name in ("x", "y", "width", "height"))
        valence, arousal = (x + width / 2) / pictures.PLANE, 1 - (y + height / 2) / pictures.PLANE
        assert WORDS(arousal, valence) == label


def test_curves_are_interrupted_by_silence():
    windows = [Prediction(*[np.nan if i == 2 else 0.5] * 3, i, i + 1) for i in range(5)]
    live = Xml.fromstring(pictures.live_curves(windows, end=5, span=5))
    curve = next(path.get("d") for path in live.iter("path") if path.get("class") == "arousal")
    assert [letter for letter in curve if letter.isalpha()] == ["M", "L", "M", "L"]
