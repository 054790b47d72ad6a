"""``tools/evaluate.py --flags``: the trials that it makes, and their tables."""

from collections.abc import Callable, Mapping, Sequence

from cardiacseg.evaluation.flags import (
    good_summary,
    labelled_cases,
    phantom_cases,
    run_flag_trials,
    run_predicted,
    spoiled_summary,
)
from cardiacseg.evaluation.label_spoilings import OF_A_WHOLE_BEAT, OF_ANY_CINE
from cardiacseg.evaluation.runs import Progress
from cardiacseg.evaluation.tables import percent, table
from cardiacseg.io.labelled import LabelledFrame
from cardiacseg.segmenter import CardiacSegmenter

_SHOWN = 4  # of the other flags


def flag_document(
    frames: Sequence[LabelledFrame], segmenter: CardiacSegmenter, say: Callable[[str, str], Progress]
) -> dict[str, dict]:
    """``good``: flags on the experts' labels, on the model's and on synthetic cines. ``spoiled``: on spoiled ones.

    ``say`` gives a progress function from what is done and what is counted.
    """
    experts = run_flag_trials(labelled_cases(frames, say("flags, experts' labels", "patients")), OF_ANY_CINE)
    model = run_predicted(labelled_cases(frames, say("flags, model's labels", "patients")), segmenter)
    synthetic = run_flag_trials(phantom_cases(), OF_A_WHOLE_BEAT)
    good = {"experts": experts, "model": model, "synthetic": synthetic}
    return {
        "good": {whose: good_summary(trials) for whose, trials in good.items()},
        "spoiled": spoiled_summary(experts, OF_ANY_CINE) | spoiled_summary(synthetic, OF_A_WHOLE_BEAT),
    }


def flag_tables(document: Mapping[str, dict]) -> str:
    """Both parts of a :func:`flag_document` as Markdown."""
    return good_table(document["good"]) + "\n\n" + spoiled_table(document["spoiled"])


def good_table(good: Mapping[str, dict]) -> str:
    """Share of the cases that raise each flag, for each kind of labels."""
    titles = {"experts": "Experts' labels", "model": "Model's labels", "synthetic": "Synthetic cines"}
    codes = sorted({code for found in good.values() for code in found["raised"]})
    rows = [[f"`{code}`", *(percent(found["raised"].get(code, 0.0)) for found in good.values())] for code in codes]
    rows.append(["flags for each case", *(f"{found['flags_per_case']:.1f}" for found in good.values())])
    rows.append(["cases", *(str(found["cases"]) for found in good.values())])
    return table(["Raised on good segmentations", *(titles[whose] for whose in good)], rows)


def spoiled_table(spoiled: Mapping[str, dict]) -> str:
    """How often a spoiling raises what it should, how often that was raised before, and what else is new."""
    rows = []
    for title, found in spoiled.items():
        others = {code: share for code, share in found["new"].items() if code not in found["expected"]}
        names = [f"`{code}` {percent(share)}" for code, share in list(others.items())[:_SHOWN]]
        expected = " or ".join(f"`{code}`" for code in found["expected"]) or "nothing"
        shares = [percent(found[key]) for key in ("raised", "raised_as_it_is")] if found["expected"] else ["", ""]
        rows.append([title, expected, *shares, ", ".join(names)])
    return table(["Spoiled by", "Should raise", "Raises it", "As it is", "Other new flags, at most four"], rows)
