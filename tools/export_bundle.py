#!/usr/bin/env python3
"""Export a checkpoint as a bundle: export_bundle.py CHECKPOINT -o DIR [--evaluate DATA]

    export_bundle.py BUNDLE --record-precisions [--evaluate DATA]     for a bundle that exists already

Writes an ONNX file for each stage, manifest.json and MODEL_CARD.md, or nothing: if an ONNX graph differs from its
PyTorch network by more than 1e-3 in probability, the bundle is refused. With --evaluate the finished bundle runs
through the C++ runtime on the validation patients: its temperature and predicted quality are fitted to them, and its
accuracy on them goes into the manifest and the model card.

At the end the parity gate compares bf16 with float32 on this machine's CPU, on the stacks of DATA or on synthetic
ones. The manifest records that the bundle passed, which lets precision "auto" use bf16; if it fails, or if the CPU
does not compute in bf16, nothing is recorded, and a line on standard error says why.
"""

import argparse
import json
import sys
from pathlib import Path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="best.safetensors or last.safetensors of a training run")
    parser.add_argument("-o", "--output", type=Path, help="folder of the bundle")
    parser.add_argument(
        "--record-precisions",
        action="store_true",
        help="export nothing: the first argument is a bundle, whose manifest gets the record of the gate in bf16",
    )
    parser.add_argument(
        "--model",
        help="smaller model inside the checkpoint's model: after_unet, seg_ref (default: the checkpoint's own)",
    )
    parser.add_argument("--name", help="name of the bundle (default: the output folder's)")
    parser.add_argument("--bundle-version", default="1", help="version of the bundle (default: %(default)s)")
    parser.add_argument("--training-data", default="", help="one sentence for the model card")
    parser.add_argument("--licence", default="not stated", help="licence of the weights (default: %(default)s)")
    parser.add_argument(
        "--clean-up",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="let the runtime keep the largest component of each structure and fill holes (default: yes)",
    )
    parser.add_argument(
        "--evaluate",
        type=Path,
        metavar="DATA",
        help="calibrate and evaluate on this folder (ACDC's or nnU-Net's layout)",
    )
    parser.add_argument(
        "--splits", type=Path, help='JSON with the patients to evaluate under "val" (default: DATA/splits.json)'
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing bundle")
    arguments = parser.parse_args()
    if (arguments.output is None) != arguments.record_precisions:
        parser.error("expected -o DIR for an export, or --record-precisions without it")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    if arguments.record_precisions:
        return _record_precisions(arguments)
    from cardiacseg.export.bundle import BundleInfo, export_bundle
    from cardiacseg.export.onnx import ParityError
    from cardiacseg.training.checkpoint import load_checkpoint, load_model

    try:
        checkpoint = load_checkpoint(arguments.checkpoint)
        info = BundleInfo(
            name=arguments.name or arguments.output.resolve().name,
            version=arguments.bundle_version,
            model=arguments.model or checkpoint.config.model,
            licence=arguments.licence,
            clean_up=arguments.clean_up,
            training={
                "data": arguments.training_data or "not stated",
                "steps": f"{checkpoint.step} of {checkpoint.config.stacks_per_step} stacks",
                "selection": f"best validation Dice in training, {checkpoint.scores.get('dice_mean', 0):.3f}",
            },
        )
        manifest = export_bundle(
            load_model(checkpoint, arguments.model),
            checkpoint.config.preprocessing,
            info,
            arguments.output,
            **_on_patients(arguments),
            overwrite=arguments.overwrite,
            record=lambda folder: _record(folder, arguments),
        )
    except (OSError, ValueError, KeyError, ImportError, ParityError) as error:
        print(f"export_bundle.py: {error}", file=sys.stderr)
        return 2
    print(
        json.dumps(
            {key: manifest[key] for key in ("name", "version", "parameters", "parity", "temperature", "accuracy")},
            indent=2,
        )
    )
    return 0


def _record_precisions(arguments: argparse.Namespace) -> int:
    from cardiacseg.errors import Error

    try:
        return 0 if _record(arguments.checkpoint, arguments) is None else 1
    except (OSError, ValueError, KeyError, Error) as error:
        print(f"export_bundle.py: {error}", file=sys.stderr)
        return 2


def _record(folder: Path, arguments: argparse.Namespace) -> str | None:
    """Run the gate and print its result on standard error; return the reason if nothing is recorded."""
    from cardiacseg.export.parity_gate import record_bf16, synthetic_stacks

    if arguments.evaluate is None:
        stacks, data = synthetic_stacks(), "synthetic hearts"
    else:
        from cardiacseg.io.labelled import find_labelled_frames, read_labelled_frame, read_split

        frames = find_labelled_frames(arguments.evaluate, read_split(arguments.evaluate, "val", arguments.splits))
        images = map(read_labelled_frame, frames)
        stacks, data = ((image.image, image.spacing) for image in images), "the validation patients"
    reason = record_bf16(folder, stacks, data)
    said = f"the manifest records that labels are kept in bf16 on {data}"
    print(said if reason is None else f"bf16 is not recorded: {reason}", file=sys.stderr)
    return reason


def _on_patients(arguments: argparse.Namespace) -> dict:
    """``calibrate`` and ``evaluate`` for the export; nothing without --evaluate."""
    if arguments.evaluate is None:
        return {}
    from cardiacseg.evaluation import calibrate, evaluate
    from cardiacseg.io.labelled import find_labelled_frames, read_split

    root = arguments.evaluate
    patients = read_split(root, "val", arguments.splits)
    frames = find_labelled_frames(root, patients)
    data = (
        f"the {len(patients)} validation patients, which also chose the checkpoint and to which temperature and "
        "predicted quality were fitted"
    )
    return {
        "calibrate": lambda folder: calibrate(folder, frames),
        "evaluate": lambda folder: {"data": data, **evaluate(folder, root, patients).summary()},
    }


if __name__ == "__main__":
    sys.exit(main())
