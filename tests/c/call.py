"""Calls the C API by ctypes, in a process without cardiacseg's Python package: LIBRARY BUNDLE FOLDER SLICE ROW COLUMN.

FOLDER holds ``cine.npy``; the outputs are written beside it. The image is given upside down, by negative strides.
"""

import _ctypes
import ctypes
import sys
import threading
from pathlib import Path

import numpy as np

library = ctypes.CDLL(sys.argv[1])
bundle, folder, spacing = sys.argv[2], Path(sys.argv[3]), [float(value) for value in sys.argv[4:7]]
library.csg_last_error.restype = ctypes.c_char_p
library.csg_status_name.restype = ctypes.c_char_p
Progress = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
KeepGoing = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
OUTPUTS = {"labels": np.uint8, "presence": np.float32, "probabilities": np.float32, "agreement": np.float32}
OUTPUTS["quality"] = np.float32


class Sized(ctypes.Structure):
    def __init__(self, **members):
        super().__init__(ctypes.sizeof(type(self)), **members)


class Cine(Sized):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("pixel_type", ctypes.c_int32),
        ("memory", ctypes.c_int32),
        ("shape", ctypes.c_int64 * 4),
        ("strides", ctypes.c_int64 * 4),
        ("spacing_mm", ctypes.c_double * 3),
    ]


class RunOptions(Sized):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("temporal_off", ctypes.c_int32),
        ("keep_labels_on_device", ctypes.c_int32),
        ("stream", ctypes.c_void_p),
        ("progress", Progress),
        ("keep_going", KeepGoing),
        ("context", ctypes.c_void_p),
    ]


class Outputs(Sized):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *(
            (f"{name}{end}", kind)
            for name in OUTPUTS
            for end, kind in (("", ctypes.c_void_p), ("_capacity", ctypes.c_size_t))
        ),
        ("report", ctypes.c_char_p),
        ("report_capacity", ctypes.c_size_t),
        ("report_size", ctypes.c_size_t),
        ("device_labels", ctypes.c_void_p),
        ("device_index", ctypes.c_int64),
    ]


def call(function, *arguments, expected="CSG_OK"):
    status = library.csg_status_name(function(*arguments)).decode()
    assert status == expected, f"{function.__name__}: {status}, {library.csg_last_error().decode()}"


PIXEL_TYPES = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64]
image = np.ascontiguousarray(np.load(folder / "cine.npy"))
turned = np.ascontiguousarray(image[:, :, ::-1])  # read back with a negative stride
strides = list(turned.strides)
data = turned.ctypes.data + (image.shape[2] - 1) * strides[2]
strides[2] = -strides[2]
cine = Cine(
    data=data,
    pixel_type=PIXEL_TYPES.index(image.dtype.type),
    shape=(ctypes.c_int64 * 4)(*image.shape),
    strides=(ctypes.c_int64 * 4)(*strides),
    spacing_mm=(ctypes.c_double * 3)(*spacing),
)
frames, slices, rows, columns = image.shape
shapes = [image.shape, (frames, slices, 3), (frames, slices, 4, rows, columns), (frames, 3), (frames,)]
arrays = {name: np.zeros(shape, OUTPUTS[name]) for name, shape in zip(OUTPUTS, shapes, strict=True)}
outputs = Outputs(report=None)
for name, array in arrays.items():
    setattr(outputs, name, array.ctypes.data)
    setattr(outputs, f"{name}_capacity", array.size)

segmenter = ctypes.c_void_p()
call(library.csg_segmenter_create, bundle.encode(), None, ctypes.byref(segmenter))
call(library.csg_segmenter_warm_up, segmenter, ctypes.byref(cine))
seen = []
progress = Progress(lambda _context, done, total: seen.append((done, total)) or 1)
options = RunOptions(progress=progress)
call(library.csg_segmenter_run, segmenter, ctypes.byref(cine), ctypes.byref(options), ctypes.byref(outputs))
assert seen[0] == (0, frames), seen
assert seen[-1] == (frames, frames), seen
assert outputs.report_size > 100
for name, array in arrays.items():
    np.save(folder / f"{name}.npy", array)

# A callback may call the API, also with the segmenter that is running.
inside = np.zeros_like(arrays["labels"])


def run_inside(_context, done, _total):
    if done == 0:
        own = Outputs(report=None, labels=inside.ctypes.data, labels_capacity=inside.size)
        call(library.csg_segmenter_run, segmenter, ctypes.byref(cine), None, ctypes.byref(own))
    return 1


nested = RunOptions(progress=Progress(run_inside))
call(library.csg_segmenter_run, segmenter, ctypes.byref(cine), ctypes.byref(nested), ctypes.byref(outputs))
assert np.array_equal(inside, arrays["labels"])

# A callback stops a run; the message is that of this thread alone; a destroyed handle is told from a live one.
stop = RunOptions(keep_going=KeepGoing(lambda _context: 0))
call(
    library.csg_segmenter_run,
    segmenter,
    ctypes.byref(cine),
    ctypes.byref(stop),
    ctypes.byref(outputs),
    expected="CSG_CANCELLED",
)
elsewhere = []
thread = threading.Thread(target=lambda: elsewhere.append(library.csg_last_error()))
thread.start()
thread.join()
assert elsewhere == [b""]
assert library.csg_last_error() != b""

# Threads share a segmenter. It is destroyed during their runs, which go on; a later run is refused.
running = threading.Barrier(4)


def run_beside_others(labels):
    def wait_for_others(_context, done, _total):
        if done == 0:
            running.wait(60)
        return 1

    own = Outputs(report=None, labels=labels.ctypes.data, labels_capacity=labels.size)
    wait = RunOptions(progress=Progress(wait_for_others))
    status.append(library.csg_segmenter_run(segmenter, ctypes.byref(cine), ctypes.byref(wait), ctypes.byref(own)))


status = []
found = [np.zeros_like(arrays["labels"]) for _ in range(3)]
threads = [threading.Thread(target=run_beside_others, args=(labels,)) for labels in found]
for thread in threads:
    thread.start()
running.wait(60)
call(library.csg_segmenter_destroy, segmenter)
for thread in threads:
    thread.join()
assert status == [0, 0, 0], status
assert all(np.array_equal(labels, arrays["labels"]) for labels in found)
call(library.csg_segmenter_destroy, segmenter, expected="CSG_INVALID_HANDLE")

# A host that unloads the library leaves its threads where they are: the code stays.
_ctypes.dlclose(library._handle)
assert library.csg_abi_version() == 1
