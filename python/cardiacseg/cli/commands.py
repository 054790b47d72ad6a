"""The commands: each takes the parsed options and returns an exit code, or None for 0."""

import argparse
import dataclasses
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from cardiacseg.cli.arguments import load_segmenter, study_options
from cardiacseg.cli.receive import tls_files
from cardiacseg.cli.terminal import (
    flags_document,
    group_lines,
    print_json,
    print_results,
    progress_bar,
    say,
    show,
    summary,
    volume_lines,
)
from cardiacseg.cli.web import local_input, web_server


def segment(options: argparse.Namespace) -> None:
    """Segment one cine (NIfTI or DICOM); write labels, measurements, quality flags, reports and pictures."""
    from cardiacseg.errors import InvalidInputError
    from cardiacseg.io.output import output_folder
    from cardiacseg.study.segment import RESULTS, Stopwatch, read_study, segment_into

    if options.list:
        _list(options)
        return
    if options.output is None:
        raise InvalidInputError(
            "expected a folder for the results (-o DIR), or --list to list what a DICOM study holds; got neither"
        )
    watch, study = Stopwatch(), study_options(options)
    with output_folder(options.output, RESULTS, options.overwrite) as folder, local_input(options) as source:
        segmenter = _Ahead(lambda: load_segmenter(options))
        with watch.time("read"):
            _import_nibabel(source)
            cine = read_study(source, study.read)
        if options.only is None:
            _Ahead(lambda: _import_for_writing(options.report))
        outcome = segment_into(folder, cine, segmenter.result(), study, watch, progress_bar(options.quiet, "frames"))
    document = {
        "measurements": outcome.segmented.measurements.to_dict(),
        "flags": flags_document(outcome.segmented),
        "seconds": outcome.seconds,
    }
    print_results(options.output, outcome.files, document, summary(outcome.segmented), options.json)


class _Ahead:
    """The result, or the error, of a function that starts at once in another thread."""

    def __init__(self, function: Callable[[], Any]):
        self._function, self._value, self._error = function, None, None
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # raised in the thread that asks for the result
            self._error = error

    def result(self) -> Any:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value


def _import_nibabel(source: Path) -> None:
    """Import nibabel for NIfTI, but without pydicom, which it imports for header extensions that are not used here."""
    from cardiacseg.study.nifti_cases import is_nifti

    if not is_nifti(source) or "nibabel" in sys.modules or "pydicom" in sys.modules:
        return
    sys.modules["pydicom"] = None  # as if it were not installed
    try:
        import_module("nibabel")
    except ImportError:
        pass  # the reader of NIfTI says so
    finally:
        del sys.modules["pydicom"]


def _import_for_writing(report: bool) -> None:
    """Import the slowest libraries while the networks run."""
    for name in ("figure", "backends.backend_agg", *(("backends.backend_pdf",) if report else ())):
        import_module(f"matplotlib.{name}")


def _list(options: argparse.Namespace) -> None:
    from cardiacseg.errors import InvalidInputError
    from cardiacseg.io.dicom.read import list_groups
    from cardiacseg.study.nifti_cases import is_nifti

    with local_input(options) as source:
        if source.is_file() and is_nifti(source):
            raise InvalidInputError(f"--list is for DICOM studies; {source} is a NIfTI file, which has no groups")
        found = list_groups(source, series=options.series).to_dict()
    if options.json:
        print_json(found)
        return
    show(group_lines(found))


def measure(options: argparse.Namespace) -> None:
    """Measure the labels of an earlier run again, with other conventions, other slices or corrected labels."""
    from cardiacseg.io.output import output_folder
    from cardiacseg.study.remeasure import MEASURED, read_earlier_run, remeasure, rewrite
    from cardiacseg.study.segment import RESULTS

    study = study_options(options)
    with output_folder(options.output, RESULTS if options.input else MEASURED, options.overwrite) as folder:
        run = read_earlier_run(options.results)
        if options.input is None:
            measurements = remeasure(folder, run, study, options.slices)
            files, lines, document = MEASURED, volume_lines(measurements), {}
        else:
            outcome = rewrite(folder, run, options.input, study, options.slices)
            measurements, files = outcome.segmented.measurements, outcome.files
            lines, document = summary(outcome.segmented), {"flags": flags_document(outcome.segmented)}
    print_results(options.output, files, {"measurements": measurements.to_dict(), **document}, lines, options.json)


def send(options: argparse.Namespace) -> None:
    """Send DICOM files to another DICOM node (C-STORE) or to a DICOMweb service (STOW-RS)."""
    report = _stow(options) if options.to is None else _send(options)
    if options.json:
        print_json(dataclasses.asdict(report))
        return
    print(f"sent {report.sent} files ({report.bytes / 1e6:.1f} MB) in {report.seconds:.1f} s")
    for name, status in report.warnings:
        print(f"  {name}: stored with warning 0x{status:04X}")


def _send(options: argparse.Namespace) -> Any:
    from cardiacseg.network.peer import Peer
    from cardiacseg.network.send import send

    files, settings = tls_files(options), {"timeout": options.timeout, "retries": options.retries}
    encryption = files.client_context() if files or options.tls else None
    return send(options.files, Peer.parse(options.to), calling=options.title, tls=encryption, **settings)


def _stow(options: argparse.Namespace) -> Any:
    from cardiacseg.network.dicomweb.client import store

    settings = {"timeout": options.timeout, "attempts": options.retries + 1}
    return store(options.files, dataclasses.replace(web_server(options, options.stow), **settings))


def demo(options: argparse.Namespace) -> None:
    """Make a synthetic beating heart, segment it, and compare the labels with the true ones."""
    from cardiacseg.io.nifti import new_cine, write_image, write_labels
    from cardiacseg.io.output import free_folder, output_folder
    from cardiacseg.metrics import dice_by_structure
    from cardiacseg.phantom import beating_heart
    from cardiacseg.study.segment import RESULTS, Stopwatch, StudyOptions, analyse, write_outcome

    made = ("cine.nii.gz", "truth.nii.gz")
    watch, study = Stopwatch(), StudyOptions()
    target = options.output or free_folder(Path("cardiacseg-demo"), (*made, *RESULTS), options.overwrite)
    with output_folder(target, (*made, *RESULTS), options.overwrite) as folder:
        segmenter = load_segmenter(options)
        if not options.quiet:
            say(f"making a heart of {options.frames} frames and {options.slices} slices (seed {options.seed})")
        with watch.time("draw"):
            phantom = beating_heart(options.frames, options.slices, seed=options.seed)
            cine = new_cine(phantom.image, phantom.spacing, phantom.frame_interval_ms)
            cine = dataclasses.replace(cine, path=folder / "cine.nii.gz")
            write_image(cine.path, cine)
            write_labels(folder / "truth.nii.gz", phantom.labels, cine)
        title = f"Synthetic beating heart, seed {options.seed}"
        segmented = analyse(cine, segmenter, study, title, watch, progress_bar(options.quiet, "frames"))
        outcome = write_outcome(folder, segmented, study, watch)
    scores = dice_by_structure(segmented.labels, phantom.labels)
    mean = sum(scores.values()) / len(scores)
    names = ", ".join(f"{name.upper()} {score:.3f}" for name, score in scores.items())
    lines = [f"Dice against the true labels: {names}, mean {mean:.3f}", *summary(segmented)]
    document = {
        "dice": {**scores, "mean": mean},
        "measurements": segmented.measurements.to_dict(),
        "flags": flags_document(segmented),
    }
    print_results(target, [*made, *outcome.files], document, lines, options.json)


def info(options: argparse.Namespace) -> None:
    """Show the installed versions, backends and models, and the device that runs the default model."""
    from cardiacseg.installation import describe_installation

    found = describe_installation()
    if options.json:
        print_json(found)
        return
    print(f"cardiacseg {found['versions'].get('cardiacseg', found['core_version'])}  ({found['platform']})")
    print("  " + ", ".join(f"{name} {version}" for name, version in found["versions"].items() if name != "cardiacseg"))
    print("backends:")
    for backend in found["backends"]:
        state = "available" if backend["available"] else "not available"
        print(f"  {backend['name']} ({backend['device']}): {state}. {backend['reason']}")
    chosen = found["auto"]
    print(f"device auto takes {chosen['backend'] or 'nothing'} for the default model: {chosen['reason']}")
    if chosen["precision"]:
        print(f"precision auto takes {chosen['precision']} for it: {chosen['precision_reason']}")
    print(_compiled_networks_line(found["compiled_networks"]))
    print("models:" if found["models"] else "models: none in this installation")
    for model in found["models"]:
        calibration = "" if model["temperature"] is None else f", temperature {model['temperature']:g}"
        print(f"  {model['name']} {model['version']}  {model['model']}{calibration}  ({model['licence']})")
    print(found["intended_use"])


def _compiled_networks_line(kept: dict) -> str:
    mib = {name: f"{kept[name] / 2**20:.0f}" for name in ("bytes", "limit_bytes", "memory_limit_bytes")}
    where = f"in {kept['folder']}, {mib['bytes']} of at most {mib['limit_bytes']} MiB"
    return (
        f"compiled networks (CPU): {where if kept['folder'] else 'none are kept on disk'}; "
        f"at most {mib['memory_limit_bytes']} MiB of memory in a process"
    )


def bench(options: argparse.Namespace) -> None:
    """Measure the speed of the segmenter on this computer, with a synthetic heart."""
    from cardiacseg.installation import run_bench

    settings = options.model, options.device, options.threads, options.precision
    found = run_bench(options.slices, options.repeats, settings)
    if options.json:
        print_json(found)
        return
    pixels = f"{found['rows']} x {found['columns']}"
    print(f"one stack of {found['slices']} slices of {pixels} pixels, {found['repeats']} runs after warm-up")
    print(f"  backend         {found['backend']} on {found['device']}, {found['precision']}, model {found['model']}")
    for name, row in found["precisions"].items():
        print(f"  {name:<15} {_row(row)}")
    print(f"  first result    {found['cold_start_ms']:.0f} ms after a new process starts")
    print(f"  import          {found['import_ms']:.0f} ms in a new process")


def _row(row: dict) -> str:
    if "not_run" in row:
        return f"not run: {row['not_run']}"
    stages = ", ".join(f"{stage} {milliseconds:.1f}" for stage, milliseconds in row["stages_ms"].items())
    return (
        f"p50 {row['latency_p50_ms']:.1f} ms, p95 {row['latency_p95_ms']:.1f} ms; stages of the last run, ms: {stages}"
    )
