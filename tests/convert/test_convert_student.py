"""A converted student predicts what the published one predicts; a checkpoint that does not fit is an error."""

import numpy as np
import pytest
import torch
from conftest import voice_like, write_card
from reference import wav2small as reference
from safetensors.torch import save_file

from wav2small import Wav2SmallError, Wav2SmallForAudioClassification
from wav2small.convert.student import convert_student


def published(folder, change=None, suffix="safetensors"):
    """A folder with a checkpoint in the layout of `audeering/wav2small`."""
    folder.mkdir()
    weights = reference.random_weights("gram")
    if change:
        change(weights)
    if suffix == "safetensors":
        save_file(weights, folder / "model.safetensors")
    else:
        torch.save(weights, folder / "pytorch_model.bin")
    write_card(folder, "cc-by-nc-sa-4.0")
    return str(folder)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_converted_student_predicts_what_the_published_one_predicts(tmp_path, suffix):
    convert_student(published(tmp_path / "theirs", suffix=suffix), tmp_path / "ours")
    model = Wav2SmallForAudioClassification.from_pretrained(tmp_path / "ours")
    assert model.config.pooling == "gram"
    for seconds in (0.1, 1.0, 3.3):
        waveform = voice_like(seconds)
        with torch.no_grad():
            ours = model(torch.from_numpy(waveform)[None]).logits[0].numpy()
        theirs = reference.forward(reference.random_weights("gram"), waveform)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.pop("vgg7.l3.conv.weight"), "lacks the key vgg7.l3.conv.weight"),
        (lambda w: w.update({"vgg7.l8.conv.weight": torch.zeros(1)}), "unexpected key vgg7.l8.conv.weight"),
        (lambda w: w.update({"adv.weight": torch.zeros(3, 169)}), r"adv.weight of shape \(3, 169\), not \(3, 338\)"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_an_error_that_names_the_key_and_nothing_is_written(tmp_path, change, told):
    source = published(tmp_path / "theirs", change)
    with pytest.raises(Wav2SmallError, match=told):
        convert_student(source, tmp_path / "ours")
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_a_folder_without_weights_is_an_error_that_names_both_files(tmp_path):
    with pytest.raises(Wav2SmallError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        convert_student(str(tmp_path), tmp_path / "ours")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_broken_file_of_weights_is_an_error_that_names_the_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights at all")
    with pytest.raises(Wav2SmallError, match=f"{name} is not a readable file of weights"):
        convert_student(str(tmp_path), tmp_path / "ours")


def test_a_folder_that_exists_is_not_overwritten(tmp_path):
    source = published(tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "precious.txt").write_text("mine")
    with pytest.raises(Wav2SmallError, match="ours exists already"):
        convert_student(source, tmp_path / "ours")
    assert (tmp_path / "ours" / "precious.txt").read_text() == "mine"


def test_a_student_that_is_neither_a_folder_nor_on_the_hub_is_an_error_of_one_line(tmp_path):
    with pytest.raises(
        Wav2SmallError, match="nobody/nothing is not a folder here and cannot be loaded from the Hub"
    ) as error:
        convert_student("nobody/nothing", tmp_path / "ours")
    assert "\n" not in str(error.value)
