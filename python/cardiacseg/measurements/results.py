"""What a measurement finds."""

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Rates:
    """Steepest fall and rise of a volume curve in ml/s, both positive, and when they occur in ms on the clock of the
    frame times."""

    peak_ejection_ml_s: float
    peak_ejection_time_ms: float
    peak_filling_ml_s: float
    peak_filling_time_ms: float


@dataclass(frozen=True, eq=False)
class Wall:
    """Mean thickness of the myocardium in mm in the AHA's segments 1 to 16, float64 ``[16]``: index 0 is segment 1.

    ``thickening_percent`` is the growth from ED to ES as a share of ED. NaN where a segment is not seen, and at ES
    where there is one frame.
    """

    ed_mm: np.ndarray
    es_mm: np.ndarray
    thickening_percent: np.ndarray


@dataclass(frozen=True, eq=False)
class Measurements:
    """Volumes in ml, mass in g, ejection fractions in percent; ``None`` where a value does not exist.

    ``ed_frame`` and ``es_frame`` are the left ventricle's, ``rv_ed_frame`` and ``rv_es_frame`` the same ones unless the
    options say otherwise. With one frame there is no ES, stroke volume or ejection fraction: ``ed_frame`` is 0 and
    ``lv_edv_ml`` and the like are ``None``, but ``lv_mass_g`` (at ED) and the curves hold that frame. ``rv_ml``,
    ``myo_ml`` and ``lv_ml`` are float64 ``[T]``.

    ``areas_mm2`` float64 ``[T, S, 3]`` (RV, MYO, LV) is the area of each structure in each slice, whether the slice
    counts or not; ``included`` bool ``[T, S, 3]`` says which count. ``base_first``: whether the first slice is at the
    base, ``None`` where fewer than two slices at ED show the heart.

    ``heart_rate_per_min`` and ``rr_source`` come from the timing, ``bsa_m2`` from height and weight. ``indexed`` holds
    values per m2 of body surface by name (``lv_edv_ml_m2``, ``lv_mass_g_m2``, ``lv_ci_l_min_m2``, ...): those that
    exist, so none where height or weight is unknown. ``lv_rates`` and ``rv_rates`` are ``None`` where the frame times
    are unknown, the ventricle is nowhere, or too few frames cover the beat; ``wall`` where no slice at ED shows a
    closed ring of myocardium, or none the right ventricle beside it. ``conventions`` says in words which conventions
    were used.
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
