"""What `nvcc -Xptxas -v` says each kernel takes, and which kernels take what they should not."""

import re
from dataclasses import dataclass

STATIC_SHARED_LIMIT = 48 * 1024

_ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(sm_\w+)'")
_FUNCTION = re.compile(r"Function properties for (\S+)")
_MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(.*)")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass
class Resources:
    """One kernel, or one function that it calls, on one architecture."""

    name: str
    architecture: str
    stack: int | None = None
    spill_stores: int | None = None
    spill_loads: int | None = None
    registers: int | None = None
    shared: int = 0


def read_report(text: str) -> list[Resources]:
    """The functions of a report, kernels first. Raises ``ValueError`` where a kernel lacks one of its lines."""
    entries: dict[tuple[str, str], Resources] = {}
    current = kernel = Resources("", "")
    architecture = ""
    for line in text.splitlines():
        if entry := _ENTRY.search(line):
            architecture = entry[2]
            current = entries.setdefault((entry[1], architecture), Resources(entry[1], architecture))
            kernel = current
        elif function := _FUNCTION.search(line):
            current = entries.setdefault((function[1], architecture), Resources(function[1], architecture))
        elif memory := _MEMORY.search(line):
            current.stack, current.spill_stores, current.spill_loads = map(int, memory.groups())
        elif used := _USED.search(line):
            kernel.registers = int(used[1])
            shared = _SHARED.search(used[2])
            kernel.shared = int(shared[1]) if shared else 0
    found = list(entries.values())
    for one in found:
        if one.stack is None:
            raise ValueError(f"no line on stack and spills for {one.name} on {one.architecture}")
    return sorted(found, key=lambda one: one.registers is None)


def kernels(resources: list[Resources]) -> list[Resources]:
    return [one for one in resources if one.registers is not None]


def offences(resources: list[Resources]) -> list[str]:
    """One sentence for each function that spills, uses local memory, or takes more static shared memory than 48 KB."""
    sentences = []
    for one in resources:
        where = f"{one.name} on {one.architecture}"
        if one.spill_stores or one.spill_loads:
            sentences.append(f"{where} spills: {one.spill_stores} bytes stored, {one.spill_loads} bytes loaded")
        elif one.stack:
            sentences.append(f"{where} uses {one.stack} bytes of local memory")
        if one.shared > STATIC_SHARED_LIMIT:
            sentences.append(f"{where} takes {one.shared} bytes of static shared memory")
    return sentences
