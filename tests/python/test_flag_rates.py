"""How often flags are raised: the counting on literals, then spoilings of drawn, synthetic and real hearts."""

from pathlib import Path

import numpy as np
import pytest
from drawn_heart import IMAGE, LABELS, RR, SPACING, TIMES, drawn_image, drawn_labels

from cardiacseg.acquisition import Timing
from cardiacseg.evaluation.flag_tables import good_table, spoiled_table
from cardiacseg.evaluation.flags import (
    FlagTrial,
    flagged,
    good_summary,
    labelled_cases,
    phantom_cases,
    run_flag_trials,
    run_predicted,
    spoiled_summary,
)
from cardiacseg.evaluation.label_spoilings import OF_A_WHOLE_BEAT, OF_ANY_CINE, Case, Spoiling
from cardiacseg.io.labelled import find_labelled_frames
from cardiacseg.segmenter import CardiacSegmenter

ACDC = Path(__file__).parents[3] / "shared" / "acdc"


def test_summaries_count_shares():
    trials = [
        FlagTrial("a", "as it is", frozenset({"x"})),
        FlagTrial("b", "as it is", frozenset()),
        FlagTrial("a", "cut", frozenset({"x", "y"})),
        FlagTrial("b", "cut", frozenset({"y", "z"})),
    ]
    good = good_summary(trials)
    assert good == {"cases": 2, "flags_per_case": 0.5, "raised": {"x": 0.5}}
    found = spoiled_summary(trials, {"cut": Spoiling(lambda case, random: case, ("x",))})
    assert found["cut"] == {"expected": ["x"], "raised": 0.5, "raised_as_it_is": 0.5, "new": {"y": 1.0, "z": 0.5}}
    assert "| `x`" in good_table({"experts": good})
    assert "`y` 100.0 %, `z` 50.0 %" in spoiled_table(found)


def test_spoilings_leave_their_case_as_it_is_and_raise_what_they_should():
    case = Case(IMAGE, LABELS, SPACING, Timing(TIMES, RR, "drawn"))
    spoilings = OF_ANY_CINE | OF_A_WHOLE_BEAT
    found = spoiled_summary(run_flag_trials([("drawn", case)], spoilings), spoilings)
    np.testing.assert_array_equal(case.labels, drawn_labels())
    np.testing.assert_array_equal(case.image, drawn_image(LABELS))
    missed = {title for title, row in found.items() if row["expected"] and not row["raised"]}
    assert missed == set()
    assert found["reversed slices"]["new"] == {}


def test_a_run_of_the_model_is_flagged():
    [(name, case)] = phantom_cases(1, phases=1)
    [trial] = run_predicted([(name, case)], CardiacSegmenter())
    assert trial == FlagTrial(name, "as it is", frozenset({"few_phases"}))


def test_a_synthetic_beat():
    [(name, case)] = phantom_cases(1, phases=15)
    assert flagged(case) == frozenset()
    found = spoiled_summary(run_flag_trials([(name, case)], OF_A_WHOLE_BEAT), OF_A_WHOLE_BEAT)
    assert all(row["raised"] for row in found.values())


@pytest.mark.skipif(not ACDC.is_dir(), reason="ACDC is not beside the checkout")
def test_experts_labels_raise_little_and_spoiled_ones_the_right_flag():
    frames = find_labelled_frames(ACDC, ["patient003", "patient045"])
    wanted = ("a slice without labels", "RV and LV exchanged in a slice", "shuffled slices", "reversed slices")
    spoilings = {title: OF_ANY_CINE[title] for title in wanted}
    trials = run_flag_trials(labelled_cases(frames), spoilings)
    for trial in trials:
        if trial.spoiling in ("as it is", "reversed slices"):
            # the LV of patient045 has 31 of its 193 ml in a slice at the base where the experts see no RV
            assert trial.codes - {"few_phases"} == ({"lv_beyond_rv"} if trial.name == "patient045" else set())
    found = spoiled_summary(trials, spoilings)
    assert [found[title]["raised"] for title in wanted[:3]] == [1, 1, 1]
