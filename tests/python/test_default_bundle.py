"""The shipped model: its budget, what its manifest claims, and whether the claim holds on real data."""

import json
import os
from pathlib import Path

import pytest

from cardiacseg.evaluation import evaluate
from cardiacseg.phantom import beating_heart

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
