"""tools/train.py as a user calls it, and several processes through torchrun."""

import json
import os
import runpy
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import write_acdc

from cardiacseg.export.bundle import load_bundle_weights
from cardiacseg.models import create_model
from cardiacseg.training.checkpoint import load_checkpoint, load_model

ROOT = Path(__file__).parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
TINY = "--model seg_ref_mt_tiny --validate-every 2 --phantoms 0 --precision fp32 --coarse-steps 1"
# each process trains a run, the same run in two parts, and writes what it has in the end
SCRIPT = """
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
import torch
from safetensors.torch import save_file
from tiny_training import CONFIG, ring_stacks
from cardiacseg.training.loop import train
from cardiacseg.training.processes import process_group

folder, cpu, stacks, lines = Path(sys.argv[1]), torch.device("cpu"), ring_stacks(), []
with process_group(cpu) as (rank, _):
    whole = train(CONFIG, stacks, stacks[:1], folder / "whole", cpu, report=lines.append)
    train(CONFIG, stacks, [], folder / "parts", cpu, stop_at=2, report=lines.append)
    parts = train(CONFIG, stacks, [], folder / "parts", cpu, report=lines.append)
    # the clocks of the two differ
    clock, timed = count(3 * rank, 0.5).__next__, replace(CONFIG, minutes=0.1, coarse_steps=0)
    clock = train(timed, stacks, [], folder / "clock", cpu, report=lines.append, clock=clock)
    tensors = {f"{run}/{name}": tensor for run, trainer in (("whole", whole), ("parts", parts), ("clock", clock))
               for name, tensor in trainer.model.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / f"process{rank}.safetensors")
    (folder / f"lines{rank}.txt").write_text("\\n".join(lines))
"""


def run(*command):
    # the package from the source tree, which need not hold a compiled core
    path = os.pathsep.join([str(ROOT / "python"), str(ROOT / "tests/python")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *map(str, command)], env=environment, capture_output=True, text=True)


def call(monkeypatch, capsys, *arguments):
    """Run the command in this process: its exit status, output and errors."""
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(ROOT / "tools/train.py"), run_name="__main__")
    return done.value.code, *capsys.readouterr()


def test_two_processes_have_the_same_weights_and_resume_exactly(tmp_path):
    (tmp_path / "two.py").write_text(SCRIPT)
    done = run(*TORCHRUN, tmp_path / "two.py", tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = (load_file(tmp_path / f"process{rank}.safetensors") for rank in range(2))
    # running statistics are each process's own until the first one's are taken over, in the next step
    weights = [name for name in first if "running" not in name]
    assert len(weights) > 100 and all(torch.equal(first[name], second[name]) for name in weights)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for name in first:
        run_name, tensor_name = name.split("/", 1)
        if run_name == "whole":
            assert torch.equal(first[name], first[f"parts/{tensor_name}"]), tensor_name
    lines = [(tmp_path / f"lines{rank}.txt").read_text() for rank in range(2)]
    assert "step 4:" in lines[0] and "resuming at step 2" in lines[0] and not lines[1]
    assert load_checkpoint(tmp_path / "clock/last.safetensors").step > 2
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {
        "last.safetensors",
        "best.safetensors",
        "before_cooldown.safetensors",
    }


def test_the_command_trains_in_two_processes_resumes_in_one_and_fine_tunes(tmp_path, monkeypatch, capsys):
    data, output = write_acdc(tmp_path / "data"), tmp_path / "run"
    command = [data, "-o", output, "--steps", 2, *TINY.split()]
    done = run(*TORCHRUN, ROOT / "tools/train.py", *command)
    assert done.returncode == 0, done.stderr
    # the first process alone prints
    assert json.loads(done.stdout)["step"] == 2 and done.stderr.count("step 2:") == 1
    status, _, errors = call(monkeypatch, capsys, *command)
    assert status == 0 and "resuming at step 2" in errors
    assert not load_model(load_checkpoint(output / "best.safetensors")).training

    (data / "splits.json").unlink()
    mine, best = tmp_path / "mine", output / "best.safetensors"
    tuning = [data, "-o", mine, "--preset", "finetune", "--init", best, "--steps", 1, "--cooldown-steps", 0]
    status, _, errors = call(monkeypatch, capsys, *tuning)
    assert status == 0, errors
    config = load_checkpoint(mine / "last.safetensors").config
    assert config.model == "seg_ref_mt_tiny" and len(config.initial_weights) == 64
    parts = json.loads((mine / "splits.json").read_text())
    assert [len(parts[part]) for part in ("train", "val")] == [2, 1]


def test_a_bundle_and_a_checkpoint_teach(tiny_bundle, tmp_path, monkeypatch, capsys):
    data, run = write_acdc(tmp_path / "data"), tmp_path / "run"
    command = [data, "-o", run, "--preset", "finetune", "--init", tiny_bundle, "--steps", 1, "--stacks-per-step", 1]
    status, _, errors = call(monkeypatch, capsys, *command)
    assert status == 0, errors
    taught = [*command, "--teacher", tiny_bundle, run / "last.safetensors", "--teacher-weight", 0.5]
    taught[2] = tmp_path / "taught"
    status, _, errors = call(monkeypatch, capsys, *taught)
    assert status == 0 and "seg_teacher" in errors and "presence_teacher" in errors, errors
    config = load_checkpoint(tmp_path / "taught/last.safetensors").config
    digests = [sha256(path.read_bytes()).hexdigest() for path in (tiny_bundle / "manifest.json", taught[-3])]
    assert config.teachers == tuple(digests) and config.loss.teacher == 0.5
    status, _, error = call(
        monkeypatch, capsys, data, "-o", tmp_path / "other", "--preset", "paper", "--teacher", tiny_bundle
    )
    assert status == 2 and "a teacher must have the run's preprocessing" in error


def test_fine_tuning_starts_from_a_bundle(tiny_bundle, tmp_path, monkeypatch, capsys):
    data, run = write_acdc(tmp_path / "data"), tmp_path / "run"
    tuning = [data, "-o", run, "--preset", "finetune", "--init", tiny_bundle, "--steps", 1, "--learning-rate", 0]
    status, _, errors = call(monkeypatch, capsys, *tuning)
    assert status == 0, errors
    checkpoint = load_checkpoint(run / "last.safetensors")
    shipped = load_bundle_weights(tiny_bundle)
    assert (checkpoint.config.model, checkpoint.config.preprocessing) == shipped[:2]
    for name, _ in create_model(shipped.model).named_parameters():
        assert torch.equal(checkpoint.tensors["model"][name], shipped.tensors[name]), name
    status, _, error = call(monkeypatch, capsys, *tuning[:-2], "--model", "seg_ref_mt")
    assert status == 2 and "is a seg_ref_mt_tiny; expected a seg_ref_mt (--model)" in error


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--steps 0", "steps must be at least 1, got 0"),
        ("--minutes 0", "minutes must be positive, got 0.0"),
        ("--minutes 1e-6 --phantoms 0 --model seg_ref_mt_tiny --stacks-per-step 1", "1e-06 minutes are too few"),
        ("--teacher NOWHERE", "no checkpoint at"),
        ("--preset best", "unknown preset 'best'"),
        ("--model unet", "unknown model 'unet'"),
        ("--init NOWHERE", "no checkpoint at"),
        ("--splits NOWHERE", "NOWHERE does not exist"),
        ("--stacks-per-step 9 --phantoms 0", "expected at least 9 stacks"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(tmp_path, monkeypatch, capsys, options, sentence):
    options = options.replace("NOWHERE", str(tmp_path / "NOWHERE")).split()
    data = write_acdc(tmp_path / "data")
    status, _, error = call(monkeypatch, capsys, data, "-o", tmp_path / "run", *options)
    assert status == 2
    assert error.startswith("train.py: ") and sentence in error and error.count("\n") == 1


def test_a_folder_with_one_patient_and_no_split_is_refused(tmp_path, monkeypatch, capsys):
    data = write_acdc(tmp_path / "data", patients=1)
    (data / "splits.json").unlink()
    status, _, error = call(monkeypatch, capsys, data, "-o", tmp_path / "run", "--phantoms", 0)
    assert status == 2 and "at least 2 patients" in error and not (tmp_path / "run").exists()
