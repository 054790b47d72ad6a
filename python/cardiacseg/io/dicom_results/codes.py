"""Codes of the three structures and of what the structured report measures: name in ``Measurements``, concept, unit.

LOINC and SNOMED CT codes are those of DICOM PS3.16 CID 3468, 3469, 3833, 3835, 12200 and 12204; an indexed value has
the concept of the value itself with the modifier (121425, DCM, "Index") = BSA (CID 3455). What no standard scheme has a
code for is of the scheme 99CARDIACSEG, whose code values never change their meaning.

The structures' codes are SNOMED CT's of CID 7151 and 12305, which name the ventricles; that a segment is the cavity
alone is said by the anatomic region's modifier, of the Foundational Model of Anatomy.
"""

from dataclasses import dataclass

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

PRIVATE = "99CARDIACSEG"
SCHEME = CodingSchemeIdentificationItem(PRIVATE, name="Codes of cardiacseg", responsible_organization="cardiacseg")

ML = CodedConcept("ml", "UCUM", "milliliter")
ML_M2 = CodedConcept("ml/m2", "UCUM", "ml/m2")
ML_S = CodedConcept("ml/s", "UCUM", "ml/s")
G = CodedConcept("g", "UCUM", "gram")
G_M2 = CodedConcept("g/m2", "UCUM", "g/m2")
PERCENT = CodedConcept("%", "UCUM", "percent")
MM = CodedConcept("mm", "UCUM", "millimeter")
MS = CodedConcept("ms", "UCUM", "millisecond")
M2 = CodedConcept("m2", "UCUM", "square meter")
PER_MIN = CodedConcept("/min", "UCUM", "per minute")
L_MIN = CodedConcept("l/min", "UCUM", "liter per minute")
L_MIN_M2 = CodedConcept("l/min/m2", "UCUM", "l/min/m2")
NO_UNIT = CodedConcept("1", "UCUM", "no units")

HEART = CodedConcept("80891009", "SCT", "Heart")
CARDIAC_MRI = CodedConcept("241620005", "SCT", "Cardiac MRI")
ED = CodedConcept("416190007", "SCT", "End diastole")
ES = CodedConcept("416430001", "SCT", "End Systole")
COMMENT = CodedConcept("121106", "DCM", "Comment")
INDEX = CodedConcept("121425", "DCM", "Index")
BSA = CodedConcept("8277-6", "LN", "BSA")
HEART_RATE = CodedConcept("8867-4", "LN", "Heart rate")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
WALL_MASS = CodedConcept("122447", "DCM", "Wall Mass")
WALL_THICKNESS = CodedConcept("122445", "DCM", "Wall Thickness")
THICKENING = CodedConcept("59092-7", "LN", "% Thickening")

# Decimals of values of each unit or concept. Volumes agree with a person's to some 10 ml, EF to some 5 points
# (docs/accuracy.md): more would say nothing, and with these what is calculated from a report's values agrees with it.
DECIMALS = {
    THICKENING.value: 0,
    **dict.fromkeys((unit.value for unit in (ML, ML_M2, G, G_M2, PERCENT, MM)), 1),
    **dict.fromkeys((unit.value for unit in (ML_S, MS, PER_MIN)), 0),
    **dict.fromkeys((unit.value for unit in (L_MIN, L_MIN_M2, M2, NO_UNIT)), 2),
}
BSA_FORMULAS = {
    "mosteller": CodedConcept("122244", "DCM", "BSA = (HT*WT/36)^0.5"),
    "du_bois": CodedConcept("122241", "DCM", "BSA = 0.007184*WT^0.425*HT^0.725"),
}
PAPILLARY = CodedConcept("122670", "DCM", "Papillary Muscle Included/Excluded")
INCLUDED = CodedConcept("122621", "DCM", "Papillary Muscle Included")
EXCLUDED = CodedConcept("122620", "DCM", "Papillary Muscle Excluded")

PREDICTED_DICE = CodedConcept("predicted-dice", PRIVATE, "Predicted mean Dice of the labels")
QUALITY_FLAG = CodedConcept("quality-flag", PRIVATE, "Quality flag")
CONVENTION = CodedConcept("convention", PRIVATE, "Convention of measurement")
TIME_OF_PEAK = CodedConcept("time-of-peak", PRIVATE, "Time after the R wave")


@dataclass(frozen=True)
class Quantity:
    """``name`` is a field of ``Measurements``; ``indexed`` the name of the value per m2, in ``index_unit``."""

    name: str
    concept: CodedConcept
    unit: CodedConcept
    indexed: str | None = None
    index_unit: CodedConcept = ML_M2


# Measured in one phase of one structure: (structure, "ED" or "ES") -> what.
OF_PHASE = {
    ("LV", "ED"): Quantity("lv_edv_ml", CodedConcept("8821-1", "LN", "Left Ventricular ED Volume"), ML, "lv_edv_ml_m2"),
    ("LV", "ES"): Quantity("lv_esv_ml", CodedConcept("8823-7", "LN", "Left Ventricular ES Volume"), ML, "lv_esv_ml_m2"),
    ("RV", "ED"): Quantity(
        "rv_edv_ml", CodedConcept("8822-9", "LN", "Right Ventricular ED Volume"), ML, "rv_edv_ml_m2"
    ),
    ("RV", "ES"): Quantity(
        "rv_esv_ml", CodedConcept("8824-5", "LN", "Right Ventricular ES Volume"), ML, "rv_esv_ml_m2"
    ),
    ("MYO", "ED"): Quantity("lv_mass_g", WALL_MASS, G, "lv_mass_g_m2", G_M2),
    ("MYO", "ES"): Quantity("lv_mass_es_g", WALL_MASS, G),
}

# Of the whole cardiac cycle, for each ventricle. The indices have separate concepts.
_LV_EF = CodedConcept("8811-2", "LN", "Left ventricular ejection fraction by MR")
_RV_EF = CodedConcept("8818-7", "LN", "Right ventricular ejection fraction by MR")
FUNCTION = {
    "LV": (
        Quantity("lv_ef_percent", _LV_EF, PERCENT),
        Quantity("lv_sv_ml", CodedConcept("90096001", "SCT", "Stroke Volume"), ML),
        Quantity("lv_sv_ml_m2", CodedConcept("277381004", "SCT", "Stroke Index"), ML_M2),
        Quantity("lv_co_l_min", CodedConcept("82799009", "SCT", "Cardiac Output"), L_MIN),
        Quantity("lv_ci_l_min_m2", CodedConcept("54993008", "SCT", "Cardiac Index"), L_MIN_M2),
    ),
    "RV": (
        Quantity("rv_ef_percent", _RV_EF, PERCENT),
        Quantity("rv_sv_ml", CodedConcept("429483009", "SCT", "RV Stroke Volume"), ML),
        Quantity("rv_sv_ml_m2", CodedConcept("429619008", "SCT", "RV Stroke Index"), ML_M2),
        Quantity("rv_co_l_min", CodedConcept("428628004", "SCT", "RV Cardiac Output"), L_MIN),
        Quantity("rv_ci_l_min_m2", CodedConcept("427990004", "SCT", "RV Cardiac Index"), L_MIN_M2),
    ),
}
# Fields of ``Rates``: value, its time, concept.
RATES = (
    ("peak_ejection_ml_s", "peak_ejection_time_ms", CodedConcept("122616", "DCM", "Peak Ejection Rate")),
    ("peak_filling_ml_s", "peak_filling_time_ms", CodedConcept("122618", "DCM", "Peak Filling Rate")),
)

# The AHA's segments 1 to 16 (Cerqueira et al. 2002), CID 3717.
AHA_SEGMENTS = tuple(
    CodedConcept(code, "SCT", f"left ventricle {name} segment")
    for code, name in (
        ("264850008", "basal anterior"),
        ("396482007", "basal anteroseptal"),
        ("396646008", "basal inferoseptal"),
        ("264846001", "basal inferior"),
        ("396652009", "basal inferolateral"),
        ("396654005", "basal anterolateral"),
        ("264848000", "mid anterior"),
        ("396647004", "mid anteroseptal"),
        ("396649001", "mid inferoseptal"),
        ("264847005", "mid inferior"),
        ("396655006", "mid inferolateral"),
        ("396656007", "mid anterolateral"),
        ("264844003", "apical anterior"),
        ("264845002", "apical septal"),
        ("264849008", "apical inferior"),
        ("264853005", "apical lateral"),
    )
)


@dataclass(frozen=True)
class Structure:
    """``number`` is the segment's, ``label`` the arrays' (1 RV, 2 MYO, 3 LV).

    ``cavity`` says that only the ventricle's cavity is meant. ``lab`` is ``rgb`` as Recommended Display CIELab Value.
    """

    number: int
    label: int
    short: str
    title: str
    code: CodedConcept
    cavity: CodedConcept | None
    rgb: tuple[int, int, int]
    lab: tuple[int, int, int]


LV = Structure(
    number=1,
    label=3,
    short="LV",
    title="LV blood pool",
    code=CodedConcept("87878005", "SCT", "Left ventricle"),
    cavity=CodedConcept("9466", "FMA", "Cavity of left ventricle"),
    rgb=(220, 20, 60),
    lab=(30821, 51126, 41530),
)
MYO = Structure(
    number=2,
    label=2,
    short="MYO",
    title="LV myocardium",
    code=CodedConcept("49848007", "SCT", "Left Ventricle Myocardium"),
    cavity=None,
    rgb=(0, 180, 0),
    lab=(41857, 15842, 49355),
)
RV = Structure(
    number=3,
    label=1,
    short="RV",
    title="RV blood pool",
    code=CodedConcept("53085002", "SCT", "Right ventricle"),
    cavity=CodedConcept("9291", "FMA", "Cavity of right ventricle"),
    rgb=(30, 100, 255),
    lab=(31303, 42500, 11762),
)
STRUCTURES = (LV, MYO, RV)
