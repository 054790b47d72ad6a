"""Facts that measurements need beside the image: the times of the frames, and the patient's size."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """``frame_times_ms``: time of each frame after the R wave, ascending; ``rr_interval_ms``: mean RR interval.

    ``rr_source`` names the source of the RR interval in a few words (a DICOM attribute, the frame times, the caller);
    it begins with "estimated" if the interval is an estimate. Unknown values are ``None``.
    """

    frame_times_ms: tuple[float, ...] | None = None
    rr_interval_ms: float | None = None
    rr_source: str | None = None

    @property
    def heart_rate_per_min(self) -> float | None:
        """60000 divided by the RR interval in ms."""
        return None if self.rr_interval_ms is None else 60000 / self.rr_interval_ms


@dataclass(frozen=True)
class Body:
    """Height in m and weight in kg; ``None`` if unknown."""

    height_m: float | None = None
    weight_kg: float | None = None


# What is taken for the size of a person, and for a heart rate, if somebody gives it.
HEIGHT_M, WEIGHT_KG, HEART_RATE_PER_MIN = (0.2, 2.6), (0.5, 500.0), (15.0, 300.0)
UNKNOWN_TIMING = Timing()
UNKNOWN_BODY = Body()
