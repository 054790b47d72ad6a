"""``cardiacseg demo``."""

import argparse
import dataclasses
from pathlib import Path

from cardiacseg.cli.arguments import load_segmenter
from cardiacseg.cli.terminal import flags_document, print_results, progress_bar, say, summary


def demo(options: argparse.Namespace) -> None:
    """Make a synthetic beating heart, segment it, and compare with its truth."""
    from cardiacseg.io.nifti import new_cine, write_image, write_labels
    from cardiacseg.io.output import free_folder, output_folder
    from cardiacseg.metrics import dice_by_structure
    from cardiacseg.phantom import beating_heart
    from cardiacseg.study.options import StudyOptions
    from cardiacseg.study.segment import RESULTS, Stopwatch, analyse, write_outcome

    made = ("cine.nii.gz", "truth.nii.gz")
    watch, wanted = Stopwatch(), StudyOptions()
    target = options.output or free_folder(Path("cardiacseg-demo"), (*made, *RESULTS), options.overwrite)
    with output_folder(target, (*made, *RESULTS), options.overwrite) as folder:
        segmenter = load_segmenter(options)
        if not options.quiet:
            say(f"drawing a heart of {options.frames} frames and {options.slices} slices (seed {options.seed})")
        with watch.time("draw"):
            phantom = beating_heart(options.frames, options.slices, seed=options.seed)
            cine = new_cine(phantom.image, phantom.spacing, phantom.frame_interval_ms)
            cine = dataclasses.replace(cine, path=folder / "cine.nii.gz")
            write_image(cine.path, cine)
            write_labels(folder / "truth.nii.gz", phantom.labels, cine)
        title = f"Synthetic beating heart, seed {options.seed}"
        with watch.time("segment"):
            segmented = analyse(cine, segmenter, wanted, title, progress_bar(options.quiet, "frames"))
        outcome = write_outcome(folder, segmented, wanted, watch)
    scores = dice_by_structure(segmented.labels, phantom.labels)
    mean = sum(scores.values()) / len(scores)
    names = ", ".join(f"{name.upper()} {score:.3f}" for name, score in scores.items())
    lines = [f"Dice against the phantom's truth: {names}, mean {mean:.3f}", *summary(segmented)]
    document = {
        "dice": {**scores, "mean": mean},
        "measurements": segmented.measurements.to_dict(),
        "flags": flags_document(segmented),
    }
    print_results(target, [*made, *outcome.files], document, lines, options.json)
