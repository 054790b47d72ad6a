#!/usr/bin/env python3
"""How much 16 bits change a bundle's labels, without a GPU: engine_precision.py DATA [--precision fp16|bf16] [--ranges]

fp16: ONNX Runtime runs the graphs for TensorRT with each result rounded to 16 bits, and the graphs in float32, on the
validation patients of DATA (ACDC's or nnU-Net's layout). Sums inside an operation are in 32 bits here; an engine may
sum in 16 bits, so only the parity gate on a GPU is conclusive. bf16: OpenVINO on this CPU. --ranges prints the largest
weights, results and sums instead.
"""

import argparse
import json
import sys
from pathlib import Path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of labelled images, with splits.json")
    parser.add_argument("--bundle", default="default", help="bundled model's name, or a folder (default: %(default)s)")
    parser.add_argument("--patients", type=int, default=10, help="largest number of patients (default: %(default)s)")
    parser.add_argument("--precision", choices=("fp16", "bf16"), default="fp16", help="(default: %(default)s)")
    parser.add_argument("--ranges", action="store_true", help="largest values of weights, results and sums, in float32")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    from cardiacseg.export.bundle import load_bundle_weights
    from cardiacseg.export.engine_agreement import largest_values, measure_agreement
    from cardiacseg.io.labelled import read_split
    from cardiacseg.segmenter import bundle_folder
    from cardiacseg.training.data import load_stacks

    folder = bundle_folder(arguments.bundle)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    files = {stage: (folder / name).read_bytes() for stage, name in manifest["networks"].items()}
    multiple = manifest["preprocessing"]["locate"]["size_multiple"]
    preprocessing = load_bundle_weights(folder).preprocessing
    stacks = load_stacks(arguments.data, read_split(arguments.data, "val")[: arguments.patients], preprocessing)
    print(f"{len(stacks)} stacks")
    if arguments.ranges:
        print_ranges(largest_values(files, stacks, preprocessing, multiple))
    else:
        print_agreement(measure_agreement(files, stacks, preprocessing, multiple, arguments.precision))
    return 0


def print_ranges(found: dict[str, dict[str, float]]) -> None:
    print("| largest magnitude of | " + " | ".join(found) + " |")
    print("|---|" + "---|" * len(found))
    for what in sorted({what for values in found.values() for what in values}):
        cells = [f"{values[what]:.4g}" if what in values else "" for values in found.values()]
        print(f"| {what} | " + " | ".join(cells) + " |")


def print_agreement(agreement: dict) -> None:
    print("| stage | voxels | other label | gap at most | Dice RV | MYO | LV | worst of a stack | probability |")
    print("|---|---|---|---|---|---|---|---|---|")
    for stage, found in agreement.items():
        if not found.voxels:
            print(f"| {stage} | | | | | | | | {found.difference:.4f} |")
            continue
        dice = " | ".join(f"{value:.5f}" for value in found.dice)
        print(
            f"| {stage} | {found.voxels} | {100 * found.differing / found.voxels:.4f} % | {found.gap:.3f} | {dice} | "
            f"{found.worst_dice:.4f} | {found.difference:.4f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
