"""The examples in the docstrings of the library run and print what they show."""

import doctest
from importlib import import_module

import pytest
from conftest import ROOT

PACKAGE = ROOT / "modeling" / "wav2small"
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if "pretrained" not in path.parts and ">>>" in path.read_text()]
MODULES = [".".join(path.relative_to(ROOT / "modeling").with_suffix("").parts) for path in FILES]
PUBLIC = [  # what a user calls: each shows how
    "wav2small.convert.teacher.teacher_from",
    "wav2small.inference.prediction.Prediction",
    "wav2small.inference.predictor.Predictor.__call__",
    "wav2small.inference.predictor.Predictor.mean",
    "wav2small.inference.predictor.Predictor.stream",
    "wav2small.inference.predictor.Predictor.timeline",
    "wav2small.inference.predictor.load",
    "wav2small.models.audio.read_audio",
    "wav2small.models.audio.stream_audio",
    "wav2small.provenance.licences.derive_licence",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_they_show(name):
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} lines print something else, see above"


def test_every_function_that_a_user_calls_has_an_example():
    finder = doctest.DocTestFinder(exclude_empty=True)
    shown = {test.name for name in MODULES for test in finder.find(import_module(name)) if test.examples}
    assert set(PUBLIC) <= shown, f"without an example: {sorted(set(PUBLIC) - shown)}"
