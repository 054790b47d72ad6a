"""The scripts in deploy/ for job arrays and platforms: their syntax, and what they do without their variables."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cardiacseg.cli.parser import build_parser

DEPLOY = Path(__file__).parents[2] / "deploy"
SCRIPTS = sorted([*DEPLOY.glob("slurm/*.sh"), *DEPLOY.glob("dnanexus/src/*.sh")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_syntax(script):
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run(["shellcheck", script], check=True)


def test_the_job_array_needs_its_variables_and_passes_them_on(tmp_path):
    """With a program in place of cardiacseg that shows its words, which the real parser then accepts."""
    program = tmp_path / "cardiacseg"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "STUDIES": "my studies",
        "RESULTS": "out",
        "SHARDS": "10",
    }

    def run(**more):
        command = ["bash", DEPLOY / "slurm/array.sh", "--no-report"]
        return subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, check=False)

    lacking = run()
    assert lacking.returncode != 0 and "expected a task of a job array" in lacking.stderr
    words = run(SLURM_ARRAY_TASK_ID="3", SLURM_CPUS_PER_TASK="2").stdout.splitlines()
    options = build_parser().parse_args(words)
    assert (str(options.input), options.jobs, options.report) == ("my studies", 2, False)
    assert (options.shard.index, options.shard.count) == (3, 10)


def test_the_applet_names_its_script_and_its_outputs():
    applet = json.loads((DEPLOY / "dnanexus/dxapp.json").read_text())
    script = (DEPLOY / "dnanexus" / applet["runSpec"]["file"]).read_text()
    for output in applet["outputSpec"]:
        assert f"out/{output['name']}/" in script
    assert {entry["name"] for entry in applet["inputSpec"]} == {"studies", "wheels", "options"}
    assert "in/studies" in script and "$wheels_path" in script and "$options" in script


def test_the_command_in_the_workflow_is_one():
    text = (DEPLOY / "nextflow/main.nf").read_text()
    script = re.search(r'"""\n(.*?)"""', text, re.DOTALL)[1]
    for name, value in (("studies", "in"), ("results", "out"), ("shards", "10"), ("options", "--no-report")):
        script = script.replace(f"${{params.{name}}}", value)
    script = script.replace("${index}", "3").replace("${task.cpus}", "2").replace("\\\\", "\\").replace("\\$", "$")
    assert "${" not in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    words = script.split("||")[0].replace("\\\n", " ").replace("'", "").split()
    assert build_parser().parse_args(words[1:]).shard.count == 10
