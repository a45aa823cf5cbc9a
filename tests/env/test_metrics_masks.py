"""Metrics of masks against numbers worked out by hand and against pixels, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.spatial
from scipy.spatial.distance import directed_hausdorff

from mledojo_env.errors import GradingError, InvalidSubmission
from mledojo_env.grading import score_frame
from mledojo_env.metrics import BadCell, get_metric, masks, runs
from mledojo_env.metrics.volumes import _directed, hausdorff
from mledojo_env.task import SubmissionFormat


def cells(values: Sequence[object]) -> np.ndarray:
    """Return values, which may be tuples, as an array of shape (values,)."""
    return np.fromiter(values, dtype=object, count=len(values))


DOJO = {"compat": "dojo"}
BIG = 10**12 - 1

# name, params, answers, predictions, score by hand
BY_HAND: list[tuple[str, dict[str, Any], list[Any], list[Any], float]] = [
    # pixels 1-4 and 3-6 share 2
    ("dice_rle", {}, ["1 4"], ["3 4"], 2 * 2 / 8),
    # both empty, only the answer, only the prediction
    ("dice_rle", {}, ["", "1 4", ""], ["", "", "1 4"], 1 / 3),
    # several runs: 3-5 and 9 of 1-5 and 8-9
    ("dice_rle", {}, ["1 5 8 2"], ["3 4 9 5"], 2 * (3 + 1) / (7 + 9)),
    # runs in another order and in pieces are the same mask
    ("dice_rle", {}, ["1 5 8 2"], ["8 1 3 3 9 1 1 2"], 1.0),
    ("dice_rle", {}, ["1 1"], [f"1 {BIG}"], 2 / (1 + BIG)),
    ("fbeta_rle", {}, ["1 4"], ["3 4"], 1 / 2),
    # precision 1 and recall 1/2; recall counts half, then twice as much
    ("fbeta_rle", {}, ["1 4"], ["1 2"], 1.25 * 1 / 2 / (0.25 + 1 / 2)),
    ("fbeta_rle", {"beta": 2}, ["1 4"], ["1 2"], 5 * 1 / 2 / (4 + 1 / 2)),
    ("fbeta_rle", {}, ["", "1 4", "", "1 1"], ["", "", "1 4", "2 1"], 1 / 4),
    # an intersection over union of 0.5, of 0.55, of 0.6: only what exceeds a threshold counts
    ("iou_map_segmentation", {}, ["1 10", "1 20", "1 10"], ["1 5", "1 11", "1 6"], (0 + 1 + 2) / 30),
    ("iou_map_segmentation", DOJO, ["1 10", "1 20", "1 10"], ["1 5", "1 11", "1 6"], (1 + 2 + 2) / 30),
    ("iou_map_segmentation", {}, ["1 10", "", "", "1 10"], ["1 10", "", "1 1", ""], 2 / 4),
    # nothing there and nothing found; a false alarm; a miss
    ("iou_f2_detection", {}, [(), (), ("1 9",)], [(), ("1 9",), ()], 1 / 3),
    # one of two ships found: 5 / (5 + 4); both, in any order; one found and a false one: 5 / (5 + 1)
    ("iou_f2_detection", {}, [("1 9", "20 9")], [("20 9",)], 5 / 9),
    ("iou_f2_detection", {}, [("1 9", "20 9")], [("20 9", "1 9")], 1.0),
    ("iou_f2_detection", {}, [("1 9",)], [("20 9", "1 9")], 5 / 6),
    ("iou_f2_detection", {}, [("1 10",)] * 3, [("1 5",), ("1 6",), ("1 7",)], (0 + 2 + 4) / 30),
    # at MLE-Dojo a threshold may be met, in single precision: 0.6 is 0.60000002, and 0.7 is 0.69999999
    ("iou_f2_detection", DOJO, [("1 10",)] * 3, [("1 5",), ("1 6",), ("1 7",)], (1 + 3 + 4) / 30),
    # two ships in one mask: it exceeds five thresholds with the larger one, by 30 of 40 pixels
    ("iou_f2_detection", {}, [("1 10", "11 30")], [("1 40",)], 5 / 10 * 5 / 9),
    ("iou_f2_detection", DOJO, [("1 10", "11 30")], [("1 40",)], 1.0),
    ("iou_f2_detection", DOJO, [("1 10", "11 30")], [("1 10", "11 30")], 5 / 10 * 5 / 6),
    # two halves, each with an intersection over union of 0.5: only one of them hits
    ("iou_f2_detection", DOJO, [("1 10",)], [("1 5", "6 5")], 1 / 10 * 5 / 6),
    # true masks that overlap: a prediction hits one of them
    ("iou_f2_detection", {}, [("1 10", "1 9")], [("1 10", "50 5")], 5 / (4 * 2 + 2)),
    # both predictions lie in one true mask, which only the larger one can hit
    ("iou_f2_detection", {}, [("1 10",)], [("1 3", "4 7")], 4 / 10 * 5 / 6),
]


@pytest.mark.parametrize(("name", "params", "truth", "predicted", "score"), BY_HAND)
def test_scores_worked_out_by_hand(
    name: str, params: dict[str, Any], truth: list[Any], predicted: list[Any], score: float
):
    found = get_metric(name, params)(cells(truth), cells(predicted))
    assert found == pytest.approx(score, abs=1e-12)


MASKS = ["dice_rle", "fbeta_rle", "iou_map_segmentation", "iou_f2_detection"]


def one_cell(name: str, text: str) -> Any:
    return (text,) if name == "iou_f2_detection" else text


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(
    ("predicted", "problem"),
    [
        ("1 2 3", "holds 3 numbers; expected 'start length' repeated"),
        ("1 2 3 x", "x'; expected whole numbers of at least 0"),
        ("-1 2", "'-1 2'; expected whole numbers"),
        ("1.0 2", "'1.0 2'"),
        ("1 1e309", "expected whole numbers"),
        ("1 1_000", "expected whole numbers"),
        ("nan", "'nan'"),
        ("٣ 1", "expected whole numbers"),
        (f"1 {10**12}", "more than 12 digits"),
        ("0 5", "holds a 0"),
        ("5 0", "holds a 0"),
        ("1 5 5 2", "covers pixel 5 twice"),
        ("1 9 20 2 3 2", "covers pixel 3 twice"),
        ("3 2 3 2", "covers pixel 3 twice"),
        ("95 7", "covers pixel 101; the image has 100"),
        ("101 1", "covers pixel 101"),
    ],
)
def test_what_cannot_be_read_names_its_row(name: str, predicted: str, problem: str):
    truth = cells([one_cell(name, "1 1")] * 2)
    bad = cells([one_cell(name, "95 6"), one_cell(name, predicted)])
    with pytest.raises(BadCell, match=problem) as caught:
        get_metric(name, {"pixels": 100})(truth, bad)
    assert caught.value.row == 1


def test_the_masks_of_an_image_do_not_overlap():
    with pytest.raises(BadCell, match="covers pixel 4 in two rows"):
        get_metric("iou_f2_detection")(cells([("1 9",)]), cells([("1 4", "8 2 4 2")]))
    # the answers' may
    assert get_metric("iou_f2_detection")(cells([("1 4", "4 4")]), cells([("1 4",)])) == pytest.approx(5 / 9)


def test_masks_have_limits(monkeypatch: pytest.MonkeyPatch):
    dice, f2 = get_metric("dice_rle"), get_metric("iou_f2_detection")
    monkeypatch.setattr(runs, "MAX_RUNS", 2)
    monkeypatch.setattr(masks, "_MAX_MASKS", 2)
    assert dice(cells(["1 1"]), cells(["1 1 3 1"])) == pytest.approx(2 / 3)
    with pytest.raises(BadCell, match="holds 3 runs; at most 2"):
        dice(cells(["1 1"]), cells(["1 1 3 1 5 1"]))
    with pytest.raises(BadCell, match="has 3 rows; at most 2"):
        f2(cells([("1 1",)]), cells([("1 1", "3 1", "5 1")]))


@pytest.mark.parametrize("name", MASKS)
def test_broken_answers_are_our_fault(name: str):
    with pytest.raises(GradingError, match=r"answers are broken: .*covers pixel 2 twice"):
        get_metric(name)(cells([one_cell(name, "1 2 2 1")]), cells([one_cell(name, "1 1")]))


def random_mask(random: np.random.Generator, pixels: int = 60) -> str:
    """Return some runs in any order, often touching."""
    ends = np.sort(random.choice(np.arange(1, pixels + 1), 2 * random.integers(0, 6), replace=False))
    pairs = [(start, end - start) for start, end in ends.reshape(-1, 2)]
    pairs += [(1, int(ends[0]) - 1)] if len(ends) and ends[0] > 1 else []
    return " ".join(f"{start} {length}" for start, length in random.permutation(pairs)) if pairs else ""


def pixels_of(text: str) -> set[int]:
    values = list(map(int, text.split()))
    pairs = zip(values[::2], values[1::2], strict=True)
    return {place for start, length in pairs for place in range(start, start + length)}


def test_runs_agree_with_sets_of_pixels():
    random = np.random.default_rng(0)
    for _ in range(300):
        one, other = random_mask(random), random_mask(random)
        true, found = pixels_of(one), pixels_of(other)
        expected = 2 * len(true & found) / (len(true) + len(found)) if true or found else 1.0
        assert get_metric("dice_rle")(cells([one]), cells([other])) == pytest.approx(expected)
        both = runs.united(np.concatenate([runs.read_runs(one), runs.read_runs(other)]))
        assert runs.size(both) == len(true | found)
        assert (both[1:, 0] > both[:-1, 1]).all()


@pytest.mark.parametrize("name", MASKS)
def test_the_order_of_rows_never_matters_and_gold_is_best(name: str):
    random = np.random.default_rng(1)
    truth = [random_mask(random) for _ in range(40)]
    predicted = [truth[row] if row % 3 else random_mask(random) for row in range(40)]
    if name == "iou_f2_detection":
        as_rows = [tuple(f"{s} {n}" for s, n in np.reshape(t.split(), (-1, 2))) for t in [*truth, *predicted]]
        one, other = cells(as_rows[:40]), cells(as_rows[40:])
    else:
        one, other = cells(truth), cells(predicted)
    order = random.permutation(40)
    metric = get_metric(name)
    score = metric(one, other)
    assert metric(one[order], other[order]) == pytest.approx(score, abs=1e-12)
    assert metric(one, one) == metric.best_value == 1
    assert 0 < score < 1


def test_ships_pass_through_grading():
    form = SubmissionFormat(id=["image"], targets=["mask"], value="text", rows="several")
    answers = pd.DataFrame({"image": ["a", "a", "b"], "mask": ["1 9", "20 9", ""]})
    metric = get_metric("iou_f2_detection")
    assert score_frame(answers, answers, form, metric) == 1
    submission = pd.DataFrame({"image": ["b", "a"], "mask": ["", "20 9"]})
    assert score_frame(submission, answers, form, metric) == pytest.approx((5 / 9 + 1) / 2)
    submission = pd.DataFrame({"image": ["b", "a", "b"], "mask": ["3 3", "20 9", "5 2"]})
    with pytest.raises(InvalidSubmission, match=r"^Column 'mask' covers pixel 5 in two rows: at id b\.$"):
        score_frame(submission, answers, form, metric)


# --------------------------------------------------------------------------- volumes


COLUMNS = {"size_columns": ["h", "w"], "volume_columns": ["scan", "class"], "slice_column": "slice"}
CORNER = math.sqrt(1 / 4 + 1 / 4) / math.sqrt(3)  # from pixel 1 to pixel 4 of 2 by 2 pixels


def volume_score(
    rows: list[tuple[str, str, int, str, str]], size: tuple[int, int] = (2, 2), **params: Any
) -> float:
    """Return the score of rows of (scan, class, slice, answer, prediction)."""
    scan, kind, level, truth, predicted = zip(*rows, strict=True)
    height, width = ([side] * len(rows) for side in size)
    columns = {"h": height, "w": width, "scan": cells(scan), "class": cells(kind), "slice": level}
    metric = get_metric("dice_hausdorff", {**COLUMNS, **params})
    return metric(cells(truth), cells(predicted), **columns)


def test_volumes_worked_out_by_hand():
    assert volume_score([("s", "a", 1, "1 2", "1 2")]) == 1
    # opposite corners
    assert volume_score([("s", "a", 1, "1 1", "4 1")]) == pytest.approx(0.6 * (1 - CORNER))
    # only one side has anything: no Dice and the distance 1; rows that are empty on both sides do not count
    assert volume_score([("s", "a", 1, "1 2", ""), ("t", "a", 1, "1 2", "1 2")]) == pytest.approx(0.5)
    assert volume_score([("s", "a", 1, "", ""), ("t", "a", 1, "1 2", "1 2")]) == 1
    # one slice below, of four, the last of which is empty but there
    deep = [("s", "a", 1, "1 1", ""), ("s", "a", 2, "", "1 1"), ("s", "a", 3, "", ""), ("s", "a", 4, "", "")]
    assert volume_score(deep) == pytest.approx(0.6 * (1 - 1 / 4 / math.sqrt(3)))
    # Dice 2/3 and 1; pixel 2 is half a height from pixel 1
    rows = [("s", "a", 1, "1 1", "1 2"), ("s", "a", 2, "4 1", "4 1")]
    assert volume_score(rows) == pytest.approx(0.4 * 5 / 6 + 0.6 * (1 - 1 / 2 / math.sqrt(3)))
    # pixels run down the columns: pixel 4 of 3 by 2 pixels begins the second, half a width away
    assert volume_score([("s", "a", 1, "1 1", "4 1")], (3, 2)) == pytest.approx(
        0.6 * (1 - 0.5 / math.sqrt(3))
    )


def test_what_a_volume_is_made_of_is_a_parameter():
    swapped = [("s", "a", 1, "1 1", "4 1"), ("s", "b", 1, "4 1", "1 1")]
    assert volume_score(swapped) == pytest.approx(0.6 * (1 - CORNER))
    assert volume_score(swapped, volume_columns="scan") == pytest.approx(0.6)  # together they are the same
    assert volume_score(swapped, volume_columns=["scan"]) == pytest.approx(0.6)


def test_volumes_as_mle_dojo_scores_them():
    # each row alone on 512 x 512 pixels; what is rightly empty has no Dice and no distance
    rows = [("s", "a", 1, "1 1", "2 1"), ("s", "a", 2, "", ""), ("s", "a", 3, "1 1", "")]
    distance = (1 / 512 / math.sqrt(2) + 0 + 1) / 3
    assert volume_score(rows, compat="dojo") == pytest.approx(0.6 * (1 - distance))
    assert np.isnan(get_metric("dice_hausdorff", {**COLUMNS, **DOJO}).best_value)


def test_the_order_of_slices_never_matters():
    random = np.random.default_rng(2)
    rows = [
        (scan, kind, level, random_mask(random), random_mask(random))
        for scan in "st"
        for kind in "ab"
        for level in range(5)
    ]
    score = volume_score(rows, (6, 10))
    assert 0 < score < 1
    shuffled = [rows[place] for place in random.permutation(len(rows))]
    assert volume_score(shuffled, (6, 10)) == pytest.approx(score, abs=1e-12)
    assert volume_score([(*row[:4], row[3]) for row in rows], (6, 10)) == 1


def test_masks_of_volumes_that_cannot_be_read():
    with pytest.raises(BadCell, match="covers pixel 5; the image has 4") as caught:
        volume_score([("s", "a", 1, "1 1", "1 1"), ("s", "a", 2, "1 1", "4 2")])
    assert caught.value.row == 1
    with pytest.raises(GradingError, match="every mask of the answers is empty"):
        volume_score([("s", "a", 1, "", "1 1")])
    columns = {"h": [2, 2], "w": [2, 3], "scan": cells("ss"), "class": cells("aa"), "slice": [1, 2]}
    with pytest.raises(GradingError, match=r"differ in size \(row 1\)"):
        get_metric("dice_hausdorff", COLUMNS)(cells(["1 1"] * 2), cells(["1 1"] * 2), **columns)


def test_a_volume_has_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(masks, "_MAX_VOXELS", 7)
    assert volume_score([("s", "a", 1, "1 1", "4 1")]) > 0
    with pytest.raises(GradingError, match="too large"):
        volume_score([("s", "a", 1, "1 1", "4 1"), ("s", "a", 2, "4 1", "4 1")])


@pytest.mark.parametrize("density", [0.001, 0.02, 0.3, 0.9])
def test_distances_agree_with_scipy(density: float):
    random = np.random.default_rng(3)
    for _ in range(12):
        shape = tuple(random.integers(1, 24, 3))
        one, other = (random.random(shape) < density for _ in range(2))
        one[tuple(random.integers(0, shape))] = other[tuple(random.integers(0, shape))] = True
        spacing = random.random(3) + 0.01
        points = [np.argwhere(body) * spacing for body in (one, other)]
        expected = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
        assert hausdorff(one, other, spacing) == pytest.approx(expected, abs=1e-12)


def test_a_hollow_body_is_farthest_from_a_full_one_in_its_middle():
    full = np.ones((9, 9, 9), dtype=bool)
    hollow = full.copy()
    hollow[1:-1, 1:-1, 1:-1] = False
    assert hausdorff(full, hollow, np.ones(3)) == 4


def test_a_block_is_kept_for_its_farthest_voxel():
    # Of the blocks of 16, the one at 48 has its middle farther from 35 than the one at 16, but not its voxel.
    body = np.zeros((1, 1, 64), dtype=bool)
    body[0, 0, [16, 48]] = True
    target = np.zeros_like(body)
    target[0, 0, 35] = True
    assert hausdorff(body, target, np.array([1e-9, 1e-9, 1])) == pytest.approx(19)


def test_few_voxels_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    asked = 0

    class Counted(scipy.spatial.cKDTree):
        def __init__(self, points: np.ndarray, *args: Any, **options: Any) -> None:
            assert len(points) <= 10**3 - 8**3  # those inside of the small body are nobody's nearest
            super().__init__(points, *args, **options)

        def query(self, points: np.ndarray, *args: Any, **options: Any) -> Any:
            nonlocal asked
            asked += len(points)
            return super().query(points, *args, **options)

    monkeypatch.setattr(scipy.spatial, "cKDTree", Counted)
    full = np.ones((64, 64, 64), dtype=bool)
    target = np.zeros_like(full)
    target[20:30, 20:30, 20:30] = True
    assert _directed(full, target, np.ones(3)) == pytest.approx(math.sqrt(3) * 34)
    assert 0 < asked < full.size / 100
