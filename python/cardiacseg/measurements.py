"""Volumes, ejection fraction and mass from label maps."""

from dataclasses import dataclass, fields

import numpy as np

from cardiacseg import _core
from cardiacseg.errors import InvalidInputError


@dataclass(frozen=True, eq=False)
class Measurements:
    """Volumes in ml, mass in g, ejection fractions in percent; ``None`` where a value does not exist.

    ED and ES are the frames of largest and smallest LV volume, for both ventricles. With one frame there is no ES,
    stroke volume or ejection fraction: ``ed_frame`` is 0 and ``lv_edv_ml`` and the like are ``None``, but ``lv_mass_g``
    and the curves hold that frame. Papillary muscles and trabeculae count as far as the labels say: models trained on
    ACDC put them in the LV's volume. ``rv_ml``, ``myo_ml`` and ``lv_ml`` are float64 ``[T]``.
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
    rv_ml: np.ndarray
    myo_ml: np.ndarray
    lv_ml: np.ndarray

    def to_dict(self) -> dict:
        """JSON-ready values by name; curves become lists."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def _as_labels(labels: np.ndarray) -> np.ndarray:
    array = np.asarray(labels)
    if array.ndim not in (3, 4):
        raise InvalidInputError(f"wanted labels [S, H, W] or [T, S, H, W], got shape {array.shape}")
    if array.dtype.kind not in "bui":
        raise InvalidInputError(f"wanted labels of an integer type, got {array.dtype}")
    if array.size and (array.min() < 0 or array.max() > 3):
        raise InvalidInputError(f"wanted labels 0 to 3, found {array.min()} to {array.max()}")
    return np.ascontiguousarray(array if array.ndim == 4 else array[None], dtype=np.uint8)


def as_spacing(spacing: tuple[float, float, float] | None) -> tuple[float, float, float]:
    """``spacing`` as three floats: (slice, row, column) in mm. Raises ``InvalidInputError`` if it is nothing such."""
    if spacing is None:
        raise InvalidInputError("spacing is missing: give (slice, row, column), centre to centre, in mm")
    try:
        slice_mm, row_mm, column_mm = (float(length) for length in spacing)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"spacing must be three numbers (slice, row, column) in mm, got {spacing!r}") from error
    return slice_mm, row_mm, column_mm


def measure(labels: np.ndarray, spacing: tuple[float, float, float]) -> Measurements:
    """Measure integer labels ``[T, S, H, W]`` or ``[S, H, W]``; ``spacing`` is (slice, row, column) in mm.

    A volume is area times centre-to-centre slice spacing, summed over slices; the LV's mass is the myocardium's
    volume at ED times 1.05 g/ml. Raises ``InvalidInputError`` for an empty array, a label above 3 or a spacing that is
    not positive.
    """
    found = _core.measure(_as_labels(labels), as_spacing(spacing))
    functions = {
        f"{side}_{name}": (found[side] or {}).get(name)
        for side in ("lv", "rv")
        for name in ("edv_ml", "esv_ml", "sv_ml", "ef_percent")
    }
    curves = {name: np.array([frame[name] for frame in found["curve"]]) for name in ("rv_ml", "myo_ml", "lv_ml")}
    return Measurements(found["ed_frame"], found["es_frame"], lv_mass_g=found["lv_mass_g"], **functions, **curves)
