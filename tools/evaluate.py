#!/usr/bin/env python3
"""Accuracy of a bundle on labelled stacks, through the C++ runtime: evaluate.py DATA [--model default] [-o DIR]

DATA has ACDC's layout or nnU-Net's raw layout. Prints Dice by slice level beside the paper's figures, distances,
presence, shape, volumes and calibration; with -o also writes cases.csv, summary.json and pictures. --robustness adds
Dice under gamma, noise, wrong spacing and the like; --quality adds how well the agreement of the two stages
predicts Dice; --flags adds how often each quality flag is raised on good and on perturbed labels; --temporal adds the
effect of temporal presence on synthetic hearts and on stacks repeated as a cine.
"""

import argparse
import contextlib
import json
import sys
from functools import partial
from pathlib import Path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder in ACDC's layout or nnU-Net's raw layout")
    parser.add_argument("--model", default="default", help="bundled model's name, or a folder (default: %(default)s)")
    parser.add_argument("--splits", type=Path, help="JSON with lists of patients (default: DATA/splits.json)")
    parser.add_argument(
        "--part",
        default="val",
        help="list of patients to evaluate: val, train or another of the file; all: every patient (%(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for CSV, JSON and pictures")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are in DIR")
    parser.add_argument("--robustness", action="store_true", help="also run on perturbed stacks (12 times as long)")
    parser.add_argument("--quality", action="store_true", help="also validate the predicted quality (the same runs)")
    parser.add_argument("--flags", action="store_true", help="also count quality flags (the model runs once more)")
    parser.add_argument(
        "--temporal",
        action="store_true",
        help="also compare runs with and without temporal presence (40 times as long)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON with every case")
    return parser.parse_args()


def say(what: str, things: str = "stacks"):
    return lambda done, total: print(f"{what}: {done} of {total} {things}", file=sys.stderr)


def run(arguments: argparse.Namespace) -> None:
    from cardiacseg import CardiacSegmenter, evaluation
    from cardiacseg.evaluation.flags import flag_document
    from cardiacseg.evaluation.report import REPORT_FILES, write_report
    from cardiacseg.evaluation.runs import read_manifest
    from cardiacseg.evaluation.summary import json_ready
    from cardiacseg.evaluation.tables import ROWS
    from cardiacseg.evaluation.temporal import temporal_document
    from cardiacseg.io.labelled import find_labelled_frames, read_split
    from cardiacseg.io.output import output_folder

    patients = read_split(arguments.data, arguments.part, arguments.splits)
    frames = find_labelled_frames(arguments.data, patients)
    target = contextlib.nullcontext()
    if arguments.output:
        target = output_folder(arguments.output, REPORT_FILES, arguments.overwrite)
    with target as folder:
        found = evaluation.evaluate(arguments.model, arguments.data, patients, say("evaluation"), probabilities=True)
        paper = ROWS.get(read_manifest(arguments.model)["model"])
        make_segmenter = partial(CardiacSegmenter, arguments.model, precision="fp32")  # the same on every CPU
        trials = []
        if arguments.robustness or arguments.quality:
            trials = evaluation.run_trials(make_segmenter(), frames, progress=say("perturbed stacks"))
        document = describe(arguments, found, trials)
        if arguments.flags:
            document["flags"] = flag_document(frames, make_segmenter(), say)
        if arguments.temporal:
            document["temporal"] = json_ready(temporal_document(frames, make_segmenter(), say))
        if folder:
            write_report(folder, found, document, paper)
    print_results(arguments, found, document, paper)


def describe(arguments: argparse.Namespace, found, trials: list) -> dict:
    from cardiacseg.evaluation.runs import quality_summary, robustness_summary
    from cardiacseg.evaluation.summary import json_ready

    document = {"model": arguments.model, "part": arguments.part, **found.summary()}
    if arguments.robustness:
        document["robustness"] = json_ready(robustness_summary(trials))
    if arguments.quality:
        document["quality_validation"] = json_ready(quality_summary(trials))
    return document


def print_results(arguments: argparse.Namespace, found, document: dict, paper) -> None:
    from cardiacseg.evaluation import tables
    from cardiacseg.evaluation.cases import case_row
    from cardiacseg.evaluation.flags import flag_tables
    from cardiacseg.evaluation.summary import json_ready
    from cardiacseg.evaluation.temporal import temporal_table

    if arguments.json:
        cases = [json_ready(case_row(case)) for case in found.cases]
        print(json.dumps({**document, "cases": cases}, indent=2, allow_nan=False))
        return
    print(tables.accuracy_tables(document, paper))
    if arguments.robustness:
        print("\n" + tables.robustness_table(document["robustness"]))
    if arguments.quality:
        print("\n" + tables.quality_table(document["quality_validation"]))
    if arguments.flags:
        print("\n" + flag_tables(document["flags"]))
    if arguments.temporal:
        print("\n" + temporal_table(document["temporal"]))


def main() -> int:
    arguments = parse_arguments()
    import cardiacseg

    try:
        run(arguments)
    except (OSError, ImportError, ValueError, cardiacseg.Error) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
