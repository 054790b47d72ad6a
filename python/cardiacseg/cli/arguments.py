"""Options that several commands share, and the objects made from them."""

import argparse
import math
import re
from collections.abc import Callable
from typing import Any

from cardiacseg.acquisition import HEART_RATE_PER_MIN, HEIGHT_M, WEIGHT_KG


def at_least(smallest: int) -> Callable[[str], int]:
    """Parser of a whole number of at least ``smallest``."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {smallest}, got {text!r}")
        return int(text)

    return parse


def within(low: float, high: float) -> Callable[[str], float]:
    """Parser of a number from ``low`` to ``high``."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"expected a number from {low:g} to {high:g}, got {text!r}")
        return number

    return parse


def _phase_or(word: str) -> Callable[[str], str | int]:
    def parse(text: str) -> str | int:
        if text == word:
            return text
        if not text.isdecimal() or int(text) < 1:
            raise argparse.ArgumentTypeError(f"expected '{word}' or the number of a phase, from 1, got {text!r}")
        return int(text) - 1

    return parse


def _ed_rule(text: str) -> str | int:
    return text if text == "first" else _phase_or("largest")(text)


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", text):
        raise argparse.ArgumentTypeError(f"expected auto, cpu, cuda or cuda:N, got {text!r}")
    return text


def add_listening_options(command: argparse._ActionsContainer, port: int) -> None:
    """Where a server listens."""
    command.add_argument("--port", type=at_least(1), metavar="PORT", default=port, help=f"port to listen on ({port})")
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 127.0.0.1: this computer only (127.0.0.1)"
    )


def add_model_options(command: argparse.ArgumentParser) -> None:
    """The model, and the device that runs it."""
    group = command.add_argument_group("model")
    group.add_argument(
        "--model", metavar="BUNDLE", default="default", help="'default' or the folder of a model bundle (default)"
    )
    group.add_argument(
        "--device",
        type=_device,
        metavar="DEVICE",
        default="auto",
        help="cpu, cuda (a GPU), cuda:N (GPU N, from 0), or auto: a GPU if one is ready, else the CPU (auto)",
    )
    group.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "fp32", "bf16"),
        help="number format of the networks; auto: bf16 if both the CPU and the model support it, else fp32 (auto)",
    )
    group.add_argument(
        "--threads", type=at_least(0), metavar="N", default=0, help="largest number of threads; 0: all cores (0)"
    )
    group.add_argument(
        "--cache",
        metavar="DIR",
        help="folder for compiled networks, which make the next start faster; 'off': keep none (the user's cache)",
    )


def add_temporal_option(command: argparse.ArgumentParser) -> None:
    """Whether presence is decided over all frames together."""
    command.add_argument_group("labels").add_argument(
        "--temporal",
        choices=("auto", "off"),
        default="auto",
        help="how to decide whether a structure is in a slice; auto: over all phases together, if there are 6 or more; "
        "off: in each phase alone (auto)",
    )


def add_writing_options(command: argparse.ArgumentParser) -> None:
    """Replacing earlier results, and progress."""
    command.add_argument("--overwrite", action="store_true", help="replace the results of an earlier run")
    command.add_argument("--quiet", action="store_true", help="show no progress")


def add_spacing_option(command: argparse.ArgumentParser) -> None:
    """The spacing; a NIfTI file may have none."""
    command.add_argument_group("NIfTI input").add_argument(
        "--spacing",
        type=within(0.05, 50),
        nargs=3,
        metavar=("SLICE", "ROW", "COLUMN"),
        help="spacing between slices, rows and columns in mm, in place of the spacing in the file",
    )


def add_read_options(command: argparse.ArgumentParser, series: bool = True) -> None:
    """How a DICOM study is read."""
    group = command.add_argument_group("DICOM input")
    if series:
        group.add_argument(
            "--series",
            help="which group of images to segment: its name in the output of --list (g1, g2, ...), a Series Number or "
            "a Series Instance UID",
        )
    group.add_argument(
        "--nearest-phase",
        action="store_true",
        help="if a slice lacks a phase, use the image of the same slice that is nearest in time",
    )
    group.add_argument(
        "--latest-repeat",
        "--latest-retake",
        dest="latest_retake",
        action="store_true",
        help="if a slice was acquired more than once, use the latest complete repeat",
    )
    group.add_argument(
        "--uneven",
        action="store_true",
        help="accept unevenly spaced slices; volumes use the distance of each slice to its adjacent slices",
    )


def add_measurement_options(command: argparse.ArgumentParser, one_person: bool = True) -> None:
    """The conventions of measurements, and facts about the person that the files may lack."""
    group = command.add_argument_group("measurements")
    group.add_argument(
        "--ed",
        type=_ed_rule,
        default="largest",
        help="end-diastole: 'largest' (the phase of largest LV volume), 'first', or a phase number from 1 (largest)",
    )
    group.add_argument(
        "--es",
        type=_phase_or("smallest"),
        default="smallest",
        help="end-systole: 'smallest' (the phase of smallest LV volume) or a phase number from 1 (smallest)",
    )
    group.add_argument(
        "--rv-phases",
        choices=("lv", "own"),
        default="lv",
        help="ED and ES of the RV; lv: the same phases as the LV; own: its own largest and smallest volume (lv)",
    )
    group.add_argument(
        "--end-slices",
        choices=("whole", "trapezoid"),
        default="whole",
        help="how the first and the last slice of a structure count; trapezoid: half (whole)",
    )
    group.add_argument(
        "--papillary",
        choices=("volume", "mass"),
        default="volume",
        help="whether papillary muscles belong to the LV volume or to the LV mass (volume)",
    )
    group.add_argument(
        "--bsa", choices=("mosteller", "du_bois"), default="mosteller", help="formula of body surface area (mosteller)"
    )
    if one_person:
        group.add_argument("--height", type=within(*HEIGHT_M), metavar="M", help="height of the person in m")
        group.add_argument("--weight", type=within(*WEIGHT_KG), metavar="KG", help="weight of the person in kg")
        group.add_argument(
            "--heart-rate", type=within(*HEART_RATE_PER_MIN), metavar="BPM", help="heart rate in beats per minute"
        )


def add_result_options(command: argparse.ArgumentParser, one_case: bool = True) -> None:
    """The files to write."""
    group = command.add_argument_group("results")
    if one_case:
        group.add_argument(
            "--title",
            dest="heading",
            metavar="TEXT",
            help="text at the top of the HTML page, the PDF and the preview, for example name and date of the case",
        )
    group.add_argument(
        "--only",
        choices=("measurements",),
        help="write only measurements.json, quality.json, slices.csv and report.json, no labels, DICOM, page, picture",
    )
    group.add_argument(
        "--no-report", dest="report", action="store_false", help="do not write the HTML page and the PDF"
    )
    group.add_argument(
        "--phases",
        choices=("ed-es", "all"),
        default="ed-es",
        help="phases to write as DICOM segmentations: ED and ES, or all (ed-es)",
    )
    group.add_argument("--no-dicom", dest="dicom", action="store_false", help="do not write DICOM results")
    group.add_argument("--labelmap", action="store_true", help="also write DICOM segmentations of the label map type")
    group.add_argument("--rtstruct", action="store_true", help="also write DICOM RT structure sets")
    group.add_argument(
        "--series-number",
        type=at_least(1),
        metavar="N",
        default=9000,
        help="Series Number of the first DICOM series that is written; the others count up from it (9000)",
    )


def study_options(options: argparse.Namespace):
    """:class:`StudyOptions` from the parsed options."""
    from cardiacseg.acquisition import Body
    from cardiacseg.study.segment import ReadOptions, ResultOptions, StudyOptions

    return StudyOptions(
        read=ReadOptions(
            series=getattr(options, "series", None),
            nearest_phase=options.nearest_phase,
            latest_retake=options.latest_retake,
            uneven=options.uneven,
            spacing=tuple(getattr(options, "spacing", None) or ()) or None,
        ),
        measurements=measurement_options(options),
        results=ResultOptions(
            only=getattr(options, "only", None),
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


def segmenter_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of :class:`CardiacSegmenter` in the parsed options."""
    return {name: getattr(options, name) for name in ("model", "device", "threads", "cache", "precision")}


def measurement_options(options: argparse.Namespace):
    """:class:`MeasurementOptions` from the parsed options."""
    from cardiacseg.measurements import MeasurementOptions

    return MeasurementOptions(
        ed=options.ed,
        es=options.es,
        rv_phases=options.rv_phases,
        end_slices=options.end_slices,
        papillary=options.papillary,
        bsa_formula=options.bsa,
    )


def load_segmenter(options: argparse.Namespace, model: str | None = None):
    """The segmenter that the options describe, or the same with another ``model``."""
    from cardiacseg.segmenter import CardiacSegmenter

    arguments = segmenter_arguments(options)
    return CardiacSegmenter(**{**arguments, "model": model or arguments["model"]})
