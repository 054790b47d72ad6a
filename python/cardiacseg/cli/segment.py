"""``cardiacseg segment``."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from cardiacseg.cli.arguments import load_segmenter, study_options
from cardiacseg.cli.terminal import flags_document, group_lines, print_json, print_results, progress_bar, show, summary


def segment(options: argparse.Namespace) -> None:
    """Segment one cine, NIfTI or DICOM, and write labels, measurements, quality flags, reports and pictures."""
    from cardiacseg.errors import InvalidInputError
    from cardiacseg.io.output import output_folder
    from cardiacseg.study.segment import RESULTS, Stopwatch, read_study, segment_into

    if options.list:
        _list(options)
        return
    if options.output is None:
        raise InvalidInputError("wanted a folder for the results: -o DIR (or --list to see what a DICOM study has)")
    watch, wanted = Stopwatch(), study_options(options)
    with output_folder(options.output, RESULTS, options.overwrite) as folder:
        segmenter = _Ahead(lambda: load_segmenter(options))
        with watch.time("read"):
            _import_nibabel(options.input)
            cine = read_study(options.input, wanted.read)
        _Ahead(lambda: _import_for_writing(options.report))
        outcome = segment_into(folder, cine, segmenter.result(), wanted, watch, progress_bar(options.quiet, "frames"))
    document = {
        "measurements": outcome.segmented.measurements.to_dict(),
        "flags": flags_document(outcome.segmented),
        "seconds": outcome.seconds,
    }
    print_results(options.output, outcome.files, document, summary(outcome.segmented), options.json)


class _Ahead:
    """What a function gives or raises, which runs in another thread from now on."""

    def __init__(self, function: Callable[[], Any]):
        self._function, self._value, self._error = function, None, None
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # is raised in the thread that asks
            self._error = error

    def result(self) -> Any:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value


def _import_nibabel(source: Path) -> None:
    """For NIfTI, without pydicom, which nibabel imports for one kind of a header's extensions; no label needs them."""
    from cardiacseg.study.nifti_cases import is_nifti

    if not is_nifti(source) or "nibabel" in sys.modules or "pydicom" in sys.modules:
        return
    sys.modules["pydicom"] = None  # as if it were not installed
    try:
        import_module("nibabel")
    except ImportError:
        pass  # who needs it says so
    finally:
        del sys.modules["pydicom"]


def _import_for_writing(report: bool) -> None:
    """What takes longest to import, while the networks run."""
    for name in ("figure", "backends.backend_agg", *(("backends.backend_pdf",) if report else ())):
        import_module(f"matplotlib.{name}")


def _list(options: argparse.Namespace) -> None:
    from cardiacseg.errors import InvalidInputError
    from cardiacseg.io.dicom.read import list_groups
    from cardiacseg.study.nifti_cases import is_nifti

    if options.input.is_file() and is_nifti(options.input):
        raise InvalidInputError(f"--list is for DICOM studies; {options.input} is a NIfTI file, which has no groups")
    found = list_groups(options.input, series=options.series).to_dict()
    if options.json:
        print_json(found)
        return
    show(group_lines(found))
