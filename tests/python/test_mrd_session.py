"""Sessions with the MRD server over TCP, with the ismrmrd package as client: results, parameters, failures."""

import io
import json
import random

import numpy as np
import pytest
from mrd_client import (
    DIRECTION,
    ProtocolDeserializer,
    ProtocolSerializer,
    cine_images,
    connected,
    exchange,
    ismrmrd,
    mrd_header,
    mrd_image,
    receive,
    send,
    sources,
)
from synthetic_dicom import SECRETS

from cardiacseg.acquisition import Body
from cardiacseg.measurements import measure
from cardiacseg.network.mrd.messages import Image, MessageLimits, Reader, image_bytes
from cardiacseg.network.mrd.parameters import Parameters
from cardiacseg.network.mrd.results import ResultOptions, contour_attributes
from cardiacseg.network.mrd.server import MrdServer, ServerOptions
from cardiacseg.network.mrd.session import Session, SessionOptions
from cardiacseg.study.segment import Stopwatch, StudyOptions, analyse

SPACING = (9.0, 1.5, 1.25)
LABELS, OVERLAY, CONTOURS = 103, 203, 303  # series of the results of series 3


def parameters(**values):
    return json.dumps({"version": "1.1.0", "parameters": values})


@pytest.fixture(scope="module")
def segment(segmenter):
    return {
        name: lambda cine: analyse(cine, segmenter, StudyOptions(), "cine", Stopwatch())
        for name in ("default", "other")
    }


@pytest.fixture(scope="module")
def server(segment):
    with MrdServer(segment, ServerOptions(port=0, timeout_s=20)) as running:
        yield running


@pytest.fixture(scope="module")
def image(cine):
    """``[3, 3, 90, 112]``."""
    return np.concatenate([cine, cine[:, :1]], axis=1).astype(np.int16)


@pytest.fixture(scope="module")
def expected(segmenter, image):
    return segmenter.run(image, spacing=SPACING).labels


def test_labels_are_those_of_the_segmenter(server, image, expected, tmp_path):
    """The images come from an ISMRMRD file, in any order."""
    with ismrmrd.Dataset(tmp_path / "cine.h5", "dataset") as file:
        for sent in random.Random(2).sample(cine_images(image, SPACING), 9):
            file.append_image("image_3", sent)
    with ismrmrd.Dataset(tmp_path / "cine.h5", "dataset", create_if_needed=False) as file:
        images = [file.read_image("image_3", number) for number in range(file.number_of_images("image_3"))]
    answer = exchange(server.port, images)
    assert answer.closed and set(answer.images) == {LABELS}
    assert np.array_equal(answer.pixels(LABELS, image.shape), expected)
    assert set(np.unique(expected)) == {0, 1, 2, 3}


def test_label_images_keep_geometry_and_attributes(server, image, segmenter):
    images = cine_images(image, SPACING)
    answer = exchange(server.port, [mrd_header(), *images])
    names = ("position", "read_dir", "phase_dir", "slice_dir", "field_of_view", "matrix_size", "physiology_time_stamp")
    for number, (before, after) in enumerate(zip(images, answer.images[LABELS], strict=True), start=1):
        assert all(list(getattr(before, name)) == list(getattr(after, name)) for name in names)
        assert (after.slice, after.phase, after.image_index) == (before.slice, before.phase, number)
        assert after.data.dtype == np.uint16
    meta = answer.meta(LABELS)
    assert meta["DataRole"] == ["Image", "Quantitative"] and meta["ImageProcessingHistory"] == "CARDIACSEG"
    window = {"WindowCenter": "2", "WindowWidth": "4", "LUTFileName": "MicroDeltaHotMetal.pal"}
    described = {"SequenceDescriptionAdditional": "CARDIACSEG_MASK", "Keep_image_geometry": "1"}
    twins = {"GADGETRON_WindowCenter": "2", "GADGETRON_ColorMap": "MicroDeltaHotMetal.pal"}
    kept = {"SequenceDescription": "cine", "PatientName": SECRETS[1]}
    for name, value in (window | described | twins | kept).items():
        assert meta[name] == value
    assert np.array([*meta["ImageRowDir"], *meta["ImageColumnDir"]], float) == pytest.approx(
        [*DIRECTION[:, 0], *DIRECTION[:, 1]], abs=1e-6
    )
    report = segmenter.run(image[:1], spacing=SPACING).report
    assert meta["CARDIACSEG_ModelDigest"] == report.model_digest and meta["CARDIACSEG_Model"] == report.model


def test_measurements_as_attributes_and_text(server, image, expected):
    measured = measure(expected, SPACING, body=Body(1.75, 70.0))
    answer = exchange(server.port, [mrd_header(), *cine_images(image, SPACING)])
    meta = answer.meta(LABELS)
    assert float(meta["LVEDV_ml"]) == pytest.approx(measured.lv_edv_ml, abs=0.01)
    assert float(meta["LVM_g"]) == pytest.approx(measured.lv_mass_g, abs=0.01)
    assert float(meta["BSA_m2"]) == pytest.approx(measured.bsa_m2, abs=0.01)
    assert "HR_per_min" not in meta  # of 3 phases no RR interval is estimated
    (text,) = [text for text in answer.texts if text.startswith("DBG")]
    assert f"LVEDV_ml {meta['LVEDV_ml']}" in text.splitlines()


@pytest.mark.parametrize("header", [[], [b"\x03\x00\x10\x00\x00\x00Dummy XML header"], [b"\x03\x00\x00\x00\x00\x00"]])
@pytest.mark.parametrize("config", ["openrecon", "nonsense", ""])
def test_any_header_and_any_configuration(server, image, header, config):
    answer = exchange(server.port, [*header, *cine_images(image[:1], SPACING)], config)
    assert answer.closed and len(answer.images[LABELS]) == 3
    assert {"LV_ml", "LVM_g"} <= set(answer.meta(LABELS)) and "LVEDV_ml" not in answer.meta(LABELS)


def test_results_that_are_asked_for(server, image, expected):
    asked = parameters(overlay="True", contours=True, sendOriginal="true", labels="false", structures="LV")
    answer = exchange(server.port, [asked, *cine_images(image[:1], SPACING)])
    assert set(answer.images) == {3, OVERLAY, CONTOURS}
    assert np.array_equal(answer.pixels(3, image[:1].shape), image[:1]) and answer.meta(3)["Keep_image_geometry"] == "1"
    assert np.array_equal(answer.pixels(CONTOURS, image[:1].shape), image[:1])
    overlay = answer.images[OVERLAY][0]
    assert (overlay.image_type, overlay.channels, overlay.data.dtype) == (6, 3, np.uint16)
    colored = np.ptp(overlay.data[:, 0].astype(int), axis=0) > 0
    assert np.array_equal(colored, expected[0, 0] == 3) and overlay.data.max() <= 255
    meta = answer.meta(OVERLAY)
    assert meta["InternalSend"] == "1" and "WindowCenter" not in meta and "LUTFileName" not in meta
    rois = [name for name in answer.meta(CONTOURS) if name.startswith("ROI_")]
    assert rois and all(name.startswith("ROI_LV") for name in rois)


def test_results_are_stored_apart_from_their_images(server, image):
    """Hosts store images with equal UIDs as one, and those with the UID of a series in that series."""
    uids = ("SeriesInstanceUID", "SOPInstanceUID", "PSSeriesInstanceUID", "SeriesNumberRangeNameUID", "IceMiniHead")
    own = {**dict.fromkeys(uids, "1.2.3"), "FrameOfReferenceUID": "1.2.4", "ImageType": ["ORIGINAL", "PRIMARY", "M"]}
    images = [mrd_image(plane, SPACING, DIRECTION[:, 2] * 9 * s, slice=s, attributes=own)
              for s, plane in enumerate(image[0])]  # fmt: skip
    answer = exchange(server.port, [parameters(overlay=True, contours=True, sendOriginal=True), *images])
    for series in (LABELS, OVERLAY, CONTOURS):
        meta = answer.meta(series)
        assert not set(uids) & set(meta) and meta["FrameOfReferenceUID"] == "1.2.4"
        assert meta["ImageType"] == ["DERIVED", "PRIMARY", "M"]
    assert {name: answer.meta(3)[name] for name in own} == own


def test_results_of_one_series_have_numbers_of_their_own(server, image):
    """Two stacks of different matrix in one series."""
    smaller = cine_images(image[:, :, :80], SPACING)
    answer = exchange(server.port, cine_images(image, SPACING) + smaller)
    assert [sent.image_index for sent in answer.images[LABELS]] == list(range(1, 19))


def test_contours_as_siemens_reads_them():
    labels = np.zeros((10, 12), np.uint8)
    labels[2:5, 3:9] = 3
    labels[7, 1:3] = 1
    labels[0, 11] = 1
    found = contour_attributes(labels)
    assert set(found) == {"ROI_LV", "ROI_MYO", "ROI_RV", "ROI_RV_2"}
    values = np.array(found["ROI_LV"], float)
    red, green, blue, thickness, style, visible = values[:6]
    assert max(red, green, blue) <= 1 and (thickness, style, visible) == (1, 0, 1)
    x, y = values[6::2], values[7::2]
    assert (x[0], y[0]) == (x[-1], y[-1])
    # The outline runs half a pixel inside the outer edges of columns 3 to 8 and rows 2 to 4.
    assert (x.min(), x.max(), y.min(), y.max()) == (3, 9, 2, 5)
    assert set(contour_attributes(labels, ("RV",))) == {"ROI_RV", "ROI_RV_2"}


def test_structures_of_labels(server, image, expected):
    answer = exchange(server.port, [parameters(structures="RV"), *cine_images(image, SPACING)])
    assert np.array_equal(answer.pixels(LABELS, image.shape), np.where(expected == 1, 1, 0))


def test_three_dimensional_images(server, image, expected):
    asked = parameters(contours=True, overlay=True)
    images = [mrd_image(stack, SPACING, phase=t, time=16 * t) for t, stack in enumerate(image)]
    answer = exchange(server.port, [asked, *images])
    assert np.array_equal([sent.data[0] for sent in answer.images[LABELS]], expected)
    assert answer.images[OVERLAY][0].data.shape == (3, 3, 90, 112) and CONTOURS not in answer.images


def test_parameters_that_cannot_be_used(server, image):
    bad = parameters(overlay="perhaps", slices="many", model="unknown", structures="LV,LUNG", plane=3, unknown=1)
    answer = exchange(server.port, [bad, "no JSON", json.dumps([1]), *cine_images(image[:1], SPACING)])
    warned = [text for text in answer.texts if text.startswith("WRN parameter")]
    assert len(warned) == 5 and "WRN parameter model: expected default, other; the default is used" in warned
    assert answer.closed and set(answer.images) == {LABELS}


def test_a_query_without_images(server):
    answer = exchange(server.port, [])
    assert answer.closed and answer.images == {} and answer.texts == []


def test_series_are_segmented_as_they_end(server, image, expected):
    """The results of the first series come while the client waits before it sends the rest."""
    first = cine_images(image, SPACING)
    second = cine_images(image[:1], SPACING, image_series_index=4)
    phase = cine_images(image[:1], SPACING, image_series_index=5, image_type=ismrmrd.IMTYPE_PHASE)
    with connected(server.port) as file:
        send(file, [*first, *phase, second[0]], close=False)
        stream = ProtocolDeserializer(file).deserialize()
        labels = [next(stream) for _ in range(9)]
        assert np.array_equal(labels[0].data[0, 0], expected[0, 0])
        serializer = ProtocolSerializer(file)
        for sent in second[1:]:
            serializer.serialize(sent)
        serializer.close()
        answer = receive(file)
    assert answer.closed and len(answer.images[104]) == 3


@pytest.mark.parametrize("asked", [{}, {"slices": 3}])
def test_slices_that_are_series_of_their_own(server, image, expected, asked):
    """A slice of another matrix stays alone."""
    images = cine_images(image, SPACING) + cine_images(image[:, :1, :80], SPACING, image_series_index=9)
    for sent in images[:9]:
        sent.image_series_index = 4 + sent.slice
    answer = exchange(server.port, [parameters(**asked), *images])
    assert {series: len(found) for series, found in answer.images.items()} == {104: 3, 105: 3, 106: 3}
    labels = [[sent.data[0, 0] for sent in answer.images[series]] for series in (104, 105, 106)]
    assert np.array_equal(np.swapaxes(labels, 0, 1), expected)
    assert "3 images were not segmented: " in answer.texts[-1] and "parallel slices, got 1" in answer.texts[-1]


def test_a_stack_of_known_size_needs_no_end(server, image, expected):
    asked = parameters(slices=3, phases="3")
    with connected(server.port) as file:
        send(file, [asked, *cine_images(image, SPACING)], close=False)
        stream = ProtocolDeserializer(file).deserialize()
        assert np.array_equal([next(stream).data[0, 0] for _ in range(3)], expected[:, 0])


def test_series_that_alternate(server, image, expected):
    """Two cines whose images come in turns: neither is complete when the series changes."""
    other = cine_images(image[::-1], SPACING, image_series_index=4)
    mixed = [sent for pair in zip(cine_images(image, SPACING), other, strict=True) for sent in pair]
    answer = exchange(server.port, mixed)
    assert np.array_equal(answer.pixels(LABELS, image.shape), expected) and len(answer.images[104]) == 9


def test_long_series_that_alternate(server, segmenter, image):
    """The first three slices of a series look like a whole cine."""
    long = np.concatenate([image[:1], image[1:2]], axis=1)
    other = cine_images(long[:, ::-1], SPACING, image_series_index=4)
    mixed = [sent for pair in zip(cine_images(long, SPACING), other, strict=True) for sent in pair]
    answer = exchange(server.port, mixed)
    assert np.array_equal(answer.pixels(LABELS, long.shape), segmenter.run(long, spacing=SPACING).labels)
    assert len(answer.images[104]) == 6 and sum("segmented" in text for text in answer.texts) == 2


def test_images_that_come_after_their_cine_was_segmented(server, image):
    """The first half of a series, another series, the second half: the results are not those of a whole cine."""
    long = cine_images(np.concatenate([image[:1], image[1:2]], axis=1), SPACING)
    other = cine_images(image[:1], SPACING, image_series_index=4)
    answer = exchange(server.port, [*long[:3], *other, *long[3:]], "openrecon")
    assert not answer.closed and sum("E_LATE_IMAGE: images of series 3 came" in text for text in answer.texts) == 1


@pytest.mark.parametrize(("config", "on_error", "closed"), [("openrecon", "", False), ("cardiacseg", "", True),
                                                            ("cardiacseg", "drop", False)])  # fmt: skip
def test_a_cine_that_lacks_an_image_is_a_failure(server, image, config, on_error, closed):
    asked = [parameters(sendOriginal=True, onError=on_error or "auto")]
    answer = exchange(server.port, [*asked, *cine_images(image, SPACING)[1:]], config)
    assert answer.closed == closed and len(answer.images[3]) == 8 and LABELS not in answer.images
    assert any(text.startswith("ERR 8 images were not segmented: E_MISSING_PHASE") for text in answer.texts)


def test_other_images_are_no_failure(server, image):
    images = [mrd_image(image[0, 0], SPACING, direction=np.eye(3)[:, [2, 0, 1]], phase=t) for t in range(3)]
    answer = exchange(server.port, images, "openrecon")
    assert answer.closed and answer.images == {} and "WRN 3 images were not segmented: E_NO_SAX" in answer.texts[0]


def test_images_without_readable_attributes(segment, image):
    broken = [Image(one.header, b"<broken", one.image.pixels) for one in sources(cine_images(image[:1], SPACING))]
    output = []
    stream = io.BytesIO(b"".join(map(image_bytes, broken)) + b"\x04\x00")
    options = SessionOptions(Parameters(results=ResultOptions(originals=True)))
    assert Session(stream, output.append, segment, options).run() is None
    reader = Reader(io.BytesIO(b"".join(output)), MessageLimits())
    images = [one for one in iter(reader.next, None) if isinstance(one, Image)]
    assert [one.attributes for one in images[3:]] == [b"<broken"] * 3 and b"CARDIACSEG_MASK" in images[0].attributes


def test_defaults_are_the_servers(segment, image):
    results = ResultOptions(overlay=True, lut="", series_shift=7)
    options = ServerOptions(port=0, session=SessionOptions(Parameters(results=results)))
    with MrdServer(segment, options) as server:
        answer = exchange(server.port, cine_images(image[:1], SPACING))
    assert set(answer.images) == {10, 17} and "LUTFileName" not in answer.meta(10)


def test_a_model_by_its_name(segmenter, image):
    asked = []

    def function_of(name):
        def run(cine):
            asked.append(name)
            return analyse(cine, segmenter, StudyOptions(), "cine", Stopwatch())

        return run

    models = {name: function_of(name) for name in ("default", "other")}
    with MrdServer(models, ServerOptions(port=0)) as server:
        exchange(server.port, [parameters(model="Other"), *cine_images(image[:1], SPACING)])
        exchange(server.port, cine_images(image[:1], SPACING))
    assert asked == ["other", "default"]
