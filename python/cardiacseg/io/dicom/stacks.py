"""Stacks: images of one matrix and nearly one orientation that belong together.

Images are first separated by all attributes that may distinguish acquisitions: identifiers of study and space, kind of
image, sequence, tilt. Parts whose slices continue each other are then joined again, the largest first, because a
difference without repeated slices is not significant. Values with different rounding are equal within a tolerance.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from cardiacseg.io.cine import LEAST_FRAMES, Note
from cardiacseg.io.dicom.assembly import is_rest_of_run
from cardiacseg.io.dicom.attributes import CINE_KINDS, MAGNITUDE
from cardiacseg.io.dicom.cine_signs import signs_against
from cardiacseg.io.dicom.errors import N_DERIVED, N_DRIFT, N_FRAME_OF_REFERENCE, N_STUDY_UID, N_TILTED
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import (
    ROUNDED_DEGREES,
    SAME_SLICE_MM,
    SHIFT_MM,
    Slices,
    bin_slices,
    center,
    depths_mm,
    drift_mm,
    level,
)
from cardiacseg.io.geometry import directions, turn_degrees

Vector = tuple[float, ...]
_CELL = 4  # tolerances
_COSINE_TOLERANCE = 1e-3
_CROWDED, _EVEN, _FAR = 0.6, 1.2, 2.5  # fractions of the distance between slices
_FIRST_STEP_MM = (2.0, 30.0)
_MOST_BASES = 16  # so that the time does not grow with the square of the parts


def representatives(
    counted: Counter[Vector], tolerances: Sequence[float], is_near: Callable[[Vector, Vector], bool] | None = None
) -> dict[Vector, Vector]:
    """For each vector the most frequent one that equals it within ``tolerances`` (and ``is_near``), or itself.

    Space is cut into cells of some tolerances, so that the time grows with the number of vectors and not its square.
    """
    cells: dict[tuple[int, ...], list[Vector]] = defaultdict(list)
    found: dict[Vector, Vector] = {}
    for vector, _ in counted.most_common():
        scaled = [value / tolerance / _CELL for value, tolerance in zip(vector, tolerances, strict=True)]
        sides = [{math.floor(value - 1 / _CELL), math.floor(value + 1 / _CELL)} for value in scaled]
        near = (first for cell in product(*sides) for first in cells.get(cell, ()))
        found[vector] = next((first for first in near if _equal(first, vector, tolerances, is_near)), vector)
        if found[vector] is vector:
            cells[tuple(map(math.floor, scaled))].append(vector)
    return found


def _equal(first: Vector, other: Vector, tolerances: Sequence[float], is_near: Callable | None) -> bool:
    within = all(abs(a - b) <= most for a, b, most in zip(first, other, tolerances, strict=True))
    return within and (is_near is None or is_near(first, other))


class _Key(NamedTuple):
    """Attributes that distinguish acquisitions."""

    study: str
    space: str
    kind: str
    orientation: tuple[float, ...]
    protocol: tuple[str, ...]
    manner: str  # "still", "no cine" or ""


@dataclass(frozen=True, eq=False)
class _Part:
    """Images of one acquisition, as in their files and as slices of one orientation."""

    key: _Key
    frames: Sequence[Frame]
    slices: Slices

    def rank(self) -> tuple:
        """A sort key; smaller for a better base of a stack."""
        kind = CINE_KINDS.index(self.key.kind) if self.key.kind in CINE_KINDS else len(CINE_KINDS)
        cine_slices = sum(len(frames) >= LEAST_FRAMES for frames in self.slices)
        return kind, -cine_slices, -len(self.slices), min(map(Frame.order, self.frames))


def stacks(frames: Sequence[Frame], by_protocol: bool) -> Iterator[tuple[Slices, tuple[Note, ...]]]:
    """The slices of each stack, all of one orientation, and notes on differences within it."""
    rest = sorted(_parts(frames, by_protocol), key=_Part.rank)
    for _ in range(_MOST_BASES):
        if not rest:
            return
        base, *others = rest
        slices, taken = _join(base, others)
        gone = set(map(id, taken))
        rest = [part for part in others if id(part) not in gone]
        yield slices, _notes([base, *taken], slices)
    for part in rest:
        yield part.slices, _notes([part], part.slices)


def _parts(frames: Sequence[Frame], by_protocol: bool) -> list[_Part]:
    slices = bin_slices(frames, Counter(frame.orientation for frame in frames).most_common(1)[0][0])
    has_study = _tells(slices, lambda frame: frame.study_uid)
    has_space = _tells(slices, lambda frame: frame.frame_of_reference_uid)
    series = _by_series(frames)
    manners = _manners(series, slices) if by_protocol else {}
    orientations = _orientations(frames, series)
    parts: dict[_Key, list[Frame]] = defaultdict(list)
    for frame in frames:
        key = _Key(
            frame.study_uid if has_study else "",
            frame.frame_of_reference_uid if has_space else "",
            frame.kind,
            orientations[frame.series_uid, frame.orientation],
            frame.protocol if by_protocol else (),
            manners.get(frame.series_uid, ""),
        )
        parts[key].append(frame)
    return [_Part(key, part, level(part, key.orientation)[0]) for key, part in parts.items()]


def _tells(slices: Slices, identifier: Callable[[Frame], str]) -> bool:
    """Whether an identifier is significant: one that differs between all images of a slice is not."""
    full = [Counter(map(identifier, frames)) for frames in slices if len(frames) >= LEAST_FRAMES]
    return not full or max(max(count.values()) for count in full) > 1


def _by_series(frames: Sequence[Frame]) -> dict[str, Slices]:
    series: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        series[frame.series_uid].append(frame)
    return {uid: bin_slices(part, part[0].orientation) for uid, part in series.items()}


def _manners(series: dict[str, Slices], slices: Slices) -> dict[str, str]:
    """Series with one image in each slice, if others have several, and series with signs against a cine."""
    most = {uid: max(map(len, own)) for uid, own in series.items()}
    stills = {uid for uid, phases in most.items() if phases == 1 < max(most.values())}
    stills -= _of_runs(slices, stills)
    return dict.fromkeys(stills, "still") | {uid: "no cine" for uid, own in series.items() if signs_against(own)}


def _of_runs(slices: Slices, stills: set[str]) -> set[str]:
    """Those of ``stills`` whose images are frames that the other series of their slices lack."""
    fits: dict[str, bool] = {}
    for frames in slices:
        ways: dict[tuple, tuple[list[Frame], list[Frame]]] = defaultdict(lambda: ([], []))
        for frame in frames:
            ways[frame.kind, frame.protocol][frame.series_uid in stills].append(frame)
        for run, few in ways.values():
            is_rest = bool(few) and is_rest_of_run(few, run)
            fits |= {frame.series_uid: fits.get(frame.series_uid, True) and is_rest for frame in few}
    return {uid for uid, fit in fits.items() if fit}


def _orientations(frames: Sequence[Frame], series: dict[str, Slices]) -> dict[tuple, tuple[float, ...]]:
    """For each series and orientation its representative, a single one if the orientation varies within a slice."""
    counted = Counter(frame.orientation for frame in frames)
    stands_for = representatives(counted, [_COSINE_TOLERANCE] * 6)
    found = {}
    for uid, slices in series.items():
        in_slices = [{stands_for[frame.orientation] for frame in part} for part in slices]
        varies = max(map(len, in_slices)) > 1
        usual = max(set().union(*in_slices), key=lambda orientation: (counted[orientation], orientation))
        found |= {(uid, f.orientation): usual if varies else stands_for[f.orientation] for s in slices for f in s}
    return found


def _join(base: _Part, others: Sequence[_Part]) -> tuple[Slices, list[_Part]]:
    """The base's slices with those that continue them, and the parts they come from, the nearest first."""
    taken: list[_Part] = []
    cosines = base.key.orientation
    slices, own = list(base.slices), _places(base.slices, cosines)
    apart = {id(part): np.abs(_places(part.slices, cosines)[:, 2] - np.median(own[:, 2])).min() for part in others}
    for part in sorted(others, key=lambda part: apart[id(part)]):
        if not _may_join(base, part):
            continue
        widest = np.maximum(SHIFT_MM, part.frames[0].pixel_spacing[::-1])
        limit_mm = None if _is_same_run(base.key, part.key) else widest
        fitting = [
            (_together(own, new), parallel)
            for parallel in level(part.frames, cosines)
            if _fits(own, new := _places(parallel, cosines), limit_mm)
        ]
        if fitting:
            own, parallel = min(fitting, key=lambda found: np.ptp(np.diff(found[0][:, 2])))
            taken.append(part)
            slices += parallel
    return (sorted(slices, key=lambda part: depths_mm(part[:1], cosines)[0]) if taken else slices), taken


def _places(slices: Slices, cosines: tuple[float, ...]) -> np.ndarray:
    """The position of each slice along columns, rows and the normal, in mm, ``[S, 3]``."""
    return np.array([frames[0].position for frames in slices]) @ directions(cosines)


def _together(own: np.ndarray, new: np.ndarray) -> np.ndarray:
    places = np.concatenate([own, new])
    return places[np.argsort(places[:, 2])]


def _is_same_run(base: _Key, other: _Key) -> bool:
    """Whether two parts differ only in the sequence, which scanners adapt from breath-hold to breath-hold."""
    return base._replace(protocol=(), manner="") == other._replace(protocol=(), manner="")


def _may_join(base: _Part, part: _Part) -> bool:
    """Whether no attribute except the positions can separate the images."""
    if part.key.manner != base.key.manner:
        is_single_image = {part.key.manner, base.key.manner} == {"still", ""}
        return is_single_image and part.key._replace(manner=base.key.manner) == base.key
    if _is_same_run(base.key, part.key):
        return True
    kinds = (base.key.kind, part.key.kind)
    if not set(kinds) <= set(CINE_KINDS) or CINE_KINDS.index(kinds[0]) > CINE_KINDS.index(kinds[1]):
        return False
    is_cine = all(any(len(frames) >= LEAST_FRAMES for frames in one.slices) for one in (base, part))
    return is_cine and same_person(base.frames[0], part.frames[0]) and not part.key.manner


def same_person(first: Frame, other: Frame) -> bool:
    """Whether no attribute of the patient or the day differs; removed attributes do not count."""
    return all(a == b or not a or not b for a, b in zip(first.person, other.person, strict=True))


def _fits(own: np.ndarray, new: np.ndarray, limit_mm: np.ndarray | None) -> bool:
    """Whether new slices lie in gaps or at the ends of the stack, or between all of its slices.

    With a limit they must also follow one another, and begin within that distance of the stack.
    """
    between = np.abs(new[:, None, 2] - own[None, :, 2])
    row, column = np.unravel_index(between.argmin(), between.shape)
    steps = np.diff(_together(own, new)[:, 2])
    step = step_mm(own[:, 2]) if len(own) > 1 else np.clip(steps.min(), *_FIRST_STEP_MM)
    if between[row, column] < _CROWDED * step and steps.max() >= _EVEN * steps.min():
        return False
    if limit_mm is None:
        return True
    follows = max(between.min(axis=1).min(), np.diff(new[:, 2]).max(initial=0)) <= _FAR * step
    beside = np.abs(new[row, :2] - own[column, :2])
    return bool(follows and (beside <= limit_mm).all())


def step_mm(depths: np.ndarray) -> float:
    """The usual distance between slices, even if half of the slices are missing."""
    steps = np.diff(depths)
    return float(np.median(steps[steps <= np.median(steps)]))


def _notes(parts: Sequence[_Part], slices: Slices) -> tuple[Note, ...]:
    """Notes on differences between the images of a stack."""
    frames = [frame for part in parts for frame in part.frames]
    notes = []
    for code, name, found in (
        (N_FRAME_OF_REFERENCE, "FrameOfReferenceUIDs", {frame.frame_of_reference_uid for frame in frames}),
        (N_STUDY_UID, "StudyInstanceUIDs", {frame.study_uid for frame in frames}),
    ):
        if len(found) > 1:
            text = (
                f"the images have {len(found)} {name}; they were read together, because their positions make one stack"
            )
            notes.append(Note(code, text))
    derived = sum(any(frame.kind != MAGNITUDE for frame in part) for part in slices)
    if derived and frames[0].kind in CINE_KINDS:
        text = f"Image Type marks {derived} of {len(slices)} slices as derived from other images; they were used"
        notes.append(Note(N_DERIVED, text))
    return (*notes, *_tilt_notes(frames, slices), *_drift_notes(slices))


def _tilt_notes(frames: Sequence[Frame], slices: Slices) -> tuple[Note, ...]:
    tilt = max(turn_degrees(cosines, slices[0][0].orientation) for cosines in {frame.orientation for frame in frames})
    if tilt <= ROUNDED_DEGREES:
        return ()
    text = f"the directions of the images differ by up to {tilt:.1f} degrees; all slices were treated as parallel"
    flat = {(frame.sop_instance_uid, frame.number): frame for part in slices for frame in part}
    normal = directions(slices[0][0].orientation)[:, 2]
    away = (center(frame) - center(flat[frame.sop_instance_uid, frame.number]) for frame in frames)
    moved = max(abs(float(offset @ normal)) for offset in away)
    middle = (
        f", though the middle of an image lies up to {moved:.1f} mm nearer or farther" if moved > SAME_SLICE_MM else ""
    )
    return (Note(N_TILTED, text + middle),)


def _drift_notes(slices: Slices) -> tuple[Note, ...]:
    drift = drift_mm(slices)
    if drift <= SAME_SLICE_MM:
        return ()
    text = f"the images of a slice lie up to {drift:.2f} mm apart along the normal; they were read as one slice"
    return (Note(N_DRIFT, text),)
