"""Reading a short-axis cine from DICOM files, and listing what the files hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from cardiacseg.acquisition import Body, Timing
from cardiacseg.errors import DicomError
from cardiacseg.io.budget import Budget
from cardiacseg.io.cine import Cine, DicomSource, Note, SourceFrame
from cardiacseg.io.dicom.assembly import equal_frame_counts, one_repeat, order_frames, order_notes
from cardiacseg.io.dicom.choice import choose, notes_on, select, verdicts
from cardiacseg.io.dicom.copies import check_instances, unusable_for_results, without_copies
from cardiacseg.io.dicom.errors import E_NO_DICOM, N_BODY
from cardiacseg.io.dicom.frames import Frame, Scan, damage_notes, may_belong, raise_damage, scan
from cardiacseg.io.dicom.groups import Group, group_frames
from cardiacseg.io.dicom.headers import number, read_header, text
from cardiacseg.io.dicom.pixels import read_pixels
from cardiacseg.io.dicom.slices import Slices, depths_mm, stack_geometry
from cardiacseg.io.dicom.sources import File, find_files, is_dicomdir, open_bounded
from cardiacseg.io.dicom.timing import in_ms, timing, without_doubtful
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.log_suppression import PYDICOM, suppress_logs

_HEIGHT_M, _WEIGHT_KG = (0.3, 2.6), (1.0, 400.0)


@dataclass(frozen=True)
class Groups:
    """The content of files: groups of images, counts of files by kind, and the reason if there is no cine.

    ``damaged`` has a sentence for each file that could not be read; ``problem`` begins with the error's code.
    """

    groups: tuple[Group, ...]
    files: dict[str, int]
    damaged: tuple[str, ...]
    problem: str | None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready, without anything that identifies a patient."""
        listed = [group.to_dict() for group in self.groups]
        return {"groups": listed, "files": self.files, "damaged": list(self.damaged), "problem": self.problem}


def list_groups(path: Path | Sequence[Path], *, series: str | None = None, budget: Budget | None = None) -> Groups:
    """The groups of images in files, the one that :func:`read_dicom` reads, and why it does not read each other one.

    Pixels are read only if images may be copies of each other. Raises ``DicomError`` if there are no files;
    damaged ones are listed.
    """
    with suppress_logs(PYDICOM), find_files(path, budget) as files:
        found = scan(files)
        groups = group_frames(without_copies(found.frames)[0])
    damaged = tuple(str(file.error) for file in found.damaged)
    try:
        chosen = _choose(found, groups, series)
    except DicomError as error:
        return Groups(tuple(verdicts(groups, None)), found.counts, damaged, str(error))
    return Groups(tuple(verdicts(groups, chosen, series is not None)), found.counts, damaged, None)


def read_dicom(
    path: str | Path | Sequence[str | Path],
    *,
    series: str | None = None,
    nearest_phase: bool = False,
    latest_retake: bool = False,
    uneven: bool = False,
    budget: Budget | None = None,
) -> Cine:
    """Read the short-axis cine of a study from a folder, a file, a list of files, a DICOMDIR or a zip.

    ``series`` selects a group (``g2``) or series (by number or UID, several with commas) instead of the automatic
    choice. ``nearest_phase`` fills slices whose phases differ from those of most slices, ``latest_retake`` keeps the
    latest repeat of a slice that was acquired more than once; each repair is noted. ``uneven`` accepts unevenly spaced
    slices, with a note: ``Cine.geometry`` then has the position of each and the length of the axis that it represents.
    Slices are in the order of increasing position along the normal; it is not decided which end is the base. ``budget``
    limits the cost of reading. Raises ``DicomError`` with one of the codes of :mod:`cardiacseg.io.dicom.errors`.
    """
    with suppress_logs(PYDICOM), find_files(path, budget) as files:
        found = scan(files)
        frames, notes = without_copies(found.frames)
        groups = group_frames(frames)
        chosen = _choose(found, groups, series)
        notes += notes_on(groups, chosen, by_hand=series is not None)
        check_instances(chosen.frames)
        possible = may_belong(found.damaged, frames, chosen.frames)
        with raise_damage(possible):
            arranged = _arrange(chosen, nearest_phase, latest_retake)
            geometry, geometry_notes = stack_geometry(arranged.slices, uneven)
        notes += damage_notes(found.damaged, possible, len(arranged.slices[0]))
        arrangement = {
            "files": found.counts,
            "groups": [group.to_dict() for group in verdicts(groups, chosen, series is not None)],
            **arranged.words(),
        }
        name = Path(path) if isinstance(path, (str, Path)) else Path(path[0]).parent
        return _cine(name, arranged, geometry, notes + arranged.notes + geometry_notes, arrangement)


def _choose(found: Scan, groups: Sequence[Group], series: str | None) -> Group:
    if not found.frames and found.damaged:
        raise found.damaged[0].error
    if not found.frames:
        count, other = found.counts["files"], found.counts.get("other_dicom", 0)
        text = f"expected MR images (classic or Enhanced), got none in {count} files ({other} hold other DICOM objects)"
        raise DicomError(E_NO_DICOM, text)
    with raise_damage([file for file in found.damaged if file.may_be_cine]):
        return choose(groups) if series is None else select(groups, series)


@dataclass(frozen=True, eq=False)
class _Arranged:
    """Slices by position, each with its phases in order; the attributes that gave the order; notes on repairs."""

    slices: Slices
    rules: list[str]
    timing: Timing
    notes: tuple[Note, ...]

    def words(self) -> dict[str, object]:
        """JSON-ready, for ``DicomSource.arrangement``."""
        depths = depths_mm([frames[0] for frames in self.slices], self.slices[0][0].orientation)
        return {
            "slice_order": "increasing position along the normal of the planes",
            "slice_positions_mm": [round(float(depth), 3) for depth in depths],
            "phase_order": self.rules,
        }


def _arrange(chosen: Group, nearest_phase: bool, latest_retake: bool) -> _Arranged:
    taken, take_notes = one_repeat(chosen.slices, latest_retake)
    timed, doubts, unit_notes = in_ms(taken)
    ordered, rules = order_frames(timed)
    filled, phase_notes = equal_frame_counts(without_doubtful(ordered, doubts), nearest_phase)
    times, time_notes = timing(filled, doubts)
    return _Arranged(filled, rules, times, take_notes + unit_notes + order_notes(rules) + phase_notes + time_notes)


def _cine(
    path: Path, arranged: _Arranged, geometry: Geometry, notes: tuple[Note, ...], arrangement: dict[str, object]
) -> Cine:
    slices = arranged.slices
    image, instances, pixel_notes = read_pixels(slices)
    person, body_notes = _patient_size(instances[slices[0][0].sop_instance_uid])
    unusable, uid_notes = unusable_for_results(slices)
    first = slices[0][0]
    source = DicomSource(
        tuple(tuple(_source_frame(frames[t]) for frames in slices) for t in range(len(slices[0]))),
        instances,
        tuple(first.orientation),
        first.thickness_mm,
        arrangement,
        unusable,
    )
    notes += uid_notes + pixel_notes + body_notes
    return Cine(path, image, geometry.array_spacing, geometry, arranged.timing, person, notes, dicom=source)


def _source_frame(frame: Frame) -> SourceFrame:
    return SourceFrame(
        frame.sop_class_uid,
        frame.sop_instance_uid,
        frame.series_uid,
        frame.number,
        tuple(frame.position),
        frame.trigger_time_ms,
    )


def _patient_size(instance: Dataset) -> tuple[Body, tuple[Note, ...]]:
    """Height and weight; zero means unknown, and an impossible value is unknown and noted."""
    height, weight = number(instance, "PatientSize"), number(instance, "PatientWeight")
    notes = [
        Note(N_BODY, f"{name} lies outside {low:g} to {high:g} {unit} and was not used")
        for name, value, (low, high), unit in (
            ("PatientSize", height, _HEIGHT_M, "m"),
            ("PatientWeight", weight, _WEIGHT_KG, "kg"),
        )
        if value and not low <= value <= high
    ]
    return Body(_within(height, _HEIGHT_M), _within(weight, _WEIGHT_KG)), tuple(notes)


def _within(value: float | None, limits: tuple[float, float]) -> float | None:
    return value if value is not None and limits[0] <= value <= limits[1] else None


def files_by_study(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """The files of each study by its Study Instance UID, the oldest study first.

    A damaged file without a study is listed in each; a DICOMDIR in none.
    """
    found: dict[str, list[Path]] = {}
    dates: dict[str, str] = {}
    unknown = []
    budget = Budget(dicom=True)
    for path in paths:
        study, date = _study_and_date(path, budget)
        if study is None:
            continue
        if study:
            found.setdefault(study, []).append(path)
            dates[study] = min(date, dates.get(study, date))
        else:
            unknown.append(path)
    return {study: found[study] + unknown for study in sorted(found, key=lambda study: (dates[study], study))}


def _study_and_date(path: Path, budget: Budget) -> tuple[str | None, str]:
    try:
        with suppress_logs(PYDICOM):
            file = File(path.name, partial(open_bounded, path, budget), budget)
            header = read_header(file, ["StudyInstanceUID", "StudyDate", "StudyTime", "SOPClassUID"], set())
    except (DicomError, OSError):
        return (None if is_dicomdir(path) else ""), ""
    if header is None or header.sop_class_uid == MediaStorageDirectoryStorage:
        return None, ""
    dataset = header.dataset
    return text(dataset, "StudyInstanceUID"), text(dataset, "StudyDate") + text(dataset, "StudyTime")
