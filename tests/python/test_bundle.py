"""CardiacSegmenter with bundles that are missing, broken, newer or hostile; the shipped bundle and its claims."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

import cardiacseg
from cardiacseg.evaluation import evaluate
from cardiacseg.phantom import beating_heart


@pytest.fixture
def bundle(tiny_bundle, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


def edit_manifest(bundle, change):
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def refused(bundle, error, *words):
    with pytest.raises(error) as raised:
        cardiacseg.CardiacSegmenter(bundle)
    for word in words:
        assert word in str(raised.value)


def test_a_whole_copy_loads_from_a_folder_with_any_name(bundle):
    elsewhere = bundle.rename(bundle.with_name("ein Modell für später"))
    cardiacseg.CardiacSegmenter(elsewhere)
    cardiacseg.CardiacSegmenter(str(elsewhere))


def test_a_missing_folder_or_file_is_named(bundle, tmp_path):
    refused(tmp_path / "nowhere", cardiacseg.BundleNotFoundError, "nowhere")
    refused(tmp_path, cardiacseg.BundleNotFoundError, "manifest.json")
    (bundle / "seg.onnx").unlink()
    refused(bundle, FileNotFoundError, "seg.onnx")


def test_a_truncated_file_is_refused(bundle):
    path = bundle / "ref.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    refused(bundle, cardiacseg.BundleError, "ref.onnx", str(path.stat().st_size))


def test_one_altered_byte_is_refused(bundle):
    path = bundle / "seg.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(bundle, cardiacseg.BundleError, "seg.onnx", hashlib.sha256(content).hexdigest())


def test_a_newer_format_is_refused(bundle):
    edit_manifest(bundle, lambda manifest: manifest.update(format_version=3))
    refused(bundle, cardiacseg.BundleError, "3", "1 or 2")


@pytest.mark.parametrize("name", ["../outside.onnx", "/etc/hostname", "sub/../../outside.onnx"])
def test_a_path_that_leaves_the_folder_is_refused(bundle, name):
    content = (bundle / "seg.onnx").read_bytes()
    (bundle.parent / "outside.onnx").write_bytes(content)

    def change(manifest):
        manifest["networks"]["seg"] = name
        manifest["files"][name] = manifest["files"].pop("seg.onnx")

    edit_manifest(bundle, change)
    refused(bundle, cardiacseg.BundleError, name)


def test_a_link_that_leaves_the_folder_is_refused(bundle):
    outside = (bundle / "seg.onnx").rename(bundle.parent / "outside.onnx")
    (bundle / "seg.onnx").symlink_to(outside)
    refused(bundle, cardiacseg.BundleError, "seg.onnx")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format_version": "1"}', "\x00\xff"])
def test_a_manifest_that_is_not_one_is_refused(bundle, text):
    (bundle / "manifest.json").write_text(text, encoding="latin-1")
    refused(bundle, cardiacseg.BundleError, "manifest.json")


@pytest.mark.parametrize("key", ["format_version", "name", "preprocessing", "presence_threshold", "networks", "files"])
def test_a_missing_key_is_named(bundle, key):
    edit_manifest(bundle, lambda manifest: manifest.pop(key))
    refused(bundle, cardiacseg.BundleError, key)


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", 0), ("temperature", "1"), ("clean_up", 1), ("quality", 0.9), ("quality", {"slope": 1})],
)
def test_a_value_that_cannot_be_is_named(bundle, key, value):
    edit_manifest(bundle, lambda manifest: manifest.update({key: value}))
    refused(bundle, cardiacseg.BundleError, key)


def replace_network(bundle, name, content):
    (bundle / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    edit_manifest(bundle, lambda manifest: manifest["files"].update({name: entry}))


def test_a_file_that_is_no_network_is_the_backends_refusal(bundle):
    replace_network(bundle, "seg.onnx", b"not a network")
    refused(bundle, cardiacseg.BackendError, "seg")


def test_a_network_of_another_kind_is_refused(bundle):
    seg, locate = ((bundle / name).read_bytes() for name in ("seg.onnx", "locate.onnx"))
    replace_network(bundle, "seg.onnx", locate)
    refused(bundle, cardiacseg.BundleError, "network seg: expected the outputs logits or logits, presence, got heart")
    replace_network(bundle, "seg.onnx", seg)
    replace_network(bundle, "locate.onnx", seg)
    refused(bundle, cardiacseg.BundleError, "network locate: expected the outputs heart, got logits")


@pytest.mark.parametrize("absent", [("ref",), ("locate",), ("locate", "ref")])
def test_locate_and_ref_may_be_absent(bundle, cine, absent):
    def change(manifest):
        for stage in absent:
            del manifest["networks"][stage]
            manifest["preprocessing"].pop(stage, None)

    edit_manifest(bundle, change)
    result = cardiacseg.CardiacSegmenter(bundle).run(cine, spacing=(8.0, 1.5, 1.25))
    assert not set(absent) & set(result.report.stages)
    if "ref" in absent:
        shown = [[(part == label).any(axis=(1, 2)) for label in (1, 2, 3)] for part in result.labels]
        assert np.isnan(result.agreement).all()
        assert (result.presence == [list(zip(*frame, strict=True)) for frame in shown]).all()


def test_sparse_files_of_a_gigabyte_are_refused_at_once(bundle):
    names = [f"{number}.bin" for number in range(4)]
    for name in names:
        with open(bundle / name, "wb") as file:
            file.truncate(1 << 30)
    entry = {"sha256": "0" * 64, "bytes": 1 << 30}
    edit_manifest(bundle, lambda manifest: manifest["files"].update(dict.fromkeys(names, entry)))
    refused(bundle, cardiacseg.BundleError, "0.bin", "up to 512 MiB", "1073741824")


def places_of_tensors():
    """Every way from a model down to a tensor through messages of onnx.proto, each message entered once at most."""
    ways, found = [((), onnx.ModelProto.DESCRIPTOR)], []
    while ways:
        way, message = ways.pop()
        if message.name == "TensorProto":
            found.append(way)
            continue
        seen = {field.containing_type.name for field in way}
        for field in message.fields:
            if field.message_type is not None and field.message_type.name not in seen | {"TypeProto"}:
                ways.append(((*way, field), field.message_type))
    return found


def spoilt_at(way, spoil):
    """A model with a tensor at ``way`` that ``spoil`` changes."""
    model = message = onnx.ModelProto()
    for field in way:
        inner = getattr(message, field.name)
        message = inner.add() if field.is_repeated else inner
        message.SetInParent()
    spoil(message)
    return model.SerializeToString()


def lies_in_a_file(tensor):
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def names_a_file(tensor):
    tensor.external_data.add(key="location", value="weights.bin")


WAYS = {".".join(field.name for field in way): way for way in places_of_tensors()}


def test_tensors_lie_in_many_places():
    assert {"graph.initializer", "graph.node.attribute.t", "functions.node.attribute.tensors"} <= set(WAYS)
    assert len(WAYS) > 20


@pytest.mark.parametrize("place", WAYS)
def test_values_in_another_file_are_refused(bundle, place):
    for spoil in (lies_in_a_file, names_a_file):
        replace_network(bundle, "seg.onnx", spoilt_at(WAYS[place], spoil))
        refused(bundle, cardiacseg.BundleError, "seg.onnx", "ONNX external data")


def test_a_network_never_reads_the_working_folder(bundle, tmp_path, monkeypatch):
    model = onnx.load(bundle / "seg.onnx")
    monkeypatch.chdir(tmp_path)
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size > 0
    replace_network(bundle, "seg.onnx", (tmp_path / "outside.onnx").read_bytes())
    refused(bundle, cardiacseg.BundleError, "ONNX external data")


ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "python/cardiacseg/bundles/default"
ACDC = Path(os.environ.get("CARDIACSEG_ACDC", ROOT.parent / "shared/acdc"))


@pytest.fixture(scope="module")
def manifest():
    return json.loads((BUNDLE / "manifest.json").read_text())


def test_the_bundle_is_compact_and_says_its_terms(manifest):
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) <= 25e6
    assert "NC" in manifest["licence"]
    card = (BUNDLE / "MODEL_CARD.md").read_text()
    assert "Not a medical device" in card
    assert f"{manifest['accuracy']['dice']['volume']['mean']:.3f}" in card


@pytest.mark.skipif(not ACDC.is_dir(), reason=f"no ACDC data at {ACDC}; set CARDIACSEG_ACDC to its folder")
def test_the_claimed_accuracy_holds_on_the_validation_patients(manifest):
    patients = json.loads((ACDC / "splits.json").read_text())["val"]
    found = evaluate("default", ACDC, patients).summary()
    claimed = manifest["accuracy"]
    assert found["dice"]["volume"]["mean"] >= 0.88
    # another processor may round a few voxels differently
    for part, values in claimed["dice"].items():
        assert found["dice"][part] == pytest.approx(values, abs=2e-3)
    assert found["presence_accuracy"] == pytest.approx(claimed["presence_accuracy"], abs=5e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hearts_that_were_not_trained_on(seed):
    import cardiacseg
    from cardiacseg.metrics import dice_by_structure

    phantom = beating_heart(frames=3, seed=seed)
    result = cardiacseg.CardiacSegmenter().run(phantom.image, spacing=phantom.spacing)
    scores = dice_by_structure(result.labels, phantom.labels)
    assert sum(scores.values()) / 3 >= 0.85, scores
