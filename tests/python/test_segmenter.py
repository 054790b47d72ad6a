"""CardiacSegmenter on a tiny network: every kind of array, the same answer however it is asked, typed refusals."""

import copy
import dataclasses
import pickle
import re
import shutil
import sys
import threading
from pathlib import Path

import ml_dtypes
import nibabel
import numpy as np
import pytest
import torch
from conftest import SPACING
from onnx_bundle import write_bundle

import cardiacseg
from cardiacseg import InvalidInputError
from cardiacseg.io.nifti import new_cine


def assert_same(found, expected):
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.presence, expected.presence)
    np.testing.assert_array_equal(found.agreement, expected.agreement)


@pytest.fixture(scope="module")
def expected(segmenter, cine):
    result = segmenter.run(cine, spacing=SPACING)
    assert set(np.unique(result.labels)) == {0, 1, 2, 3}
    return result


def test_a_result_says_what_it_is(expected, cine):
    assert expected.labels.dtype == np.uint8 and expected.labels.shape == cine.shape
    assert expected.presence.dtype == np.float32 and expected.presence.shape == (3, 2, 3)
    assert ((expected.presence >= 0) & (expected.presence <= 1)).all()
    assert expected.agreement.dtype == np.float32 and expected.agreement.shape == (3, 3)
    assert ((expected.agreement >= 0) & (expected.agreement <= 1)).all()
    assert expected.quality.dtype == np.float32 and expected.quality.shape == (3,)
    assert expected.probabilities is None
    report = expected.report
    assert (report.backend, report.device, report.model) == ("openvino", "cpu", "tiny")
    assert report.version == cardiacseg.__version__ and len(report.model_digest) == 64
    assert "no GPU backend" in report.reason and "OpenVINO" in report.reason
    assert list(report.stages) == ["check", "preprocess", "locate", "seg", "ref", "fusion", "agreement"]
    assert all(milliseconds > 0 for milliseconds in report.stages.values())


TYPES = ["u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g", ">u2", ">f4", ">f8", ">i8"]


@pytest.mark.parametrize("dtype", TYPES)
def test_any_real_type_and_byte_order(segmenter, cine, expected, dtype):
    assert_same(segmenter.run(cine.astype(dtype), spacing=SPACING), expected)


def test_the_order_of_this_machine_under_the_name_of_a_file(segmenter, cine, expected):
    order = "<" if sys.byteorder == "little" else ">"
    named = cine.astype("i2").view(np.dtype("i2").newbyteorder(order))
    assert_same(segmenter.run(named, spacing=SPACING), expected)


def test_signed_bytes_and_booleans(segmenter, cine):
    low = np.minimum(cine, 127)
    assert_same(segmenter.run(low.astype("i1"), spacing=SPACING), segmenter.run(low, spacing=SPACING))
    mask = cine > 100
    assert_same(segmenter.run(mask, spacing=SPACING), segmenter.run(mask.astype("f4"), spacing=SPACING))


def test_any_strides(segmenter, cine, expected):
    backwards = np.ascontiguousarray(cine[:, ::-1, ::-1, ::-1])[:, ::-1, ::-1, ::-1]
    assert_same(segmenter.run(backwards, spacing=SPACING), expected)
    assert_same(segmenter.run(np.asfortranarray(cine), spacing=SPACING), expected)
    spread = np.zeros((3, 4, 90, 224), np.int16)
    spread[:, ::2, :, 1::2] = cine
    assert_same(segmenter.run(spread[:, ::2, :, 1::2], spacing=SPACING), expected)
    record = np.zeros(cine.shape, [("flag", "u1"), ("pixel", "f8")])
    record["pixel"] = cine
    assert_same(segmenter.run(record["pixel"], spacing=SPACING), expected)


def test_a_read_only_image_stays_as_it_is(segmenter, cine, expected):
    image = cine.copy()
    image.flags.writeable = False
    assert_same(segmenter.run(image, spacing=SPACING), expected)
    np.testing.assert_array_equal(image, cine)


def test_frames_are_independent(segmenter, cine, expected):
    for frame, stack in enumerate(cine):
        alone = segmenter.run(stack, spacing=SPACING)
        assert alone.labels.shape == stack.shape and alone.presence.shape == (1, 2, 3)
        np.testing.assert_array_equal(alone.labels, expected.labels[frame])
        np.testing.assert_array_equal(alone.presence[0], expected.presence[frame])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(tiny_bundle, cine, expected, threads):
    assert_same(cardiacseg.CardiacSegmenter(tiny_bundle, threads=threads).run(cine, spacing=SPACING), expected)


def test_concurrent_runs_are_the_runs_one_by_one(tiny_bundle, segmenter, cine):
    shapes = [cine, cine[:2], cine[:, :1], cine[..., :80]]
    expected = [segmenter.run(image, spacing=SPACING) for image in shapes]
    fresh, found = cardiacseg.CardiacSegmenter(tiny_bundle), {}

    def work(index):
        found[index] = fresh.run(shapes[index % 4], spacing=SPACING)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 8
    for index, result in found.items():
        assert_same(result, expected[index % 4])


def test_many_numbers_of_slices_in_turn(segmenter, cine, expected):
    for slices in (1, 3, 4, 5, 6):
        image = np.concatenate([cine[0]] * 3)[:slices]
        assert segmenter.run(image, spacing=SPACING).labels.shape == image.shape
    assert_same(segmenter.run(cine, spacing=SPACING), expected)


def test_progress_counts_frames_in_the_callers_thread(segmenter, cine, expected):
    calls = []

    def progress(done, total):
        calls.append((done, total, threading.get_ident()))

    assert_same(segmenter.run(cine, spacing=SPACING, progress=progress), expected)
    assert calls == [(done, 3, threading.get_ident()) for done in range(4)]


@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_progress_can_cancel(segmenter, cine, expected, stop_at):
    with pytest.raises(cardiacseg.CancelledError, match=f"after {stop_at} of 3 frames"):
        segmenter.run(cine, spacing=SPACING, progress=lambda done, total: done < stop_at)
    assert_same(segmenter.run(cine, spacing=SPACING), expected)


def test_probabilities_change_nothing_else(segmenter, cine, expected):
    found = segmenter.run(cine, spacing=SPACING, probabilities=True)
    assert_same(found, expected)
    assert found.probabilities.dtype == np.float32 and found.probabilities.shape == (3, 2, 4, 90, 112)
    np.testing.assert_allclose(found.probabilities.sum(axis=2), 1, atol=1e-5)
    shut = found.presence <= 0.5
    assert shut.any() and not found.probabilities[:, :, 1:][shut].any()
    chosen = np.take_along_axis(found.probabilities, found.labels[:, :, None].astype(np.int64), axis=2)
    np.testing.assert_allclose(chosen[:, :, 0], found.probabilities.max(axis=2), rtol=1e-6)
    alone = segmenter.run(cine[2], spacing=SPACING, probabilities=True)
    np.testing.assert_array_equal(alone.probabilities, found.probabilities[2:])


def test_what_progress_raises_comes_out(segmenter, cine):
    class OwnError(Exception):
        pass

    def progress(done, total):
        raise OwnError(done, total)

    with pytest.raises(OwnError) as raised:
        segmenter.run(cine, spacing=SPACING, progress=progress)
    assert raised.value.args == (0, 3)


def with_pixel(image, index, value):
    image = image.astype(np.float64)
    image[index] = value
    return image


class OnGpu:
    """Stands in for a tensor of PyTorch on a GPU that needs gradients."""

    requires_grad = True

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, stream):
        raise BufferError("gradient")


REFUSED_IMAGES = {
    "rank 2": (lambda cine: cine[0, 0], r"2 axes of lengths \[90, 112\]"),
    "rank 5": (lambda cine: cine[None], "5 axes"),
    "no slices": (lambda cine: cine[:, :0], "1 to 512 slices, got 0"),
    "no frames": (lambda cine: cine[:0], "1 to 10000 frames, got 0"),
    "too many columns": (lambda cine: np.broadcast_to(cine[..., :1], (3, 2, 90, 4097)), "4096 columns, got 4097"),
    "too many slices": (lambda cine: np.broadcast_to(cine[:, :1], (3, 513, 90, 112)), "512 slices, got 513"),
    "too many frames": (lambda cine: np.broadcast_to(cine[:1], (10001, 2, 90, 112)), "10000 frames, got 10001"),
    "small field of view": (lambda cine: cine[..., :15], r"columns x column spacing.* 20 to 1500 mm, got 18.75"),
    "nan": (lambda cine: with_pixel(cine, (2, 1, 40, 50), np.nan), "nan at frame 2, slice 1, row 40, column 50"),
    "inf": (lambda cine: with_pixel(cine, (0, 0, 0, 1), -np.inf), "-inf at frame 0, slice 0, row 0, column 1"),
    "beyond float32": (lambda cine: with_pixel(cine, (1, 0, 2, 3), 1e39), "inf at frame 1, slice 0, row 2, column 3"),
    "a blank frame": (lambda cine: with_pixel(cine, 1, 7), "all pixels of frame 1 .* are 7"),
    "complex": (lambda cine: cine.astype(complex), "real number type, got complex128"),
    "objects": (lambda cine: cine.astype(object), "real number type, got object"),
    "a masked array": (lambda cine: np.ma.masked_less(cine, 50), r"pass image.filled\(value\)"),
    "text": (lambda cine: "cine.nii.gz", "got a str: read the file with cardiacseg.io.read_cine"),
    "a path": (lambda cine: Path("cine.nii.gz"), "got a PosixPath: read the file with cardiacseg.io.read_cine"),
    "nibabel's image": (lambda cine: nibabel.Nifti1Image(cine, np.eye(4)), r"an image of nibabel .*dataobj\)\.T"),
    "a cine": (lambda cine: new_cine(cine, SPACING, 40.0), r"got a cine \(Cine\): pass its .image"),
    "a gradient": (lambda cine: torch.tensor(cine, requires_grad=True), r"pass image.detach\(\)"),
    "bfloat16 of PyTorch": (lambda cine: torch.tensor(cine).bfloat16(), r"pass image.float\(\)"),
    "bfloat16 of NumPy": (lambda cine: cine.astype(ml_dtypes.bfloat16), r"pass image.astype\(numpy.float32\)"),
    "a tensor without values": (lambda cine: torch.tensor(cine).to("meta"), r"got Tensor: .*pass image.detach"),
    "a gradient on a GPU": (lambda cine: OnGpu(), r"got OnGpu on GPU 0: gradient; pass image.detach\(\)"),
    "a sparse tensor": (lambda cine: torch.tensor(cine).to_sparse(), "Tensor.to_dense"),
    "(x, y, z, t)": (lambda cine: np.broadcast_to(cine.T, (112, 90, 2, 3)), r"got \[112, 90, 2, 3\], which looks like"),
    "(x, y, z)": (lambda cine: cine[0].T, r"got \[112, 90, 2\], which looks like \[x, y, z\]"),
    "ragged": (lambda cine: [[1, 2], [3]], "array of numbers, got list"),
    "dates": (lambda cine: cine.astype("M8[s]"), "real number type, got datetime64"),
}


@pytest.mark.parametrize("case", REFUSED_IMAGES)
def test_an_image_that_cannot_be_a_cine_is_refused(segmenter, cine, case):
    change, message = REFUSED_IMAGES[case]
    calls = []
    with pytest.raises(InvalidInputError, match=message) as raised:
        segmenter.run(change(cine), spacing=SPACING, progress=lambda *counts: calls.append(counts))
    assert isinstance(raised.value, ValueError) and not calls


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        (None, "spacing is missing"),
        ((8.0, 1.4), "three numbers"),
        (1.4, "three numbers"),
        ("abc", "three numbers"),
        ((0.05, 1.5, 1.5), "slice spacing must be 0.1 to 100 mm, got 0.05"),
        ((101, 1.5, 1.5), "slice spacing"),
        ((8, 0, 1.5), "row spacing must be 0.1 to 8 mm, got 0"),
        ((8, 1.5, -1.5), "column spacing must be 0.1 to 8 mm, got -1.5"),
        ((8, float("nan"), 1.5), "row spacing"),
        ((8, 1.5, float("inf")), "column spacing"),
        ((8, 18, 18), "row spacing must be 0.1 to 8 mm, got 18"),
        ((8, 18, 1.5), "within a factor of 2, got 18 and 1.5 mm"),
        ((1.25, 1.25, 8.0), r"expected a spacing of \(slice, row, column\), got \(1.25, 1.25, 8\), which looks like"),
        ((0.008, 0.0015, 0.0015), "slice spacing must be 0.1 to 100 mm, got 0.008"),
    ],
)
def test_a_spacing_that_cannot_be_is_refused(segmenter, cine, spacing, message):
    with pytest.raises(InvalidInputError, match=message):
        segmenter.run(cine, spacing=spacing)


def test_a_masked_array_without_a_masked_pixel_is_an_array(segmenter, cine, expected):
    assert_same(segmenter.run(np.ma.masked_less(cine, -1), spacing=SPACING), expected)


def test_a_tensor_is_an_array(segmenter, cine, expected):
    assert_same(segmenter.run(torch.tensor(cine), spacing=SPACING), expected)


def test_what_makes_labels_doubtful_is_warned_of(segmenter, cine, expected):
    assert expected.warnings == ()
    with pytest.warns(cardiacseg.InputWarning, match=r"W_PIXEL_SIZE: pixels of 0.25 x 0.25 mm") as raised:
        result = segmenter.run(cine, spacing=(1.0, 0.25, 0.25))
    assert raised[0].filename == __file__
    assert [warning.code for warning in result.warnings] == ["W_PIXEL_SIZE"]
    with pytest.warns(cardiacseg.InputWarning, match=r"W_SPACING_ORDER: a spacing of \(1.5, 1.5, 2.5\)"):
        segmenter.run(cine, spacing=(1.5, 1.5, 2.5))


def test_a_low_predicted_quality_is_warned_of(tmp_path):
    rule = {"intercept": 0.04, "slope": 0.0}
    bundle = write_bundle(tmp_path / "doubtful", seg_presence=True, ref=True, ref_presence=True, quality=rule)
    image = np.random.default_rng(0).random((2, 3, 40, 40))
    with pytest.warns(cardiacseg.InputWarning, match=r"W_QUALITY: .* in 2 of 2 frames, the lowest is 0.04"):
        result = cardiacseg.CardiacSegmenter(bundle).run(image, spacing=SPACING)
    assert [warning.code for warning in result.warnings] == ["W_QUALITY"]


def test_a_device_or_threads_that_cannot_be_are_refused(tiny_bundle):
    for device in ("tpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0"):
        with pytest.raises(InvalidInputError, match=f"auto, cpu, cuda or cuda:N, got '{device}'"):
            cardiacseg.CardiacSegmenter(tiny_bundle, device=device)
    with pytest.raises(InvalidInputError, match=r"threads must be 0 .* got -1"):
        cardiacseg.CardiacSegmenter(tiny_bundle, threads=-1)
    for device in ("cuda", "cuda:1"):
        with pytest.raises(cardiacseg.BackendError, match=f"'{device}' .* this build has no GPU backend") as raised:
            cardiacseg.CardiacSegmenter(tiny_bundle, device=device)
        assert isinstance(raised.value, RuntimeError)
        for advice in ("CARDIACSEG_WITH_TENSORRT", "docs/engines.md", "device 'cpu' or 'auto' runs without a GPU"):
            assert advice in str(raised.value)


def test_the_cpu_can_be_asked_for(tiny_bundle, cine, expected):
    result = cardiacseg.CardiacSegmenter(tiny_bundle, device="cpu").run(cine, spacing=SPACING)
    assert result.report.reason.startswith("cpu was asked for")
    assert_same(result, expected)


def test_backends_are_listed_with_reasons():
    *on_gpu, backend = cardiacseg.list_backends()
    assert [(b["name"], b["device"], b["available"]) for b in on_gpu] == [
        ("tensorrt", "cuda", False),
        ("tensorrt_rtx", "cuda", False),
    ]
    assert all("no TensorRT" in b["reason"] for b in on_gpu)
    assert (backend["name"], backend["device"], backend["available"]) == ("openvino", "cpu", True)
    assert "2026.4.1" in backend["reason"]


def test_the_choice_of_a_device_is_explained(tiny_bundle, expected):
    chosen = cardiacseg.explain_device(tiny_bundle)
    report = expected.report
    assert chosen == {
        key: getattr(report, key) for key in ("backend", "device", "reason", "precision", "precision_reason")
    }
    with pytest.raises(cardiacseg.BackendError, match="this build has no GPU backend"):
        cardiacseg.explain_device(tiny_bundle, device="cuda")


def test_warm_up_changes_no_result(tiny_bundle, cine, expected):
    segmenter = cardiacseg.CardiacSegmenter(tiny_bundle)
    segmenter.warm_up([cine.shape, cine.shape[1:]], spacing=SPACING, dtype=np.uint16)
    assert_same(segmenter.run(cine, spacing=SPACING), expected)
    with pytest.raises(InvalidInputError, match="2 axes"):
        segmenter.warm_up([(90, 112)], spacing=SPACING)
    with pytest.raises(InvalidInputError, match="row spacing"):
        segmenter.warm_up([cine.shape], spacing=(8, 0.001, 1))


def test_the_cpu_takes_nothing_of_a_gpu(segmenter, cine):
    interface = {"shape": cine.shape, "typestr": "<f4", "data": (4096, True), "version": 3}
    with pytest.raises(InvalidInputError, match="runs on the CPU"):
        segmenter.run(type("OnDevice", (), {"__cuda_array_interface__": interface})(), spacing=SPACING)
    with pytest.raises(InvalidInputError, match="runs on the CPU"):
        segmenter.run(cine, spacing=SPACING, device_labels=True)


def test_a_segmenter_and_a_result_are_shown_in_one_line(segmenter, cine, expected):
    assert repr(segmenter) == "<CardiacSegmenter: model 'tiny', openvino on cpu, fp32>"
    assert (segmenter.backend, segmenter.device, segmenter.precision) == ("openvino", "cpu", "fp32")
    assert repr(expected) == "<Result: labels 3 x 2 x 90 x 112, 3 frames, 2 slices, openvino on cpu, fp32>"
    one = segmenter.run(cine[0], spacing=SPACING)
    assert repr(one) == "<Result: labels 2 x 90 x 112, 1 frame, 2 slices, openvino on cpu, fp32>"


def test_results_are_equal_if_their_arrays_and_warnings_are(segmenter, cine, expected):
    found = segmenter.run(cine, spacing=SPACING)
    assert found == expected and found is not expected and found.report == expected.report
    assert found.report.stages != expected.report.stages
    assert dataclasses.replace(found, report=dataclasses.replace(found.report, backend="another")) == expected
    assert np.isnan(expected.quality).all() and dataclasses.replace(found, quality=np.zeros(3, np.float32)) != expected
    assert segmenter.run(cine, spacing=SPACING, probabilities=True) != expected
    for name in ("labels", "presence", "agreement"):
        changed = getattr(expected, name).copy()
        changed.flat[0] += 1
        assert dataclasses.replace(found, **{name: changed}) != expected
    doubt = (cardiacseg.InputWarning("W_QUALITY", "low"),)
    doubtful = dataclasses.replace(found, warnings=doubt)
    assert doubtful != expected and "fp32, W_QUALITY>" in repr(doubtful)
    assert pickle.loads(pickle.dumps(doubtful)) == doubtful
    assert expected != "a result" and type(expected).__hash__ is None


def test_a_segmenter_pickles_by_its_arguments(tiny_bundle, tmp_path, monkeypatch, cine, expected):
    shutil.copytree(tiny_bundle, tmp_path / "there/tiny")
    monkeypatch.chdir(tmp_path / "there")
    segmenter = cardiacseg.CardiacSegmenter("tiny", device="cpu", threads=1, precision="fp32")
    assert copy.copy(segmenter) is copy.deepcopy([segmenter])[0] is segmenter
    sent = pickle.dumps(segmenter)
    assert len(sent) < 1000
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(sent).run(cine, spacing=SPACING) == expected
    shutil.rmtree(tmp_path / "there")
    with pytest.raises(cardiacseg.BundleNotFoundError, match=re.escape(str(tmp_path / "there/tiny"))):
        pickle.loads(sent)
