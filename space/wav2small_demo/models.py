"""The models of the page: loaded once, and described so that a visitor can choose."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from wav2small import Predictor, load
from wav2small.inference.catalogue import SECONDS, Entry, catalogue, common_report
from wav2small.inference.prediction import check_range

SPEECH = Path(__file__).parent / "examples" / "woman_libri1183.flac"  # somebody reads


@dataclass(frozen=True)
class Models:
    """The models of the page.

    Attributes:
        predictors: by the names under which they are offered; the first one is chosen at the start.
        chooser: where a visitor chooses; its value is a name.
    """

    predictors: dict[str, Predictor]
    chooser: gr.Radio

    def __getitem__(self, name: str) -> Predictor:
        """The model of a name."""
        return self.predictors[name]


def offer(names: list[str]) -> Models:
    """Load models, and add their chooser to the page that is being built.

    Args:
        names: folders, names of bundled checkpoints, or ids on the Hub.

    Raises:
        Wav2SmallError: if one of them cannot be loaded, or predicts nonsense.
    """
    predictors = {name: load(name) for name in names}
    for name, predictor in predictors.items():
        check_range(predictor.logits(SPEECH), name)
    folders = {name: predictor.file.parents[1] for name, predictor in predictors.items()}
    entries = catalogue(folders)
    report = common_report(entries)
    quality = f", its correlation with the targets of {report} (arousal, dominance, valence)" if report else ""
    chooser = gr.Radio(
        [(describe(entry, report), entry.name) for entry in entries],
        value=names[0],
        label="Model",
        info=f"Each with its size in 8 bits{quality}, and its time for {SECONDS:g} s of audio here.",
        elem_id="model",
    )
    return Models(predictors, chooser)


def describe(entry: Entry, report: str) -> str:
    """Name, size, quality and time of a model in one line; what is not known is left out.

    Args:
        entry: of the model.
        report: name of the report whose correlations are shown.
    """
    facts = [entry.name]
    if entry.bytes:
        facts.append(f"{entry.bytes / 1000:,.0f} KB")
    if report in entry.pearson:
        facts.append(" ".join(f"{r:.2f}".removeprefix("0") for r in entry.pearson[report]))
    if entry.ms:
        facts.append(f"{entry.ms:.1f} ms")
    return " · ".join(facts)
