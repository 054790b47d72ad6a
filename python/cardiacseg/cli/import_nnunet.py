"""``cardiacseg import-nnunet``."""

import argparse
from pathlib import Path

from cardiacseg.cli.terminal import print_json
from cardiacseg.errors import InvalidInputError


def _labels(text: str) -> dict[str, int]:
    pairs = [part.partition("=") for part in text.split(",")]
    numbers = {name.strip().upper(): number.strip() for name, _, number in pairs}
    if sorted(numbers) != ["LV", "MYO", "RV"] or len(pairs) != 3 or not all(map(str.isdecimal, numbers.values())):
        raise argparse.ArgumentTypeError(f"expected RV=1,MYO=2,LV=3 with the numbers of the labels, got {text!r}")
    return {name: int(number) for name, number in numbers.items()}


def add_nnunet_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``import-nnunet``."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="nnU-Net's folder of a trained model, with plans.json and fold_0"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="BUNDLE", required=True, help="folder for the bundle")
    parser.add_argument("--fold", metavar="K", help="fold to import, a number or 'all' (the only one that is there)")
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        default="checkpoint_final.pth",
        help="file in the fold's folder (%(default)s); checkpoint_best.pth is the other that nnU-Net writes",
    )
    parser.add_argument("--configuration", metavar="NAME", default="2d", help="plan in plans.json (%(default)s)")
    parser.add_argument(
        "--labels",
        type=_labels,
        metavar="RV=1,MYO=2,LV=3",
        help="numbers of the labels in the training data (as the names in dataset.json say)",
    )
    parser.add_argument("--name", metavar="TEXT", help="name of the model (that of the data set)")
    parser.add_argument(
        "--licence",
        metavar="TEXT",
        default="not stated",
        help="licence of the weights, which their owner sets (%(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier bundle")


def import_nnunet(options: argparse.Namespace) -> None:
    """Make a bundle of a 2-D model that nnU-Net v2 trained on RV, myocardium and LV."""
    from cardiacseg.export.nnunet_folder import read_nnunet_folder

    model = read_nnunet_folder(options.folder, options.fold, options.checkpoint, options.configuration, options.labels)
    name = options.name or f"{model.facts['data']} {model.configuration}"
    try:
        from cardiacseg.export.nnunet import import_nnunet as write_bundle

        manifest = write_bundle(model, options.output, name, options.licence, overwrite=options.overwrite)
    except ImportError as error:
        raise InvalidInputError(f'import-nnunet needs {error.name}: pip install "cardiacseg[export,nnunet]"') from error
    rules = manifest["preprocessing"]
    if options.json:
        print_json({"bundle": str(options.output), "manifest": manifest})
        return
    rows, columns = rules["window_pixels"]
    outputs = ", ".join(map(str, model.outputs))
    print(f"{options.output}: {manifest['name']}, {manifest['model']}, {manifest['parameters'] / 1e6:.2f} M parameters")
    print(
        f"  windows of {rows} x {columns} pixels of {rules['spacing_mm'][0]:g} x {rules['spacing_mm'][1]:g} mm, "
        f"normalization {rules['normalization']}, outputs of background, RV, MYO, LV: {outputs}"
    )
    print(f"  largest difference of the exported network in probability: {manifest['parity']['seg']:g}")
