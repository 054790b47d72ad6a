"""Every transfer syntax that can be written here, and decoders that fail."""

import io
import shutil
import signal
import subprocess
import sys

import numpy as np
import PIL.Image
import pydicom
import pytest
from dicom_reading import read, refused
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from synthetic_dicom import Recipe, classic_study, write
from synthetic_enhanced import enhanced_study

from cardiacseg.io.budget import Budget, Limits
from cardiacseg.io.dicom import pixels
from cardiacseg.io.dicom.read import read_dicom

SMALL = Recipe(slices=3, size=(32, 40))
UNCOMPRESSED = [
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
]


@pytest.fixture
def study():
    return classic_study(SMALL)


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("make", [classic_study, enhanced_study])
def test_uncompressed(tmp_path, syntax, make):
    study = make(SMALL)
    for number, dataset in enumerate(study.datasets):
        if syntax == uid.ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        implicit = syntax == uid.ImplicitVRLittleEndian
        pydicom.dcmwrite(tmp_path / f"{number}", dataset, implicit_vr=implicit, little_endian=syntax.is_little_endian)
    np.testing.assert_array_equal(read_dicom(tmp_path).image, study.image)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEGLSLossless], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("make", [classic_study, enhanced_study])
def test_compressed_by_pydicom(tmp_path, syntax, make):
    study = make(SMALL)
    for dataset in study.datasets[:8]:
        dataset.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read(study.datasets, tmp_path).image, study.image)


def jpeg2000(picture):
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
    return buffer.getvalue()


@pytest.mark.parametrize("make", [classic_study, enhanced_study])
def test_jpeg2000(tmp_path, make):
    study = make(SMALL)
    for dataset in study.datasets:
        pictures = dataset.pixel_array.reshape(-1, 32, 40)
        compressed(dataset, uid.JPEG2000Lossless, *map(jpeg2000, pictures))
    np.testing.assert_array_equal(read(study.datasets, tmp_path).image, study.image)


@pytest.mark.parametrize(
    ("command", "tolerance"),
    [
        (["dcmcjpeg", "+el"], 0),
        (["dcmcjpeg", "+e1"], 0),
        (["dcmcjpls", "+el"], 0),
        (["dcmcjpls", "+en", "+md", "3"], 3),
        (["dcmcrle"], 0),
    ],
    ids=str,
)
def test_compressed_by_dcmtk(tmp_path, study, command, tolerance):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} (dcmtk) is not installed")
    paths = write(study.datasets, tmp_path)
    for path in paths[8:10]:
        subprocess.run([*command, path, path], check=True, capture_output=True)
        syntax = uid.UID(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
        assert syntax.is_compressed
    cine = read_dicom(tmp_path)
    assert np.abs(cine.image.astype(int) - study.image).max() <= tolerance
    assert [note.code for note in cine.notes] == (["N_LOSSY"] if tolerance else [])


@pytest.mark.parametrize("name", ["MR_small", "MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
def test_pydicoms_own_files(name):
    """A single image of another part of the body: only a caller's choice makes it a cine."""
    path = get_testdata_file(f"{name}.dcm")
    cine = read_dicom(path, series="g1")
    assert cine.image.shape == (1, 1, 64, 64)
    np.testing.assert_array_equal(cine.image[0, 0], pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array)


def compressed(dataset, syntax, *frames):
    dataset.PixelData = encapsulate(list(frames) or [bytes(64)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax


@pytest.mark.parametrize(
    ("syntax", "name"), [("1.2.840.10008.1.2.4.100", "MPEG2"), ("1.2.826.0.1.99", "1.2.826.0.1.99")]
)
def test_no_decoder(tmp_path, study, syntax, name):
    write(study.datasets, tmp_path)
    compressed(study.datasets[8], uid.UID(syntax))
    pydicom.dcmwrite(tmp_path / "IM0008", study.datasets[8], implicit_vr=False, little_endian=True)
    refused("E_TRANSFER_SYNTAX", tmp_path, name, "IM0008")


@pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="dcmcjpeg (dcmtk) is not installed")
def test_a_kind_of_pixels_that_its_decoders_do_not_know(tmp_path, study):
    """Lossy JPEG of 12 bits: the only decoder for Python has a licence that this library cannot take along."""
    paths = write(study.datasets, tmp_path)
    subprocess.run(["dcmcjpeg", "+ee", paths[8], paths[8]], check=True, capture_output=True)
    refused("E_TRANSFER_SYNTAX", tmp_path, "IM0008", "JPEG Extended")


def test_decoders_for_what_the_documents_promise():
    from pydicom.pixels import get_decoder

    promised = [*UNCOMPRESSED, uid.RLELossless, uid.JPEGLSLossless, uid.JPEGLSNearLossless, uid.JPEG2000Lossless]
    promised += [uid.JPEG2000, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1]
    assert [syntax.name for syntax in promised if not get_decoder(syntax).is_available] == []


def test_compressed_data_that_make_no_sense(tmp_path, study):
    for syntax in (uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLosslessSV1):
        compressed(study.datasets[5], syntax, b"\x00\x01nonsense" * 8)
        write(study.datasets, tmp_path / syntax)
        refused("E_DAMAGED", tmp_path / syntax, "IM0005 has pixel data that cannot be decoded")


@pytest.mark.parametrize("seed", range(2))
def test_damaged_streams_take_no_process_down(tmp_path, study, seed):
    """GDCM aborts or crashes on many of these, and other decoders hang."""
    dataset = study.datasets[9]
    dataset.compress(uid.JPEGLSLossless, generate_instance_uid=False)
    stream = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    rng = np.random.default_rng(seed)
    stream[2 + seed * 3] ^= 0xFF
    for place in rng.integers(2, len(stream) - 2, 20):
        stream[place] ^= 1 << rng.integers(8)
    compressed(dataset, uid.JPEGLSLossless, bytes(stream))
    write(study.datasets, tmp_path)
    refused("E_DAMAGED", tmp_path, "IM0009 has pixel data that cannot be decoded")


def test_a_decoder_that_hangs_is_ended(tmp_path, study, monkeypatch):
    (tmp_path / "slow.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(pixels, "_CHILD", tmp_path / "slow.py")
    monkeypatch.setattr(pixels, "_SECONDS", 0.2)
    compressed(study.datasets[0], uid.JPEG2000Lossless, jpeg2000(study.datasets[0].pixel_array))
    write(study.datasets, tmp_path / "study")
    refused("E_DAMAGED", tmp_path / "study", "IM0000", "did not come to an end")


def test_no_program_to_decode_with(tmp_path, study, monkeypatch):
    monkeypatch.setattr("sys.executable", "")
    compressed(study.datasets[0], uid.JPEG2000Lossless, jpeg2000(study.datasets[0].pixel_array))
    write(study.datasets, tmp_path)
    refused("E_TRANSFER_SYNTAX", tmp_path, "none could be started")


def test_fragments_are_walked(tmp_path, study):
    """Compressed data of several fragments are whole as long as their end is there."""
    dataset = study.datasets[0]
    picture = jpeg2000(dataset.pixel_array)
    compressed(dataset, uid.JPEG2000Lossless)
    dataset.PixelData = encapsulate([picture], fragments_per_frame=4)
    np.testing.assert_array_equal(read(study.datasets, tmp_path).image, study.image)


def test_empty_fragments_without_end(tmp_path):
    """A file of nothing but fragments is refused as soon as they are too many."""
    study = classic_study(SMALL)
    for dataset in study.datasets:
        dataset.compress(uid.RLELossless, generate_instance_uid=False)
    paths = write(study.datasets, tmp_path)
    content = paths[3].read_bytes()
    end = content.rindex(b"\xfe\xff\xdd\xe0")
    paths[3].write_bytes(content[:end] + b"\xfe\xff\x00\xe0\0\0\0\0" * 40 + content[end:])
    budget = Budget(Limits(fragments=40), dicom=True)
    refused("E_TOO_LARGE", tmp_path, "at most 40 fragments of pixel data, got more in IM0003", budget=budget)


def test_a_decoder_that_does_not_end_is_ended():
    """Whatever it does: the limit of processor time works inside of a call as well."""
    program = (
        "import runpy, sys\n"
        "child = runpy.run_path(sys.argv[1])\n"
        "child['_limit_time'].__globals__['_SECONDS_OF_A_FRAME'] = 0.2\n"
        "child['_limit_time']()\n"
        "sum(iter(int, 1))\n"
    )
    run = subprocess.run([sys.executable, "-c", program, pixels._CHILD], timeout=60, check=False)
    assert run.returncode == -signal.SIGPROF
