"""Options that several commands share, and what becomes of them."""

import argparse
import math
from collections.abc import Callable


def at_least(smallest: int) -> Callable[[str], int]:
    """Parser of a whole number that is not below ``smallest``."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"wanted a whole number of at least {smallest}, got {text!r}")
        return int(text)

    return parse


def _within(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"wanted a number from {low:g} to {high:g}, got {text!r}")
        return number

    return parse


def _phase_or(word: str) -> Callable[[str], str | int]:
    def parse(text: str) -> str | int:
        if text == word:
            return text
        if not text.isdecimal() or int(text) < 1:
            raise argparse.ArgumentTypeError(f"wanted '{word}' or a phase from 1 on, got {text!r}")
        return int(text) - 1

    return parse


def _ed_rule(text: str) -> str | int:
    return text if text == "first" else _phase_or("largest")(text)


def add_model_options(command: argparse.ArgumentParser) -> None:
    """Which model, and where it runs."""
    group = command.add_argument_group("model")
    group.add_argument("--model", default="default", help="'default' or the folder of a model bundle")
    group.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to run")
    group.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "fp32", "bf16"),
        help="what to compute in; auto: bf16 on a CPU that has it, with a model that keeps its labels in it, else fp32",
    )
    group.add_argument("--threads", type=at_least(0), default=0, help="most threads to use; 0: all cores")
    group.add_argument(
        "--cache", metavar="DIR", help="where networks compiled for the CPU are kept for the next start; 'off': nowhere"
    )


def add_temporal_option(command: argparse.ArgumentParser) -> None:
    """Whether frames are looked at together."""
    command.add_argument_group("labels").add_argument(
        "--temporal",
        choices=("auto", "off"),
        default="auto",
        help="whether a structure is in a slice: decided over the beat if there are 6 phases or more, or in each alone",
    )


def add_writing_options(command: argparse.ArgumentParser) -> None:
    """What may be replaced, what is shown."""
    command.add_argument("--overwrite", action="store_true", help="replace results that are already there")
    command.add_argument("--quiet", action="store_true", help="show no progress")


def add_spacing_option(command: argparse.ArgumentParser) -> None:
    """What a NIfTI file may not say."""
    command.add_argument_group("NIfTI input").add_argument(
        "--spacing",
        type=_within(0.05, 50),
        nargs=3,
        metavar=("SLICE", "ROW", "COLUMN"),
        help="distance between slices, rows and columns in mm, instead of the file's",
    )


def add_read_options(command: argparse.ArgumentParser, series: bool = True) -> None:
    """How a DICOM study is read."""
    group = command.add_argument_group("DICOM input")
    if series:
        group.add_argument(
            "--series", help="take this group of images: its number in --list, Series Number or Series Instance UID"
        )
    group.add_argument(
        "--nearest-phase", action="store_true", help="fill a phase that a slice lacks with its nearest in the beat"
    )
    group.add_argument("--latest-retake", action="store_true", help="of slices taken twice, use the latest whole one")
    group.add_argument(
        "--uneven", action="store_true", help="take unevenly spaced slices; each counts with its own share of the axis"
    )


def add_measurement_options(command: argparse.ArgumentParser, one_person: bool = True) -> None:
    """The conventions of measuring, and what the files may not say about the person."""
    group = command.add_argument_group("measurements")
    group.add_argument(
        "--ed",
        type=_ed_rule,
        default="largest",
        help="end-diastole: phase of 'largest' LV volume, 'first', or a number",
    )
    group.add_argument(
        "--es",
        type=_phase_or("smallest"),
        default="smallest",
        help="end-systole: of 'smallest' LV volume, or a number",
    )
    group.add_argument("--rv-phases", choices=("lv", "own"), default="lv", help="ED and ES of the RV (the LV's)")
    group.add_argument(
        "--end-slices", choices=("whole", "trapezoid"), default="whole", help="how first and last slices count (whole)"
    )
    group.add_argument(
        "--papillary",
        choices=("volume", "mass"),
        default="volume",
        help="where papillary muscles count (volume)",
    )
    group.add_argument("--bsa", choices=("mosteller", "du_bois"), default="mosteller", help="body surface formula")
    if one_person:
        group.add_argument("--height", type=_within(0.2, 2.6), metavar="M", help="the person's height in m")
        group.add_argument("--weight", type=_within(0.5, 500), metavar="KG", help="the person's weight in kg")
        group.add_argument("--heart-rate", type=_within(15, 300), metavar="BPM", help="beats per minute")


def add_result_options(command: argparse.ArgumentParser, one_case: bool = True) -> None:
    """Which files are written."""
    group = command.add_argument_group("results")
    if one_case:
        group.add_argument(
            "--title",
            dest="heading",
            metavar="TEXT",
            help="text at the top of page, PDF and preview, such as the case's name and the study's date",
        )
    group.add_argument("--no-report", dest="report", action="store_false", help="write no HTML page and no PDF")
    group.add_argument(
        "--phases", choices=("ed-es", "all"), default="ed-es", help="phases with a DICOM segmentation (ed-es)"
    )
    group.add_argument("--no-dicom", dest="dicom", action="store_false", help="write no DICOM results")
    group.add_argument("--labelmap", action="store_true", help="also write DICOM label map segmentations")
    group.add_argument("--rtstruct", action="store_true", help="also write DICOM RT structure sets")
    group.add_argument("--series-number", type=at_least(1), default=9000, help="of the first DICOM series (9000)")


def study_options(options: argparse.Namespace):
    """:class:`StudyOptions` from what was parsed."""
    from cardiacseg.acquisition import Body
    from cardiacseg.measurements import MeasurementOptions
    from cardiacseg.study.options import ReadOptions, ResultOptions, StudyOptions

    return StudyOptions(
        read=ReadOptions(
            series=getattr(options, "series", None),
            nearest_phase=options.nearest_phase,
            latest_retake=options.latest_retake,
            uneven=options.uneven,
            spacing=tuple(getattr(options, "spacing", None) or ()) or None,
        ),
        measurements=MeasurementOptions(
            ed=options.ed,
            es=options.es,
            rv_phases=options.rv_phases,
            end_slices=options.end_slices,
            papillary=options.papillary,
            bsa_formula=options.bsa,
        ),
        results=ResultOptions(
            report=options.report,
            phases=options.phases,
            labelmap=options.labelmap,
            rtstruct=options.rtstruct,
            series_number=options.series_number,
            dicom=options.dicom,
            title=getattr(options, "heading", None),
        ),
        body=Body(getattr(options, "height", None), getattr(options, "weight", None)),
        heart_rate_per_min=getattr(options, "heart_rate", None),
        temporal=getattr(options, "temporal", "auto"),
    )


def load_segmenter(options: argparse.Namespace):
    """The segmenter that was asked for."""
    from cardiacseg.segmenter import CardiacSegmenter

    return CardiacSegmenter(
        options.model,
        device=options.device,
        threads=options.threads,
        cache=options.cache,
        precision=options.precision,
    )
