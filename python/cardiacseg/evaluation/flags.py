"""How often quality flags are raised: on good segmentations, which should raise few, and on spoiled ones."""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cardiacseg.acquisition import Timing
from cardiacseg.evaluation.label_spoilings import Case, Spoiling
from cardiacseg.evaluation.runs import Progress, with_progress
from cardiacseg.io.cine import Cine, SegmentedCine
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.labelled import LabelledFrame, read_labelled_frame
from cardiacseg.measurements import measure
from cardiacseg.phantom import beating_heart
from cardiacseg.quality import find_flags
from cardiacseg.segmenter import CardiacSegmenter, Result

AS_IT_IS = "as it is"


@dataclass(frozen=True)
class FlagTrial:
    """The codes that were raised on one person's labels under one spoiling."""

    name: str
    spoiling: str
    codes: frozenset[str]


def flagged(case: Case, result: Result | None = None) -> frozenset[str]:
    """Codes of the flags of a case; ``result`` is that of the run which made its labels."""
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


def phantom_cases(count: int = 5, phases: int = 25) -> Iterator[tuple[str, Case]]:
    """Synthetic cines with their exact labels and times, for what two phases cannot show."""
    for seed in range(count):
        heart = beating_heart(phases, 12, (128, 128), (8.0, 1.8, 1.8), seed)
        times = tuple(heart.frame_interval_ms * np.arange(phases))
        timing = Timing(times, heart.frame_interval_ms * phases, "synthetic")
        yield f"heart {seed}", Case(heart.image, heart.labels, heart.spacing, timing)


def run_flag_trials(
    cases: Iterable[tuple[str, Case]], spoilings: Mapping[str, Spoiling], seed: int = 0
) -> list[FlagTrial]:
    """Look for flags in every case as it is and under each spoiling; what is random follows from ``seed`` and names."""
    trials = []
    for name, case in cases:
        trials.append(FlagTrial(name, AS_IT_IS, flagged(case)))
        for title, spoiling in spoilings.items():
            random = np.random.default_rng([seed, zlib.crc32(f"{name} {title}".encode())])
            trials.append(FlagTrial(name, title, flagged(spoiling.spoil(case, random))))
    return trials


def run_predicted(cases: Iterable[tuple[str, Case]], segmenter: CardiacSegmenter) -> list[FlagTrial]:
    """Look for flags in the model's own labels of every case."""
    trials = []
    for name, case in cases:
        result = segmenter.run(case.image, spacing=case.spacing)
        trials.append(FlagTrial(name, AS_IT_IS, flagged(replace(case, labels=result.labels), result)))
    return trials


def good_summary(trials: Iterable[FlagTrial]) -> dict:
    """Of the cases as they are: how many, share that raises each code, flags for each case on average."""
    found = [trial.codes for trial in trials if trial.spoiling == AS_IT_IS]
    return {"cases": len(found), "flags_per_case": sum(map(len, found)) / len(found), "raised": _shares(found)}


def spoiled_summary(trials: Sequence[FlagTrial], spoilings: Mapping[str, Spoiling]) -> dict[str, dict]:
    """By spoiling: the expected codes, the share of cases that raise one of them and that did so before it was spoiled
    (``raised``, ``raised_as_it_is``), and the shares that newly raise each code (``new``)."""
    before = {trial.name: trial.codes for trial in trials if trial.spoiling == AS_IT_IS}
    table = {}
    for title, spoiling in spoilings.items():
        rows = {trial.name: trial.codes for trial in trials if trial.spoiling == title}
        expected = set(spoiling.expected)
        table[title] = {
            "expected": list(spoiling.expected),
            "raised": float(np.mean([bool(codes & expected) for codes in rows.values()])),
            "raised_as_it_is": float(np.mean([bool(before[name] & expected) for name in rows])),
            "new": _shares([codes - before[name] for name, codes in rows.items()]),
        }
    return table


def _shares(found: Sequence[Iterable[str]]) -> dict[str, float]:
    """Share of the sets that hold each code, the most frequent first."""
    counts = Counter(code for codes in found for code in codes)
    return {code: count / len(found) for code, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}
