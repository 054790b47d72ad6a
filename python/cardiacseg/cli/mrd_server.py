"""``cardiacseg mrd-server``: its options, and the function that segments a cine of a session."""

import argparse
import logging
import sys

from cardiacseg.cli.arguments import (
    add_listening_options,
    add_measurement_options,
    add_model_options,
    add_temporal_option,
    at_least,
    load_segmenter,
    measurement_options,
    within,
)

_MIB = 1 << 20


def add_mrd_options(command: argparse.ArgumentParser) -> None:
    """The server, what sessions do unless their client says otherwise, and the models."""
    server = command.add_argument_group("server")
    add_listening_options(server, 9002)
    server.add_argument(
        "--stream", action="store_true", help="serve one session on standard input and output, and no port"
    )
    server.add_argument(
        "--sessions",
        type=at_least(1),
        metavar="N",
        default=4,
        help="number of clients at one time; others are refused (4)",
    )
    server.add_argument(
        "--memory",
        type=at_least(1),
        metavar="MIB",
        default=1024,
        help="images that a session may hold, and results that may wait for its client, in MiB each (1024)",
    )
    server.add_argument(
        "--timeout",
        type=at_least(1),
        metavar="S",
        default=600,
        help="end a session if the server waits S seconds for its client to send, or to read (600)",
    )
    server.add_argument(
        "--on-error",
        choices=("auto", "close", "drop"),
        default="auto",
        help="after a failure send CLOSE, or drop the connection without it; auto: drop for the configuration "
        "'openrecon' (auto)",
    )
    _add_session_options(command.add_argument_group("sessions, unless the client says otherwise"))
    add_temporal_option(command)
    add_measurement_options(command, one_person=False)
    add_model_options(command)
    command.add_argument(
        "--add-model",
        type=_named_model,
        metavar="NAME=BUNDLE",
        action="append",
        default=[],
        help="another model, which a client selects by its name; may be given several times",
    )


def _add_session_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--no-labels", dest="labels", action="store_false", help="send no label images")
    group.add_argument("--overlay", action="store_true", help="send color images with the structures in them")
    group.add_argument("--contours", action="store_true", help="send the original images with contours")
    group.add_argument("--send-original", action="store_true", help="send back the images that were received")
    group.add_argument(
        "--structures",
        type=_structures,
        default="all",
        metavar="NAMES",
        help="structures to show: RV,MYO,LV or fewer (all)",
    )
    group.add_argument(
        "--lut",
        metavar="NAME",
        default="MicroDeltaHotMetal.pal",
        help="color table of the host for label images; '': none (MicroDeltaHotMetal.pal)",
    )
    group.add_argument(
        "--series-shift",
        type=at_least(1),
        metavar="N",
        default=100,
        help="series index of labels minus that of their images; overlays: twice, contours: three times as much (100)",
    )
    group.add_argument(
        "--slices", type=at_least(0), metavar="N", default=0, help="expected number of slices; 0: 3 or more (0)"
    )
    group.add_argument(
        "--phases", type=at_least(0), metavar="N", default=0, help="expected number of phases; 0: any number (0)"
    )
    group.add_argument(
        "--plane", choices=("sax", "any"), default="sax", help="segment stacks like a short axis only, or any (sax)"
    )
    group.add_argument("--uneven", action="store_true", help="accept unevenly spaced slices")
    group.add_argument(
        "--group",
        choices=("series", "session"),
        default="series",
        help="images of one cine are of one series, or of any series of the session (series)",
    )
    group.add_argument(
        "--tick",
        type=within(0.001, 1000),
        metavar="MS",
        default=2.5,
        help="unit of the headers' time stamps in ms (2.5)",
    )


def _named_model(text: str) -> tuple[str, str]:
    name, _, bundle = text.partition("=")
    if not name.isalnum() or not bundle:
        raise argparse.ArgumentTypeError(f"expected NAME=BUNDLE with a name of letters and digits, got {text!r}")
    return name, bundle


def _structures(text: str) -> tuple[str, ...]:
    from cardiacseg.network.mrd.parameters import structures_of

    try:
        return structures_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, got {text!r}") from error


def mrd_server(options: argparse.Namespace) -> int | None:
    """Serve MRD (ISMRMRD) streams: segment the short-axis cines that arrive, send label images back."""
    from cardiacseg.network.mrd.server import MrdServer, ServerOptions, serve, serve_stream

    segment, session = _segment_functions(options), _session_options(options)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.INFO)
    if options.stream:
        failure = serve_stream(segment, session)
        if failure is not None:
            raise failure
        return None
    serve(
        MrdServer(
            segment,
            ServerOptions(
                host=options.host,
                port=options.port,
                sessions=options.sessions,
                timeout_s=options.timeout,
                session=session,
            ),
        )
    )
    return None


def _segment_functions(options: argparse.Namespace):
    """A function from a cine to the segmented cine for each model."""
    from cardiacseg.study.segment import Stopwatch, StudyOptions, analyse

    study = StudyOptions(measurements=measurement_options(options), temporal=options.temporal)

    def function_of(segmenter):
        return lambda cine: analyse(cine, segmenter, study, "Short-axis cine", Stopwatch())

    functions = {"default": function_of(load_segmenter(options))}
    for name, bundle in options.add_model:
        functions[name] = function_of(load_segmenter(options, bundle))
    return functions


def _session_options(options: argparse.Namespace):
    from cardiacseg.network.mrd.messages import MessageLimits
    from cardiacseg.network.mrd.parameters import Parameters
    from cardiacseg.network.mrd.results import ResultOptions
    from cardiacseg.network.mrd.session import SessionOptions
    from cardiacseg.network.mrd.stacks import StackOptions

    memory = options.memory * _MIB
    stacks = StackOptions(options.slices, options.phases, options.plane, options.uneven, options.tick)
    results = ResultOptions(
        labels=options.labels,
        overlay=options.overlay,
        contours=options.contours,
        originals=options.send_original,
        structures=options.structures,
        lut=options.lut,
        series_shift=options.series_shift,
    )
    parameters = Parameters(group=options.group, on_error=options.on_error, stacks=stacks, results=results)
    return SessionOptions(parameters, MessageLimits(bytes=memory), memory)
