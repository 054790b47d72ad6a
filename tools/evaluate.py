#!/usr/bin/env python3
"""Accuracy of a bundle on labelled stacks, through the C++ runtime: evaluate.py DATA [--model default] [--json]

DATA has ACDC's layout. Dice of whole stacks and by slice level (the slices that cover the heart, divided in three),
and how often the presence of a structure in a slice is right.
"""

import argparse
import json
import sys
from pathlib import Path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder in ACDC's layout")
    parser.add_argument("--model", default="default", help="bundled model's name, or a folder (default: %(default)s)")
    parser.add_argument("--splits", type=Path, help="JSON with lists of patients (default: DATA/splits.json)")
    parser.add_argument("--part", default="val", help="list to take; 'all' takes every patient (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, with every case")
    return parser.parse_args()


def table(summary: dict) -> str:
    lines = [
        f"{summary['patients']} patients, {summary['stacks']} stacks",
        "",
        "| Dice | RV | MYO | LV | mean |",
        "|---|---|---|---|---|",
    ]
    for part, values in summary["dice"].items():
        lines.append(f"| {part} | " + " | ".join(f"{value:.3f}" for value in values.values()) + " |")
    lines.append(f"\npresence right in {100 * summary['presence_accuracy']:.1f} % of slices and structures")
    return "\n".join(lines)


def main() -> int:
    arguments = parse_arguments()
    import cardiacseg
    from cardiacseg.evaluation import evaluate

    try:
        splits = arguments.splits or arguments.data / "splits.json"
        patients = None if arguments.part == "all" else json.loads(splits.read_text())[arguments.part]
        result = evaluate(
            arguments.model, arguments.data, patients, lambda done, total: print(f"{done}/{total}", file=sys.stderr)
        )
    except (OSError, KeyError, ValueError, cardiacseg.Error) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        cases = {case.name: {"dice": case.dice, "dice_by_level": case.dice_by_level} for case in result.cases}
        print(json.dumps({**result.summary(), "cases": cases}, indent=2))
    else:
        print(table(result.summary()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
