"""Output for people: progress on standard error, results on standard output."""

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cardiacseg.io.output import printable


def say(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr)


def complain(sentence: str) -> None:
    """An error message on standard error."""
    say(f"cardiacseg: {printable(sentence)}")


def show(lines: Iterable[str]) -> None:
    """Lines on standard output. File names in them may hold control characters, which are escaped."""
    print("\n".join(map(printable, lines)))


def progress_bar(quiet: bool, unit: str) -> Callable[[int, int], bool]:
    """A progress bar on standard error; nothing if that is not a terminal."""
    shown = not quiet and sys.stderr.isatty()

    def report(done: int, total: int) -> bool:
        if shown and total:
            bar = ("#" * round(30 * done / total)).ljust(30, ".")
            end = "\n" if done == total else ""
            print(f"\r  {bar}  {done}/{total} {unit}", end=end, file=sys.stderr, flush=True)
        return True

    return report


def _value(number: float | None, unit: str, digits: int = 0) -> str:
    return "not defined" if number is None else f"{number:.{digits}f} {unit}"


def volume_lines(m) -> list[str]:
    """Volumes, ejection fractions and mass in a few lines."""
    if m.es_frame is None:
        return [f"one phase: LV {m.lv_ml[0]:.0f} ml, RV {m.rv_ml[0]:.0f} ml, myocardial mass {m.lv_mass_g:.0f} g"]
    lines = [
        f"{side}  EDV {_value(edv, 'ml')}, ESV {_value(esv, 'ml')}, SV {_value(sv, 'ml')}, EF {_value(ef, '%', 1)}"
        for side, edv, esv, sv, ef in (
            ("LV", m.lv_edv_ml, m.lv_esv_ml, m.lv_sv_ml, m.lv_ef_percent),
            ("RV", m.rv_edv_ml, m.rv_esv_ml, m.rv_sv_ml, m.rv_ef_percent),
        )
    ]
    return [*lines, f"myocardial mass {m.lv_mass_g:.0f} g (ED phase {m.ed_frame + 1}, ES phase {m.es_frame + 1})"]


def summary(segmented) -> list[str]:
    """Measurements, quality flags, model and backend."""
    lines = volume_lines(segmented.measurements)
    result = segmented.result
    if result is not None and not any(map(math.isnan, result.quality)):
        worst = int(result.quality.argmin())
        lines.append(
            f"predicted mean Dice {result.quality.mean():.2f}, lowest {result.quality[worst]:.2f} (phase {worst + 1})"
        )
    lines += [f"look at: {flag.text}" for flag in segmented.flags]
    if result is not None:
        report = result.report
        lines.append(f"model {report.model}, backend {report.backend} on {report.device}: {report.reason}")
        lines.append(f"computed in {report.precision}: {report.precision_reason}")
    return lines


def group_lines(found: dict) -> list[str]:
    """The groups of images in a DICOM study, and why each is taken or not."""
    lines = []
    for group in found["groups"]:
        few, many = group["phases"] or (0, 0)
        phases = f"{many}" if few == many else f"{few} to {many}"
        series = ", ".join(map(str, group["series_numbers"])) or "none"
        lines += [
            f"{group['group']}  {'TAKEN' if group['taken'] else 'not taken'}: {group['reason']}",
            f"    {group['slices']} slices, {phases} phases, {group['rows']} x {group['columns']} pixels, "
            f"{group['plane']}, {group['kind']}; series {series}",
        ]
    lines += [f"damaged: {sentence}" for sentence in found["damaged"]]
    return [*lines, found["problem"]] if found["problem"] else lines


def flags_document(segmented) -> list[dict]:
    """Code and sentence of each quality flag."""
    return [{"code": flag.code, "text": flag.text} for flag in segmented.flags]


def print_results(folder: Path, names: Sequence[str], document: dict, lines: list[str], as_json: bool) -> None:
    """The folder of the results and their summary."""
    if as_json:
        print_json({"output": printable(str(folder)), "files": list(names), **document})
        return
    show([*lines, f"written to {folder}:", *(f"  {name}" for name in names)])


def print_json(document: dict) -> None:
    """JSON on standard output."""
    from cardiacseg.io.json_files import json_text

    print(json_text(document))
