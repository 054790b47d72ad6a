"""Working memory: it does not grow with the number of frames, nor from run to run. Measured in a fresh process."""

import subprocess
import sys

MEASURE = """
import sys
import numpy as np
import cardiacseg

def kilobytes(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key + ":"))

segmenter = cardiacseg.CardiacSegmenter(sys.argv[1])
cine = np.random.default_rng(0).integers(0, 200, (30, 4, 64, 64), dtype=np.uint8)
for _ in range(3):
    segmenter.run(cine[:3], spacing=(8.0, 1.5, 1.5))
few, settled = kilobytes("VmHWM"), kilobytes("VmRSS")
segmenter.run(cine, spacing=(8.0, 1.5, 1.5))
many = kilobytes("VmHWM")
for _ in range(15):
    segmenter.run(cine[:2], spacing=(8.0, 1.5, 1.5), probabilities=True)
runs = kilobytes("VmRSS") - settled
result = segmenter.run(cine, spacing=(8.0, 1.5, 1.5), probabilities=True)
print(many - few, runs, kilobytes("VmHWM") - many - result.probabilities.nbytes / 1024)
"""


def test_memory_is_bounded(tiny_bundle):
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tiny_bundle)], capture_output=True, text=True, timeout=600, check=True
    )
    for_frames, for_runs, for_probabilities = (float(word) / 1024 for word in run.stdout.split())
    # the logits alone of 27 more frames of 4 slices are 68 MiB; the labels that must be returned are 0.4
    assert for_frames < 16
    assert for_runs < 16
    # a copy of the probabilities that must be returned would be 7.5
    assert for_probabilities < 3
