"""Limits from flagged values in memory: what is left of the work when the records are read.

usage: in_memory.py FOLDER ROUNDS LIMITS_PREFIX

Prints one JSON object per round: variant -> seconds. `pandas` and `numpy` start from flat columns and group them; `numpy_grouped` starts
from one array per limit, as `aoi` does, and grouping is not counted.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

T0 = 100.0
PERCENT = 80.0


def settle(p, calls, worst, defects):
    """The guarded limit of each entry."""
    limit = np.fmax(p, np.nextafter(worst, np.inf))
    return np.where((calls < 10) | (defects < 1) | (limit >= T0), T0, limit)


def by_pandas(frame, limits):
    calls = frame[frame["defect"] == 0].groupby("limit")["value"]
    defects = frame[frame["defect"] == 1].groupby("limit")["value"]
    every = range(limits)
    p, n = calls.quantile(PERCENT / 100).reindex(every), calls.size().reindex(every, fill_value=0)
    worst, d = defects.max().reindex(every), defects.size().reindex(every, fill_value=0)
    return settle(p.to_numpy(), n.to_numpy(), worst.to_numpy(), d.to_numpy())


def by_numpy(columns, limits):
    """One stable sort by limit, then each group partitioned in place: faster than sorting by limit and value at once."""
    values, limit, defect = columns
    calls = np.flatnonzero(defect == 0)
    order = calls[np.argsort(limit[calls], kind="stable")]
    n = np.bincount(limit[calls], minlength=limits)
    groups = np.split(values[order], np.cumsum(n)[:-1])
    worst = np.full(limits, np.nan)
    np.fmax.at(worst, limit[defect == 1], values[defect == 1])
    d = np.bincount(limit[defect == 1], minlength=limits)
    p = np.array([np.percentile(g, PERCENT) if len(g) else np.nan for g in groups])
    return settle(p, n, worst, d)


def by_numpy_grouped(groups):
    calls, defects = groups
    p = np.array([np.percentile(g, PERCENT) if len(g) else np.nan for g in calls])
    worst = np.array([g.max() if len(g) else np.nan for g in defects])
    return settle(p, np.array([len(g) for g in calls]), worst, np.array([len(g) for g in defects]))


def main(folder, rounds, prefix):
    folder = Path(folder)
    values = np.fromfile(folder / "values.f64", "<f8")
    limit = np.fromfile(folder / "limits.u32", "<u4").astype(np.int64)
    defect = np.fromfile(folder / "defects.u8", "u1")
    limits = int(limit.max()) + 1
    frame = pd.DataFrame({"limit": limit, "value": values, "defect": defect})
    order = np.argsort(limit, kind="stable")
    starts = np.cumsum(np.bincount(limit, minlength=limits))[:-1]
    split = [np.split(a[order], starts) for a in (values, defect)]
    groups = ([v[d == 0] for v, d in zip(*split)], [v[d == 1] for v, d in zip(*split)])
    work = {
        "pandas/flat": lambda: by_pandas(frame, limits),
        "numpy/flat": lambda: by_numpy((values, limit, defect), limits),
        "numpy/grouped": lambda: by_numpy_grouped(groups),
    }
    for _ in range(rounds):
        seconds = {}
        for name, run in work.items():
            start = time.perf_counter()
            answer = run()
            seconds[name] = time.perf_counter() - start
            Path(f"{prefix}{name.replace('/', '-')}").write_text("".join(f"{v!r}\n" for v in answer.tolist()))
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
