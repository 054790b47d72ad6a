"""A cine with all that is known about it after a run: what reports, DICOM results and quality flags are made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cardiacseg.io.cine import Cine
from cardiacseg.measurements import Measurements

if TYPE_CHECKING:
    from cardiacseg.quality.flag import Flag
    from cardiacseg.segmenter import Result


@dataclass(frozen=True, eq=False)
class SegmentedCine:
    """What was read, found and measured.

    ``labels`` uint8 are ``[T, S, H, W]`` on the cine's own grid. ``result`` is ``None`` where labels were read from a
    file and no model ran. ``title`` names the case in pictures and pages; it holds no patient data.
    """

    cine: Cine
    labels: np.ndarray
    result: "Result | None"
    measurements: Measurements
    flags: "Sequence[Flag]" = ()
    title: str = ""
