"""All damaged DICOM files of a seed."""

from collections.abc import Iterator

from damage import Case, cuts, flips, overwrites, random_cuts, sample
from dicom_attributes import absent_cases, attribute_cases, frame_cases, kind_cases, length_cases
from dicom_base import DAMAGED, ENCODINGS, alone, classic_files, enhanced_file, in_study, new_random, places, reencoded
from dicom_structure import deflated_cases, nesting_cases, pixel_cases


def dicom_cases(seed: int, count: int) -> Iterator[Case]:
    """About ``count`` of each kind of damage, chosen by ``seed``; the cases made to do harm all."""
    generator = new_random(seed, "dicom")
    for encoding in ENCODINGS:
        for name, content, wrap in (
            (f"classic {encoding}", reencoded(classic_files()[DAMAGED], encoding), in_study),
            (f"enhanced {encoding}", enhanced_file(encoding), alone),
        ):
            share = max(1, count // len(ENCODINGS))
            yield Case(f"{name}, whole", wrap(content))
            yield from sample(list(cuts(name, content, wrap, places(content))), generator, share)
            yield from random_cuts(name, content, wrap, generator, share)
            yield from flips(name, content, wrap, generator, share)
            yield from overwrites(name, content, wrap, generator, share)
    for kind in (attribute_cases, kind_cases, absent_cases, frame_cases, length_cases):
        yield from sample(list(kind()), generator, count)
    yield from sample(list(pixel_cases()), generator, 2 * count)
    for kind in (nesting_cases, deflated_cases):
        yield from kind()
