"""``cardiacseg build-engine``."""

import argparse
import sys
from pathlib import Path

from cardiacseg.cli.terminal import complain, say
from cardiacseg.errors import Error


def _numbers(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(map(str.isdecimal, parts)):
        raise argparse.ArgumentTypeError(f"expected three whole numbers MIN,OPT,MAX, got {text!r}")
    smallest, best, largest = map(int, parts)
    return smallest, best, largest


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``build-engine``."""
    parser.add_argument("bundle", metavar="BUNDLE", help="'default' or the folder of a model bundle")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the engines (the folder that 'cuda' searches)",
    )
    parser.add_argument(
        "--flavor", choices=("tensorrt", "rtx"), default="tensorrt", help="TensorRT or TensorRT-RTX (%(default)s)"
    )
    parser.add_argument(
        "--precision", choices=("fp16", "fp32"), default="fp16", help="number format of the networks (%(default)s)"
    )
    parser.add_argument(
        "--plugin",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="compute slice attention with the CUDA kernel of cardiacseg, not with TensorRT's operations (no)",
    )
    for name, meaning in (
        ("slices", "smallest, most frequent and largest number of slices in a stack (1,10,24)"),
        ("frames", "the same for the number of frames in one call (1,7,8); a longer cine is split evenly"),
        ("size", "the same for the side, in pixels, of the image for heart localization (32,96,160)"),
    ):
        parser.add_argument(f"--{name}", type=_numbers, metavar="MIN,OPT,MAX", help=meaning)
    parser.add_argument(
        "--gpu",
        default="",
        metavar="8.6,12.0",
        help="compute capabilities to build for; TensorRT-RTX only (8.0 and later)",
    )
    parser.add_argument(
        "--timing-cache",
        type=Path,
        metavar="FILE",
        help="TensorRT's timing cache, which makes the next build faster (a file in DIR)",
    )
    parser.add_argument(
        "--inspect", type=Path, metavar="DIR", help="folder for the JSON files of TensorRT's engine inspector"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier engines of the same kind")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _show(state) -> None:
    left = "" if state.seconds_left is None else f", about {state.seconds_left:.0f} s left"
    line = f"{100 * state.done:3.0f} %  {state.stage}: {state.phase}{left}"
    print(f"\r{line:<78.78}" if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n", file=sys.stderr)


def _print_table(engines: list) -> None:
    print(f"{'stage':8}{'MB':>8}{'seconds':>10}  verified  file")
    for engine in engines:
        verified = "no" if engine.unverified else "yes"
        size = engine.path.stat().st_size / 1e6
        print(f"{engine.stage:8}{size:8.1f}{engine.seconds:10.1f}  {verified:8}  {engine.path}")
    if reason := engines[0].unverified:
        print(f'not verified, because they cannot run here: {reason}; the first run with device="cuda" verifies them')


def _build(arguments: argparse.Namespace) -> list:
    from cardiacseg.export.engine import build_engines, engines_folder
    from cardiacseg.export.engine_options import FLAVOURS, EngineOptions
    from cardiacseg.io.output import write_bytes
    from cardiacseg.segmenter import bundle_folder

    options = EngineOptions(
        flavour=FLAVOURS[arguments.flavor],
        precision=arguments.precision,
        plugin=arguments.plugin,
        compute_capabilities=tuple(filter(None, arguments.gpu.split(","))),
        **{name: getattr(arguments, name) for name in ("slices", "frames", "size") if getattr(arguments, name)},
    )
    engines = build_engines(
        bundle_folder(arguments.bundle),
        engines_folder(arguments.output),
        options,
        report=(lambda state: None) if arguments.quiet else _show,
        timing_cache=arguments.timing_cache,
        inspect=arguments.inspect is not None,
        overwrite=arguments.overwrite,
    )
    if arguments.inspect is not None:
        arguments.inspect.mkdir(parents=True, exist_ok=True)
        for engine in engines:
            write_bytes(arguments.inspect / f"{engine.path.stem}.json", engine.inspection.encode())
    return engines


def build_engine(options: argparse.Namespace) -> int:
    """Build the TensorRT engines of a model bundle, one for each stage, and check them with the parity gate.

    If there is a GPU, the engines are compared with the CPU's networks on synthetic hearts, and engines that fail are
    not saved. TensorRT builds for the GPU of this machine. TensorRT-RTX needs no GPU; the first run on one verifies.
    """
    try:
        engines = _build(options)
    except KeyboardInterrupt:
        complain("interrupted; nothing was saved")
        return 130
    except Error:
        raise
    except (ValueError, KeyError, ImportError, RuntimeError) as error:
        complain(str(error))
        return 2
    if sys.stderr.isatty() and not options.quiet:
        say("")
    _print_table(engines)
    return 0
