#!/usr/bin/env python3
"""Train several models on the same budget and compare them: compare.py DATA -o RUN [--models NAME ...] [--steps N] ...

Every model sees the same training stacks in the same order, equally often, at the same resolution. Its averaged weights
after the last step (not selected by a score) become a bundle, which is evaluated through the C++ runtime on the
validation patients. The run of each model and seed has its own folder under RUN; if the command is repeated, it is
resumed or skipped. Writes RUN/comparison.json and prints the table beside the paper's figures.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

DEFAULT_MODELS = ("seg_ref_mt", "after_unet", "sk_unet", "nnunet_2d")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder in ACDC's layout or nnU-Net's raw layout, with a splits.json")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="folder for all runs")
    parser.add_argument("--models", nargs="+", default=DEFAULT_MODELS, help="names (default: %(default)s)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="one run for each (default: 0)")
    parser.add_argument(
        "--steps", type=int, default=400, help="number of updates, each of two stacks (default: %(default)s)"
    )
    parser.add_argument("--spacing-mm", type=float, default=2.0, help="pixel size (default: %(default)s)")
    parser.add_argument("--crop-pixels", type=int, default=96, help="field of view (default: %(default)s)")
    parser.add_argument("--splits", type=Path, help='JSON with "train" and "val" (default: DATA/splits.json)')
    parser.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    return parser.parse_args()


def configuration(arguments: argparse.Namespace, model: str, seed: int):
    """The default preset's recipe on the comparison's budget; a third of the steps is the cooldown."""
    from cardiacseg.training.config import default

    config = default()
    return dataclasses.replace(
        config,
        model=model,
        seed=seed,
        steps=arguments.steps,
        cooldown_steps=arguments.steps // 3,
        validate_every=arguments.steps,
        average_decay=0.99,
        phantoms=0,
        preprocessing=dataclasses.replace(
            config.preprocessing, spacing_mm=arguments.spacing_mm, crop_pixels=arguments.crop_pixels
        ),
    )


def run_one(arguments: argparse.Namespace, config, stacks: list, patients: list[str]) -> dict:
    """Train, export and evaluate one model, or read the results of an earlier call."""
    import torch

    from cardiacseg.evaluation import evaluate
    from cardiacseg.export.bundle import BundleInfo, export_bundle
    from cardiacseg.io.json_files import write_json
    from cardiacseg.training.loop import train

    folder = arguments.output / f"{config.model}-seed{config.seed}"
    found = folder / "summary.json"
    if found.is_file():
        summary = json.loads(found.read_text(encoding="utf-8"))
        if summary["config"] != json.loads(json.dumps(config.to_dict())):
            raise ValueError(f"{found} was made with another budget; give another folder")
        return summary
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = train(config, stacks, [], folder, device).averaged_model().to("cpu")
    info = BundleInfo(config.model, "comparison", config.model)
    manifest = export_bundle(model, config.preprocessing, info, folder / "bundle", overwrite=True)
    summary = {
        "config": config.to_dict(),
        "parameters": manifest["parameters"],
        **evaluate(folder / "bundle", arguments.data, patients, progress=report).summary(),
    }
    write_json(found, summary)
    return summary


def report(done: int, total: int) -> None:
    print(f"evaluation: {done} of {total} stacks", file=sys.stderr)


def main() -> int:
    arguments = parse_arguments()
    import cardiacseg
    from cardiacseg.evaluation.tables import comparison_table
    from cardiacseg.io.json_files import write_json
    from cardiacseg.io.labelled import read_split
    from cardiacseg.training.data import load_stacks

    try:
        training, validation = (read_split(arguments.data, part, arguments.splits) for part in ("train", "val"))
        configs = [configuration(arguments, model, seed) for model in arguments.models for seed in arguments.seeds]
        stacks = load_stacks(arguments.data, training, configs[0].preprocessing)
        runs = [run_one(arguments, config, stacks, validation) for config in configs]
        write_json(arguments.output / "comparison.json", {"runs": runs})
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, cardiacseg.Error) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    print(comparison_table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
