"""``cardiacseg send`` and ``receive``."""

import argparse
import dataclasses
import logging
import sys

from cardiacseg.cli.arguments import load_segmenter, study_options
from cardiacseg.cli.terminal import print_json


def send(options: argparse.Namespace) -> None:
    """Send DICOM files to a peer (C-STORE)."""
    from cardiacseg.network.peer import Peer
    from cardiacseg.network.send import send as send_files

    report = send_files(options.files, Peer.parse(options.to), calling=options.title, timeout=options.timeout)
    if options.json:
        print_json(dataclasses.asdict(report))
        return
    print(f"sent {report.sent} files ({report.bytes / 1e6:.1f} MB) in {report.seconds:.1f} s")
    for name, status in report.warnings:
        print(f"  {name}: taken with warning 0x{status:04X}")


def receive(options: argparse.Namespace) -> None:
    """Listen for DICOM studies, segment each one that has arrived, and send the results to a peer."""
    from cardiacseg.errors import InvalidInputError
    from cardiacseg.network.peer import Peer
    from cardiacseg.network.receive import Receiver, ReceiverOptions, serve
    from cardiacseg.study.batch import StudySegmenter

    if options.to and not options.dicom:
        raise InvalidInputError("--to sends DICOM results, which --no-dicom switches off: omit one of the two")
    wanted = ReceiverOptions(
        title=options.title,
        host=options.host,
        port=options.port,
        peer=None if options.to is None else Peer.parse(options.to),
        results=options.output,
        calling_titles=options.callers,
        idle_s=options.idle,
        send_incomplete=options.send_incomplete,
    )
    segment = StudySegmenter(load_segmenter(options), study_options(options))
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.INFO)
    serve(Receiver(segment, wanted))
