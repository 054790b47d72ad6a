"""One case of a batch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Case:
    """``name`` is unique among the cases and fit for a folder's; ``path`` is a file or, for DICOM, also a folder.

    ``files``, where there are any, are all that is read: the frames of one cine, which have a NIfTI file each, or those
    of one study in a folder of several. ``ed_es`` are the indices of ED and ES among the frames where the data set says
    which they are. ``left_out`` says why this is no case to segment, such as a label map beside its image.
    """

    name: str
    path: Path
    kind: Literal["nifti", "dicom"]
    files: tuple[Path, ...] = ()
    ed_es: tuple[int, int] | None = None
    left_out: str = ""

    @property
    def source(self) -> Path | tuple[Path, ...]:
        """What is to be read."""
        return self.files or self.path
