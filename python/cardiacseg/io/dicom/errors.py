"""The codes of DICOM errors and notes. They are stable, so programs may depend on them."""

from dataclasses import dataclass

from cardiacseg.io.budget import E_TOO_LARGE

E_NO_DICOM = "E_NO_DICOM"
E_MIXED_STUDY = "E_MIXED_STUDY"
E_NO_SAX = "E_NO_SAX"
E_NOT_A_CINE = "E_NOT_A_CINE"
E_AMBIGUOUS_SAX = "E_AMBIGUOUS_SAX"
E_NO_SERIES = "E_NO_SERIES"
E_MISSING_PHASE = "E_MISSING_PHASE"
E_PHASE_ORDER = "E_PHASE_ORDER"
E_DUPLICATE_SLICE = "E_DUPLICATE_SLICE"
E_NONPARALLEL = "E_NONPARALLEL"
E_NONUNIFORM_SPACING = "E_NONUNIFORM_SPACING"
E_SHIFTED_SLICE = "E_SHIFTED_SLICE"
E_MATRIX_MISMATCH = "E_MATRIX_MISMATCH"
E_NO_GEOMETRY = "E_NO_GEOMETRY"
E_TRUNCATED = "E_TRUNCATED"
E_DAMAGED = "E_DAMAGED"
E_TRANSFER_SYNTAX = "E_TRANSFER_SYNTAX"
E_MISSING_FILE = "E_MISSING_FILE"
E_ARCHIVE = "E_ARCHIVE"
E_NO_DICOM_RESULTS = "E_NO_DICOM_RESULTS"

N_OTHER_CANDIDATE = "N_OTHER_CANDIDATE"
N_UNUSUAL_ORIENTATION = "N_UNUSUAL_ORIENTATION"
N_NOT_A_CINE = "N_NOT_A_CINE"
N_LEFT_OUT = "N_LEFT_OUT"
N_PART_OF_SERIES = "N_PART_OF_SERIES"
N_FRAME_OF_REFERENCE = "N_FRAME_OF_REFERENCE"
N_STUDY_UID = "N_STUDY_UID"
N_DERIVED = "N_DERIVED"
N_TILTED = "N_TILTED"
N_DRIFT = "N_DRIFT"
N_NEAREST_PHASE = "N_NEAREST_PHASE"
N_LATEST_RETAKE = "N_LATEST_RETAKE"
N_SAME_INSTANCE = "N_SAME_INSTANCE"
N_SHIFTED_SLICE = "N_SHIFTED_SLICE"
N_SPACING_TAG = "N_SPACING_TAG"
N_ONE_SLICE = "N_ONE_SLICE"
N_UNEVEN = "N_UNEVEN"
N_PHASE_ORDER = "N_PHASE_ORDER"
N_TIMES_UNKNOWN = "N_TIMES_UNKNOWN"
N_RR_DIFFERS = "N_RR_DIFFERS"
N_TIME_UNIT = "N_TIME_UNIT"
N_ONE_RUN = "N_ONE_RUN"
N_SAME_PIXELS = "N_SAME_PIXELS"
N_REPEATED_UID = "N_REPEATED_UID"
N_MONOCHROME1 = "N_MONOCHROME1"
N_DAMAGED_FILE = "N_DAMAGED_FILE"
N_DECIMAL_COMMA = "N_DECIMAL_COMMA"
N_PADDING = "N_PADDING"
N_BITS_STORED = "N_BITS_STORED"
N_PALETTE = "N_PALETTE"
N_PIXEL_ATTRIBUTE = "N_PIXEL_ATTRIBUTE"
N_LOSSY = "N_LOSSY"
N_BODY = "N_BODY"
N_NO_DICOM_RESULTS = "N_NO_DICOM_RESULTS"
N_RESULT_HEADER = "N_RESULT_HEADER"
N_INCOMPLETE = "N_INCOMPLETE"


@dataclass(frozen=True)
class Meaning:
    """The meaning of a code, and what a person can do about it."""

    meaning: str
    remedy: str


ERRORS = {
    E_NO_DICOM: Meaning("no MR image was found", "give the folder, zip or DICOMDIR that holds the study"),
    E_MIXED_STUDY: Meaning("the files are of more than one study", "give one study, or choose a group with `series`"),
    E_NO_SAX: Meaning(
        "no group of images is a cine of at least 3 parallel slices with at least 8 phases each",
        "list the groups, and choose one with `series`",
    ),
    E_NOT_A_CINE: Meaning(
        "the only stack shows signs of another series: perfusion, a map, a TI scout, diffusion",
        "list the groups, and choose one with `series`",
    ),
    E_AMBIGUOUS_SAX: Meaning("more than one group can be the short-axis cine", "choose one with `series`"),
    E_NO_SERIES: Meaning("`series` names no group or series of the files", "list the groups"),
    E_MISSING_PHASE: Meaning(
        "a slice has fewer or more frames than the others",
        "send the missing images, or allow `nearest_phase`, which fills a slice that has at least half of the frames",
    ),
    E_PHASE_ORDER: Meaning(
        "no attribute puts the frames of a slice in order", "send the images with their times or numbers"
    ),
    E_DUPLICATE_SLICE: Meaning(
        "a slice was acquired twice or its images came twice",
        "allow `latest_retake` or choose with `series`, if series or acquisition numbers tell the repeats apart",
    ),
    E_NONPARALLEL: Meaning("a slice of the stack is tilted against the others", "choose the parallel slices"),
    E_NONUNIFORM_SPACING: Meaning(
        "the slices are not evenly spaced", "send the slice that is missing, or allow `uneven`"
    ),
    E_SHIFTED_SLICE: Meaning(
        "a slice lies more than 3 mm and more than one pixel beside the others, within its plane",
        "resample the images to one grid",
    ),
    E_MATRIX_MISMATCH: Meaning(
        "a slice of the stack has another matrix or pixel spacing", "resample it, or choose slices with `series`"
    ),
    E_NO_GEOMETRY: Meaning(
        "images lack a usable position, orientation or pixel spacing", "send the images as the scanner made them"
    ),
    E_TRUNCATED: Meaning("a file ends too early", "send the file again"),
    E_DAMAGED: Meaning("a file cannot be parsed or decoded", "send the file again"),
    E_TRANSFER_SYNTAX: Meaning(
        "no installed decoder reads the transfer syntax", "install the extra `dicom`, or send the images uncompressed"
    ),
    E_TOO_LARGE: Meaning("a size is beyond what is read", "send a smaller study, or one that is not damaged"),
    E_MISSING_FILE: Meaning("the path, or a file that a DICOMDIR names, is not there", "give the whole medium"),
    E_ARCHIVE: Meaning(
        "an archive, or a file in one, cannot be unpacked: damaged, encrypted, or packed in an unknown way",
        "pack it again",
    ),
    E_NO_DICOM_RESULTS: Meaning(
        "DICOM results cannot be made from the headers of the sources", "use the other results, or restore the headers"
    ),
}

NOTES = {
    N_OTHER_CANDIDATE: "another group could have been the short-axis cine and has fewer slices",
    N_UNUSUAL_ORIENTATION: "the planes lie unlike a short axis of most hearts",
    N_NOT_A_CINE: "the images that `series` chose show signs of another series than a cine",
    N_LEFT_OUT: "images that continue the stack were not used; the text says how many slices, where and why",
    N_PART_OF_SERIES: "the series that `series` names hold other images of the same slices, which were not used",
    N_FRAME_OF_REFERENCE: "images with several FrameOfReferenceUIDs were read as one stack by their positions",
    N_STUDY_UID: "images with several StudyInstanceUIDs were read as one study",
    N_DERIVED: "images that are marked as derived from others were used",
    N_TILTED: "the directions of the images differ by up to 1 degree; all slices were treated as parallel",
    N_DRIFT: "the images of a slice lie some tenths of a mm apart; they were read as one slice",
    N_NEAREST_PHASE: "a slice with other phases was filled from its nearest ones, as `nearest_phase` asked",
    N_LATEST_RETAKE: "of a slice acquired more than once the latest complete repeat was kept, as `latest_retake` asked",
    N_ONE_RUN: "frames of a slice lie in several series or acquisitions, none repeats; they were read as one run",
    N_SAME_INSTANCE: "images that came more than once with equal headers were read once",
    N_SAME_PIXELS: "images that came again under other numbers or UIDs, or as classic and Enhanced MR, were read once",
    N_REPEATED_UID: "different images have the same SOPInstanceUID, or none; DICOM results cannot name them",
    N_SHIFTED_SLICE: "slices lie beside each other within their plane, or on a slope; this was not corrected",
    N_SPACING_TAG: "SpacingBetweenSlices differs from the positions, which were used",
    N_ONE_SLICE: "one slice has no distance to others; an attribute stands in for it",
    N_UNEVEN: "slices are unevenly spaced; each was measured with its own part of the axis, as `uneven` asked",
    N_PHASE_ORDER: "the frames were not put in order by time but by another attribute",
    N_TIMES_UNKNOWN: "the times of all frames, or of those of some slices, are not known, and why",
    N_TIME_UNIT: "times or RR intervals fit only in another unit than ms, and were read in it",
    N_RR_DIFFERS: "the RR interval differs between slices by more than a fifth",
    N_MONOCHROME1: "grey values were inverted, since small ones are meant to be bright",
    N_DAMAGED_FILE: "damaged files were left out: they are of other series, or the stack has its slices without them",
    N_DECIMAL_COMMA: "numbers are written with a decimal comma, which was read as a decimal point",
    N_PADDING: "padding was set to the smallest grey value",
    N_BITS_STORED: "BitsStored and HighBit contradict the pixels, which were read with the bits that they use",
    N_PALETTE: "pixels are indices into a palette of grey values, which were used",
    N_PIXEL_ATTRIBUTE: "an attribute of the pixels is absent or cannot be right; the obvious value was used",
    N_LOSSY: "images went through lossy compression",
    N_BODY: "a body height or weight that cannot be was not used",
    N_NO_DICOM_RESULTS: "DICOM results could not be written; all other results are there",
    N_RESULT_HEADER: "DICOM results hold a UID or a text that was made or shortened, as the sources' cannot be used",
    N_INCOMPLETE: "the study is known to be incomplete, so that the measured heart may not be the whole one",
}
