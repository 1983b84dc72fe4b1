#!/usr/bin/env python3
"""Measures `aoi` and its peers side by side; see README.md."""

import argparse
import datetime
import json
import os
import shlex
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import measure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = TARGET / "peers"
PEERS = ["duckdb/typed", "duckdb/list", "polars/typed", "polars/in_memory", "polars/low_memory", "duckdb/default", "polars/default"]


def python():
    """The interpreter of a virtual environment that holds exactly the requirements."""
    folder, wanted = WORK / "venv", HERE / "requirements.txt"
    done = folder / "requirements.done"
    if not done.is_file() or done.read_text() != wanted.read_text():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "-r", wanted], check=True)
        done.write_text(wanted.read_text())
    return folder / "bin/python"


def programs():
    subprocess.run(["cargo", "build", "-q", "--release", "--locked", "-p", "aoi", "-p", "aoi-bench"], cwd=ROOT, check=True)
    return TARGET / "release/aoi", TARGET / "release/aoi-bench"


def from_csv(interpreter, aoi, bench, sizes, rounds, threads, peers):
    comparisons = []
    for rows in sizes:
        records = WORK / f"records-{rows}.csv"
        # Always made anew: an older generator's file must not be measured. It is then in the page cache for everybody.
        subprocess.run([bench, "generate", "records", "--rows", str(rows), "--out", records], check=True)
        out = {name: WORK / f"limits-{name.replace('/', '-')}.csv" for name in ["aoi", *peers]}
        commands = {"aoi": [aoi, "tolerance", "optimise", records, "--out", out["aoi"], "--threads", threads, "--json"]}
        for name in peers:
            commands[name] = [interpreter, HERE / "from_csv.py", name, records, out[name], threads]
        log = WORK / "log.txt"
        checked = None
        for name, command in commands.items():
            out[name].unlink(missing_ok=True)
            measure.run(command, log)
            checked = measure.compare_limits(out["aoi"], out[name])
        runs = {name: {"name": name, "seconds": [], "peak_mib": []} for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                seconds, peak = measure.run(command, log)
                runs[name]["seconds"].append(round(seconds, 4))
                runs[name]["peak_mib"].append(round(peak, 1))
        comparisons.append({
            "work": "limits_from_csv",
            "size": rows,
            "input": f"{records.stat().st_size} bytes of CSV in the page cache, {rows} rows, {threads} threads, whole processes.",
            "checked": f"{checked[0]} limits within {measure.ULPS} ulp, {checked[1]} of them moved, counts equal.",
            "runs": list(runs.values()),
        })
        show(comparisons[-1])
        if rows > 1_000_000:
            records.unlink()
    return comparisons


def in_memory(interpreter, bench, values, limits, rounds, threads):
    folder = WORK / "flagged"
    subprocess.run([bench, "generate", "flagged", "--values", str(values), "--limits", str(limits), "--out", folder], check=True)
    ours, theirs = WORK / "in-memory-aoi", WORK / "in-memory-"
    seconds = {}

    def add(line, rename=lambda name: name):
        for name, value in json.loads(line).items():
            seconds.setdefault(rename(name), []).append(value)

    checked = None
    for _ in range(rounds):
        command = [bench, "in-memory", folder, "--threads", str(threads), "--limits", ours]
        add(subprocess.run(command, check=True, capture_output=True, text=True).stdout, lambda name: f"aoi/{name}")
        command = [interpreter, HERE / "in_memory.py", folder, "1", theirs]
        add(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for name in seconds:
            if not name.startswith("aoi/"):
                checked = measure.compare_columns(ours, f"{theirs}{name.replace('/', '-')}")
    both = [a + b for a, b in zip(seconds["aoi/group"], seconds["aoi/optimise"])]

    def comparison(work, names, base):
        runs = [{"name": n, "seconds": [round(s, 5) for s in seconds[n]]} for n in [base, *names]]
        said = f"{checked[0]} limits within {measure.ULPS} ulp, {checked[1]} of them moved."
        text = f"{values} flagged values over {limits} limits in memory, {threads} threads where an implementation has them."
        return {"work": work, "size": values, "input": text, "checked": said, "runs": runs}

    seconds["aoi/group_and_optimise"] = both
    comparisons = [
        comparison("optimise_alone", ["numpy/grouped", "pandas/flat", "numpy/flat"], "aoi/optimise"),
        comparison("optimise_from_flat_columns", ["pandas/flat", "numpy/flat"], "aoi/group_and_optimise"),
        comparison("what_if_101_percentiles", ["aoi/simulate_101"], "aoi/optimise"),
    ]
    for c in comparisons:
        show(c)
    for name in ("values.f64", "limits.u32", "defects.u8"):
        (folder / name).unlink()
    return comparisons


def show(comparison):
    middle = lambda values: sorted(values)[len(values) // 2]
    base = middle(comparison["runs"][0]["seconds"])
    print(f"{comparison['work']} {comparison['size']}: {comparison['checked']}")
    for run in comparison["runs"]:
        median = middle(run["seconds"])
        peak = f"{middle(run['peak_mib']):7.0f} MiB" if run.get("peak_mib") else ""
        low, high = min(run["seconds"]), max(run["seconds"])
        print(f"  {run['name']:26} {median:8.3f} s ({low:.3f}-{high:.3f})  {median / base:6.2f}x {peak}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small inputs, two rounds, nothing recorded")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--limits", type=int, default=10_000)
    parser.add_argument("--peers", nargs="*", default=PEERS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.values, arguments.limits, arguments.rounds = [20_000, 200_000], 100_000, 100, 2
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        measure.self_test(Path(folder))
    interpreter = python()
    aoi, bench = programs()
    described = json.loads(subprocess.run([bench, "machine"], check=True, capture_output=True, text=True).stdout)
    load = os.getloadavg()[0]
    comparisons = from_csv(interpreter, aoi, bench, arguments.rows, arguments.rounds, arguments.threads, arguments.peers)
    comparisons += in_memory(interpreter, bench, arguments.values, arguments.limits, arguments.rounds, arguments.threads)
    if arguments.quick:
        return
    now = datetime.datetime.now(datetime.timezone.utc)
    versions = dict(line.split("==") for line in (HERE / "requirements.txt").read_text().split())
    versions["python"] = sys.version.split()[0]
    versions["aoi"] = subprocess.run([aoi, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    record = {
        "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": described["machine"],
        "command": shlex.join(["python3", "tools/peers/run.py", *sys.argv[1:]]),
        "load_before": round(load, 2),
        "versions": versions,
        "comparisons": comparisons,
    }
    folder = ROOT / "aoi-bench/results" / described["folder"] / now.strftime("%Y-%m-%d")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tolerance.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {folder.relative_to(ROOT)}/tolerance.json")


if __name__ == "__main__":
    main()
