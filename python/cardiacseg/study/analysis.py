"""A cine to a :class:`SegmentedCine`."""

import dataclasses

import numpy as np

from cardiacseg.acquisition import Body, Timing
from cardiacseg.io.cine import Cine
from cardiacseg.measurements import measure
from cardiacseg.quality import find_flags
from cardiacseg.segmented_cine import SegmentedCine
from cardiacseg.segmenter import CardiacSegmenter, Progress, Result
from cardiacseg.study.options import StudyOptions


def analyse(
    cine: Cine, segmenter: CardiacSegmenter, options: StudyOptions, title: str, progress: Progress | None = None
) -> SegmentedCine:
    """Segment a cine, measure the labels and look for signs of trouble."""
    result = segmenter.run(cine.image, spacing=cine.spacing, progress=progress, temporal=options.temporal)
    return measured(cine, result.labels, options, title, result)


def measured(
    cine: Cine,
    labels: np.ndarray,
    options: StudyOptions,
    title: str,
    result: Result | None = None,
    included: np.ndarray | None = None,
) -> SegmentedCine:
    """Measure labels ``[T, S, H, W]`` that are there already. ``included`` is as in :func:`measure`."""
    cine = dataclasses.replace(cine, timing=timing_of(cine.timing, options), body=body_of(cine.body, options.body))
    measurements = measure(
        labels,
        cine.spacing,
        options=options.measurements,
        included=included,
        image=cine.image,
        timing=cine.timing,
        body=cine.body,
        anterior=cine.geometry.anterior(),
        slice_shares_mm=cine.geometry.slice_shares_mm,
    )
    segmented = SegmentedCine(cine, labels, result, measurements, title=title)
    return dataclasses.replace(segmented, flags=find_flags(segmented))


def timing_of(timing: Timing, options: StudyOptions) -> Timing:
    """What the files say, unless the caller gave a heart rate."""
    if options.heart_rate_per_min is None:
        return timing
    return dataclasses.replace(timing, rr_interval_ms=60000 / options.heart_rate_per_min, rr_source="given")


def body_of(found: Body, given: Body) -> Body:
    """What the caller gave, else what the files say."""
    height = found.height_m if given.height_m is None else given.height_m
    return Body(height, found.weight_kg if given.weight_kg is None else given.weight_kg)
