"""The columns of a batch's tables: names, types, units and meanings. docs/tables.md shows them.

A column keeps its name, unit and meaning; new ones may be added. :data:`TABLES_VERSION` counts changes of what exists.
"""

from dataclasses import dataclass
from typing import Literal

TABLES_VERSION = 1


@dataclass(frozen=True)
class Column:
    """``kind`` is the type of its values, which may be missing; ``unit`` is empty for counts, texts and fractions."""

    name: str
    kind: Literal["string", "integer", "number", "boolean"]
    unit: str
    meaning: str


def _number(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "number", unit, meaning)


def _text(name: str, meaning: str) -> Column:
    return Column(name, "string", "", meaning)


def _whole(name: str, meaning: str) -> Column:
    return Column(name, "integer", "", meaning)


_CASE = _text("case", "name of the case, and of its folder of results")
_FRAME = _whole("frame", "number of the frame, from 1")
_SIDES = (("lv", "LV"), ("rv", "RV"))

# One row for each case.
CASE_COLUMNS = (
    _CASE,
    _text("state", "done, failed or left out"),
    _number("seconds", "s", "time from reading to writing, of the run that made the results"),
    _whole("frames", "number of frames"),
    _whole("slices", "number of slices"),
    *(
        column
        for side, name in _SIDES
        for column in (
            _number(f"{side}_edv_ml", "ml", f"{name} end-diastolic volume"),
            _number(f"{side}_esv_ml", "ml", f"{name} end-systolic volume"),
            _number(f"{side}_sv_ml", "ml", f"{name} stroke volume: EDV - ESV"),
            _number(f"{side}_ef_percent", "%", f"{name} ejection fraction: 100 SV / EDV"),
        )
    ),
    _number("lv_mass_g", "g", "mass of the LV's myocardium at ED"),
    _whole("flag_count", "number of flags"),
    _text("flags", "codes of the flags, one space between two"),
    _number("predicted_quality", "", "lowest predicted mean Dice of all frames, 0 to 1"),
    _text("error", "why the case is not done"),
    _text("error_code", "stable code of the error, or its type if it has none"),
    _whole("ed_frame", "frame of the LV's end-diastole, from 1"),
    _whole("es_frame", "frame of the LV's end-systole, from 1"),
    _number("heart_rate_per_min", "1/min", "heart rate"),
    _number("lv_co_l_min", "l/min", "cardiac output of the LV"),
    _number("bsa_m2", "m2", "body surface area"),
    _number("lv_edv_ml_m2", "ml/m2", "LV end-diastolic volume divided by the body surface area"),
    _number("lv_esv_ml_m2", "ml/m2", "LV end-systolic volume divided by the body surface area"),
    _number("rv_edv_ml_m2", "ml/m2", "RV end-diastolic volume divided by the body surface area"),
    _number("rv_esv_ml_m2", "ml/m2", "RV end-systolic volume divided by the body surface area"),
    _number("lv_mass_g_m2", "g/m2", "mass of the LV's myocardium divided by the body surface area"),
    _text("model_sha256", "SHA-256 of the model's manifest"),
    _text("options_sha256", "SHA-256 of the options of the study, as in the run's JSON"),
    _text("precision", "number format of the networks"),
    _text("version", "version of cardiacseg"),
)

# One row for each frame of each case that is done.
FRAME_COLUMNS = (
    _CASE,
    _FRAME,
    _number("time_ms", "ms", "time of the frame after the R wave"),
    Column("is_ed", "boolean", "", "whether the frame is the LV's end-diastole"),
    Column("is_es", "boolean", "", "whether the frame is the LV's end-systole"),
    _number("rv_ml", "ml", "volume of the RV's cavity"),
    _number("myo_ml", "ml", "volume of the LV's myocardium"),
    _number("lv_ml", "ml", "volume of the LV's cavity"),
    _number("predicted_quality", "", "predicted mean Dice, 0 to 1"),
    *(
        _number(f"agreement_{name}", "", f"Dice between the labels of the two stages, {said}")
        for name, said in (("rv", "RV"), ("myo", "myocardium"), ("lv", "LV"))
    ),
)

# One row for each AHA segment from 1 to 16 of each case whose wall could be measured.
SEGMENT_COLUMNS = (
    _CASE,
    _whole("segment", "AHA segment, from 1 to 16"),
    _number("ed_mm", "mm", "mean wall thickness at ED"),
    _number("es_mm", "mm", "mean wall thickness at ES"),
    _number("thickening_percent", "%", "wall thickening from ED to ES: 100 (ES - ED) / ED"),
)
