"""`evaluate`: what counts as a model is a checkpoint, an ONNX file, a Python function, a published teacher."""

import numpy as np
import pytest
import torch
from conftest import RATE, voice_like
from evaluation.rated import rated_corpus, without_onnx

from wav2small.bundled import BUNDLED, DEFAULT
from wav2small.inference.predictor import load
from wav2small.models.errors import Wav2SmallError
from wav2small.testing import write_dawn_checkpoint
from wav2small_training.evaluation.evaluate import evaluate
from wav2small_training.evaluation.models import load_model, short_names
from wav2small_training.evaluation.ratings import Teacher


def test_onnx_and_torch_predict_the_same_and_models_get_different_names(tmp_path):
    checkpoint = without_onnx(tmp_path / "through-torch")
    clip = voice_like(1.0)
    onnx, weights = load_model(str(BUNDLED)), load_model(str(checkpoint))
    np.testing.assert_allclose(onnx.predict(clip), weights.predict(clip), rtol=1e-3, atol=1e-3)
    assert (onnx.source, onnx.runtime, weights.runtime) == (DEFAULT, "ONNX Runtime", "torch")
    assert len(weights.weights) == 16 and weights.weights != onnx.weights
    assert short_names(["a/best", "b/last"]) == ["best", "last"]
    assert short_names(["a/best", "b/best"]) == ["a/best", "b/best"]
    for source, reason in (
        (str(tmp_path / "none"), "neither a folder nor an id"),
        (str(tmp_path), "has no readable config.json"),
    ):
        with pytest.raises(Wav2SmallError, match=reason):
            load_model(source)
    with pytest.raises(Wav2SmallError, match="named twice"):
        short_names(["a", "a"])


def louder(clip: np.ndarray) -> list[float]:
    """A model as a Python function."""
    return [float(np.abs(clip).max()), 0.5, 0.5]


def test_an_onnx_file_and_a_python_function_are_models_and_several_teachers_are_their_mean(tmp_path):
    data = rated_corpus(tmp_path / "data")
    clip = voice_like(1.0)
    file, function = str(BUNDLED / "onnx" / "model.onnx"), "evaluation.test_evaluated_models:louder"
    np.testing.assert_allclose(load_model(file).predict(clip), load().logits((clip, RATE)), atol=1e-5)
    np.testing.assert_allclose(load_model(function).predict(clip), louder(clip), atol=1e-6)
    mean = (load_model(file).predict(clip) + np.array(louder(clip))) / 2
    np.testing.assert_allclose(load_model([file, function]).predict(clip), mean, atol=1e-5)
    content = evaluate([file], data, Teacher((file, function)), tmp_path / "out")
    assert f"`{file} + {function}`" in content["settings"]["target"]["text"]
    for source, reason in (
        (str(tmp_path / "none.onnx"), "no such file"),
        ("evaluation.test_evaluated_models:nothing", "has no attribute 'nothing'"),
        ("no_such_module:f", "No module named"),
    ):
        with pytest.raises(Wav2SmallError, match=reason):
            load_model(source)
    with pytest.raises(Wav2SmallError, match=r"predicts \(24,\), not three numbers"):
        load_model("evaluation.test_evaluated_models:wrong").predict(clip)


def wrong(clip: np.ndarray) -> np.ndarray:
    """A function that is no model."""
    return np.zeros(24)


def test_a_published_teacher_in_its_own_layout_is_evaluated_and_another_model_by_its_pipeline(tmp_path):
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    published = load_model(str(write_dawn_checkpoint(tmp_path / "dawn")))
    assert published.runtime == "torch" and published.predict(voice_like(1.0)).shape == (3,)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    names = dict(enumerate(["valence", "arousal", "dominance"]))
    for labels, name in ((names, "pipeline"), ({**names, 0: "joy"}, "other")):
        config = Wav2Vec2Config(**sizes, classifier_proj_size=8, problem_type="regression", id2label=labels)
        model = Wav2Vec2ForSequenceClassification(config).eval()
        model.save_pretrained(tmp_path / name)
        Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path / name)
        if name == "other":
            with pytest.raises(Wav2SmallError, match="predicts arousal, dominance, joy, not arousal"):
                load_model(str(tmp_path / name))
            continue
        clip = voice_like(1.0)
        with torch.no_grad():
            expected = model(torch.from_numpy(clip)[None]).logits[0].numpy()[[1, 2, 0]]
        np.testing.assert_allclose(load_model(str(tmp_path / name)).predict(clip), expected, atol=1e-5)
