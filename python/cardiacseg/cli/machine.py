"""``cardiacseg info`` and ``bench``."""

import argparse

from cardiacseg.cli.terminal import print_json


def info(options: argparse.Namespace) -> None:
    """Say what is installed here, and what would run the default model."""
    from cardiacseg.installation import describe_installation

    found = describe_installation()
    if options.json:
        print_json(found)
        return
    print(f"cardiacseg {found['versions'].get('cardiacseg', found['core_version'])}  ({found['platform']})")
    print("  " + ", ".join(f"{name} {version}" for name, version in found["versions"].items() if name != "cardiacseg"))
    print("backends:")
    for backend in found["backends"]:
        state = "available" if backend["available"] else "not available"
        print(f"  {backend['name']} ({backend['device']}): {state}. {backend['reason']}")
    chosen = found["auto"]
    print(f"device auto takes {chosen['backend'] or 'nothing'} for the default model: {chosen['reason']}")
    if chosen["precision"]:
        print(f"precision auto takes {chosen['precision']} for it: {chosen['precision_reason']}")
    print(_compiled_networks_line(found["compiled_networks"]))
    print("models:" if found["models"] else "models: none in this installation")
    for model in found["models"]:
        calibration = "" if model["temperature"] is None else f", temperature {model['temperature']:g}"
        print(f"  {model['name']} {model['version']}  {model['model']}{calibration}  ({model['licence']})")
    print(found["intended_use"])


def _compiled_networks_line(kept: dict) -> str:
    mib = {name: f"{kept[name] / 2**20:.0f}" for name in ("bytes", "limit_bytes", "memory_limit_bytes")}
    where = f"in {kept['folder']}, {mib['bytes']} of at most {mib['limit_bytes']} MiB"
    return (
        f"compiled networks (CPU): {where if kept['folder'] else 'none are kept on disk'}; "
        f"at most {mib['memory_limit_bytes']} MiB of memory in a process"
    )


def bench(options: argparse.Namespace) -> None:
    """Time the segmenter on a phantom on this machine."""
    from cardiacseg.bench import run_bench

    settings = options.model, options.device, options.threads, options.precision
    found = run_bench(options.slices, options.repeats, settings)
    if options.json:
        print_json(found)
        return
    pixels = f"{found['rows']} x {found['columns']}"
    print(f"one stack of {found['slices']} slices of {pixels} pixels, {found['repeats']} runs after warm-up")
    print(f"  backend         {found['backend']} on {found['device']}, {found['precision']}, model {found['model']}")
    for name, row in found["precisions"].items():
        print(f"  {name:<15} {_row(row)}")
    print(f"  first result    {found['cold_start_ms']:.0f} ms after a new process starts")
    print(f"  import          {found['import_ms']:.0f} ms in a new process")


def _row(row: dict) -> str:
    if "not_run" in row:
        return f"not run: {row['not_run']}"
    stages = ", ".join(f"{stage} {milliseconds:.1f}" for stage, milliseconds in row["stages_ms"].items())
    return (
        f"p50 {row['latency_p50_ms']:.1f} ms, p95 {row['latency_p95_ms']:.1f} ms; stages of the last run, ms: {stages}"
    )
