"""The receiver as a program that signals end."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from receiving import WAIT_S, made_up

from cardiacseg.network.peer import Peer
from cardiacseg.network.receive import Receiver, ReceiverOptions
from cardiacseg.network.send import send

SERVE = """
import logging, sys, time, shutil
from pathlib import Path
from cardiacseg.network.receive import Receiver, ReceiverOptions
from cardiacseg.network.service import serve

def segment(study, output, notes):
    print("segmenting", flush=True)
    time.sleep(float(sys.argv[2]))
    return [shutil.copy(path, output / path.name) and output / path.name for path in study.iterdir()], notes

class Told(Receiver):
    def start(self):
        super().start()
        print(self.port, flush=True)
        return self

logging.basicConfig(level="INFO")
root = Path(sys.argv[1])
serve(Told(segment, ReceiverOptions(port=0, idle_s=0.2, results=root / "results", spool=root / "spool")))
print("served", flush=True)
"""


@contextmanager
def server(tmp_path, seconds):
    (tmp_path / "spool").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, tmp_path, str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, Peer("CARDIACSEG", "127.0.0.1", int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_and_cleans_up(tmp_path, number):
    with server(tmp_path, 0.5) as (process, node):
        send(made_up(tmp_path)[1], node)
        assert process.stdout.readline() == "segmenting\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=WAIT_S)
        assert (process.returncode, output) == (0, "served\n"), errors
    assert not list((tmp_path / "spool").iterdir())
    (kept,) = (tmp_path / "results").iterdir()
    assert len(list(kept.iterdir())) == 4


def test_a_second_signal_does_not_wait(tmp_path):
    with server(tmp_path, 3600) as (process, node):
        send(made_up(tmp_path)[1], node)
        assert process.stdout.readline() == "segmenting\n"
        process.send_signal(signal.SIGTERM)
        while "another signal" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_S)
        assert process.returncode != 0
    assert not list((tmp_path / "spool").iterdir())
    assert not list((tmp_path / "results").iterdir())


def test_an_interrupt_before_the_stop_gives_up_the_study_too(tmp_path):
    """A second signal may come while the first one is still being logged."""
    may_end = threading.Event()
    working = threading.Event()

    def segment(study, output, notes):
        working.set()
        may_end.wait(WAIT_S)
        return [], notes

    def serve():
        options = ReceiverOptions(port=0, idle_s=0.2, results=tmp_path / "results", spool=tmp_path)
        with Receiver(segment, options) as receiver:
            send(made_up(tmp_path)[1], Peer("CARDIACSEG", "127.0.0.1", receiver.port))
            assert working.wait(WAIT_S)
            raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        serve()
    assert time.monotonic() - begin < WAIT_S / 2
    may_end.set()
