"""Limits from CSV files that grow to a hundred million records: whether time grows with them, and memory does not.

`aoi` alone takes turns here; `tolerance.py` compares it with its peers. DuckDB, untimed, says what the limits are.
"""

import subprocess

import measure
from harness import HERE, WORK, python, requirements, show

CHECKER = "duckdb/typed"


def arguments(parser):
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000, 100_000_000])


def comparisons(options, aoi, bench):
    if options.quick:
        options.rows = [20_000, 200_000]
    return [of_size(options, aoi, bench, rows) for rows in options.rows]


def versions(_options):
    return dict(line.split("==") for line in requirements("tolerance").read_text().split() if line.startswith("duckdb=="))


def of_size(options, aoi, bench, rows):
    records, log = WORK / f"records-{rows}.csv", WORK / "log.txt"
    ours, expected = WORK / "limits-aoi.csv", WORK / "limits-expected.csv"
    try:
        subprocess.run([bench, "generate", "records", "--rows", str(rows), "--out", records], check=True)
        measure.run([python("tolerance", options), HERE / "from_csv.py", CHECKER, records, expected, options.threads], log)
        run = {"name": "aoi", "seconds": [], "peak_mib": []}
        for _ in range(options.rounds):
            ours.unlink(missing_ok=True)
            seconds, peak = measure.run([aoi, "tolerance", "optimise", records, "--out", ours, "--threads", options.threads, "--json"], log)
            limits, moved = measure.compare_limits(ours, expected)
            run["seconds"].append(round(seconds, 4))
            run["peak_mib"].append(round(peak, 1))
        comparison = {
            "work": "growth",
            "size": rows,
            "input": f"{records.stat().st_size} bytes of CSV, just written and read, {rows} rows, {options.threads} threads, whole processes.",
            "checked": f"{limits} limits within {measure.ULPS} ulp of {CHECKER}, {moved} of them moved, counts equal, in every round.",
            "runs": [run],
        }
    finally:
        records.unlink(missing_ok=True)
    show(comparison)
    return comparison
