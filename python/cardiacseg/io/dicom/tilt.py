"""Images whose planes are not quite parallel, and what is done to take them as parallel."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.dicom.orientation import angle_degrees, directions, turn_degrees
from cardiacseg.io.dicom.slices import Slices, bin_slices, depths_mm

ROUNDED_DEGREES = 0.1  # what rounded cosines differ by; it is neither corrected nor noted


def tilt_degrees(first: Frame, other: Frame) -> float:
    """Angle between the planes of two images."""
    return angle_degrees(*(directions(frame.orientation)[:, 2] for frame in (first, other)))


def centre(frame: Frame) -> np.ndarray:
    """Where the middle of an image lies in the patient."""
    return frame.position + directions(frame.orientation)[:, :2] @ _half_mm(frame)


def _half_mm(frame: Frame) -> np.ndarray:
    return np.array([frame.columns - 1, frame.rows - 1]) / 2 * frame.pixel_spacing[::-1]


def level(frames: Sequence[Frame], orientation: tuple[float, ...]) -> list[Slices]:
    """Slices of one orientation, in one or two ways.

    Tilted images are turned about the centre, or about the corner that positions name: which of the two was fixed when
    they were tilted, no file says.
    """
    tilted = {own for own in {f.orientation for f in frames} if turn_degrees(own, orientation) > ROUNDED_DEGREES}
    if not tilted:
        return [bin_slices(frames, orientation)]
    about_corner = [replace(f, orientation=orientation) if f.orientation in tilted else f for f in frames]
    about_centre = [
        replace(flat, position=_position(frame, orientation)) if flat is not frame else frame
        for frame, flat in zip(frames, about_corner, strict=True)
    ]
    ways = [bin_slices(flat, orientation) for flat in (about_centre, about_corner)]
    return sorted(ways, key=lambda slices: (len(slices), drift_mm(slices)))


def _position(frame: Frame, orientation: tuple[float, ...]) -> tuple[float, ...]:
    """Where the image begins that has another orientation and the same centre."""
    return tuple((centre(frame) - directions(orientation)[:, :2] @ _half_mm(frame)).tolist())


def drift_mm(slices: Slices) -> float:
    """How far apart the images of a slice lie along the normal, at most."""
    return max(float(np.ptp(depths_mm(frames, slices[0][0].orientation))) for frames in slices)
