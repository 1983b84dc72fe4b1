"""The comparisons of the tolerance job; `from_csv.py` and `in_memory.py` are the peers."""

import json
import subprocess
import tempfile
from pathlib import Path

import measure
from harness import HERE, WORK, python, show

PEERS = ["duckdb/typed", "duckdb/list", "polars/typed", "polars/in_memory", "polars/low_memory", "duckdb/default", "polars/default"]


def arguments(parser):
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--limits", type=int, default=10_000)
    parser.add_argument("--peers", nargs="*", default=PEERS)


def comparisons(options, aoi, bench):
    if options.quick:
        options.rows, options.values, options.limits = [20_000, 200_000], 100_000, 100
    with tempfile.TemporaryDirectory() as folder:
        measure.self_test(Path(folder))
    interpreter, threads = python("tolerance", options), options.threads
    found = from_csv(interpreter, aoi, bench, options.rows, options.rounds, threads, options.peers)
    return found + in_memory(interpreter, bench, options.values, options.limits, options.rounds, threads)


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
        comparison("what_if_101_percentiles", ["aoi/simulate_101", "aoi/order"], "aoi/optimise"),
    ]
    for c in comparisons:
        show(c)
    for name in ("values.f64", "limits.u32", "defects.u8"):
        (folder / name).unlink()
    return comparisons
