"""The model card: what a manifest says, for a person to read."""

LEVELS = ("base", "mid", "apex")
STRUCTURES = (("rv", "RV"), ("myo", "MYO"), ("lv", "LV"))


def model_card(manifest: dict) -> str:
    """Markdown made from a manifest alone, so that the two cannot disagree."""
    preprocessing = manifest["preprocessing"]
    stages = "Seg and Ref then see" if "ref" in manifest["networks"] else "Seg then sees"
    method = "Method:" if manifest["model"].startswith("seg_ref_mt") else "For comparison with the method of"
    sections = [
        f"# {manifest['name']} {manifest['version']}",
        manifest["intended_use"],
        f"Licence of the weights: {manifest['licence']}.",
        "## What it is\n\n"
        f"Model `{manifest['model']}`, {manifest['parameters'] / 1e6:.2f} million parameters. A locator finds the "
        f"heart in the whole field of view at {preprocessing['locate']['spacing_mm']} mm; {stages} "
        f"{preprocessing['crop_pixels']} x {preprocessing['crop_pixels']} pixels of {preprocessing['spacing_mm']} mm "
        f"round it. Intensities between the percentiles {preprocessing['percentiles'][0]:g} and "
        f'{preprocessing["percentiles"][1]:g} of a stack become 0 to 1. {method} Chen et al., "Enhancing Cardiac MRI '
        'Segmentation via Classifier-Guided Two-Stage Network and All-Slice Information Fusion Transformer", 2023.',
        _after_the_networks(manifest),
        _training(manifest["training"]),
        _accuracy(manifest["accuracy"]),
        "## Limits\n\n"
        "For short-axis cine of adults: not for long-axis views, late enhancement, congenital disease, children or "
        "implants. Accuracy on data unlike those above was not measured. Apical and basal slices are the least "
        "certain. Look at every result before you use it.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _after_the_networks(manifest: dict) -> str:
    sentences = []
    if manifest.get("temperature", 1.0) != 1.0:
        sentences.append(f"Logits are divided by {manifest['temperature']:.3f} before the probabilities are made.")
    if quality := manifest.get("quality"):
        sentences.append(
            "The predicted quality of a stack, an estimate of its mean Dice, is "
            f"{quality['intercept']:.3f} + {quality['slope']:.3f} x the mean Dice of Seg's labels against Ref's."
        )
    if manifest.get("clean_up"):
        sentences.append("In each slice only the largest region of a structure is kept, and its holes are filled.")
    return "## After the networks\n\n" + " ".join(sentences) if sentences else ""


def _training(training: dict) -> str:
    if not training:
        return ""
    return "## Training\n\n" + "\n".join(f"- {key}: {value}" for key, value in training.items())


def _accuracy(accuracy: dict) -> str:
    if not accuracy:
        return "## Accuracy\n\nNot measured."
    dice = accuracy["dice"]
    rows = ["| Dice | RV | MYO | LV | mean |", "|---|---|---|---|---|"]
    rows.append(_row("whole stack", dice["volume"]))
    rows.extend(_row(level, dice[level]) for level in LEVELS if level in dice)
    notes = [
        f"On {accuracy['patients']} patients, {accuracy['stacks']} stacks (ED and ES): {accuracy['data']}.",
        "\n".join(rows),
        f"Presence of a structure in a slice is right in {100 * accuracy['presence_accuracy']:.1f} % of cases.",
    ]
    return "## Accuracy\n\n" + "\n\n".join(notes)


def _row(title: str, values: dict) -> str:
    cells = [f"{values[key]:.3f}" for key, _ in STRUCTURES]
    return f"| {title} | " + " | ".join([*cells, f"{values['mean']:.3f}"]) + " |"
