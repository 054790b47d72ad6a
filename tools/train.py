#!/usr/bin/env python3
"""Train a model on a folder in ACDC's layout: train.py DATA -o RUN [--splits splits.json] [--model NAME] ...

Run it again with the same arguments to resume. Needs the `train` extra (torch, nibabel, safetensors, tqdm), not
the compiled core: from a checkout, `PYTHONPATH=python python tools/train.py ...` is enough.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder in ACDC's layout (training/patientNNN/...)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument(
        "--splits", type=Path, help='JSON with patient names under "train" and "val" (default: DATA/splits.json)'
    )
    parser.add_argument("--model", default="seg_ref_mt", help="name of the model (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="number of updates")
    parser.add_argument("--coarse-steps", type=int, help="of which at two thirds of the resolution, first")
    parser.add_argument("--stacks-per-step", type=int, help="stacks in one update")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--validate-every", type=int, help="steps between validations and checkpoints")
    parser.add_argument("--phantoms", type=int, help="synthetic hearts mixed into the training stacks")
    parser.add_argument("--average-decay", type=float, help="of the weight average, per step")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches (default: %(default)s)")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    import torch

    from cardiacseg.training.config import TrainingConfig
    from cardiacseg.training.data import load_stacks, phantom_stacks
    from cardiacseg.training.loop import train

    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    chosen = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    config = TrainingConfig(**chosen)
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        splits = json.loads((arguments.splits or arguments.data / "splits.json").read_text())
        training, validation = (
            load_stacks(arguments.data, splits[part], config.preprocessing) for part in ("train", "val")
        )
        training += phantom_stacks(config.phantoms, config.preprocessing)
        trainer = train(config, training, validation, arguments.output, device, arguments.workers)
    except (OSError, ValueError, KeyError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"step": trainer.step, "best": trainer.best}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
