"""What each kernel is meant to reach on a GPU, and whether it did. An aim that is missed is said, not an error."""

from collections.abc import Sequence

from cardiacseg.kernels.cases import AttentionCase, ImageCase
from cardiacseg.kernels.table import Measured, best, rate
from cardiacseg.kernels.timing import Ceilings

STACKS = 25  # the aims are for a whole cine
COPY_SHARE = {"inter": 0.70, "fusion": 0.80, "percentiles": 0.80, "preprocessing": 0.80}
TIMES_AS_FAST = {"inter": (3.0, ", views"), "intra": (1.0, "SDPA")}  # as the best of SDPA's rows that are named so


def kind_of(case: AttentionCase | ImageCase) -> str:
    if isinstance(case, ImageCase):
        return case.kernel
    return "inter" if case.across == "slices" else "intra"


def aims(results: Sequence[Measured], ceilings: Ceilings) -> list[str]:
    """A line for each aim of each case of 25 stacks, in attention those with HW = 144 in float16."""
    lines = []
    for measured in results:
        case = measured.case
        if isinstance(case, AttentionCase) and (case.positions != 144 or case.dtype != "float16"):
            continue
        if case.stacks == STACKS:
            lines += [f"AIM {case.name}: {said}" for said in sayings(measured, ceilings)]
    return lines


def sayings(measured: Measured, ceilings: Ceilings) -> list[str]:
    if not measured.passed:
        return ["no time, as the result is not right"]
    kind, ours, said = kind_of(measured.case), measured.rows[0].times.cold_us, []
    if wanted := COPY_SHARE.get(kind):
        share = rate(measured.case.bytes, ours) / ceilings.copy_bytes_per_second
        said.append(f"{100 * share:.0f} % of copy bandwidth (aim {100 * wanted:.0f} %): {verdict(share, wanted)}")
    if kind in TIMES_AS_FAST and (other := best(measured, TIMES_AS_FAST[kind][1])):
        wanted, ratio = TIMES_AS_FAST[kind][0], other.times.cold_us / ours
        said.append(f"{ratio:.2f} times as fast as {other.name} (aim {wanted:g}): {verdict(ratio, wanted)}")
    return said


def verdict(value: float, wanted: float) -> str:
    return "met" if value >= wanted else "missed"
