"""The call that measures, its argument checks and its results; the compiled core computes the numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from cardiacseg import _core
from cardiacseg.acquisition import UNKNOWN_BODY, UNKNOWN_TIMING, Body, Timing
from cardiacseg.errors import InvalidInputError
from cardiacseg.measurements.conventions import DEFAULT, MeasurementOptions, describe
from cardiacseg.pixels import as_pixels


@dataclass(frozen=True)
class Rates:
    """Steepest fall and rise of a volume curve in ml/s, both positive, and their times in ms after the R wave."""

    peak_ejection_ml_s: float
    peak_ejection_time_ms: float
    peak_filling_ml_s: float
    peak_filling_time_ms: float


@dataclass(frozen=True, eq=False)
class Wall:
    """Mean thickness of the myocardium in mm in the AHA's segments 1 to 16, float64 ``[16]``: index 0 is segment 1.

    ``thickening_percent`` is the growth from ED to ES relative to ED. NaN if no slice shows the segment, and at ES
    if there is only one frame.
    """

    ed_mm: np.ndarray
    es_mm: np.ndarray
    thickening_percent: np.ndarray


@dataclass(frozen=True, eq=False)
class Measurements:
    """Volumes in ml, mass in g, ejection fractions in percent; ``None`` if a value does not exist.

    ``ed_frame`` and ``es_frame`` are the left ventricle's, ``rv_ed_frame`` and ``rv_es_frame`` the same ones unless the
    options say otherwise. With one frame there is no ES, stroke volume or ejection fraction: ``ed_frame`` is 0 and
    ``lv_edv_ml`` and the like are ``None``, but ``lv_mass_g`` (at ED) and the curves hold that frame. ``rv_ml``,
    ``myo_ml`` and ``lv_ml`` are float64 ``[T]``.

    ``areas_mm2`` float64 ``[T, S, 3]`` (RV, MYO, LV) is the area of each structure in each slice, whether the slice
    counts or not; ``included`` bool ``[T, S, 3]`` says which count. ``base_first``: whether the first slice is at the
    base, ``None`` if fewer than two slices at ED show the heart.

    ``heart_rate_per_min`` and ``rr_source`` come from the timing, ``bsa_m2`` from height and weight. ``indexed`` holds
    values per m2 of body surface by name (``lv_edv_ml_m2``, ``lv_mass_g_m2``, ``lv_ci_l_min_m2``, ...); it is empty if
    height or weight is unknown. ``lv_rates`` and ``rv_rates`` are ``None`` if the frame times are unknown, the
    ventricle is in no slice, or too few frames cover the cardiac cycle. ``wall`` is ``None`` if no slice at ED shows a
    closed ring of myocardium, or none shows the right ventricle beside it. ``conventions``: the conventions in words.
    """

    ed_frame: int
    es_frame: int | None
    lv_edv_ml: float | None
    lv_esv_ml: float | None
    lv_sv_ml: float | None
    lv_ef_percent: float | None
    rv_edv_ml: float | None
    rv_esv_ml: float | None
    rv_sv_ml: float | None
    rv_ef_percent: float | None
    lv_mass_g: float
    lv_mass_es_g: float | None
    rv_ed_frame: int
    rv_es_frame: int | None
    heart_rate_per_min: float | None
    rr_source: str | None
    lv_co_l_min: float | None
    rv_co_l_min: float | None
    bsa_m2: float | None
    indexed: dict[str, float]
    lv_rates: Rates | None
    rv_rates: Rates | None
    wall: Wall | None
    rv_ml: np.ndarray
    myo_ml: np.ndarray
    lv_ml: np.ndarray
    base_first: bool | None
    areas_mm2: np.ndarray
    included: np.ndarray
    conventions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values by name; arrays become lists, NaN becomes ``None``."""
        return {field.name: _json_ready(getattr(self, field.name)) for field in fields(self)}


def _json_ready(value: Any) -> Any:
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        return {name: _json_ready(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_json_ready(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def as_labels(labels: np.ndarray) -> np.ndarray:
    """``labels`` ``[S, H, W]`` or ``[T, S, H, W]`` as uint8 ``[T, S, H, W]``, contiguous."""
    array = np.asarray(labels)
    if array.ndim not in (3, 4):
        raise InvalidInputError(f"expected labels [S, H, W] or [T, S, H, W], got shape {array.shape}")
    if array.dtype.kind not in "bui":
        raise InvalidInputError(f"expected labels of an integer type, got {array.dtype}")
    if array.dtype != np.uint8 and array.size and (array.min() < 0 or array.max() > 3):
        raise InvalidInputError(f"expected labels 0 to 3, got {array.min()} to {array.max()}")
    return np.ascontiguousarray(array if array.ndim == 4 else array[None], dtype=np.uint8)


def as_spacing(spacing: tuple[float, float, float] | None) -> tuple[float, float, float]:
    """``spacing`` as three floats: (slice, row, column) in mm. Raises ``InvalidInputError`` for anything else."""
    if spacing is None:
        raise InvalidInputError("spacing is missing: give (slice, row, column), center to center, in mm")
    try:
        slice_mm, row_mm, column_mm = (float(length) for length in spacing)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"spacing must be three numbers (slice, row, column) in mm, got {spacing!r}") from error
    return slice_mm, row_mm, column_mm


def as_shares(shares_mm: Sequence[float] | None) -> tuple[float, ...]:
    """``shares_mm`` as floats, empty if slices are evenly spaced.

    Raises ``InvalidInputError`` if one is not a number.
    """
    try:
        return () if shares_mm is None else tuple(float(share) for share in shares_mm)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"slice_shares_mm: expected a number for each slice, got {shares_mm!r}") from error


def as_included(included: np.ndarray | None, frames: int, slices: int) -> np.ndarray:
    """``included`` ``[S, 3]`` or ``[T, S, 3]`` as bool ``[T, S, 3]``; without it everything counts."""
    shape = (frames, slices, 3)
    if included is None:
        return np.ones(shape, dtype=bool)
    array = np.asarray(included)
    if array.dtype != bool or array.shape not in (shape, shape[1:]):
        raise InvalidInputError(
            f"included: expected bool {list(shape[1:])} or {list(shape)} (RV, MYO, LV), "
            f"got {array.dtype} of shape {list(array.shape)}"
        )
    return np.ascontiguousarray(np.broadcast_to(array, shape))


def as_image(image: np.ndarray | None) -> np.ndarray | None:
    """``image`` ``[S, H, W]`` or ``[T, S, H, W]`` as ``[T, S, H, W]`` of a type that the core reads."""
    if image is None:
        return None
    array = as_pixels(image)
    if array.ndim not in (3, 4):
        raise InvalidInputError(f"expected an image [S, H, W] or [T, S, H, W], got shape {array.shape}")
    return array if array.ndim == 4 else array[None]


_FUNCTION = ("edv_ml", "esv_ml", "sv_ml", "ef_percent", "co_l_min")
# Name of each index, and of the value that is divided by the body surface area.
_INDICES = {
    "lv_edv_ml_m2": "lv_edv_ml",
    "lv_esv_ml_m2": "lv_esv_ml",
    "lv_sv_ml_m2": "lv_sv_ml",
    "rv_edv_ml_m2": "rv_edv_ml",
    "rv_esv_ml_m2": "rv_esv_ml",
    "rv_sv_ml_m2": "rv_sv_ml",
    "lv_mass_g_m2": "lv_mass_g",
    "lv_ci_l_min_m2": "lv_co_l_min",
    "rv_ci_l_min_m2": "rv_co_l_min",
}
_AS_FOUND = (
    "ed_frame",
    "es_frame",
    "rv_ed_frame",
    "rv_es_frame",
    "lv_mass_g",
    "lv_mass_es_g",
    "rv_ml",
    "myo_ml",
    "lv_ml",
    "areas_mm2",
    "base_first",
    "heart_rate_per_min",
    "bsa_m2",
)


def _core_options(options: MeasurementOptions) -> _core.MeasurementOptions:
    given_ed = 0 if options.ed == "first" else options.ed
    return _core.MeasurementOptions(
        ed_frame=None if given_ed == "largest" else int(given_ed),
        es_frame=None if options.es == "smallest" else int(options.es),
        rv_own_phases=options.rv_phases == "own",
        trapezoid=options.end_slices == "trapezoid",
        papillary_in_mass=options.papillary == "mass",
        du_bois=options.bsa_formula == "du_bois",
    )


def _functions(found: dict[str, Any]) -> dict[str, float | None]:
    return {f"{side}_{name}": (found[side] or {}).get(name) for side in ("lv", "rv") for name in _FUNCTION}


def _indexed(values: dict[str, float | None], bsa_m2: float | None) -> dict[str, float]:
    if bsa_m2 is None:
        return {}
    found = {index: values[name] for index, name in _INDICES.items()}
    return {index: value / bsa_m2 for index, value in found.items() if value is not None}


def _direction(anterior: Sequence[float]) -> tuple[float, float]:
    try:
        along_rows, along_columns = (float(part) for part in anterior)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"anterior: expected two numbers (along rows, along columns), got {anterior!r}"
        ) from error
    return along_rows, along_columns


def measure(
    labels: np.ndarray,
    spacing: tuple[float, float, float],
    *,
    options: MeasurementOptions = DEFAULT,
    included: np.ndarray | None = None,
    image: np.ndarray | None = None,
    timing: Timing = UNKNOWN_TIMING,
    body: Body = UNKNOWN_BODY,
    anterior: tuple[float, float] = (-1.0, 0.0),
    slice_shares_mm: Sequence[float] | None = None,
) -> Measurements:
    """Measure integer labels ``[T, S, H, W]`` or ``[S, H, W]``; ``spacing`` is (slice, row, column) in mm.

    A volume is area times center-to-center slice spacing, summed over the slices that count; the LV's mass is the
    myocardium's volume at ED times 1.05 g/ml. ``included`` bool ``[S, 3]`` or ``[T, S, 3]`` (RV, MYO, LV) says which
    slices count for a structure; by default all do. ``image``, of the labels' shape, is needed only if papillary
    muscles count to the mass. ``anterior`` is the direction of the heart's anterior wall in the plane, (along rows,
    along columns), as of :meth:`cardiacseg.io.geometry.Geometry.anterior`; upwards by default. ``slice_shares_mm`` is
    for unevenly spaced slices: S lengths, the part of the axis that each slice represents
    (:attr:`cardiacseg.io.geometry.Geometry.slice_shares_mm`). Volumes use them instead of the slice spacing.

    Raises ``InvalidInputError`` for an empty array, a label above 3, a spacing that is not positive, and options or
    other arguments that do not fit the labels.
    """
    voxels, millimetres = as_labels(labels), as_spacing(spacing)
    counting = as_included(included, *voxels.shape[:2])
    rr_source = None if timing.rr_interval_ms is None else timing.rr_source or "as given"
    found = _core.measure(
        voxels,
        millimetres,
        _core_options(options),
        included=counting,
        image=as_image(image) if options.papillary == "mass" else None,
        slice_shares_mm=as_shares(slice_shares_mm),
        frame_times_ms=timing.frame_times_ms or (),
        rr_interval_ms=timing.rr_interval_ms,
        height_m=body.height_m,
        weight_kg=body.weight_kg,
        anterior=_direction(anterior),
    )
    values = {name: found[name] for name in _AS_FOUND} | _functions(found)
    return Measurements(
        **values,
        rr_source=rr_source,
        indexed=_indexed(values, found["bsa_m2"]),
        lv_rates=found["lv_rates"] and Rates(**found["lv_rates"]),
        rv_rates=found["rv_rates"] and Rates(**found["rv_rates"]),
        wall=found["wall"] and Wall(**found["wall"]),
        included=counting,
        conventions=describe(
            options,
            rr_source,
            has_body=found["bsa_m2"] is not None,
            every_slice=bool(counting.all()),
            uneven=slice_shares_mm is not None,
        ),
    )
