"""How often quality flags are raised: on good segmentations, which should raise few, and on perturbed ones.

This is ``tools/evaluate.py --flags``: trials, summaries and tables.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cardiacseg.acquisition import Timing
from cardiacseg.evaluation.label_perturbations import OF_A_WHOLE_CINE, OF_ANY_CINE, Case, Perturbation
from cardiacseg.evaluation.runs import AS_IT_IS, Progress, with_progress
from cardiacseg.evaluation.tables import percent, table
from cardiacseg.io.cine import Cine, SegmentedCine
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.labelled import LabelledFrame, read_labelled_frame
from cardiacseg.measurements import measure
from cardiacseg.phantom import beating_heart
from cardiacseg.quality import find_flags
from cardiacseg.segmenter import CardiacSegmenter, Result

_SHOWN = 4  # of the other flags


@dataclass(frozen=True)
class FlagTrial:
    """The codes that were raised on one person's labels under one perturbation."""

    name: str
    perturbation: str
    codes: frozenset[str]


def flagged(case: Case, result: Result | None = None) -> frozenset[str]:
    """Codes of the flags of a case; ``result`` is that of the run that gave its labels."""
    slices, rows, columns = case.image.shape[1:]
    geometry = Geometry((0.0, 0.0, 0.0), np.eye(3), tuple(case.spacing[::-1]), (columns, rows, slices))
    cine = Cine(Path("case"), case.image, case.spacing, geometry, timing=case.timing)
    measurements = measure(case.labels, case.spacing, timing=case.timing)
    return frozenset(flag.code for flag in find_flags(SegmentedCine(cine, case.labels, result, measurements)))


def labelled_cases(frames: Sequence[LabelledFrame], progress: Progress | None = None) -> Iterator[tuple[str, Case]]:
    """Each patient's frames in order of name as one cine, with the experts' labels; in ACDC that is ED and ES."""
    patients: dict[str, list[LabelledFrame]] = {}
    for frame in frames:
        patients.setdefault(frame.patient, []).append(frame)
    for patient, group in with_progress(sorted(patients.items()), progress):
        stacks = [read_labelled_frame(frame) for frame in group]
        image, labels = (np.stack([getattr(stack, part) for stack in stacks]) for part in ("image", "labels"))
        yield patient, Case(image, labels, stacks[0].spacing)


def phantom_cases(count: int = 5, frames: int = 25) -> Iterator[tuple[str, Case]]:
    """Synthetic cines with their exact labels and times, for checks that need more than two frames."""
    for seed in range(count):
        heart = beating_heart(frames, 12, (128, 128), (8.0, 1.8, 1.8), seed)
        times = tuple(heart.frame_interval_ms * np.arange(frames))
        timing = Timing(times, heart.frame_interval_ms * frames, "synthetic")
        yield f"heart {seed}", Case(heart.image, heart.labels, heart.spacing, timing)


def run_flag_trials(
    cases: Iterable[tuple[str, Case]], perturbations: Mapping[str, Perturbation], seed: int = 0
) -> list[FlagTrial]:
    """Look for flags in every case as it is and under each perturbation; random choices depend on ``seed`` and
    names."""
    trials = []
    for name, case in cases:
        trials.append(FlagTrial(name, AS_IT_IS, flagged(case)))
        for title, perturbation in perturbations.items():
            random = np.random.default_rng([seed, zlib.crc32(f"{name} {title}".encode())])
            trials.append(FlagTrial(name, title, flagged(perturbation.perturb(case, random))))
    return trials


def run_predicted(cases: Iterable[tuple[str, Case]], segmenter: CardiacSegmenter) -> list[FlagTrial]:
    """Look for flags in the model's own labels of every case."""
    trials = []
    for name, case in cases:
        result = segmenter.run(case.image, spacing=case.spacing)
        trials.append(FlagTrial(name, AS_IT_IS, flagged(replace(case, labels=result.labels), result)))
    return trials


def good_summary(trials: Iterable[FlagTrial]) -> dict:
    """Unperturbed cases: their number, the fraction that raises each code, and the mean number of flags per case."""
    found = [trial.codes for trial in trials if trial.perturbation == AS_IT_IS]
    return {"cases": len(found), "flags_per_case": sum(map(len, found)) / len(found), "raised": _fractions(found)}


def perturbed_summary(trials: Sequence[FlagTrial], perturbations: Mapping[str, Perturbation]) -> dict[str, dict]:
    """By perturbation: the expected codes, the fractions of cases that raise one of them with it and without
    (``raised``, ``raised_as_it_is``), and the fractions that newly raise each code (``new``)."""
    before = {trial.name: trial.codes for trial in trials if trial.perturbation == AS_IT_IS}
    table = {}
    for title, perturbation in perturbations.items():
        rows = {trial.name: trial.codes for trial in trials if trial.perturbation == title}
        expected = set(perturbation.expected)
        table[title] = {
            "expected": list(perturbation.expected),
            "raised": float(np.mean([bool(codes & expected) for codes in rows.values()])),
            "raised_as_it_is": float(np.mean([bool(before[name] & expected) for name in rows])),
            "new": _fractions([codes - before[name] for name, codes in rows.items()]),
        }
    return table


def _fractions(found: Sequence[Iterable[str]]) -> dict[str, float]:
    """Fraction of the sets that hold each code, the most frequent first."""
    counts = Counter(code for codes in found for code in codes)
    return {code: count / len(found) for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def flag_document(
    frames: Sequence[LabelledFrame], segmenter: CardiacSegmenter, say: Callable[[str, str], Progress]
) -> dict[str, dict]:
    """``good``: flags on the experts' labels, on the model's and on synthetic cines. ``spoiled``: on perturbed ones.

    ``say`` makes a progress function from the name of a step and of the things that it counts.
    """
    experts = run_flag_trials(labelled_cases(frames, say("flags, experts' labels", "patients")), OF_ANY_CINE)
    model = run_predicted(labelled_cases(frames, say("flags, model's labels", "patients")), segmenter)
    synthetic = run_flag_trials(phantom_cases(), OF_A_WHOLE_CINE)
    good = {"experts": experts, "model": model, "synthetic": synthetic}
    return {
        "good": {whose: good_summary(trials) for whose, trials in good.items()},
        "spoiled": perturbed_summary(experts, OF_ANY_CINE) | perturbed_summary(synthetic, OF_A_WHOLE_CINE),
    }


def flag_tables(document: Mapping[str, dict]) -> str:
    """Both parts of a :func:`flag_document` as Markdown."""
    return good_table(document["good"]) + "\n\n" + perturbed_table(document["spoiled"])


def good_table(good: Mapping[str, dict]) -> str:
    """Fraction of the cases that raise each flag, for each kind of labels."""
    titles = {"experts": "Experts' labels", "model": "Model's labels", "synthetic": "Synthetic cines"}
    codes = sorted({code for found in good.values() for code in found["raised"]})
    rows = [[f"`{code}`", *(percent(found["raised"].get(code, 0.0)) for found in good.values())] for code in codes]
    rows.append(["flags per case", *(f"{found['flags_per_case']:.1f}" for found in good.values())])
    rows.append(["cases", *(str(found["cases"]) for found in good.values())])
    return table(["Raised on good segmentations", *(titles[whose] for whose in good)], rows)


def perturbed_table(perturbed: Mapping[str, dict]) -> str:
    """For each perturbation: how often an expected flag is raised, how often it was before, and other new flags."""
    rows = []
    for title, found in perturbed.items():
        others = {code: fraction for code, fraction in found["new"].items() if code not in found["expected"]}
        names = [f"`{code}` {percent(fraction)}" for code, fraction in list(others.items())[:_SHOWN]]
        expected = " or ".join(f"`{code}`" for code in found["expected"]) or "nothing"
        fractions = [percent(found[key]) for key in ("raised", "raised_as_it_is")] if found["expected"] else ["", ""]
        rows.append([title, expected, *fractions, ", ".join(names)])
    return table(
        ["Perturbation", "Expected flags", "Raised", "Raised without it", "Other new flags, at most four"], rows
    )
