"""``cardiacseg measure``."""

import argparse

from cardiacseg.cli.arguments import study_options
from cardiacseg.cli.terminal import flags_document, print_results, summary, volume_lines


def measure(options: argparse.Namespace) -> None:
    """Measure the labels of an earlier run again: other conventions, other slices, labels corrected by hand."""
    from cardiacseg.io.output import output_folder
    from cardiacseg.study.remeasure import MEASURED, read_earlier_run, remeasure, rewrite
    from cardiacseg.study.segment import RESULTS

    wanted = study_options(options)
    with output_folder(options.output, RESULTS if options.input else MEASURED, options.overwrite) as folder:
        run = read_earlier_run(options.results)
        if options.input is None:
            measurements = remeasure(folder, run, wanted, options.slices)
            files, lines, document = MEASURED, volume_lines(measurements), {}
        else:
            outcome = rewrite(folder, run, options.input, wanted, options.slices)
            measurements, files = outcome.segmented.measurements, outcome.files
            lines, document = summary(outcome.segmented), {"flags": flags_document(outcome.segmented)}
    print_results(options.output, files, {"measurements": measurements.to_dict(), **document}, lines, options.json)
