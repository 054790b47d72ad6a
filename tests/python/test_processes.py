"""Processes, threads at the interpreter's end, signals and memory (docs/runtime.md), with real processes."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="fork and signals are those of POSIX")

SETTING = """
import atexit, contextlib, hashlib, os, signal, sys, threading, time
import numpy as np
import cardiacseg

BUNDLE = sys.argv[1]
IMAGE = np.random.default_rng(0).random((4, 90, 112)).astype(np.float32)
SPACING = (8.0, 1.5, 1.25)


def digest(segmenter):
    return hashlib.sha256(segmenter.run(IMAGE, spacing=SPACING).labels).hexdigest()


def run_for_ever(segmenter):
    with contextlib.suppress(cardiacseg.Error):  # which the end of the interpreter may cause
        while True:
            segmenter.run(IMAGE, spacing=SPACING)


def in_fork(action):
    pid = os.fork()
    if pid == 0:
        try:
            action()
            print("worked", flush=True)
        except cardiacseg.Error as error:
            print(type(error).__name__, error, flush=True)
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(tmp_path, bundle, program, timeout=120):
    """A program of its own, which must end by itself with exit code 0; gives what it prints."""
    path = tmp_path / "program.py"
    path.write_text(SETTING + textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, path, bundle],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | {"PYTHONWARNINGS": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "terminate called" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("busy", [False, True])
def test_a_fork_after_the_first_use_is_refused_and_ends(tiny_bundle, tmp_path, busy):
    program = f"""
    segmenter = cardiacseg.CardiacSegmenter(BUNDLE)
    digest(segmenter)
    if {busy}:
        threading.Thread(target=run_for_ever, args=[segmenter], daemon=True).start()
    for action in (
        lambda: digest(segmenter),
        lambda: cardiacseg.CardiacSegmenter(BUNDLE),
        lambda: cardiacseg.explain_device(BUNDLE),
        lambda: segmenter.warm_up([IMAGE.shape], spacing=SPACING),
        lambda: print(cardiacseg.list_backends()[-1]["reason"]),
        lambda: None,
    ):
        assert in_fork(action) == 0
    digest(segmenter)
    """
    *refused, reason, worked, _ = run(tmp_path, tiny_bundle, program).splitlines()
    assert len(refused) == 4
    for line in (*refused, f"BackendError {reason}"):
        assert line.startswith("BackendError this process was forked from one that had already used cardiacseg")
        assert '"spawn" or "forkserver"' in line
    assert worked == "worked"


def test_a_fork_before_the_first_use_works(tiny_bundle, tmp_path):
    program = """
    for _ in range(2):
        assert in_fork(lambda: print(digest(cardiacseg.CardiacSegmenter(BUNDLE)))) == 0
    print(digest(cardiacseg.CardiacSegmenter(BUNDLE)))
    """
    first, _, second, _, own = run(tmp_path, tiny_bundle, program).splitlines()
    assert first == second == own


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_multiprocessing(tiny_bundle, tmp_path, method):
    program = f"""
    import multiprocessing

    def start():
        global segmenter
        segmenter = cardiacseg.CardiacSegmenter(BUNDLE)

    def work(index):
        return digest(segmenter)

    if __name__ == "__main__":
        if {method!r} != "fork":
            start()
        with multiprocessing.get_context({method!r}).Pool(2, start) as pool:
            found = set(pool.map(work, range(4)))
        start()
        print(found == {{digest(segmenter)}})
    """
    assert run(tmp_path, tiny_bundle, program) == "True\n"


def test_a_segmenter_is_sent_to_another_process(tiny_bundle, tmp_path):
    program = """
    import multiprocessing

    if __name__ == "__main__":
        segmenter = cardiacseg.CardiacSegmenter(BUNDLE, threads=1)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result = pool.apply(cardiacseg.CardiacSegmenter.run, (segmenter, IMAGE), {"spacing": SPACING})
        print(result == segmenter.run(IMAGE, spacing=SPACING), result)
    """
    assert run(tmp_path, tiny_bundle, program).startswith("True <Result: labels 4 x 90 x 112")


def test_the_interpreter_ends_while_daemon_threads_run(tiny_bundle, tmp_path):
    # What is left of the end takes a while, in which the threads want the GIL: without a wait for them it is an abort.
    program = """
    class SlowEnd:
        def __del__(self, sleep=time.sleep):
            sleep(1)

    def load_for_ever():
        while True:
            cardiacseg.CardiacSegmenter(BUNDLE)

    slow = SlowEnd()
    sys.stderr = None  # threading tells of the errors below there
    segmenter = cardiacseg.CardiacSegmenter(BUNDLE)
    threads = [threading.Thread(target=run_for_ever, args=[segmenter], daemon=True) for _ in range(3)]
    threads.append(threading.Thread(target=load_for_ever, daemon=True))
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    print("end")
    """
    for _ in range(3):
        assert run(tmp_path, tiny_bundle, program) == "end\n"


def test_runs_at_the_interpreters_end(tiny_bundle, tmp_path):
    program = """
    def work():
        try:
            digest(segmenter)
        except cardiacseg.CancelledError as error:
            print(error)

    segmenter = cardiacseg.CardiacSegmenter(BUNDLE)
    atexit._run_exitfuncs()  # what the interpreter does first when it ends
    print(len(digest(segmenter)))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    """
    assert run(tmp_path, tiny_bundle, program) == "64\nthe call was stopped, as the interpreter ends\n"


def test_an_interrupt_is_heard_within_a_frame(tmp_path):
    program = """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may be told to ignore it
    segmenter = cardiacseg.CardiacSegmenter()
    image = np.random.default_rng(0).random((16, 208, 224)).astype(np.float32)

    def seconds():
        start = time.monotonic()
        try:
            segmenter.run(image, spacing=(8.0, 1.4, 1.4))
        except KeyboardInterrupt:
            print("heard", flush=True)
        return time.monotonic() - start

    whole = min(seconds() for _ in range(3))
    threading.Timer(whole / 5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    stopped = seconds()
    print(stopped < 0.7 * whole, stopped, whole)
    expected = seconds()  # the segmenter works on
    """
    output = run(tmp_path, "default", program, timeout=300)
    assert output.startswith("heard\nTrue"), output


MEASURE = """
import sys
import numpy as np
import cardiacseg

def kilobytes(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key + ":"))

segmenter = cardiacseg.CardiacSegmenter(sys.argv[1])
cine = np.random.default_rng(0).integers(0, 200, (90, 4, 64, 64), dtype=np.uint8)
for _ in range(3):
    segmenter.run(cine[:3], spacing=(8.0, 1.5, 1.5))
few, settled = kilobytes("VmHWM"), kilobytes("VmRSS")
segmenter.run(cine[:30], spacing=(8.0, 1.5, 1.5), temporal="off")
many = kilobytes("VmHWM")
for _ in range(15):
    segmenter.run(cine[:2], spacing=(8.0, 1.5, 1.5), probabilities=True)
runs = kilobytes("VmRSS") - settled
result = segmenter.run(cine[:30], spacing=(8.0, 1.5, 1.5), probabilities=True, temporal="off")
probabilities, before = kilobytes("VmHWM") - many - result.probabilities.nbytes / 1024, kilobytes("VmHWM")
segmenter.run(cine, spacing=(8.0, 1.5, 1.5))
print(many - few, runs, probabilities, kilobytes("VmHWM") - before)
"""


def test_memory_is_bounded(tiny_bundle):
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tiny_bundle)], capture_output=True, text=True, timeout=600, check=True
    )
    for_frames, for_runs, for_probabilities, for_presence = (float(word) / 1024 for word in run.stdout.split())
    # the logits alone of 27 more frames of 4 slices are 68 MiB; the labels that must be returned are 0.4
    assert for_frames < 16
    assert for_runs < 16
    # a copy of the probabilities that must be returned would be 7.5
    assert for_probabilities < 3
    # the networks' outputs of 90 frames are 228 MiB; at most 160 are kept until presence is decided
    assert for_presence < 160 + 16
