"""What measurements need to know beside the picture: when each frame was taken, and the person's size."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """``frame_times_ms``: time of each frame after the R wave, ascending; ``rr_interval_ms``: mean length of a beat.

    ``rr_source`` says in a few words where the beat's length comes from (a DICOM attribute, the frame times, the
    caller); it begins with "estimated" where that is a guess. What is not known is ``None``.
    """

    frame_times_ms: tuple[float, ...] | None = None
    rr_interval_ms: float | None = None
    rr_source: str | None = None

    @property
    def heart_rate_per_min(self) -> float | None:
        """60000 over the beat's length in ms."""
        return None if self.rr_interval_ms is None else 60000 / self.rr_interval_ms


@dataclass(frozen=True)
class Body:
    """Height in m and weight in kg; ``None`` where not known."""

    height_m: float | None = None
    weight_kg: float | None = None


UNKNOWN_TIMING = Timing()
UNKNOWN_BODY = Body()
