#!/usr/bin/env python3
"""Train a model on a folder in ACDC's or nnU-Net's raw layout: train.py DATA -o RUN [--preset NAME] [--model NAME] ...

Run it again with the same arguments to resume; with more --steps or --minutes a run continues from before its cooldown.
Needs the `train` extra (torch, nibabel, safetensors, tqdm), not the compiled core: from a checkout, `PYTHONPATH=python
python tools/train.py ...` is enough. Several processes: `torchrun --nproc-per-node N tools/train.py ...`.
"""

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from pathlib import Path

STARTED = time.monotonic()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder in ACDC's (training/patientNNN/...) or nnU-Net's raw layout")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--preset", default="default", help="default, paper or finetune; single options override it")
    parser.add_argument(
        "--init", type=Path, metavar="FILE_OR_BUNDLE", help="weights to start from; they set model and preprocessing"
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE_OR_BUNDLE",
        help="trained models to learn from, in addition to the labels; they must have the run's preprocessing",
    )
    parser.add_argument("--teacher-weight", type=float, help="weight of the losses against the teachers (default: 1)")
    parser.add_argument(
        "--splits", type=Path, help='JSON with patient names under "train" and "val" (default: DATA/splits.json)'
    )
    parser.add_argument(
        "--validation-fraction",
        "--validation-share",
        type=float,
        default=0.15,
        help="fraction of the patients to validate on if no split is given (default: %(default)s)",
    )
    parser.add_argument("--model", help="name of the model (default: the preset's)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="number of updates")
    length.add_argument(
        "--epochs", type=float, help="length of the run as the mean number of uses of each training stack"
    )
    length.add_argument(
        "--minutes", type=float, help="length of the run as its total time, including loading and saving"
    )
    parser.add_argument("--coarse-steps", type=int, help="number of first steps at two thirds of the resolution")
    parser.add_argument("--warmup-steps", type=int, help="steps in which the learning rate rises")
    parser.add_argument("--cooldown-steps", type=int, help="last steps, in which the learning rate falls to 0")
    parser.add_argument(
        "--cooldown-fraction", type=float, help="last fraction of --minutes, in which the learning rate falls to 0"
    )
    parser.add_argument("--stacks-per-step", type=int, help="stacks in one update, over all processes")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument(
        "--validate-every", type=int, help="steps between validations and checkpoints (not with --minutes)"
    )
    parser.add_argument("--phantoms", type=int, help="synthetic hearts mixed into the training stacks")
    parser.add_argument("--average-decay", type=float, help="decay of the weight average, per step")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"))
    parser.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    parser.add_argument("--tensorboard", action="store_true", help="write events for TensorBoard into the run folder")
    return parser.parse_args()


def configuration(arguments: argparse.Namespace):
    """The run's configuration and the weights that it starts from (None for random ones)."""
    from cardiacseg.training.config import PRESETS, TrainingConfig

    if arguments.preset not in PRESETS:
        raise ValueError(f"unknown preset {arguments.preset!r}; known presets: {', '.join(PRESETS)}")
    config, weights = PRESETS[arguments.preset](), None
    if arguments.init is not None:
        model, preprocessing, weights, digest = read_weights(arguments.init)
        if arguments.model not in (None, model):
            raise ValueError(f"--init {arguments.init} is a {model}; expected a {arguments.model} (--model)")
        config = dataclasses.replace(config, model=model, preprocessing=preprocessing, initial_weights=digest)
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    chosen = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    if "steps" in chosen or "minutes" in chosen:
        chosen["epochs"] = None
    if arguments.teacher_weight is not None:
        chosen["loss"] = dataclasses.replace(config.loss, teacher=arguments.teacher_weight)
    return dataclasses.replace(config, **chosen), weights


def read_weights(path: Path):
    """Model name, preprocessing, weights and digest of a checkpoint or of a bundle's folder."""
    if path.is_dir():
        from cardiacseg.export.bundle import load_bundle_weights

        model, preprocessing, weights = load_bundle_weights(path)
        identity = path / "manifest.json"
    else:
        from cardiacseg.training.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(path)
        model, preprocessing = checkpoint.config.model, checkpoint.config.preprocessing
        weights, identity = checkpoint.tensors["average"], path
    return model, preprocessing, weights, hashlib.sha256(identity.read_bytes()).hexdigest()


def run(arguments: argparse.Namespace, device) -> int:
    from cardiacseg.training.data import load_stacks, phantom_stacks, split_patients, write_split
    from cardiacseg.training.inference import make_teacher
    from cardiacseg.training.loop import require_tensorboard, train
    from cardiacseg.training.processes import processes
    from cardiacseg.training.trainer import check_run

    if arguments.tensorboard:
        require_tensorboard()
    config, weights = configuration(arguments)
    check_run(config, device)
    teachers = [make_teacher(*read_weights(path), config.preprocessing) for path in arguments.teacher]
    made = arguments.output / "splits.json"
    parts = split_patients(arguments.data, arguments.splits, made, arguments.validation_fraction, config.seed)
    training, validation = (load_stacks(arguments.data, part, config.preprocessing) for part in parts)
    training += phantom_stacks(config.phantoms, config.preprocessing)
    if processes().rank == 0:
        write_split(made, *parts)
    trainer = train(
        config,
        training,
        validation,
        arguments.output,
        device,
        initial_weights=weights,
        events=arguments.tensorboard,
        teachers=teachers,
        started=STARTED,
    )
    if processes().rank == 0:
        print(json.dumps({"step": trainer.step, "best": trainer.best}))
    return 0


def main() -> int:
    arguments = parse_arguments()
    import torch

    from cardiacseg.training.processes import process_group

    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        with process_group(device):
            return run(arguments, device)
    except (OSError, ValueError, KeyError, ImportError, FloatingPointError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
