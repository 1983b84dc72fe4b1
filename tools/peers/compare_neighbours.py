"""Judges the rows that a search or a coreset found.

usage: compare_neighbours.py BANK QUERIES EXACT FOUND TOLERANCE    prints the share of queries with the same list
       compare_neighbours.py --radius BANK CHOSEN                  prints the distance of the furthest row from its centre
"""

import sys

import numpy as np

BLOCK = 1 << 14


def every_score(bank, query, k):
    """The k best rows by f64 scores of all rows, ties by lower row."""
    scores = np.concatenate([np.asarray(bank[i : i + BLOCK], np.float64) @ query.astype(np.float64) for i in range(0, len(bank), BLOCK)])
    return np.lexsort((np.arange(len(scores)), -scores))[:k]


def scores_of(bank, query, rows):
    return np.sort(np.asarray(bank[np.sort(rows)], np.float64) @ query.astype(np.float64))[::-1]


def compare(bank, queries, exact, found, tolerance):
    assert found.shape == exact.shape, f"{found.shape}, expected {exact.shape}"
    step = max(len(queries) // 8, 1)
    for i in range(0, len(queries), step):
        best = scores_of(bank, queries[i], every_score(bank, queries[i], exact.shape[1]))
        ours = scores_of(bank, queries[i], exact[i])
        assert np.abs(best - ours).max() <= 1e-15 * len(queries[i]), f"query {i}: the exact answer is not exact"
    for i, (a, b) in enumerate(zip(exact, found)):
        assert len(np.unique(b)) == len(b), f"query {i}: a row stands twice"
        gap = np.abs(scores_of(bank, queries[i], a) - scores_of(bank, queries[i], b)).max()
        assert gap <= tolerance, f"query {i}: scores differ by {gap}"
    return np.mean((exact == found).all(1))


def radius(bank, chosen):
    assert len(np.unique(chosen)) == len(chosen), "a row was chosen twice"
    centres = np.asarray(bank[np.sort(chosen)])
    furthest = 0.0
    for i in range(0, len(bank), BLOCK):
        rows = bank[i : i + BLOCK]
        squared = (rows * rows).sum(1)[:, None] + (centres * centres).sum(1)[None] - 2.0 * rows @ centres.T
        furthest = max(furthest, float(squared.min(1).max()))
    return max(furthest, 0.0) ** 0.5


if __name__ == "__main__":
    if sys.argv[1] == "--radius":
        print(radius(np.load(sys.argv[2], mmap_mode="r"), np.load(sys.argv[3])))
    else:
        arrays = [np.load(path, mmap_mode="r" if i == 0 else None) for i, path in enumerate(sys.argv[1:5])]
        print(compare(*arrays, float(sys.argv[5])))
