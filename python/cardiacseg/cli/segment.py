"""``cardiacseg segment``."""

import argparse

from cardiacseg.cli.arguments import load_segmenter, study_options
from cardiacseg.cli.terminal import flags_document, group_lines, print_json, print_results, progress_bar, show, summary


def segment(options: argparse.Namespace) -> None:
    """Segment one cine, NIfTI or DICOM, and write labels, measurements, quality flags, reports and pictures."""
    from cardiacseg.errors import InvalidInputError
    from cardiacseg.io.output_folder import output_folder
    from cardiacseg.study.outputs import RESULTS
    from cardiacseg.study.segment import read_study, segment_into
    from cardiacseg.study.stopwatch import Stopwatch

    if options.list:
        _list(options)
        return
    if options.output is None:
        raise InvalidInputError("wanted a folder for the results: -o DIR (or --list to see what a DICOM study has)")
    watch, wanted = Stopwatch(), study_options(options)
    with output_folder(options.output, RESULTS, options.overwrite) as folder:
        with watch.time("read"):
            cine = read_study(options.input, wanted.read)
        segmenter = load_segmenter(options)
        outcome = segment_into(folder, cine, segmenter, wanted, watch, progress_bar(options.quiet, "frames"))
    document = {
        "measurements": outcome.segmented.measurements.to_dict(),
        "flags": flags_document(outcome.segmented),
        "seconds": outcome.seconds,
    }
    print_results(options.output, outcome.files, document, summary(outcome.segmented), options.json)


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
