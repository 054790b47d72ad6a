"""A separate program that decodes compressed pixels, because damaged ones make decoders abort, hang or fill memory.

Run as a script. Standard input: a line of JSON, for each instance its length in bytes and the indices of the frames
to decode, then the instances. Standard output: for each frame a line of JSON with its type and shape, then its
pixels; or a last line with the name of an error. Imports nothing of this library.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

_MEMORY_BYTES = 4 << 30
_SECONDS_OF_A_FRAME = 5.0  # of processor time: an undamaged frame takes less than one, even a large one


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    except (ImportError, OSError, ValueError):
        pass  # not on this system, or the limit is already lower


def _limit_time() -> None:
    """Limit the processor time from now on; exceeding it ends the program."""
    try:
        import signal

        signal.setitimer(signal.ITIMER_PROF, _SECONDS_OF_A_FRAME)
    except (ImportError, AttributeError, OSError):
        pass  # not on this system


def _answers(source: BinaryIO) -> Iterator[tuple[dict, bytes]]:
    import io

    import numpy as np
    import pydicom
    from pydicom.pixels import iter_pixels

    for job in json.loads(source.readline()):
        dataset = pydicom.dcmread(io.BytesIO(source.read(job["bytes"])), force=True)
        _limit_time()
        for pixels in iter_pixels(dataset, indices=job["indices"]):
            _limit_time()
            yield {"dtype": pixels.dtype.str, "shape": pixels.shape}, np.ascontiguousarray(pixels).tobytes()


def main() -> None:
    """Answer until the first error."""
    # Decoders print; their output must not get into the answers.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _limit_memory()
    try:
        for line, pixels in _answers(sys.stdin.buffer):
            sink.write(json.dumps(line).encode() + b"\n" + pixels)
    # Decoders raise almost anything.
    except Exception as error:
        answer = {"error": type(error).__name__, "unsupported": "does not support" in str(error)}
        sink.write(json.dumps(answer).encode() + b"\n")
    sink.flush()


if __name__ == "__main__":
    sys.path.pop(0)  # the files beside this one must not be imported as top-level modules
    main()
