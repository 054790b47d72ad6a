"""The MRD server among hostile and several clients: none harms another; stopping; standard input and output."""

import io
import random
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from dicom_nodes import captured_log, free_port
from mrd_client import WAIT_S, cine_images, connected, exchange, mrd_header, receive, send
from synthetic_dicom import SECRETS

from cardiacseg.errors import Error, InvalidInputError, MrdError, NetworkError
from cardiacseg.network.mrd.messages import IMAGE_HEADER, MessageLimits, Reader
from cardiacseg.network.mrd.outbox import Outbox
from cardiacseg.network.mrd.server import MrdServer, ServerOptions
from cardiacseg.network.mrd.session import Session, SessionOptions
from cardiacseg.study.segment import Stopwatch, StudyOptions, analyse

SPACING = (9.0, 1.5, 1.25)
LABELS = 103


@pytest.fixture(scope="module")
def segment(segmenter):
    return {"default": lambda cine: analyse(cine, segmenter, StudyOptions(), "cine", Stopwatch())}


@pytest.fixture(scope="module")
def image(cine):
    """``[1, 3, 90, 112]``."""
    return np.concatenate([cine[:1], cine[:1, :1]], axis=1).astype(np.int16)


@pytest.fixture(scope="module")
def stream(image):
    """A valid session as bytes."""
    file = io.BytesIO()
    send(
        file, [mrd_header(), '{"parameters": {"overlay": "true", "sendOriginal": true}}', *cine_images(image, SPACING)]
    )
    return file.getvalue()


@contextmanager
def serving(segment, **options):
    with MrdServer(segment, ServerOptions(port=0, **options)) as server:
        yield server
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cardiacseg-mrd")]


def works(port, image):
    answer = exchange(port, cine_images(image, SPACING))
    return answer.closed and len(answer.images[LABELS]) == 3


def waiting(segment):
    """A ``segment`` that runs only once it may, and says when it was called."""
    called, may_run = threading.Semaphore(0), threading.Event()

    def run(cine):
        called.release()
        assert may_run.wait(WAIT_S)
        return segment["default"](cine)

    return {"default": run}, called, may_run


def answer_to(port, content):
    """What the server says to these bytes, after which the client stops sending."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as connection, connection.makefile("rb") as file:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        return receive(file)


def test_what_clients_do_wrong_harms_no_other(segment, image, stream):
    claim = b"\xfe\x03" + bytes(16) + b"\x00\x10\x00\x10\x00\x10" + bytes(176)  # 4096 cubed
    huge = bytearray(claim + bytes(8))
    huge[4:6], huge[36:38] = b"\x06\x00", b"\x40\x00"  # float64, 64 channels
    faults = {
        stream[: len(stream) // 2]: "E_TRUNCATED",
        stream[:-2]: "E_LOST",
        b"": "E_LOST",
        b"GET / HTTP/1.1\r\n\r\n": "E_UNKNOWN_MESSAGE",
        b"\x05\x00\xff\xff\xff\x7f": "E_TOO_LARGE",
        bytes(huge): "E_TOO_LARGE",
        b"\x07\x00" * 100_000: "E_UNKNOWN_MESSAGE",
    }
    with captured_log() as log, serving(segment) as server:
        for content, code in faults.items():
            answer = answer_to(server.port, content)
            assert answer.closed and answer.texts[-1].startswith(f"ERR {code}"), code
        assert works(server.port, image)
    assert sum("failed (E_" in line for line in log.lines) == len(faults)
    assert not [line for line in log.lines for secret in SECRETS if secret in line]


def test_a_client_that_vanishes(segment, image, stream):
    """It resets the connection in the middle of an image, and before it has read its results."""
    with serving(segment) as server:
        for content in (stream[:-9000], stream):
            with socket.create_connection(("127.0.0.1", server.port), WAIT_S) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                connection.sendall(content)
        assert works(server.port, image)


def test_an_error_of_the_segmenter_is_that_of_one_session(segment, image):
    def run(cine):
        if cine.image.shape[1] == 4:
            raise RuntimeError(f"a fault that names {SECRETS[0]}")
        return segment["default"](cine)

    four = np.concatenate([image, image[:, :1]], axis=1)
    with captured_log() as log, serving({"default": run}) as server:
        answer = exchange(server.port, cine_images(four, SPACING), "openrecon")
        assert not answer.closed and "ERR E_INTERNAL: internal error (RuntimeError)" in answer.texts[-1]
        assert works(server.port, image)
    assert not [line for line in log.lines if SECRETS[0] in line]
    assert any("test_mrd_server" in line for line in log.lines)  # the traceback


def test_an_image_that_the_segmenter_refuses(segment, image):
    tiny = cine_images(image[:, :, :1, :1].astype(np.float32) * np.float32(np.nan), SPACING)
    with serving(segment) as server:
        answer = exchange(server.port, tiny)
        assert answer.closed and answer.texts[0].startswith("ERR 3 images were not segmented: ")
        assert works(server.port, image)


def test_a_session_holds_no_more_than_its_memory(segment, image):
    one = image[0, 0].nbytes + 4096 + 500
    options = SessionOptions(session_bytes=3 * one)
    with serving(segment, session=options) as server:
        assert works(server.port, image)
        answer = exchange(server.port, [*cine_images(image, SPACING), *cine_images(image, SPACING, image_type=2)])
        assert answer.closed and "E_TOO_LARGE: expected at most" in answer.texts[-1] and answer.images == {}


def test_series_that_were_answered_take_no_memory(segment, image):
    one = image[0, 0].nbytes + 4096 + 500
    many = [sent for number in range(5) for sent in cine_images(image, SPACING, image_series_index=number)]
    with serving(segment, session=SessionOptions(session_bytes=4 * one)) as server:
        answer = exchange(server.port, many)
    assert answer.closed and set(answer.images) == {100, 101, 102, 103, 104}


def test_two_clients_at_once_and_a_third(segment, image):
    """Both are inside a segmentation at the same time; a third is refused; then there is room again."""
    slow, called, may_run = waiting(segment)
    answers = []
    with serving(slow, sessions=2) as server:

        def client(scale):
            answers.append(exchange(server.port, cine_images(scale * image, SPACING)))

        clients = [threading.Thread(target=client, args=(scale,)) for scale in (1, 2)]
        for thread in clients:
            thread.start()
        assert called.acquire(timeout=WAIT_S) and called.acquire(timeout=WAIT_S)
        with connected(server.port) as file:
            send(file, cine_images(image, SPACING)[:1], close=False)
            refused = receive(file)
        assert not refused.closed and refused.texts == [
            "ERR E_BUSY: expected at most 2 sessions at one time, got another"
        ]
        may_run.set()
        for thread in clients:
            thread.join(WAIT_S)
        assert [answer.closed and len(answer.images[LABELS]) for answer in answers] == [3, 3]
        assert works(server.port, image)


def test_a_silent_client_is_not_waited_for(segment, image):
    with serving(segment, timeout_s=0.3, sessions=1) as server, connected(server.port) as file:
        send(file, cine_images(image, SPACING)[:1], close=False)
        answer = receive(file)
        assert answer.closed and answer.texts[-1].startswith("ERR E_TIMEOUT")


def test_a_client_that_reads_nothing_is_not_waited_for(segment, image, monkeypatch):
    large = np.kron(image, np.ones((1, 1, 8, 8), np.int16))
    reached = threading.Event()
    ended = Session._log_end
    monkeypatch.setattr(Session, "_log_end", lambda self, *how: (ended(self, *how), reached.set()))
    with captured_log() as log, serving(segment, timeout_s=1.0) as server:
        with socket.create_connection(("127.0.0.1", server.port), WAIT_S) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with connection.makefile("wb") as file:
                send(file, ['{"parameters": {"sendOriginal": true}}', *cine_images(large, SPACING)] * 2)
                assert reached.wait(WAIT_S)
        assert works(server.port, image)
    assert any("failed (E_TIMEOUT" in line for line in log.lines)


def test_a_client_may_send_everything_before_it_reads(segment, image):
    """The results of the first series are more than the connection's buffers hold."""
    large = np.kron(image, np.ones((1, 1, 8, 8), np.int16))
    asked = '{"parameters": {"overlay": true, "sendOriginal": true}}'
    second = cine_images(image, SPACING, image_series_index=4)
    with serving(segment) as server:
        answer = exchange(server.port, [asked, *cine_images(large, SPACING), *second])
    assert answer.closed and set(answer.images) == {3, 103, 203, 4, 104, 204}
    assert sum(sent.data.nbytes for series in (3, 103, 203) for sent in answer.images[series]) > 16 << 20


def test_results_wait_in_a_bounded_space():
    sent, may_send = [], threading.Semaphore(0)

    def send(content):
        assert may_send.acquire(timeout=WAIT_S)
        if content == b"last":
            raise ZeroDivisionError
        sent.append(content)

    with Outbox(send, 4) as outbox:
        outbox.write(b"ab")
        outbox.write(b"cd")
        writer = threading.Thread(target=outbox.write, args=(b"more than the room",))
        writer.start()
        writer.join(0.05)
        assert writer.is_alive() and sent == []
        may_send.release(3)
        outbox.flush()
        writer.join(WAIT_S)
        outbox.flush()
        assert sent == [b"ab", b"cd", b"more than the room"]
        outbox.write(b"last")
        may_send.release()
        for after in (outbox.flush, lambda: outbox.write(b"e")):
            with pytest.raises(ZeroDivisionError):
                after()


@pytest.mark.parametrize(("error", "code"), [(BrokenPipeError, "E_LOST"), (ZeroDivisionError, "E_INTERNAL")])
def test_results_that_cannot_be_sent(segment, stream, error, code):
    def write(content):
        raise error

    assert Session(io.BytesIO(stream), write, segment, SessionOptions()).run().code == code


def test_stopping_finishes_what_was_sent_and_ends_what_waits(segment, image):
    slow, called, may_run = waiting(segment)
    with (
        MrdServer(slow, ServerOptions(port=0)) as server,
        connected(server.port) as waits,
        connected(server.port) as done,
    ):
        send(waits, cine_images(image, SPACING)[:2], "openrecon", close=False)
        send(done, cine_images(image, SPACING))
        assert called.acquire(timeout=WAIT_S)
        stop = threading.Thread(target=server.stop)
        stop.start()
        dropped = receive(waits)
        assert not dropped.closed and dropped.texts[-1].startswith("ERR E_STOPPING")
        may_run.set()
        answer = receive(done)
        assert answer.closed and len(answer.images[LABELS]) == 3
        stop.join(WAIT_S)
        with pytest.raises(OSError):  # noqa: PT011
            socket.create_connection(("127.0.0.1", server.port), 1)


def test_a_port_in_use(segment):
    with serving(segment) as server, pytest.raises(NetworkError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        MrdServer(segment, ServerOptions(port=server.port)).start()
    with pytest.raises(InvalidInputError, match="up to 65535, got 70000"):
        ServerOptions(port=70000)


def mutated(stream, seed):
    """The stream with some bytes changed, cut out, doubled or cut off; mostly in headers, as pixels are data."""
    chance, content = random.Random(seed), bytearray(stream)
    starts = [place for place in range(len(content)) if content[place : place + 2] == b"\xfe\x03"]
    for _ in range(chance.randint(1, 2)):
        place = chance.randrange(len(content))
        if chance.random() < 0.7:
            place = min(len(content) - 1, chance.choice([0, *starts]) + chance.randrange(IMAGE_HEADER.itemsize + 40))
        kind = chance.randrange(10)
        if kind == 0:
            del content[place:]
        elif kind == 1:
            del content[place : place + chance.randint(1, 300)]
        elif kind == 2:
            content[place:place] = content[place : place + chance.randint(1, 300)]
        else:
            content[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        content = content or bytearray(b"\0")
    return bytes(content)


def fuzz(segment, stream, seeds):
    """Each damaged session ends with results or a typed error, and what it sent can be read; gives the codes."""
    codes = set()
    for seed in seeds:
        output = []
        options = SessionOptions(session_bytes=16 << 20)
        failure = Session(io.BytesIO(mutated(stream, seed)), output.append, segment, options).run()
        assert failure is None or isinstance(failure, Error), seed
        list(iter(Reader(io.BytesIO(b"".join(output)), MessageLimits()).next, None))
        codes.add(getattr(failure, "code", None) or type(failure).__name__)
    return codes


def test_damaged_sessions(segment, stream):
    codes = fuzz(segment, stream, range(60))
    assert "E_INTERNAL" not in codes
    assert codes >= {"NoneType", "E_TRUNCATED", "E_TOO_LARGE", "E_UNKNOWN_MESSAGE", "E_NO_GEOMETRY"}


@pytest.mark.slow
def test_many_damaged_sessions(segment, stream):
    assert "E_INTERNAL" not in fuzz(segment, stream, range(60, 1000))


def command(bundle, *words):
    return [sys.executable, "-m", "cardiacseg.cli", "mrd-server", "--model", str(bundle), *words]


def test_on_standard_input_and_output(tiny_bundle, segmenter, image, stream):
    run = subprocess.run(command(tiny_bundle, "--stream"), input=stream, capture_output=True, timeout=WAIT_S)
    answer = receive(io.BytesIO(run.stdout))
    assert run.returncode == 0 and answer.closed and set(answer.images) == {3, LABELS, 203}
    assert np.array_equal(answer.pixels(LABELS, image.shape), segmenter.run(image, spacing=SPACING).labels)
    assert run.stdout.endswith(b"\x04\x00") and b"session 1: ended" in run.stderr
    cut = subprocess.run(command(tiny_bundle, "--stream"), input=stream[:3000], capture_output=True, timeout=WAIT_S)
    assert cut.returncode == 5 and b"E_TRUNCATED" in cut.stderr and receive(io.BytesIO(cut.stdout)).closed


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_closed_standard_stream(tiny_bundle, closed):
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *command(tiny_bundle, "--stream")]
    run = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_S)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1) and "that are open, got closed ones" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command(tiny_bundle, image, number):
    port = free_port()
    words = command(tiny_bundle, "--port", str(port), "--add-model", f"second={tiny_bundle}")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process, ExitStack() as at_end:
        at_end.callback(process.kill)
        lines = iter(process.stderr.readline, "")
        assert any("listening on port" in line for line in lines)
        with connected(port) as file:
            send(file, ['{"parameters": {"model": "second"}}', *cine_images(image, SPACING)], close=False)
            assert any("session 1: began" in line for line in lines)
            process.send_signal(number)
            answer = receive(file)
        assert answer.texts[-1].startswith("ERR E_STOPPING")
        assert process.wait(WAIT_S) == 0 and "Traceback" not in "".join(lines)


def test_an_error_can_be_pickled():
    import pickle

    error = pickle.loads(pickle.dumps(MrdError("E_LOST", "gone")))
    assert isinstance(error, NetworkError) and (error.code, str(error)) == ("E_LOST", "E_LOST: gone")
