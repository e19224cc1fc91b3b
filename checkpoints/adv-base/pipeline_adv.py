"""`pipeline("audio-classification")` that returns arousal, dominance and valence unchanged."""

from typing import Any

from transformers import Pipeline

from .audio import read_clip
from .errors import Wav2SmallError


class AdvPipeline(Pipeline):
    """Audio in, `[{"label": "arousal", "score": 0.61}, …]` out: fixed order, no softmax, no sorting.

    Takes a path, bytes, a file object, a waveform at the model's rate, `{"array" or "raw": …, "sampling_rate": …}`, an
    `(array, sampling_rate)` pair, or a list of these. The stock pipeline of transformers 4.57 puts a softmax over
    regression outputs, and reads files with ffmpeg; this one does neither. A clip lasts 0.1 s to 10 minutes.
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = True
    _load_tokenizer = False

    def _sanitize_parameters(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return {}, {}, {}

    def preprocess(self, inputs: Any) -> Any:
        """Read one clip: (1, samples) with its mask."""
        sampling_rate = self.feature_extractor.sampling_rate
        if isinstance(inputs, dict):
            array = inputs.get("raw", inputs.get("array"))
            if array is None or "sampling_rate" not in inputs:
                raise Wav2SmallError(f'a dict must have "array" and "sampling_rate", not {sorted(inputs)}')
            inputs = (array, inputs["sampling_rate"])
        elif hasattr(inputs, "__array__"):
            inputs = (inputs, sampling_rate)
        waveform = read_clip(inputs, sampling_rate)
        return self.feature_extractor(waveform, sampling_rate=sampling_rate, return_tensors="pt")

    def _forward(self, model_inputs: Any) -> Any:
        return self.model(**model_inputs)

    def postprocess(self, model_outputs: Any) -> list[dict[str, Any]]:
        """Name the three values of one clip."""
        scores = model_outputs["logits"][0].float().tolist()
        return [{"label": self.model.config.id2label[i], "score": score} for i, score in enumerate(scores)]
