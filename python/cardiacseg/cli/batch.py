"""``cardiacseg batch``."""

import argparse

from cardiacseg.cli.arguments import load_segmenter, study_options
from cardiacseg.cli.terminal import print_json, progress_bar, show


def batch(options: argparse.Namespace) -> int:
    """Segment a folder of cases; go on where it was interrupted, and past cases that cannot be read."""
    from cardiacseg.study.batch import CaseSegmenter, run_batch
    from cardiacseg.study.cases import find_cases

    cases = find_cases(options.input, without=options.output)
    segment_one = CaseSegmenter(load_segmenter(options), study_options(options), options.model)
    found = run_batch(
        cases, options.output, segment_one, resume=not options.again, progress=progress_bar(options.quiet, "cases")
    )
    if options.json:
        print_json(found.to_dict())
    else:
        show(found.lines())
    return 6 if found.failed else 0
