"""Slices that were taken more than once, and runs whose frames lie in several series."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from math import inf
from statistics import median

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import E_DUPLICATE_SLICE, N_LATEST_RETAKE, N_ONE_RUN
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.slices import COUNTING, Slices

# Steps between the sorted times of one run, in shares of their median: two runs lie unevenly in each other.
_EVEN = 0.75
_LONGEST = 2.0

Take = tuple[Frame, ...]


def one_take(slices: Slices, latest_retake: bool) -> tuple[Slices, tuple[Note, ...]]:
    """One take of each slice: the only one, or with ``latest_retake`` the latest that is complete.

    Raises ``DicomError`` where there are several and none was asked for.
    """
    parts = [_parts(frames) for frames in slices]
    whole = _most([len(found[0]) for found in parts if len(found) == 1])
    takes = [[tuple(chain(*found))] if _is_one_run(found, whole) else found for found in parts]
    joined = sum(len(before) > len(after) for before, after in zip(parts, takes, strict=True))
    wanted = whole or _most([len(take) for found in takes for take in found])
    notes = [Note(N_ONE_RUN, _ONE_RUN.format(joined, len(slices)))] if joined else []
    kept = []
    for index, found in enumerate(takes, start=1):
        _check(found, wanted, index, latest_retake)
        kept.append(max(found, key=lambda take: (-abs(len(take) - wanted), *_age(take))))
        if len(found) > 1:
            which = "latest complete" if len(kept[-1]) == wanted else "most complete"
            notes.append(
                Note(N_LATEST_RETAKE, f"slice {index} was taken {len(found)} times; the {which} take was kept")
            )
    return kept, tuple(notes)


_ONE_RUN = (
    "the frames of {} of {} slices lie in several series or acquisitions in which no frame of the beat repeats; "
    "those of each slice were read as one run"
)


def _most(counts: Sequence[int]) -> int | None:
    """The most frequent count, and of several the largest."""
    return max(Counter(counts).items(), key=lambda item: (item[1], item[0]))[0] if counts else None


def _parts(frames: Take) -> list[Take]:
    """The frames of one slice by series, or within one series by acquisition number.

    Series or acquisitions of one frame each are no parts: some scanners make one of them for each frame.
    """
    for key in (_series, _acquisition):
        parts: dict[object, list[Frame]] = {}
        for frame in frames:
            parts.setdefault(key(frame), []).append(frame)
        if len(parts) > 1 and max(map(len, parts.values())) > 1:
            return [tuple(part) for part in parts.values()]
    return [frames]


def _series(frame: Frame) -> str:
    return frame.series_uid


def _acquisition(frame: Frame) -> int | None:
    return frame.acquisition_number


_TELL_REPEATS: tuple[Callable[[Frame], float | None], ...] = (
    lambda frame: frame.trigger_time_ms,
    lambda frame: frame.temporal_position,
    lambda frame: frame.percent_of_beat,
)


def is_rest_of_run(few: Sequence[Frame], run: Sequence[Frame]) -> bool:
    """Whether ``few`` images of a slice, in series of their own, are frames that ``run`` lacks."""
    return len(run) > len(few) and _is_one_run([tuple(run), tuple(few)], None, _LONGEST)


def _is_one_run(parts: Sequence[Take], whole: int | None, longest: float = inf) -> bool:
    """Whether no frame of the beat comes twice in the parts, and they have no more frames than other slices.

    The first attribute tells that differs between all frames of each part. Instance numbers tell only where they count
    on from series to series, or where the parts make a whole slice: a repeat in the same series counts on too.
    """
    frames = tuple(chain(*parts))
    if len(parts) == 1 or (whole is not None and len(frames) > whole):
        return False
    for value_of in _TELL_REPEATS:
        values = [[value_of(frame) for frame in part] for part in parts]
        if all(None not in part and len(set(part)) == len(part) for part in values):
            return _is_even(list(chain(*values)), longest)
    numbers = [frame.instance_number for frame in frames]
    if None in numbers or not _is_even(numbers, _LONGEST):
        return False
    return len(frames) == whole or len({frame.series_uid for frame in frames}) >= len(parts)


def _is_even(values: Sequence[float], longest: float) -> bool:
    steps = [later - earlier for earlier, later in pairwise(sorted(map(float, values)))]
    usual = median(steps)
    return 0 < min(steps) >= _EVEN * usual and max(steps) <= longest * usual


def _check(takes: Sequence[Take], wanted: int, index: int, latest_retake: bool) -> None:
    if len(takes) > 1 and not latest_retake:
        counts = " and ".join(str(len(take)) for take in takes)
        text = f"slice {index} was taken {len(takes)} times ({counts} frames); {_advice(takes, wanted)}; {COUNTING}"
        raise DicomError(E_DUPLICATE_SLICE, text)
    doubled = next((take for take in takes if len(take) == 2 * wanted), None)
    if doubled is not None:
        raise DicomError(
            E_DUPLICATE_SLICE,
            f"slice {index} has {2 * wanted} frames, twice as many as the others, and nothing tells which belong "
            f"together, so no option can choose: give the files of one take; {COUNTING}",
        )


def _advice(takes: Sequence[Take], wanted: int) -> str:
    option = "`latest_retake` (--latest-retake)"
    if all(len(take) != wanted for take in takes):
        return f"none has the {wanted} frames of other slices; {option} keeps the most complete one"
    by_series = ", `series` the one that it names" if len({_series(take[0]) for take in takes}) > 1 else ""
    return f"{option} keeps the latest complete one{by_series}"


def _age(take: Take) -> tuple:
    """Later takes have a greater one: by acquisition time, then series, acquisition and instance number."""
    numbers = ((f.series_number or 0, f.acquisition_number or 0, f.instance_number or 0) for f in take)
    return max(frame.taken_at for frame in take), max(numbers)
