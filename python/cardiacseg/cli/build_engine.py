"""``cardiacseg build-engine``."""

import argparse
import sys
from pathlib import Path

from cardiacseg.cli.terminal import complain, say
from cardiacseg.errors import Error


def _numbers(text: str) -> tuple[int, int, int]:
    values = tuple(int(part) for part in text.split(","))
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"expected MIN,OPT,MAX, got {text!r}")
    return values


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``build-engine``."""
    parser.add_argument("bundle", help='folder of a bundle, or "default"')
    parser.add_argument("-o", "--output", type=Path, help="folder of the engines (default: where they are looked for)")
    parser.add_argument("--flavor", choices=("tensorrt", "rtx"), default="tensorrt", help="(default: %(default)s)")
    parser.add_argument("--precision", choices=("fp16", "fp32"), default="fp16", help="(default: %(default)s)")
    parser.add_argument(
        "--plugin",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="slice attention by this package's kernel, not TensorRT's (default: no)",
    )
    for name, meaning in (
        ("slices", "of a stack (default: 1,10,24)"),
        ("frames", "stacks in one call (default: 1,7,8); a longer cine is split evenly"),
        ("size", "side of the locator's picture (default: 32,96,160)"),
    ):
        parser.add_argument(f"--{name}", type=_numbers, metavar="MIN,OPT,MAX", help=meaning)
    parser.add_argument("--gpu", default="", metavar="8.6,12.0", help="compute capabilities; TensorRT-RTX only")
    parser.add_argument("--timing-cache", type=Path, metavar="FILE", help="kept from build to build (default: in DIR)")
    parser.add_argument("--inspect", type=Path, metavar="DIR", help="put the engine inspector's JSON files there")
    parser.add_argument("--overwrite", action="store_true", help="replace engines of the same kind")
    parser.add_argument("--quiet", action="store_true", help="no progress")


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
        print(f'unverified, as they could not be run here: {reason}; the first run with device="cuda" verifies them')


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
    """Build TensorRT engines of a bundle, one for each stage, and put them through the parity gate.

    Where a GPU answers, the engines run against the CPU's networks on synthetic hearts, and those that fail are not
    saved. TensorRT builds for the GPU of this machine; TensorRT-RTX needs none, and the first run on one verifies.
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
