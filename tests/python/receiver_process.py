"""A receiver with the real pipeline in a child process that starts quickly, because its parent has the imports.

    python receiver_process.py SPOOL RESULTS BUNDLE PORT TITLE@HOST:PORT

Each line on standard input starts a child; it writes its process number. An earlier one must be dead.
"""

import os
import sys
import time
from pathlib import Path

import highdicom  # noqa: F401
import nibabel  # noqa: F401
from matplotlib.backends import backend_agg  # noqa: F401

import cardiacseg
from cardiacseg.io.dicom_results import write  # noqa: F401
from cardiacseg.network.options import ReceiverOptions
from cardiacseg.network.peer import Peer
from cardiacseg.network.receive import Receiver
from cardiacseg.network.studies import Limits
from cardiacseg.study.case_run import StudySegmenter
from cardiacseg.study.segment import ResultOptions, StudyOptions

OPTIONS = StudyOptions(results=ResultOptions(report=False))


def serve(spool, results, bundle, port, peer):
    segment = StudySegmenter(cardiacseg.CardiacSegmenter(bundle), OPTIONS)
    options = ReceiverOptions(
        spool=Path(spool),
        results=Path(results),
        port=int(port),
        peer=Peer.parse(peer),
        idle_s=0.2,
        incomplete_s=1.0,
        retry_s=0.1,
        attempts=1000,
        limits=Limits(free_bytes=0),
    )
    Receiver(segment, options).start()
    time.sleep(3600)


def main():
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.write(1, f"{os.getpid()}\n".encode())
            serve(*sys.argv[1:])
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
