"""The command line: ``cardiacseg segment``, ``demo``, ``info`` and ``bench``. Research use only."""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_EPILOG = """\
exit codes:
  0    it worked
  1    an internal failure: please report it
  2    wrong usage, or an input or output that cannot be used
  3    a problem with the model (its bundle is missing, damaged or of a newer format)
  4    a problem with the backend (the device is not available, or inference failed)
  130  interrupted

Results go to standard output, progress and errors to standard error.
Research use only. Not a medical device; not for diagnosis or treatment.
"""
_RESULTS = ("labels.nii.gz", "measurements.json", "report.json", "preview.png")
_DEMO_RESULTS = ("cine.nii.gz", "truth.nii.gz", *_RESULTS)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _progress(quiet: bool) -> Callable[[int, int], bool]:
    """A bar on standard error; silent where that is no terminal."""
    shown = not quiet and sys.stderr.isatty()

    def report(done: int, total: int) -> bool:
        if shown:
            bar = ("#" * round(30 * done / total)).ljust(30, ".")
            end = "\n" if done == total else ""
            print(f"\r  {bar}  {done}/{total} frames", end=end, file=sys.stderr, flush=True)
        return True

    return report


def _load_segmenter(options: argparse.Namespace):
    from cardiacseg.segmenter import CardiacSegmenter

    return CardiacSegmenter(options.model, device=options.device, threads=options.threads)


def _segment_cine(segmenter, cine, quiet: bool):
    """Run the model over a cine: result and measurements."""
    from cardiacseg.measurements import measure

    result = segmenter.run(cine.image, spacing=cine.spacing, progress=_progress(quiet))
    return result, measure(result.labels, cine.spacing)


def _write_results(folder: Path, cine, result, measurements, title: str) -> None:
    """``labels.nii.gz``, ``measurements.json`` and ``preview.png`` of one cine."""
    from cardiacseg.io.nifti import write_labels
    from cardiacseg.io.preview import write_preview
    from cardiacseg.io.report import measurements_document, write_json

    write_labels(folder / "labels.nii.gz", result.labels, cine)
    write_json(folder / "measurements.json", measurements_document(measurements, cine.spacing))
    write_preview(folder / "preview.png", cine.image, result.labels, cine.spacing, measurements, title)


def _write_report(folder: Path, source: Path, cine, result, started: float) -> None:
    from cardiacseg.io.report import input_document, report_document, write_json

    inputs = [input_document(source, cine.image, cine.spacing)]
    write_json(folder / "report.json", report_document(result, inputs, (time.perf_counter() - started) * 1000))


def _value(number: float | None, unit: str, digits: int = 0) -> str:
    return "not defined" if number is None else f"{number:.{digits}f} {unit}"


def _summary(measurements, result) -> list[str]:
    m, report = measurements, result.report
    if m.es_frame is None:
        lines = [f"one frame: LV {m.lv_ml[0]:.0f} ml, RV {m.rv_ml[0]:.0f} ml, myocardial mass {m.lv_mass_g:.0f} g"]
    else:
        lines = [
            f"{side.upper()}  EDV {_value(edv, 'ml')}, ESV {_value(esv, 'ml')}, SV {_value(sv, 'ml')}, "
            f"EF {_value(ef, '%', 1)}"
            for side, edv, esv, sv, ef in (
                ("lv", m.lv_edv_ml, m.lv_esv_ml, m.lv_sv_ml, m.lv_ef_percent),
                ("rv", m.rv_edv_ml, m.rv_esv_ml, m.rv_sv_ml, m.rv_ef_percent),
            )
        ]
        lines.append(f"myocardial mass {m.lv_mass_g:.0f} g (ED frame {m.ed_frame + 1}, ES frame {m.es_frame + 1})")
    quality = result.quality
    if not any(map(math.isnan, quality)):
        worst = int(quality.argmin())
        lines.append(f"predicted mean Dice {quality.mean():.2f}, lowest {quality[worst]:.2f} (frame {worst + 1})")
    return [*lines, f"model {report.model}, backend {report.backend} on {report.device}: {report.reason}"]


def _print_results(folder: Path, names: Sequence[str], document: dict, lines: list[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"output": str(folder), "files": list(names), **document}, indent=2, allow_nan=False))
        return
    print("\n".join(lines))
    print(f"written to {folder}:")
    print("\n".join(f"  {name}" for name in names))


def segment(options: argparse.Namespace) -> None:
    """Segment one file and write labels, measurements, report and preview."""
    from cardiacseg.io.nifti import read_nifti
    from cardiacseg.io.output_folder import output_folder

    started = time.perf_counter()
    with output_folder(options.output, _RESULTS, options.overwrite) as folder:
        cine = read_nifti(options.input)
        result, measurements = _segment_cine(_load_segmenter(options), cine, options.quiet)
        _write_results(folder, cine, result, measurements, options.input.name)
        _write_report(folder, options.input, cine, result, started)
    document = {"measurements": measurements.to_dict()}
    _print_results(options.output, _RESULTS, document, _summary(measurements, result), options.json)


def demo(options: argparse.Namespace) -> None:
    """Make a synthetic beating heart, segment it, and compare with its truth."""
    from cardiacseg.io.nifti import new_cine, write_image, write_labels
    from cardiacseg.io.output_folder import free_folder, output_folder
    from cardiacseg.metrics import dice_by_structure
    from cardiacseg.phantom import beating_heart

    started = time.perf_counter()
    target = options.output or free_folder(Path("cardiacseg-demo"), _DEMO_RESULTS, options.overwrite)
    with output_folder(target, _DEMO_RESULTS, options.overwrite) as folder:
        segmenter = _load_segmenter(options)
        if not options.quiet:
            _say(f"drawing a heart of {options.frames} frames and {options.slices} slices (seed {options.seed})")
        phantom = beating_heart(options.frames, options.slices, seed=options.seed)
        cine = new_cine(phantom.image, phantom.spacing, phantom.frame_interval_ms)
        write_image(folder / "cine.nii.gz", cine)
        write_labels(folder / "truth.nii.gz", phantom.labels, cine)
        result, measurements = _segment_cine(segmenter, cine, options.quiet)
        _write_results(folder, cine, result, measurements, f"Synthetic beating heart, seed {options.seed}")
        _write_report(folder, folder / "cine.nii.gz", cine, result, started)
    scores = dice_by_structure(result.labels, phantom.labels)
    names = ", ".join(f"{name.upper()} {score:.3f}" for name, score in scores.items())
    mean = sum(scores.values()) / len(scores)
    lines = [f"Dice against the phantom's truth: {names}, mean {mean:.3f}", *_summary(measurements, result)]
    document = {"dice": {**scores, "mean": mean}, "measurements": measurements.to_dict()}
    _print_results(target, _DEMO_RESULTS, document, lines, options.json)


def info(options: argparse.Namespace) -> None:
    """Say what is installed here, and what would run the default model."""
    from cardiacseg.installation import describe_installation

    found = describe_installation()
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"cardiacseg {found['versions'].get('cardiacseg', found['core_version'])}  ({found['platform']})")
    print("  " + ", ".join(f"{name} {version}" for name, version in found["versions"].items() if name != "cardiacseg"))
    print("backends:")
    for backend in found["backends"]:
        state = "available" if backend["available"] else "not available"
        print(f"  {backend['name']} ({backend['device']}): {state}. {backend['reason']}")
    chosen = found["auto"]
    print(f"device auto takes {chosen['backend'] or 'nothing'} for the default model: {chosen['reason']}")
    print("models:" if found["models"] else "models: none in this installation")
    for model in found["models"]:
        calibration = "" if model["temperature"] is None else f", temperature {model['temperature']:g}"
        print(f"  {model['name']} {model['version']}  {model['model']}{calibration}  ({model['licence']})")
    print(found["intended_use"])


def bench(options: argparse.Namespace) -> None:
    """Time the segmenter on a phantom on this machine."""
    from cardiacseg.bench import run_bench

    found = run_bench(options.slices, options.repeats, (options.model, options.device, options.threads))
    if options.json:
        print(json.dumps(found, indent=2, allow_nan=False))
        return
    pixels = f"{found['rows']} x {found['columns']}"
    print(f"one stack of {found['slices']} slices of {pixels} pixels, {found['repeats']} runs after warm-up")
    print(f"  backend         {found['backend']} on {found['device']}, model {found['model']}")
    print(f"  latency p50     {found['latency_p50_ms']:.1f} ms")
    print(f"  latency p95     {found['latency_p95_ms']:.1f} ms")
    print(f"  first result    {found['cold_start_ms']:.0f} ms after a new process starts")
    print(f"  import          {found['import_ms']:.0f} ms in a new process")
    for stage, milliseconds in found["stages_ms"].items():
        print(f"  {stage:<15} {milliseconds:.1f} ms (last run)")


def _at_least(smallest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"wanted a whole number of at least {smallest}, got {text!r}")
        return int(text)

    return parse


def _add_model_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default="default", help="'default' or the folder of a model bundle")
    command.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to run")
    command.add_argument("--threads", type=_at_least(0), default=0, help="most threads to use; 0: all cores")


def _add_writing_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--overwrite", action="store_true", help="replace results that are already there")
    command.add_argument("--quiet", action="store_true", help="show no progress")


def build_parser() -> argparse.ArgumentParser:
    """The parser; each command stores its function as ``command``."""
    parser = argparse.ArgumentParser(
        prog="cardiacseg",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Segments RV, myocardium and LV in short-axis cardiac cine MRI.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(function: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        about = (function.__doc__ or "").split("\n")[0]
        command = commands.add_parser(
            function.__name__,
            help=about,
            description=about,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(command=function)
        command.add_argument("--json", action="store_true", help="print the results as JSON")
        return command

    one = add(segment)
    one.add_argument("input", type=Path, metavar="INPUT", help="NIfTI file (.nii, .nii.gz): a cine or one stack")
    one.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="folder for the results")
    show = add(demo)
    show.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the results (cardiacseg-demo)")
    show.add_argument("--frames", type=_at_least(1), default=25, help="frames of the beat (25)")
    show.add_argument("--slices", type=_at_least(1), default=10, help="slices of each frame (10)")
    show.add_argument("--seed", type=_at_least(0), default=0, help="another number gives another heart (0)")
    add(info)
    time_it = add(bench)
    time_it.add_argument("--slices", type=_at_least(1), default=10, help="slices of the stack (10)")
    time_it.add_argument("--repeats", type=_at_least(1), default=20, help="timed runs (20)")
    for command in (one, show):
        _add_writing_options(command)
    for command in (one, show, time_it):
        _add_model_options(command)
    return parser


def _exit_code(error: Exception) -> int:
    from cardiacseg.errors import BackendError, BundleError, BundleNotFoundError

    if isinstance(error, (BundleError, BundleNotFoundError)):
        return 3
    return 4 if isinstance(error, BackendError) else 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from cardiacseg.errors import Error

    options = build_parser().parse_args(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt:
        _say("cardiacseg: interrupted")
        return 130
    except (Error, OSError) as error:
        _say(f"cardiacseg: {error}")
        return _exit_code(error)
    except ImportError as error:
        _say(f"cardiacseg: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
