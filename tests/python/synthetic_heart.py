"""A synthetic heart made of rings: 16 phases, 10 slices, base first, ED in the first phase."""

import math

import numpy as np

SPACING = (8.0, 1.5, 1.25)
PHASES, SLICES, SIZE = 16, 10, (80, 104)
TIMES = tuple(50.0 * np.arange(PHASES))
RR = 800.0
ES = 6


def synthetic_labels():
    """Rings that shrink towards the apex and at ES, with an RV beside them; the base leaves the first slice at ES."""
    rows = (np.arange(SIZE[0]) - 40)[:, None] * SPACING[1]
    columns = (np.arange(SIZE[1]) - 62)[None] * SPACING[2]
    labels = np.zeros((PHASES, SLICES, *SIZE), np.uint8)
    for frame in range(PHASES):
        angle = frame / ES if frame < ES else 1 + (frame - ES) / (PHASES - ES)
        shrunk = 0.5 - 0.5 * math.cos(math.pi * angle)
        for index in range(1 if shrunk > 0.7 else 0, SLICES):
            width = math.sqrt(1 - (index / SLICES) ** 2)
            cavity = 26 * width * (1 - 0.35 * shrunk)
            outer = math.hypot(cavity, 24 * math.sqrt(width))
            plane = labels[frame, index]
            if index < 8:
                plane[np.hypot(rows, columns + 30 * width) < 34 * width * (1 - 0.3 * shrunk)] = 1
            plane[np.hypot(rows, columns) < outer] = 2
            plane[np.hypot(rows, columns) < cavity] = 3
    return labels


LABELS = synthetic_labels()


def synthetic_image(labels):
    grey = np.array([300, 900, 400, 1000], np.float32)[labels]
    return grey + np.random.default_rng(0).normal(0, 8, labels.shape).astype(np.float32)


IMAGE = synthetic_image(LABELS)
