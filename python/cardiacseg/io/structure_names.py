"""Names that data sets give to RV, myocardium and LV, in nnU-Net's ``dataset.json``."""

import re
from pathlib import Path

from cardiacseg.errors import InvalidInputError

# Letters and digits alone, lower case; MLV and LVM are ACDC's and M&Ms' names of the LV's myocardium, C is a cavity.
NAMES = {
    **dict.fromkeys(("background", "bg"), 0),
    **dict.fromkeys(("rv", "rvc", "rvcavity", "rightventricle", "rightventricularcavity"), 1),
    **dict.fromkeys(("myo", "myocard", "myocardium", "mlv", "lvm", "lvmyo", "lvmyocardium", "leftmyocardium"), 2),
    **dict.fromkeys(("leftventricularmyocardium", "leftventriclemyocardium"), 2),
    **dict.fromkeys(("lv", "lvc", "lvcavity", "leftventricle", "leftventricularcavity"), 3),
}
_TITLES = {1: "RV", 2: "myocardium", 3: "LV"}


def label_mapping(dataset: dict, path: Path) -> dict[int, int]:
    """Label in the files -> 0 background, 1 RV, 2 MYO, 3 LV, from the ``labels`` of ``dataset.json``.

    Both of nnU-Net's forms are read: name -> integer, and integer as a string -> name. Raises ``ValueError`` for a
    name that is none of :data:`NAMES`, a structure that is missing or there twice, and for regions.
    """
    labels = dataset.get("labels") if isinstance(dataset, dict) else None
    if not isinstance(labels, dict) or not labels:
        raise InvalidInputError(f'{path}: wanted "labels" with the numbers of RV, myocardium and LV')
    mapping: dict[int, int] = {}
    for number, name in (_number_and_name(key, value, path) for key, value in labels.items()):
        label = _label_of(name, path)
        if number in mapping or (label and label in mapping.values()):
            raise InvalidInputError(f'{path}: "labels" names {number} or {name} twice')
        mapping[number] = label
    missing = [title for label, title in _TITLES.items() if label not in mapping.values()]
    if missing:
        raise InvalidInputError(
            f'{path}: "labels" has no {" and no ".join(missing)}, only {", ".join(map(str, labels))}'
        )
    return mapping


def _number_and_name(key: str, value: object, path: Path) -> tuple[int, str]:
    if isinstance(value, str) and key.isdecimal():
        return int(key), value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value, key
    raise InvalidInputError(f'{path}: wanted a name and a number in "labels", got {key!r}: {value!r}')


def _label_of(name: str, path: Path) -> int:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain not in NAMES:
        raise InvalidInputError(f"{path}: label {name!r} is none of RV, myocardium and LV, nor a usual name of theirs")
    return NAMES[plain]
