"""The command ``receive`` with its options, and the TLS options that ``send`` has as well."""

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cardiacseg.cli.arguments import add_listening_options, at_least, load_segmenter, study_options
from cardiacseg.cli.web import add_web_options, web_server
from cardiacseg.errors import InvalidInputError

if TYPE_CHECKING:
    from cardiacseg.network.dicomweb.server import WebServer
    from cardiacseg.network.dicomweb.watch import StudyWatch
    from cardiacseg.network.options import ReceiverOptions
    from cardiacseg.network.receive import Receiver
    from cardiacseg.network.tls import TlsFiles

_GIB = 1 << 30


def receive(options: argparse.Namespace) -> None:
    """Receive DICOM studies (C-STORE, DICOMweb), segment each complete study, and send or keep the results."""
    from cardiacseg.network.receive import Receiver, serve
    from cardiacseg.study.case_run import StudySegmenter

    sends = "--to" if options.to else "--stow" if options.stow else ""
    if sends and (options.only or not options.dicom):
        other = f"--only {options.only}" if options.only else "--no-dicom"
        raise InvalidInputError(
            f"expected {sends} or {other}, got both: {sends} sends DICOM results, which {other} switches off"
        )
    settings, watched = receiver_options(options), watched_server(options)
    receiver = Receiver(StudySegmenter(load_segmenter(options), study_options(options)), settings)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.INFO)
    serve(receiver, *([] if watched is None else [_watch(options, watched, receiver, settings)]))


def watched_server(options: argparse.Namespace) -> "WebServer | None":
    """The DICOMweb service to watch. Raises ``InvalidInputError``."""
    if options.watch is None:
        return None
    server = web_server(options, options.watch)
    if options.stow is not None and server.name != web_server(options, options.stow).name:
        raise InvalidInputError("expected --stow and --watch at one host, whose token or password is given, got two")
    return server


def _watch(
    options: argparse.Namespace, server: "WebServer", receiver: "Receiver", settings: "ReceiverOptions"
) -> "StudyWatch":
    from cardiacseg.network.dicomweb.watch import StudyWatch
    from cardiacseg.network.options import default_spool

    spool = settings.spool or default_spool(settings.port)
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    query = dict(options.watch_query)
    return StudyWatch(
        server,
        spool / "watched.json",
        receiver.take,
        query=query,
        days=options.watch_days,
        interval_s=options.watch_every,
        failed=lambda: receiver.counters.add("watch_failures"),
    )


def receiver_options(options: argparse.Namespace) -> "ReceiverOptions":
    """What the command line says of the receiver. Raises ``InvalidInputError``."""
    from cardiacseg.network.destinations import CommitmentOptions, web_destination
    from cardiacseg.network.options import ReceiverOptions
    from cardiacseg.network.peer import Peer
    from cardiacseg.network.slots import AssociationLimits
    from cardiacseg.network.studies import Limits

    files, peer = tls_files(options), None if options.to is None else Peer.parse(options.to)
    listens_encrypted = files.certificate or files.key or (files.authority and not options.to_tls)
    studies, associations = options.max_studies, options.max_associations
    return ReceiverOptions(
        title=options.title,
        host=options.host,
        port=options.port,
        peer=peer,
        results=options.output,
        destinations=() if options.stow is None else (web_destination(web_server(options, options.stow)),),
        calling_titles=options.callers,
        idle_s=options.idle,
        incomplete_s=options.wait,
        limits=Limits(open_studies=studies, host_studies=(studies + 1) // 2, free_bytes=options.min_free * _GIB),
        association_limits=AssociationLimits(
            associations=associations, host_associations=(associations + 1) // 2, idle_s=options.association_idle
        ),
        spool=options.spool,
        aside_days=options.aside_days,
        tls=files.server_context() if listens_encrypted else None,
        peer_tls=files.client_context() if options.to_tls else None,
        commitment=CommitmentOptions(options.commit),
        send_incomplete=options.send_incomplete,
        health_port=options.health_port,
    )


def tls_files(options: argparse.Namespace) -> "TlsFiles":
    """The files that the TLS options name."""
    from cardiacseg.network.tls import TlsFiles

    return TlsFiles(options.tls_cert, options.tls_key, options.tls_ca)


def add_tls_options(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Files in PEM format; without one of them associations are not encrypted."""
    group = command.add_argument_group("encryption (TLS 1.2 or later), files in PEM format")
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate of this program, with its chain")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, without a password")
    group.add_argument("--tls-ca", type=Path, metavar="FILE", help="authority that the other side's certificate needs")
    return group


def add_receive_options(command: argparse.ArgumentParser) -> None:
    """The options that only ``receive`` has."""
    add_listening_options(command, 11112)
    command.add_argument("--title", metavar="TITLE", default="CARDIACSEG", help="AE title of this program (CARDIACSEG)")
    command.add_argument("--to", metavar="PEER", help="DICOM node that receives the results, as TITLE@host:port")
    command.add_argument("--stow", metavar="URL", help="DICOMweb service that receives the results (STOW-RS)")
    command.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder for the results, with a subfolder for each study"
    )
    command.add_argument(
        "--from",
        dest="callers",
        metavar="TITLE",
        nargs="+",
        default=(),
        help="accept studies only from these AE titles (from all)",
    )
    _add_study_options(command)
    _add_spool_options(command)
    _add_watch_options(command)
    add_web_options(command)
    add_tls_options(command).add_argument("--to-tls", action="store_true", help="send the results encrypted, too")


def _add_study_options(command: argparse.ArgumentParser) -> None:
    seconds = {"type": at_least(1), "metavar": "S"}
    command.add_argument(
        "--idle", **seconds, default=5, help="a study is complete if no image arrives for S seconds (5)"
    )
    command.add_argument(
        "--wait", **seconds, default=60, help="wait S seconds if images of a study are known to be missing (60)"
    )
    command.add_argument(
        "--send-incomplete",
        action="store_true",
        help="also send the results of studies that are known to be incomplete",
    )
    command.add_argument(
        "--commit",
        choices=("auto", "require", "off"),
        default="auto",
        help="storage commitment of the peer: asked for if it is offered, required, or not asked for (auto)",
    )


def _add_watch_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("watching a DICOMweb service")
    group.add_argument(
        "--watch", metavar="URL", help="service whose new MR studies are retrieved, in addition to those that are sent"
    )
    group.add_argument(
        "--watch-every", type=at_least(1), metavar="S", default=60, help="seconds between two queries (60)"
    )
    group.add_argument(
        "--watch-days", type=at_least(0), metavar="N", default=1, help="days before today of the studies (1)"
    )
    group.add_argument(
        "--watch-query",
        type=_key_and_value,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only studies that match, such as StudyDescription=*cardiac*; may be given several times",
    )


def _key_and_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key.isalnum() and equals and value):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    return key, value


def _add_spool_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("spool, limits and monitoring")
    group.add_argument(
        "--spool",
        type=Path,
        metavar="DIR",
        help="folder that keeps studies until they are delivered (~/.local/state/cardiacseg/receive-PORT)",
    )
    group.add_argument(
        "--aside-days",
        type=at_least(1),
        metavar="N",
        default=7,
        help="days to keep studies that are incomplete or cannot be segmented (7)",
    )
    group.add_argument(
        "--min-free", type=at_least(0), metavar="GIB", default=1, help="GiB of the spool's disk that stay free (1)"
    )
    number = {"type": at_least(1), "metavar": "N"}
    group.add_argument(
        "--max-studies",
        **number,
        default=32,
        help="studies that may arrive or wait, half of them arriving from one host (32)",
    )
    group.add_argument(
        "--max-associations", **number, default=32, help="associations at a time, half of them from one host (32)"
    )
    group.add_argument(
        "--association-idle",
        type=at_least(1),
        metavar="S",
        default=60,
        help="an association ends if it brings no image for S seconds (60)",
    )
    group.add_argument(
        "--health-port", type=at_least(1), metavar="PORT", help="port of 127.0.0.1 for GET /health and /metrics (none)"
    )
