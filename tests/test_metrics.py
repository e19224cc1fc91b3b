"""Scores against their definitions, and the published tests on predictions whose verdict is known."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from wav2small_training.evaluation import fairness, robustness
from wav2small_training.evaluation.conditions import NOISE_KINDS, Recordings, conditions
from wav2small_training.evaluation.scores import BASELINE, PredictionTable, loudness_baseline, summary
from wav2small_training.metrics import auc, ccc, interval, js_distance, mae, pearson, spearman, unchanged


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_ccc_of_a_shift_and_of_a_stretch_is_known():
    target = np.linspace(0, 1, 101)
    variance = target.var()
    assert ccc(target + 0.3, target) == pytest.approx(2 * variance / (2 * variance + 0.3**2))
    assert ccc(2 * target - 0.5, target) == pytest.approx(2 * 2 / (1 + 4))  # same mean, r = 1
    assert pearson(target + 0.3, target) == pytest.approx(1)


@settings(deadline=None)
@given(st.integers(2, 200), st.integers(0, 2**31), st.floats(0.05, 1.5))
def test_ccc_and_pearson_equal_their_definitions(clips, seed, spread):
    random = np.random.default_rng(seed)
    target = random.uniform(0, 1, (clips, 3))
    prediction = spread * target + 0.2 * random.standard_normal((clips, 3)) + 0.1
    for i in range(3):
        x, y = prediction[:, i], target[:, i]
        r = np.corrcoef(x, y)[0, 1]
        expected = 2 * r * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert pearson(prediction, target)[i] == pytest.approx(r, abs=1e-9)
        assert ccc(prediction, target)[i] == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**31))
def test_mae_and_spearman_equal_their_definitions(clips, seed):
    random = np.random.default_rng(seed)
    x, y = random.integers(0, 8, clips) / 7, random.integers(0, 8, clips) / 7  # with ties
    assert mae(x, y) == pytest.approx(sum(abs(a - b) for a, b in zip(x, y, strict=True)) / clips)
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
        assert spearman(np.exp(5 * x), y) == pytest.approx(spearman(x, y)), "only the order counts"


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**31))
def test_auc_is_the_share_of_pairs_in_the_right_order(highs, lows, seed):
    random = np.random.default_rng(seed)
    high, low = random.integers(2, 9, highs) / 8, random.integers(0, 7, lows) / 8  # with ties
    pairs = [(a > b) + (a == b) / 2 for a in high for b in low]
    assert auc(high, low) == pytest.approx(np.mean(pairs))
    assert auc(np.exp(high) - 3, np.exp(low) - 3) == pytest.approx(auc(high, low)), "only the order counts"
    assert auc(low, high) == pytest.approx(1 - auc(high, low))


def test_the_interval_of_an_auc_draws_from_both_groups_and_holds_the_known_value():
    random = np.random.default_rng(2)
    high, low = random.normal(1, 1, 400), random.normal(0, 1, 300)
    expected = scipy.stats.norm.cdf(1 / np.sqrt(2))  # the probability that one Gaussian is above the other
    lower, upper = interval(auc, high, low, paired=False)
    assert lower < expected < upper and upper - lower < 0.1
    assert interval(auc, high[:2], low[:2], paired=False)[1] <= 1, "two clips a group suffice"


def test_js_distance_equals_its_definition():
    ours, theirs = np.repeat([0.05, 0.15, 0.95], [2, 1, 1]), np.repeat([0.05, 0.55], [1, 3])
    p, q = np.zeros(10), np.zeros(10)
    p[[0, 1, 9]], q[[0, 5]] = [0.5, 0.25, 0.25], [0.25, 0.75]
    middle = (p + q) / 2
    divergence = sum(a * np.log2(a / m) / 2 for s in (p, q) for a, m in zip(s, middle, strict=True) if a > 0)
    assert js_distance(ours, theirs) == pytest.approx(np.sqrt(divergence))
    assert js_distance(ours, ours) == pytest.approx(0)
    assert js_distance(np.array([0.1, 0.2]), np.array([0.8])) == pytest.approx(1)
    assert js_distance(np.array([-3.0, 1.0]), np.array([0.02, 7.0])) == pytest.approx(0), "outside counts at the edge"


def test_a_prediction_is_unchanged_below_five_hundredths():
    prediction = np.zeros((4, 2))
    moved = np.array([[0.049, 0.0], [-0.049, 0.0], [0.051, 0.0], [-0.2, 0.3]])
    np.testing.assert_allclose(unchanged(prediction, moved), [0.5, 0.75])


def test_the_bootstrap_interval_covers_the_true_value_about_95_times_in_100():
    random, runs, true = np.random.default_rng(1), 150, 0.6
    hits = 0
    for _ in range(runs):
        x = random.standard_normal(80)
        y = true * x + np.sqrt(1 - true**2) * random.standard_normal(80)  # Pearson's r is .6
        low, high = interval(pearson, x, y, resamples=200)
        assert low < pearson(x, y) < high
        hits += low <= true <= high
    assert 0.88 <= hits / runs <= 0.99
    wide, narrow = (np.ptp(interval(mae, *random.uniform(0, 1, (2, n)), resamples=200)) for n in (50, 5000))
    assert 5 < wide / narrow < 20, "ten times narrower with a hundred times the clips"
    assert interval(mae, x, y) == interval(mae, x, y)


# fairness


def test_balanced_groups_have_as_many_clips_and_like_ratings(random):
    target = np.concatenate([random.uniform(0, 1, 400), random.uniform(0.4, 0.6, 60)])
    groups = np.repeat(["f", "m"], [400, 60])
    chosen = fairness.balanced(target, groups, 1000, np.random.default_rng(0))
    assert len(set(chosen)) == len(chosen) == 120
    f, m = (np.sort(target[chosen][groups[chosen] == name]) for name in "fm")
    assert len(f) == len(m) == 60
    assert abs(f.mean() - m.mean()) < 0.02
    assert target[groups == "f"].std() > 2 * f.std(), "the wide group was narrowed"


def test_precision_and_recall_in_bins_equal_a_count_by_hand():
    target = np.array([0.1, 0.1, 0.1, 0.6, 0.9])
    prediction = np.array([0.2, 0.3, -1.0, 0.6, 0.7])  # bins 0 1 0 2 2, the truth is 0 0 0 2 3
    np.testing.assert_allclose(fairness.precision(prediction, target), [1, 0, 1 / 2, np.nan])
    np.testing.assert_allclose(fairness.recall(prediction, target), [2 / 3, np.nan, 1, 0])


def test_a_model_that_is_worse_for_one_sex_fails_and_a_like_one_passes(random):
    target = random.uniform(0, 1, 2400)
    sexes = np.where(np.arange(2400) % 2, "f", "m")
    noise = random.normal(0, 0.15, 2400)
    fair = target + noise
    unfair = np.where(sexes == "f", fair, target + 3 * noise)

    def verdicts(prediction):
        return {r.test: r for r in fairness.judge("arousal", prediction, target, {"sex": sexes})}

    name = "sex: CCC, group - all"
    assert verdicts(fair)[name].passed
    result = verdicts(unfair)[name]
    assert not result.passed
    assert result.clips == "1000 clips a group"
    assert abs(result.value) > 0.1 > result.chance, "more than chance makes"
    assert "sex: CCC, group - all" not in {
        r.test for r in fairness.judge("arousal", fair, target, {"sex": np.full(2400, "f")})
    }, "one group alone cannot be compared"


def test_the_gap_of_a_group_is_its_score_minus_that_of_all(random):
    target = random.uniform(0, 1, 100)
    groups = np.repeat(["a", "b"], 50)
    prediction = np.where(groups == "a", target, 1 - target)
    gaps = [ccc(prediction[groups == name], target[groups == name]) - ccc(prediction, target) for name in "ab"]
    assert fairness.largest_gap(ccc, prediction, target, groups) == pytest.approx(max(gaps, key=abs))


def test_chance_explains_the_published_bar():
    published = 0.075  # the most in 1,000 runs with 1,000 clips a group
    assert published / 2 < fairness.chance(ccc, 2, 1000) < published
    assert fairness.chance(ccc, 2, 50) > 2 * published, "with 50 clips a group the bar says little"


def test_speakers_are_judged_by_their_means(random):
    speakers = np.repeat(["a", "b", "c", "d", "e", "rare"], [20, 10, 10, 10, 10, 9])
    level = dict(zip("abcde", (0.1, 0.3, 0.5, 0.7, 0.9), strict=True)) | {"rare": 0.5}
    target = np.array([level[name] for name in speakers]) + random.uniform(-0.05, 0.05, len(speakers))
    prediction = np.where(speakers == "rare", 5.0, 1 - target)  # reversed; the rare speaker must not count
    results = {r.test: r for r in fairness.judge("valence", prediction, target, {"speaker": speakers})}
    error = np.mean([abs((prediction - target)[speakers == name].mean()) for name in "abcde"])
    assert results["speaker mean: absolute error"].value == pytest.approx(error)
    assert results["speaker mean: absolute error"].clips == "5 speakers"
    ranking = results["speaker ranking: Spearman's rho"]
    assert ranking.value == pytest.approx(-1) and not ranking.passed
    assert ranking.published == (0.20, 0.87)


def test_languages_are_compared_by_mean_and_by_share_of_a_bin():
    languages = np.repeat(["de", "en"], 50)
    prediction = np.repeat([0.2, 0.3], 50)  # different bins
    results = {r.test: r for r in fairness.judge("arousal", prediction, prediction, {"language": languages})}
    assert results["language: mean, group - all"].value == pytest.approx(-0.05)
    assert not results["language: mean, group - all"].passed
    assert results["language: share of a bin, group - all"].value == pytest.approx(0.5)


# robustness


def every_condition(tmp_path) -> list:
    recordings = Recordings(
        {kind: [tmp_path] for kind in NOISE_KINDS}, [tmp_path] * 3, [np.ones(9) * i for i in range(8)]
    )
    return conditions(recordings)


def test_every_published_test_has_its_condition_or_says_what_it_needs(tmp_path):
    full, bare = ({c.name for c in found} for found in (every_condition(tmp_path), conditions(Recordings())))
    needed = {test.condition for test in robustness.TESTS}
    assert needed <= full, needed - full
    assert set(robustness.missing(bare)) == (needed - bare) | set(robustness.NOT_MEASURED)
    assert set(robustness.missing(full)) == set(robustness.NOT_MEASURED)
    assert len(full) == len(every_condition(tmp_path)), "names must differ: they seed the changes"


def test_robustness_is_judged_by_shares_and_by_change_of_ccc():
    target = np.column_stack([np.linspace(0, 1, 100), np.full(100, np.nan), np.linspace(1, 0, 100)])
    clean = np.nan_to_num(target, nan=0.5)
    moved = clean.copy()
    moved[:20, 0] += 0.06  # 80 % unchanged
    moved[:, 1] += 0.04  # all unchanged
    moved[:, 2] = 0.5  # a tenth unchanged, and no agreement left
    results = robustness.judge({"clean": clean, "tilt up": moved, "unknown": moved}, target, "clean")
    by_measure = {result.test.measure: result for result in results}
    share, change = by_measure["unchanged"], by_measure["CCC change"]
    assert len(results) == 2
    assert share.values == pytest.approx({"arousal": 0.8, "dominance": 1, "valence": 0.1})
    assert share.passed == {"arousal": True, "dominance": True, "valence": False}
    assert change.values.keys() == {"arousal", "valence"}, "nobody rated dominance"
    assert change.values["valence"] == pytest.approx(-1)
    assert change.values["arousal"] == pytest.approx(ccc(moved[:, 0], target[:, 0]) - 1)
    assert change.passed == {"arousal": True, "valence": False}


def test_the_reference_values_are_shares_and_changes():
    for test in robustness.TESTS:
        for pair in test.published.values():
            for value in pair:
                low, high = (0, 1) if test.measure == "unchanged" else (-1, 0.1)
                assert value is None or low <= value <= high, test


# scores


def table(level_db, target, speakers) -> PredictionTable:
    clips = len(level_db)
    predictions = {"model": dict.fromkeys(("as recorded", "level-normalised"), target + 0.1)}
    seconds, columns = np.full(clips, 2.0), {"speaker": np.array(speakers)}
    emotions = np.full(clips, "")
    return PredictionTable(
        [str(i) for i in range(clips)], seconds, level_db, target, columns, emotions, predictions, {"model": 0.1}
    )


def test_the_loudness_baseline_is_never_fitted_on_the_clips_that_it_is_scored_on(random):
    level_db = random.uniform(-40, -10, 60)
    target = np.column_stack([0.02 * level_db + 1, -0.01 * level_db, np.full(60, np.nan)])
    speakers = np.repeat(["a", "b", "c"], 20)
    prediction, how = loudness_baseline(table(level_db, target, speakers), [])
    np.testing.assert_allclose(prediction[:, :2], target[:, :2])
    assert np.isnan(prediction[:, 2]).all(), "nobody rated valence"
    assert "for each speaker" in how

    lied = target.copy()
    lied[:20] = 0  # the ratings of one speaker change what the others get, not what that speaker gets
    again, _ = loudness_baseline(table(level_db, lied, speakers), [])
    np.testing.assert_allclose(again[:20, :2], prediction[:20, :2])
    assert abs(again[20:, 0] - prediction[20:, 0]).max() > 0.05

    fit = [{"level_db": -20.0, "target": [0.2, 0.5, None]}, {"level_db": -30.0, "target": [0.1, 0.4, None]}]
    trained, how = loudness_baseline(table(level_db, target, speakers), fit)
    np.testing.assert_allclose(trained[:, 0], 0.01 * level_db + 0.4)
    assert "2 clips of the training split" in how

    alone, how = loudness_baseline(table(level_db, target, [""] * 60), [])
    np.testing.assert_allclose(alone[:, :2], target[:, :2])
    assert "for each clip" in how


def test_the_summary_separates_acted_emotion_words_without_norms(random):
    level_db = random.uniform(-40, -10, 60)
    words = np.array(["anger", "surprise", "sadness", "neutral", "happiness", "disgust"] * 10)
    aroused = np.isin(words, ["anger", "surprise", "happiness"])
    target = np.where(aroused, 0.7, 0.3)[:, None] + random.uniform(0, 0.01, (60, 3))
    predictions = table(level_db, target, ["a", "b"] * 30)
    predictions.emotions = words
    numbers = summary(predictions, [], [])
    assert numbers["emotion_groups"] == {
        "arousal": {"high": ["anger", "happiness", "surprise"], "low": ["sadness", "neutral"]},
        "valence": {"high": ["happiness"], "low": ["anger", "sadness"]},
    }
    rows = {(row["model"], row["condition"], row["dimension"]): row for row in numbers["auc"]}
    row = rows["model", "as recorded", "arousal"]
    assert (row["auc"], row["auc_interval"], row["high"], row["low"]) == (1, [1, 1], 30, 20), "disgust is in no group"
    assert 0.5 < rows["model", "as recorded", "valence"]["auc"] < 1, "anger is as high as happiness here"
    assert abs(rows[BASELINE, "as recorded", "arousal"]["auc"] - 0.5) < 0.3, "loudness says nothing here"
    assert table(level_db, target, ["a"] * 60).emotions.tolist() == [""] * 60
    assert summary(table(level_db, target, ["a"] * 60), [], [])["auc"] == []


def test_the_summary_scores_the_dimensions_that_are_rated(random):
    level_db = random.uniform(-40, -10, 60)
    target = np.column_stack([random.uniform(0, 1, 60), np.full(60, np.nan), np.full(60, np.nan)])
    numbers = summary(table(level_db, target, ["a", "b"] * 30), [], ["speaker"])
    rows = {(row["model"], row["condition"], row["dimension"]): row for row in numbers["agreement"]}
    assert set(rows) == {
        ("model", "as recorded", "arousal"),
        ("model", "level-normalised", "arousal"),
        (BASELINE, "as recorded", "arousal"),
    }
    row = rows["model", "as recorded", "arousal"]
    assert row["mae"] == pytest.approx(0.1) and row["pearson"] == pytest.approx(1)
    assert row["ccc"] == pytest.approx(2 * target[:, 0].var() / (2 * target[:, 0].var() + 0.01))
    assert row["ccc_interval"][0] < row["ccc"] < row["ccc_interval"][1]
    assert numbers["speed"]["model"] == pytest.approx(0.1 / (2 * 120)), "seconds of work a second of audio"
    assert {row["group"] for row in numbers["groups"]} == {"a", "b"}
    assert numbers["robustness"] == []
