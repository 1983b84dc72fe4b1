"""Running programs in turns, with their wall time and peak memory, and comparing their answers."""

import csv
import math
import os
import subprocess
import time

KEY = ["part", "model", "inspection", "feature", "unit", "side"]
COUNTS = ["false_calls_before", "defects_before"]
ULPS = 2


def run(command, log):
    """Wall seconds and peak resident MiB of one whole process; its output goes to a file."""
    with open(log, "w") as out:
        start = time.perf_counter()
        child = subprocess.Popen([str(word) for word in command], stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command}: exit {child.returncode}\n{open(log).read()[-2000:]}")
    return seconds, usage.ru_maxrss / 1024


def ulps(a, b):
    """How many representable numbers lie between two, at the larger one's spacing; NaN is far from everything."""
    if a == b:
        return 0.0
    off = abs(a - b) / math.ulp(max(abs(a), abs(b)))
    return math.inf if math.isnan(off) else off


def read_limits(path):
    """Key and old limit -> new limit and counts."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    limits = {}
    for row in rows:
        key = tuple(row[k] for k in KEY) + (float(row["old_limit"]),)
        assert key not in limits, f"{path}: {key} stands twice"
        limits[key] = (float(row["new_limit"]), [int(row[c]) for c in COUNTS])
    assert limits, f"{path}: no limits"
    return limits


def compare_limits(ours, theirs):
    """Raises unless both files hold the same limits; a limit without flagged values may be missing from `theirs`."""
    ours, theirs = read_limits(ours), read_limits(theirs)
    extra = theirs.keys() - ours.keys()
    assert not extra, f"limits that the first file lacks: {sorted(extra)[:3]}"
    moved = 0
    for key, (limit, counts) in ours.items():
        if key not in theirs:
            assert counts == [0, 0], f"{key} is missing"
            continue
        their_limit, their_counts = theirs[key]
        assert counts == their_counts, f"{key}: counts {counts} and {their_counts}"
        assert ulps(limit, their_limit) <= ULPS, f"{key}: {limit!r} and {their_limit!r}"
        moved += limit != key[-1]
    return len(ours), moved


def compare_columns(ours, theirs):
    """Raises unless two files of one number per line agree."""
    a, b = ([float(x) for x in open(path)] for path in (ours, theirs))
    assert len(a) == len(b) > 0, f"{len(a)} and {len(b)} limits"
    for i, (x, y) in enumerate(zip(a, b)):
        assert ulps(x, y) <= ULPS, f"limit {i}: {x!r} and {y!r}"
    return len(a), sum(x != 100.0 for x in a)


def self_test(folder):
    """The comparisons must be able to fail."""
    header = ",".join(KEY + ["old_limit", "new_limit"] + COUNTS)
    row = "p,m,i,f,u,lower,40.0,{},{},{}"

    def file(name, *rows):
        path = folder / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    good = file("good.csv", row.format(39.0, 12, 1))
    compare_limits(good, file("near.csv", row.format(repr(math.nextafter(39.0, 50)), 12, 1)))
    wrong = [
        file("limit.csv", row.format(39.0000001, 12, 1)),
        file("count.csv", row.format(39.0, 12, 2)),
        file("nan.csv", row.format("nan", 12, 1)),
        file("missing.csv", row.format(39.0, 12, 1).replace("p,", "q,", 1)),
    ]
    for path in wrong:
        try:
            compare_limits(good, path)
        except AssertionError:
            continue
        raise SystemExit(f"self-test: {path.name} was taken for equal")
