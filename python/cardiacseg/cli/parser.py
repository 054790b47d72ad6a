"""All commands and their options."""

import argparse
from collections.abc import Callable
from pathlib import Path

from cardiacseg import __version__
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
from cardiacseg.cli.batch import (
    add_batch_options,
    add_merge_options,
    add_review_options,
    add_tables_options,
    batch,
    batch_merge,
    review,
    tables,
)
from cardiacseg.cli.build_engine import add_engine_options, build_engine
from cardiacseg.cli.commands import bench, demo, info, measure, segment, send
from cardiacseg.cli.import_nnunet import add_nnunet_options, import_nnunet
from cardiacseg.cli.mrd_server import add_mrd_options, mrd_server
from cardiacseg.cli.receive import add_receive_options, add_tls_options, receive
from cardiacseg.cli.web import add_web_options, path_or_url

_EPILOG = """\
A default value stands in parentheses at the end of an option's text.

exit codes:
  0    success
  1    internal error: please report it
  2    wrong usage, or an input or output that cannot be used
  3    model error: the bundle is missing, damaged or of a newer format
  4    backend error: the device is not available, or inference failed
  5    network error: a DICOM node, a DICOMweb service or a scheduler cannot be reached, refuses, or fails;
       an MRD stream failed
  6    the batch is complete, but one or more cases failed
  130  interrupted (Ctrl-C; SIGTERM of batch and of segment URL)
  141  the reader of standard output closed it early, as "| head" does

Results go to standard output; progress and errors go to standard error.
Research use only. Not a medical device; not for diagnosis or treatment.
"""

_INPUT = "a NIfTI file (.nii, .nii.gz), a DICOM study (folder, DICOMDIR or one file), or a zip or tar of one of them"


def build_parser() -> argparse.ArgumentParser:
    """The parser; ``command`` of its result is the function to call."""
    parser = argparse.ArgumentParser(
        prog="cardiacseg",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Segments RV, myocardium and LV in short-axis cardiac cine MRI.",
    )
    parser.add_argument("--version", action="version", version=f"cardiacseg {__version__}")
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
    add_batch_options(add(batch))
    add_merge_options(add(batch_merge))
    add_tables_options(add(tables))
    add_review_options(add(review))
    _send(add(send))
    _receive(add(receive, json=False))
    add_mrd_options(add(mrd_server, json=False))
    _demo(add(demo))
    add(info)
    _bench(add(bench))
    add_engine_options(add(build_engine, json=False))
    add_nnunet_options(add(import_nnunet))
    return parser


def _segment(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "input",
        type=path_or_url,
        metavar="INPUT",
        help=f"{_INPUT}, or the address of a DICOMweb service (https://host/dicom-web)",
    )
    command.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the results")
    command.add_argument("--study", metavar="UID", help="Study Instance UID of the study to retrieve by DICOMweb")
    command.add_argument(
        "--list", action="store_true", help="list the groups of images in a DICOM study, and do not segment"
    )
    add_read_options(command)
    add_web_options(command)
    add_spacing_option(command)
    add_temporal_option(command)
    add_measurement_options(command)
    add_result_options(command)
    add_writing_options(command)
    add_model_options(command)


def _measure(command: argparse.ArgumentParser) -> None:
    command.add_argument("results", type=Path, metavar="RESULTS", help="folder with the results of 'segment'")
    command.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="folder for the new results")
    command.add_argument(
        "--slices",
        type=Path,
        metavar="CSV",
        help="edited slices.csv, which says which slices count for which structure",
    )
    command.add_argument(
        "--input",
        type=Path,
        metavar="INPUT",
        help="the images that RESULTS was made from; all results are then written again, not the measurements alone",
    )
    add_read_options(command)
    add_spacing_option(command)
    add_measurement_options(command)
    add_result_options(command)
    add_writing_options(command)


def _send(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="DICOM files, or folders with DICOM files")
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument("--to", metavar="PEER", help="DICOM node that receives the files, as TITLE@host:port")
    target.add_argument("--stow", metavar="URL", help="DICOMweb service that receives the files (STOW-RS)")
    command.add_argument("--title", metavar="TITLE", default="CARDIACSEG", help="AE title of this program (CARDIACSEG)")
    command.add_argument(
        "--timeout", type=at_least(1), metavar="S", default=30, help="seconds to wait for each answer (30)"
    )
    command.add_argument(
        "--retries",
        type=at_least(0),
        metavar="N",
        default=3,
        help="new associations in a row without any progress, if one ends or an answer is lost (3)",
    )
    add_tls_options(command).add_argument("--tls", action="store_true", help="trust the authorities of this system")
    add_web_options(command)


def _receive(command: argparse.ArgumentParser) -> None:
    add_receive_options(command)
    add_read_options(command, series=False)
    add_temporal_option(command)
    add_measurement_options(command, one_person=False)
    add_result_options(command, one_case=False)
    add_model_options(command)


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the results (cardiacseg-demo)")
    command.add_argument("--frames", type=at_least(1), metavar="N", default=25, help="number of frames (25)")
    command.add_argument("--slices", type=at_least(1), metavar="N", default=10, help="number of slices (10)")
    command.add_argument(
        "--seed", type=at_least(0), metavar="N", default=0, help="number that selects the shape of the heart (0)"
    )
    add_writing_options(command)
    add_model_options(command)


def _bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("--slices", type=at_least(1), metavar="N", default=10, help="number of slices (10)")
    command.add_argument("--repeats", type=at_least(1), metavar="N", default=20, help="number of timed runs (20)")
    add_model_options(command)
