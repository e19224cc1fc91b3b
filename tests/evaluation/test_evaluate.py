"""`evaluate`: from recordings with ratings to predictions, scores and a report, on small corpora and on real speech."""

import json
import shutil
import tracemalloc

import numpy as np
import pytest
import soundfile
from conftest import RATE, voice_like
from evaluation.rated import COLUMNS, RATINGS, corpus, lines, rated, rated_corpus, without_onnx

from wav2small.bundled import BUNDLED, DEFAULT
from wav2small.inference.predictor import load
from wav2small.models.adv import LABELS
from wav2small.models.errors import Wav2SmallError
from wav2small.provenance.provenance import Link, Provenance, write_provenance
from wav2small_training.data.corpora import open_rows, waveform
from wav2small_training.data.norms import emotion_norm
from wav2small_training.evaluation.conditions import AS_RECORDED, LEVEL_NORMALISED, Condition, level_db
from wav2small_training.evaluation.evaluate import evaluate, main, predict
from wav2small_training.evaluation.ratings import Norms, Ratings, Teacher
from wav2small_training.recipe import Corpus

BOTH = [AS_RECORDED, LEVEL_NORMALISED]


@pytest.fixture
def data(tmp_path) -> Corpus:
    return rated_corpus(tmp_path / "data")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return without_onnx(tmp_path_factory.mktemp("models") / "through-torch")


def own_ccc(x, y) -> float:
    x, y = np.asarray(x), np.asarray(y)
    return 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def test_predictions_scores_and_report_say_the_same(data, checkpoint, tmp_path):
    out = tmp_path / "out"
    content = evaluate([str(BUNDLED), str(checkpoint)], data, RATINGS, out)
    rows = lines(out / "predictions.jsonl")
    assert len(rows) == 16 * 2 * 2, "clips, models, conditions"
    predictor = load()
    answers, targets = {}, []
    for row in rows:
        facts = rated(int(row["clip"][:2]))
        samples, _ = soundfile.read(tmp_path / "data" / row["clip"], dtype="float32")
        assert row["seconds"] == len(samples) / RATE
        assert row["level_db"] == pytest.approx(level_db(samples))
        assert row["groups"] == {"sex": facts["sex"], "speaker": facts["speaker"]}
        expected = [(float(facts[column]) - 1) / 6 for column in COLUMNS.values()]
        np.testing.assert_allclose(row["target"], expected)
        if row["condition"] == "as recorded":
            heard = predictor.logits((samples, RATE))
            np.testing.assert_allclose(row["prediction"], heard, rtol=1e-3, atol=1e-3, err_msg=row["model"])
            answers.setdefault(row["model"], []).append(row["prediction"])
            if row["model"] == DEFAULT:
                targets.append(expected)
    assert list(answers) == [DEFAULT, "through-torch"]
    assert [m["runtime"] for m in content["settings"]["models"]] == ["ONNX Runtime", "torch"]

    text = (out / "report.md").read_text()
    assert json.loads((out / "report.json").read_text()) == content
    for i, dimension in enumerate(LABELS):
        for model, values in answers.items():
            answer, target = np.array(values)[:, i], np.array(targets)[:, i]
            (row,) = (
                row
                for row in content["agreement"]
                if (row["model"], row["dimension"], row["condition"]) == (model, dimension, "as recorded")
            )
            assert row["ccc"] == pytest.approx(own_ccc(answer, target))
            assert row["pearson"] == pytest.approx(np.corrcoef(answer, target)[0, 1])
            assert row["mae"] == pytest.approx(np.mean(np.abs(answer - target)))
            low, high = row["ccc_interval"]
            printed = f"| `{model}` | as recorded | 16 | {row['ccc']:.3f} [{low:.3f}, {high:.3f}] "
            assert printed in text.split(f"### {dimension.capitalize()}")[1]
    assert "Human ratings" in text and "1 to 7 became 0 to 1" in text
    assert (out / "agreement.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob("*.part")) and not list(out.glob(".*")), "nothing half-written is left"


def test_loudness_and_the_level_normalised_run_stand_beside_the_scores(data, tmp_path):
    content = evaluate([str(BUNDLED)], data, RATINGS, tmp_path / "out")
    rows = {(row["model"], row["condition"], row["dimension"]): row for row in content["agreement"]}
    loud = rows["loudness baseline", "as recorded", "arousal"]
    assert loud["ccc"] > 0.9, "arousal follows the level in this corpus"
    assert loud["ccc"] > rows["loudness baseline", "as recorded", "valence"]["ccc"] + 0.3
    assert "8 clips of the training split" in content["loudness_fit"]
    assert len(lines(tmp_path / "out" / "loudness.jsonl")) == 8
    assert (DEFAULT, "level-normalised", "arousal") in rows
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| loudness baseline |" in text and "| level-normalised |" in text

    whole = data.model_copy(update={"where": {}})
    content = evaluate([str(BUNDLED)], whole, RATINGS, tmp_path / "whole")
    assert "for each speaker on the clips of all others" in content["loudness_fit"]


def test_a_dimension_without_ratings_is_left_out(tmp_path):
    rows = [rated(i) for i in range(12)]
    rows[3]["EmoVal"] = ""
    data = corpus(tmp_path / "data", rows)
    content = evaluate([str(BUNDLED)], data, Ratings({"valence": "EmoVal"}, (1, 7)), tmp_path / "out")
    assert {row["dimension"] for row in content["agreement"]} == {"valence"}
    assert {row["clips"] for row in content["agreement"]} == {11}
    assert content["skipped"] == {"03.flac": "no rating"}
    text = (tmp_path / "out" / "report.md").read_text()
    assert "### Arousal" not in text
    assert "Skipped: 1 of 12 clips. The first: `03.flac`: no rating." in text


def test_norms_of_emotion_words_are_targets_and_the_report_says_so(tmp_path):
    rows = [rated(i) for i in range(8)] + [{**rated(8), "emotion": "schadenfreude"}]
    data = corpus(tmp_path / "data", rows)
    content = evaluate([str(BUNDLED)], data, Norms("emotion"), tmp_path / "out")
    known = [emotion_norm(row["emotion"]) for row in rows[:8]]
    for row in lines(tmp_path / "out" / "predictions.jsonl"):
        if "skipped" not in row:
            norm = known[int(row["clip"][:2])]
            np.testing.assert_allclose(row["target"], 0.75 * norm + 0.25 * 0.5, rtol=1e-5)
    assert content["skipped"] == {"08.flac": "no norm for the word 'schadenfreude'"}
    assert "Nobody rated these voices" in (tmp_path / "out" / "report.md").read_text()


def test_acted_words_without_a_norm_count_in_the_auc_and_in_nothing_else(tmp_path):
    words = ["anger", "surprise", "sadness", "happiness", "neutral", "Surprise"]
    data = corpus(tmp_path / "data", [{**rated(i), "emotion": words[i % 6]} for i in range(12)])
    content = evaluate([str(BUNDLED)], data, Norms("emotion"), tmp_path / "out")
    assert content["skipped"] == {} and content["clips"] == 12
    assert {row["clips"] for row in content["agreement"]} == {8}, "surprise has no norm"
    assert content["emotion_groups"]["arousal"] == {
        "high": ["anger", "happiness", "surprise"],
        "low": ["sadness", "neutral"],
    }
    rows = [row for row in lines(tmp_path / "out" / "predictions.jsonl") if row["condition"] == "as recorded"]
    values = {name: [row["prediction"][0] for row in rows if row["emotion"] in group] for name, group in (
        ("high", ("anger", "surprise", "happiness")), ("low", ("sadness", "neutral"))
    )}  # fmt: skip
    pairs = [a > b for a in values["high"] for b in values["low"]]
    (row,) = (
        r for r in content["auc"] if (r["model"], r["condition"], r["dimension"]) == (DEFAULT, "as recorded", "arousal")
    )
    assert row["auc"] == pytest.approx(np.mean(pairs)) and (row["high"], row["low"]) == (8, 4)
    low, high = row["auc_interval"]
    text = (tmp_path / "out" / "report.md").read_text()
    assert f"| `{DEFAULT}` | as recorded | {row['auc']:.3f} [{low:.3f}, {high:.3f}] |" in text
    assert "arousal: anger, happiness, surprise (8 clips) against sadness, neutral (4 clips)" in text


def test_a_model_agrees_with_itself_as_teacher(data, tmp_path):
    content = evaluate([str(BUNDLED)], data, Teacher(str(BUNDLED)), tmp_path / "out")
    scores = [row for row in content["agreement"] if row["model"] == DEFAULT and row["condition"] == "as recorded"]
    assert [row["ccc"] for row in scores] == pytest.approx([1, 1, 1])
    assert "agreement with a model, not with people" in (tmp_path / "out" / "report.md").read_text()
    assert "speaker" in content["loudness_fit"], "the teacher does not run over the training split too"


def test_each_group_is_scored_by_itself(data, tmp_path):
    content = evaluate([str(BUNDLED)], data, RATINGS, tmp_path / "out", groups=["emotion", "sex"])
    found = {(row["column"], row["group"]) for row in content["groups"]}
    assert found == {("sex", s) for s in "fm"} | {("emotion", rated(i)["emotion"]) for i in range(24)}
    rows = lines(tmp_path / "out" / "predictions.jsonl")
    women = [r for r in rows if r["groups"]["sex"] == "f" and r["condition"] == "as recorded"]
    (row,) = (r for r in content["groups"] if (r["group"], r["dimension"]) == ("f", "valence"))
    assert row["clips"] == len(women)
    assert row["ccc"] == pytest.approx(own_ccc([r["prediction"][2] for r in women], [r["target"][2] for r in women]))
    assert row["mean_error"] == pytest.approx(np.mean([r["prediction"][2] - r["target"][2] for r in women]))
    assert {row["group"] for row in content["groups"]}.isdisjoint({"s0"}), "only the columns that were asked for"


def run_over(data, path, models, tested=BOTH) -> list[dict]:
    predict(models, data, RATINGS.of(data), tested, ["sex"], path)
    return [{**row, "compute_seconds": 0} for row in lines(path)]


def test_a_stopped_run_goes_on_to_the_same_rows(data, tmp_path):
    def answer(clip):
        return np.array([clip.mean(), clip.std(), np.abs(clip).max()])

    calls = []

    def killed_after_23(clip):
        calls.append(1)
        if len(calls) > 23:
            raise KeyboardInterrupt
        return answer(clip)

    (tmp_path / "data" / "05.flac").write_bytes(b"no audio")
    whole = run_over(data, tmp_path / "whole.jsonl", {"a": answer, "b": answer})
    with pytest.raises(KeyboardInterrupt):
        run_over(data, tmp_path / "killed.jsonl", {"a": killed_after_23, "b": answer})
    assert not (tmp_path / "killed.jsonl").exists(), "only what is complete has the name"
    part = tmp_path / "killed.jsonl.part"
    rows = part.read_text().splitlines(keepends=True)
    assert len(rows) == 11 * 4 + 1
    for cut in ("".join(rows), "".join(rows) + rows[0], "".join(rows) + rows[0] + rows[1][:40], "".join(rows[:3])):
        part.write_text(cut)
        assert run_over(data, tmp_path / "killed.jsonl", {"a": answer, "b": answer}) == whole
        assert not part.exists()
        (tmp_path / "killed.jsonl").unlink()
    part.write_text("".join(rows[:8]).replace("02.flac", "else.flac"))
    with pytest.raises(Wav2SmallError, match="has changed since"):
        run_over(data, tmp_path / "killed.jsonl", {"a": answer, "b": answer})


def test_a_finished_evaluation_predicts_nothing_again(data, tmp_path):
    before = evaluate([str(BUNDLED)], data, RATINGS, tmp_path / "out")
    written = (tmp_path / "out" / "predictions.jsonl").stat().st_mtime_ns
    (tmp_path / "out" / "report.md").unlink()
    assert evaluate([str(BUNDLED)], data, RATINGS, tmp_path / "out") == before
    assert (tmp_path / "out" / "predictions.jsonl").stat().st_mtime_ns == written
    assert (tmp_path / "out" / "report.md").is_file()
    with pytest.raises(Wav2SmallError, match="started with another target"):
        evaluate([str(BUNDLED)], data, Norms("emotion"), tmp_path / "out")


def test_memory_does_not_grow_with_the_audio(tmp_path):
    def peak(clips: int) -> int:
        rows = [rated(i) for i in range(clips)]
        data = corpus(tmp_path / str(clips), rows)
        for row in rows:
            soundfile.write(tmp_path / str(clips) / row["file_name"], voice_like(5.0), RATE)
        tracemalloc.start()
        run_over(data, tmp_path / f"{clips}.jsonl", {"a": lambda clip: np.zeros(3)})
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)  # what is imported and cached once
    few, many = peak(4), peak(24)
    assert many < few + 20 * 10_000, f"{few} bytes for 4 clips, {many} for 24: a clip has 320,000"


def test_a_report_says_that_a_model_has_heard_the_corpus(checkpoint, data, tmp_path):
    heard = tmp_path / "heard"
    shutil.copytree(checkpoint, heard)
    origin = Provenance(step="train", name="x", corpora=[Link("data", "CC0-1.0", "training")])
    write_provenance(origin, heard)
    assert evaluate([str(heard), str(BUNDLED)], data, RATINGS, tmp_path / "out")["trained_on"] == ["heard"]
    assert "were training clips of `heard`" in (tmp_path / "out" / "report.md").read_text()


def broken(row: dict[str, str]) -> list[dict[str, str]]:
    return [rated(0), rated(1), {**rated(2), **row}]


@pytest.mark.parametrize(
    ("rows", "target", "reason"),
    [
        (broken({"EmoAct": "8"}), RATINGS, "02.flac: EmoAct is 8, outside of 1 to 7"),
        (broken({"EmoAct": "high"}), RATINGS, "02.flac: EmoAct is 'high', not a number"),
        (broken({}), Ratings({"arousal": "Act"}), "no column 'Act'; it has EmoAct, EmoDom"),
        (broken({}), Norms("Emotion"), "no column 'Emotion'"),
        ([{**rated(0), "emotion": "x"}, {**rated(1), "emotion": "y"}], Norms("emotion"), "fewer than two clips"),
    ],
)
def test_settings_that_do_not_fit_the_data_give_one_sentence(tmp_path, rows, target, reason):
    data = corpus(tmp_path / "data", rows)
    with pytest.raises(Wav2SmallError, match=reason) as error:
        evaluate([str(BUNDLED)], data, target, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "report.md").exists()


def test_a_prediction_of_nan_ends_the_evaluation(data, tmp_path):
    with pytest.raises(Wav2SmallError, match=r"student predicts \[nan.* 01.flac \(as recorded\)"):
        run_over(data, tmp_path / "x.jsonl", {"student": lambda clip: np.full(3, np.nan)})


def test_ratings_need_a_dimension_and_a_rising_scale():
    for columns, scale, reason in (
        ({}, (0, 1), "not of nothing"),
        ({"anger": "x"}, (0, 1), "not of anger"),
        ({"arousal": "x"}, (7, 1), "not from 7 to 1"),
    ):
        with pytest.raises(Wav2SmallError, match=reason):
            Ratings(columns, scale)


def test_main_reads_the_options_of_the_command_line(data, tmp_path, capsys):
    folder, out = data.source, tmp_path / "out"
    columns = ",".join(f"{dimension}={column}" for dimension, column in COLUMNS.items())
    main([], folder, out, split="test", where=["sex=f"], columns=columns, scale=(1, 7), groups="speaker")
    content = json.loads((out / "report.json").read_text())
    assert content["clips"] == 8
    assert content["settings"]["data"]["where"] == {"sex": "f", "split": "test"}
    printed = capsys.readouterr().out
    assert DEFAULT in printed and "loudness baseline" in printed and "report.md" in printed
    for options, reason in (
        ({}, "compared with"),
        ({"columns": columns, "emotion": "emotion"}, "compared with"),
        ({"emotion": "emotion", "noise": tmp_path}, "--conditions"),
        ({"emotion": "emotion", "where": ["sex"]}, "sex: write it as name=value"),
        ({"emotion": "emotion", "groups": "accent"}, "no column 'accent'"),
        ({"emotion": "emotion", "where": ["sex=x"]}, "no clips where"),
        ({"columns": "EmoAct"}, "EmoAct: write it as name=value"),
    ):
        with pytest.raises(Wav2SmallError, match=reason):
            main([], folder, tmp_path / "other", **options)


def test_a_condition_changes_the_clip_and_keeps_the_target(data, tmp_path):
    gain = Condition("twice", lambda clip, random: 2 * clip)
    peak = {"peak": lambda clip: np.full(3, np.abs(clip).max())}
    rows = run_over(data, tmp_path / "x.jsonl", peak, [AS_RECORDED, gain])
    for clean, loud in zip(rows[::2], rows[1::2], strict=True):
        assert loud["prediction"] == pytest.approx([2 * value for value in clean["prediction"]])
        assert (clean["condition"], loud["condition"]) == ("as recorded", "twice")
        assert clean["target"] == loud["target"], "the target stays that of the clip"


def test_real_speech_under_all_conditions(speech, tmp_path):
    where = {"split": "validation", "text_id": "a01"}
    data = Corpus(source=str(speech / "emodb"), licence="CC-BY-4.0", where=where)
    content = evaluate(
        [str(BUNDLED)],
        data,
        Norms("emotion"),
        tmp_path / "out",
        all_conditions=True,
        noise=speech / "noise",
        rooms=speech / "rooms",
    )
    clips = sum(1 for _ in open_rows(data))
    tested = content["settings"]["conditions"]
    assert len(lines(tmp_path / "out" / "predictions.jsonl")) == clips * len(tested)
    assert {"telephone", "room", "environment 20 dB", "babble 20 dB", "noise -5 dB", "reverb blurred"} <= tested.keys()
    assert {"music 20 dB", "coughing 10 dB", "microphones", "pitch groups"} <= content["not_measured"].keys()
    gain = [row for row in content["robustness"] if row["condition"] == "gain 1-2 dB"]
    assert all(row["passed"][name] for row in gain for name in LABELS), "the model does not hear the level"
    text = (tmp_path / "out" / "report.md").read_text()
    for row in content["robustness"]:
        assert f"| {row['group']} | {row['condition']} | {row['measure']} | ≥ {row['bar']} | " in text
    assert "0.39 / 0.47 / 0.23" in text, "the reference models stand beside"
    assert "- telephone: 8 kHz mu-law in place of AMR-NB" in text
    assert "- music 20 dB: needs a folder of noise" in text
    for name in ("agreement.png", "robustness.png", "distortions.png"):
        assert (tmp_path / "out" / name).stat().st_size > 10_000
    levels = [level_db(waveform(row, data)) for row in open_rows(data)]
    rows = lines(tmp_path / "out" / "predictions.jsonl")[:: len(tested)]
    assert [row["level_db"] for row in rows] == pytest.approx(levels)


def test_an_evaluation_that_failed_at_once_can_be_started_with_other_settings(data, tmp_path):
    with pytest.raises(Wav2SmallError, match="no column 'Act'"):
        evaluate([str(BUNDLED)], data, Ratings({"arousal": "Act"}), tmp_path / "out")
    evaluate([str(BUNDLED)], data, RATINGS, tmp_path / "out")
    assert (tmp_path / "out" / "report.md").is_file()
