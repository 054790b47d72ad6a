#!/usr/bin/env python3
"""How far fp16 moves a bundle's labels, without a GPU: engine_precision.py DATA [--bundle default] [--patients 10]

The graphs that TensorRT would get in fp16 run in ONNX Runtime with each result rounded to 16 bits, beside those in
float32, on the validation patients of DATA (ACDC's or nnU-Net's layout). Sums inside an operation are in 32 bits here;
an engine's may not be, which only the parity gate on a GPU tells.
"""

import argparse
import json
import sys
from pathlib import Path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of labelled images, with splits.json")
    parser.add_argument("--bundle", default="default", help="bundled model's name, or a folder (default: %(default)s)")
    parser.add_argument("--patients", type=int, default=10, help="at most so many (default: %(default)s)")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    from cardiacseg.export.engine_agreement import measure_agreement
    from cardiacseg.export.weights import load_bundle_weights
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
    print("| stage | voxels | other label | gap at most | Dice RV | MYO | LV | worst of a stack | probability |")
    print("|---|---|---|---|---|---|---|---|---|")
    for stage, found in measure_agreement(files, stacks, preprocessing, multiple).items():
        if not found.voxels:
            print(f"| {stage} | | | | | | | | {found.difference:.4f} |")
            continue
        dice = " | ".join(f"{value:.5f}" for value in found.dice)
        print(
            f"| {stage} | {found.voxels} | {100 * found.differing / found.voxels:.4f} % | {found.gap:.3f} | {dice} | "
            f"{found.worst_dice:.4f} | {found.difference:.4f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
