"""``cardiacseg batch``, and the commands for its results: ``batch-merge``, ``tables``, ``review``."""

import argparse
import os
import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

from cardiacseg.cli.arguments import (
    add_measurement_options,
    add_model_options,
    add_read_options,
    add_result_options,
    add_spacing_option,
    add_temporal_option,
    at_least,
    segmenter_arguments,
    study_options,
)
from cardiacseg.cli.terminal import print_json, progress_bar, say, show


def add_batch_options(command: argparse.ArgumentParser) -> None:
    """The options of ``batch``."""
    command.add_argument(
        "input",
        type=Path,
        metavar="INPUT",
        help="folder of cases (NIfTI files, DICOM studies, zips, or the layout of nnU-Net, ACDC or UK Biobank), "
        "or a CSV that lists them",
    )
    command.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="folder for all results")
    command.add_argument(
        "--overwrite",
        "--again",
        dest="overwrite",
        action="store_true",
        help="segment every case again; without it, cases with complete results are kept",
    )
    _add_where(command)
    add_read_options(command, series=False)
    add_spacing_option(command)
    add_temporal_option(command)
    add_measurement_options(command, one_person=False)
    add_result_options(command, one_case=False)
    command.add_argument("--quiet", action="store_true", help="show no progress")
    add_model_options(command)


def _add_where(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("processes and machines")
    group.add_argument(
        "--jobs",
        type=at_least(1),
        metavar="N",
        help="cases in work at a time, each in a process with its own model (on the CPU one for each core, on a GPU 1)",
    )
    group.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="segment only part I of N parts of the cases, with a table of its own; 'batch-merge' joins the tables",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="segment on the workers of a Dask cluster: tcp://HOST:8786, or the scheduler's file",
    )


def _shard(text: str) -> Any:
    from cardiacseg.study.shards import Shard

    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_merge_options(command: argparse.ArgumentParser) -> None:
    """The options of ``batch-merge``."""
    command.add_argument("output", type=Path, metavar="DIR", help="folder of the results of all shards")


def batch(options: argparse.Namespace) -> int:
    """Segment all cases of a folder or a list. A second run continues the first; failed cases do not stop the rest."""
    from cardiacseg.errors import InvalidInputError
    from cardiacseg.study.batch import run_cases
    from cardiacseg.study.case_list import read_case_list
    from cardiacseg.study.cases import find_cases

    if options.scheduler and options.jobs:
        raise InvalidInputError("expected --jobs or --scheduler, got both: the cluster's workers decide how many run")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as after Ctrl-C
    if options.scheduler:  # the workers may have another working folder
        options.input, options.output = options.input.absolute(), options.output.absolute()
    if options.input.is_file():
        cases, unused = read_case_list(options.input, progress_bar(options.quiet, "rows searched"))
        if unused:
            say(f"columns of {options.input.name} that are not used: {', '.join(unused)}")
    else:
        cases = find_cases(options.input, options.output, progress_bar(options.quiet, "folders searched"))
    found = run_cases(
        cases,
        options.output,
        _executor(options, sum(options.shard is None or options.shard.has(case.name) for case in cases)),
        resume=not options.overwrite,
        progress=progress_bar(options.quiet, "cases"),
        shard=options.shard,
    )
    return _tell(found, options.json)


def batch_merge(options: argparse.Namespace) -> int:
    """Join the tables of all shards of a batch into summary.csv."""
    from cardiacseg.study.batch import merge_shards

    return _tell(merge_shards(options.output), options.json)


def add_tables_options(command: argparse.ArgumentParser) -> None:
    """The options of ``tables``."""
    command.add_argument("results", type=Path, metavar="RESULTS", help="folder with the results of 'batch'")
    command.add_argument("--parquet", action="store_true", help="also write Parquet files (needs pyarrow)")
    command.add_argument(
        "--persons",
        type=Path,
        metavar="CSV",
        help="sex and age of each case (columns id, sex, age_years); also write z_scores.csv against reference ranges",
    )
    command.add_argument(
        "--reference",
        type=Path,
        metavar="CSV",
        help="reference ranges by sex and age, in place of those of UK Biobank for LV EF and LV mass (with --persons)",
    )


def tables(options: argparse.Namespace) -> None:
    """Write a batch's measurements as tables: by case, by frame and by wall segment."""
    from cardiacseg.cohort import read_summary, write_tables
    from cardiacseg.cohort.reference import UK_BIOBANK, read_persons, read_ranges
    from cardiacseg.errors import InvalidInputError

    if options.reference and not options.persons:
        raise InvalidInputError("expected --persons with --reference: ranges are chosen by sex and age")
    persons = read_persons(options.persons) if options.persons else None
    ranges = read_ranges(options.reference) if options.reference else UK_BIOBANK
    try:
        made = write_tables(options.results, options.parquet, persons, ranges)
    except ModuleNotFoundError as error:
        raise InvalidInputError(f'--parquet needs {error.name}: pip install "cardiacseg[parquet]"') from error
    _show_files(made, options.json)
    if not persons:
        return
    if unknown := sorted(set(persons) - {case["case"] for case in read_summary(options.results)}):
        say(f"{len(unknown)} of {len(persons)} persons are no case of this batch, such as {unknown[0]}")


def add_review_options(command: argparse.ArgumentParser) -> None:
    """The options of ``review``."""
    command.add_argument("results", type=Path, metavar="RESULTS", help="folder with the results of 'batch'")
    command.add_argument(
        "--most", type=at_least(1), metavar="N", default=5000, help="largest number of cases on the page (5000)"
    )


def review(options: argparse.Namespace) -> None:
    """Write one HTML page over a batch: distributions, and a table of all cases, outliers first."""
    from cardiacseg.cohort import write_review

    _show_files([write_review(options.results, most=options.most)], options.json)


def _show_files(made: list[Path], as_json: bool) -> None:
    if as_json:
        print_json({"files": [str(path) for path in made]})
    else:
        show([str(path) for path in made])


def _tell(found: Any, as_json: bool) -> int:
    if as_json:
        print_json(found.to_dict())
    else:
        show(found.lines())
    return 6 if found.failed else 0


def _executor(options: argparse.Namespace, cases: int) -> Any:
    from cardiacseg.segmenter import explain_device
    from cardiacseg.study.batch import ThisProcess
    from cardiacseg.study.case_run import load_case_segmenter

    arguments, study = segmenter_arguments(options), study_options(options)
    if options.scheduler:
        from cardiacseg.study.cluster import DaskCluster

        model = options.model if options.model == "default" else os.path.abspath(options.model)
        return DaskCluster(partial(load_case_segmenter, study, **{**arguments, "model": model}), options.scheduler)
    device = explain_device(options.model, options.device, precision=options.precision)["device"]
    jobs = min(options.jobs or (1 if device == "cuda" else _cores()), max(1, cases))
    if jobs == 1:
        return ThisProcess(load_case_segmenter(study, **arguments))
    from cardiacseg.study.processes import WorkerProcesses

    threads = options.threads or max(1, _cores() // jobs)
    return WorkerProcesses(partial(load_case_segmenter, study, **{**arguments, "threads": threads}), jobs)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
