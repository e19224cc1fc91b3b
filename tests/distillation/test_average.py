"""Students that were trained apart become one network, which predicts their mean everywhere."""

import numpy as np
import pytest
import torch
from conftest import voice_like
from students import lively, student, tcn
from typer.testing import CliRunner

from wav2small import TcnAdvConfig, TcnAdvForAudioClassification
from wav2small.checkpoint import load_checkpoint
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import Link, Provenance, read_provenance, write_provenance
from wav2small_training.cli import app
from wav2small_training.distillation.average import average
from wav2small_training.exporters.export import export
from wav2small_training.exporters.fold import fold

SMALL = {"width": 12, "n_mels": 20, "maps": [4, 6], "heads": 2, "kernel_sizes": [3, 4], "dilations": [1, 2]}


def member(folder, seed: int, **config) -> str:
    """Save a student with random weights and a provenance."""
    torch.manual_seed(seed)
    model = lively(TcnAdvForAudioClassification(TcnAdvConfig(**SMALL | config)))
    with torch.no_grad():
        model.band_norm.weight += seed / 10
    model.save_pretrained(folder)
    teacher = Link("lab/teacher", "CC-BY-4.0", "teacher")
    speech = Link(f"corpus {seed // 2}", "CC-BY-4.0", "training", clips=10)
    facts = {"name": "small", "sha256": f"{seed}", "steps": 10, "seed": seed}
    made = Provenance(step="distill", name=f"small {seed}", teachers=[teacher], corpora=[speech], recipe=facts)
    write_provenance(made, folder)
    return str(folder)


@pytest.fixture
def members(tmp_path) -> list[str]:
    """Three students of one config; how they were regularised in training does not matter."""
    return [member(tmp_path / f"seed-{seed}", seed, dropout=seed / 10) for seed in range(3)]


def test_the_average_predicts_the_mean_alone_in_a_batch_and_exported(members, tmp_path):
    out = tmp_path / "wide"
    average(members, out)
    joined, models = load_checkpoint(out), [load_checkpoint(one) for one in members]
    assert joined.config.branches == 3
    values = torch.stack([torch.from_numpy(voice_like(1, seed=seed)) for seed in range(2)])
    mask = torch.ones_like(values, dtype=torch.long)
    mask[1, 9000:] = 0
    with torch.no_grad():
        for given in ((values, None), (values, mask)):
            answer, answers = joined(*given), [model(*given) for model in models]
            for name in ("logits", "speech"):
                mean = torch.stack([each[name] for each in answers]).mean(dim=0)
                torch.testing.assert_close(answer[name], mean, rtol=1e-4, atol=1e-5)
        folded = fold(joined)(values)
        torch.testing.assert_close(folded[0], joined(values).logits, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(answers[0].logits, answers[1].logits, atol=1e-2)

    export(str(out), out)  # which compares the float file with the model
    import wav2small

    clip = voice_like(2)
    means = np.mean([one(torch.from_numpy(clip)[None]).logits[0].detach().numpy() for one in models], axis=0)
    np.testing.assert_allclose(wav2small.load(out).logits((clip, 16000)), means, atol=1e-3)
    eight = wav2small.load(out, dtype="q8").logits((clip, 16000))
    np.testing.assert_allclose(eight, means, atol=0.1)


def test_the_provenance_of_an_average_names_all_that_its_students_learned_from(members, tmp_path):
    average(members, tmp_path / "wide")
    made = read_provenance(tmp_path / "wide")
    assert (made.step, made.name, made.licence) == ("average", "wide", "CC-BY-4.0")
    assert [link.id for link in made.corpora] == ["corpus 0", "corpus 1"]
    assert [link.id for link in made.teachers] == ["lab/teacher"]
    assert made.recipe == {"name": "small", "sha256": ["0", "1", "2"], "steps": 10, "seed": [0, 1, 2]}


def test_the_command_writes_an_average_and_tells_in_one_line_what_has_none(members, tmp_path):
    def run(*sources: str) -> str:
        result = CliRunner().invoke(app, ["average", *sources, "--out", str(tmp_path / "out")])
        return result.output if result.exit_code == 0 else str(result.exception)

    other, paper = tmp_path / "other", tmp_path / "paper"
    student().save_pretrained(paper)
    bare = tmp_path / "bare"
    tcn(**SMALL).save_pretrained(bare)
    for sources, reason in (
        (members[:1], "at least two"),
        ([members[0], member(other, 7, heads=1)], f"{other} has another heads than {members[0]}"),
        ([members[0], str(paper)], "is a wav2small: averages are made of students of kind tcn_adv"),
        ([members[0], str(bare)], "provenance"),
    ):
        assert reason in run(*sources)
        assert not (tmp_path / "out").exists()
    assert "wrote" in run(*members)
    with pytest.raises(Wav2SmallError, match="is an average of 3 students: name those"):
        average([str(tmp_path / "out"), members[0]], tmp_path / "more")
