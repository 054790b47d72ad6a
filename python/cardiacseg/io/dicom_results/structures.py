"""The three structures as DICOM knows them: segment numbers, codes and colours.

Codes are SNOMED CT's of DICOM PS3.16 CID 7151 and 12305, which name the ventricles; that a segment is the cavity alone
is said by the anatomic region's modifier, of the Foundational Model of Anatomy.
"""

from dataclasses import dataclass

from highdicom.sr import CodedConcept


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
