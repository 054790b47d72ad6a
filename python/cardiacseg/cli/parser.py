"""All commands and their options."""

import argparse
from collections.abc import Callable
from pathlib import Path

from cardiacseg.cli.arguments import (
    add_measurement_options,
    add_model_options,
    add_read_options,
    add_result_options,
    add_spacing_option,
    add_temporal_option,
    add_writing_options,
    at_least,
)
from cardiacseg.cli.build_engine import add_engine_options, build_engine
from cardiacseg.cli.commands import batch, bench, demo, info, measure, receive, segment, send

_EPILOG = """\
exit codes:
  0    it worked
  1    an internal failure: please report it
  2    wrong usage, or an input or output that cannot be used
  3    a problem with the model (its bundle is missing, damaged or of a newer format)
  4    a problem with the backend (the device is not available, or inference failed)
  5    a problem with a DICOM peer (it cannot be reached, refuses, or answers with a failure)
  6    a batch that ended, but in which cases failed
  130  interrupted
  141  the reader of standard output closed it early ("| head")

Results go to standard output, progress and errors to standard error.
Research use only. Not a medical device; not for diagnosis or treatment.
"""

_INPUT = "a NIfTI file (.nii, .nii.gz), a DICOM study (folder, DICOMDIR or one file), or a zip or tar of one of them"


def build_parser() -> argparse.ArgumentParser:
    """The parser; each command stores its function as ``command``."""
    parser = argparse.ArgumentParser(
        prog="cardiacseg",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Segments RV, myocardium and LV in short-axis cardiac cine MRI.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(function: Callable[[argparse.Namespace], int | None], json: bool = True) -> argparse.ArgumentParser:
        about = (function.__doc__ or "").split("\n")[0]
        command = commands.add_parser(
            function.__name__.replace("_", "-"),
            help=about,
            description=about,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(command=function)
        if json:
            command.add_argument("--json", action="store_true", help="print the results as JSON")
        return command

    _segment(add(segment))
    _measure(add(measure))
    _batch(add(batch))
    _send(add(send))
    _receive(add(receive, json=False))
    _demo(add(demo))
    add(info)
    _bench(add(bench))
    add_engine_options(add(build_engine, json=False))
    return parser


def _segment(command: argparse.ArgumentParser) -> None:
    command.add_argument("input", type=Path, metavar="INPUT", help=_INPUT)
    command.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the results")
    command.add_argument(
        "--list", action="store_true", help="only say which groups of images a DICOM study has, and which is taken"
    )
    add_read_options(command)
    add_spacing_option(command)
    add_temporal_option(command)
    add_measurement_options(command)
    add_result_options(command)
    add_writing_options(command)
    add_model_options(command)


def _measure(command: argparse.ArgumentParser) -> None:
    command.add_argument("results", type=Path, metavar="RESULTS", help="folder that 'segment' wrote")
    command.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="folder for the new results")
    command.add_argument("--slices", type=Path, metavar="CSV", help="an edited slices.csv: which slices count")
    command.add_argument("--input", type=Path, metavar="INPUT", help="the images again: then all results are written")
    add_read_options(command)
    add_spacing_option(command)
    add_measurement_options(command)
    add_result_options(command)
    add_writing_options(command)


def _batch(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "input",
        type=Path,
        metavar="FOLDER",
        help="nnU-Net's or ACDC's layout, NIfTI files, or a folder of studies",
    )
    command.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="folder for all results")
    command.add_argument("--again", action="store_true", help="segment cases again whose results are there already")
    add_read_options(command, series=False)
    add_spacing_option(command)
    add_temporal_option(command)
    add_measurement_options(command, one_person=False)
    add_result_options(command, one_case=False)
    command.add_argument("--quiet", action="store_true", help="show no progress")
    add_model_options(command)


def _send(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="DICOM files, or folders of them")
    command.add_argument("--to", metavar="PEER", required=True, help="the receiver, as TITLE@host:port")
    command.add_argument("--title", default="CARDIACSEG", help="this program's application entity title (CARDIACSEG)")
    command.add_argument("--timeout", type=at_least(1), default=30, help="seconds to wait for an answer (30)")


def _receive(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=at_least(1), default=11112, help="port to listen on (11112)")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    command.add_argument("--title", default="CARDIACSEG", help="this program's application entity title (CARDIACSEG)")
    command.add_argument("--to", metavar="PEER", help="who gets the DICOM results, as TITLE@host:port")
    command.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder that keeps each study's results")
    command.add_argument(
        "--from", dest="callers", metavar="TITLE", nargs="+", default=(), help="take studies from these alone"
    )
    command.add_argument(
        "--send-incomplete", action="store_true", help="also send results of studies that are known to be incomplete"
    )
    command.add_argument("--idle", type=at_least(1), default=5, help="seconds without images that end a study (5)")
    add_read_options(command, series=False)
    add_temporal_option(command)
    add_measurement_options(command, one_person=False)
    add_result_options(command, one_case=False)
    add_model_options(command)


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the results (cardiacseg-demo)")
    command.add_argument("--frames", type=at_least(1), default=25, help="frames of the beat (25)")
    command.add_argument("--slices", type=at_least(1), default=10, help="slices of each frame (10)")
    command.add_argument("--seed", type=at_least(0), default=0, help="another number gives another heart (0)")
    add_writing_options(command)
    add_model_options(command)


def _bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("--slices", type=at_least(1), default=10, help="slices of the stack (10)")
    command.add_argument("--repeats", type=at_least(1), default=20, help="timed runs (20)")
    add_model_options(command)
