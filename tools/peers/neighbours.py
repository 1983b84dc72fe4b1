"""Peers of the exact search: FAISS, numpy, scikit-learn, usearch, hnswlib, PyTorch on a GPU; and greedy k-centre in PyTorch and numpy.

usage: neighbours.py NAME BANK.npy K THREADS

Reads one request a line and answers with one JSON object a line, as `aoi-bench neighbours` does:
`build`, `search QUERIES.npy OUT.npy`, `tune QUERIES.npy EXACT.npy [RECALL]`, `coreset COUNT OUT.npy`. Rows have length 1, the metric is the inner product.

None of these peers promises the order of exact scores: they compute in f32, and neighbours within its rounding change places. None returns
a certificate. `faiss/sq8`, `faiss/bf16` and `faiss/fp16` search a compressed index and rescore a multiple of k in f32; their recall is measured, not proven.
"""

import json
import os
import sys
import time

import numpy as np


class Faiss:
    """`IndexFlat`, with the sizes of its blocks; FAISS multiplies blocks by OpenBLAS and keeps the best of each in heaps or reservoirs.

    As installed it goes through the rows query by query where queries x width is below a threshold, although blocks can be several times
    as fast there: both are tried.
    """

    BLOCKS = [(4096, 1024), (1024, 4096), (4096, 4096), (4096, 16384), (256, 1024), (4096, 65536)]
    RESERVOIR = [100, 1]
    ALWAYS, NEVER = 1, 1 << 30
    # Beyond so many queries blocks are always faster, by more the more there are.
    ONE_BY_ONE = 256

    def __init__(self, bank, k, threads):
        import faiss

        self.faiss, self.bank, self.k = faiss, bank, k
        faiss.omp_set_num_threads(threads)

    def build(self):
        self.index = self.faiss.IndexFlatIP(self.bank.shape[1])
        self.index.add(np.ascontiguousarray(self.bank))

    def search(self, queries):
        return self.index.search(queries, self.k)[1]

    def settings(self, asked):
        ways = [(self.ALWAYS, blocks) for blocks in self.BLOCKS]
        if asked <= self.ONE_BY_ONE:
            ways.append((self.NEVER, self.BLOCKS[0]))
        for threshold, (queries, rows) in ways:
            for reservoir in self.RESERVOIR:
                yield {"blas_threshold": threshold, "query_bs": queries, "database_bs": rows, "min_k_reservoir": reservoir}

    def use(self, setting):
        variables = self.faiss.cvar
        variables.distance_compute_blas_threshold = setting["blas_threshold"]
        variables.distance_compute_blas_query_bs = setting["query_bs"]
        variables.distance_compute_blas_database_bs = setting["database_bs"]
        variables.distance_compute_min_k_reservoir = setting["min_k_reservoir"]


class FaissCompressed(Faiss):
    """A scalar-quantised index whose best `factor` x k are scored again from the f32 rows; each query scans it on its own."""

    # Its time grows with the queries, so a few of them tell which setting is best.
    tuned_on = 64

    def __init__(self, bank, k, threads, kind):
        super().__init__(bank, k, threads)
        self.kind = kind

    def build(self):
        faiss, d = self.faiss, self.bank.shape[1]
        kind = {"sq8": "QT_8bit", "bf16": "QT_bf16", "fp16": "QT_fp16"}[self.kind]
        self.base = faiss.IndexScalarQuantizer(d, getattr(faiss.ScalarQuantizer, kind), faiss.METRIC_INNER_PRODUCT)
        self.index = faiss.IndexRefineFlat(self.base)
        bank = np.ascontiguousarray(self.bank)
        self.index.train(bank)
        self.index.add(bank)
        self.index.k_factor = 4

    def settings(self, _asked):
        return ({"k_factor": factor} for factor in (1, 2, 4, 8))

    def use(self, setting):
        self.index.k_factor = setting["k_factor"]


class Numpy:
    """Products of blocks of rows, `argpartition`, and a merge of the blocks' winners."""

    def __init__(self, bank, k, threads):
        self.bank, self.k, self.block = bank, k, 1 << 16

    def build(self):
        self.bank = np.ascontiguousarray(self.bank)

    def settings(self, _asked):
        return ({"block": block} for block in (1 << 13, 1 << 16, 1 << 20))

    def use(self, setting):
        self.block = setting["block"]

    def search(self, queries):
        scores, rows = [], []
        for first in range(0, len(self.bank), self.block):
            block = queries @ self.bank[first : first + self.block].T
            k = min(self.k, block.shape[1])
            best = np.argpartition(block, -k, axis=1)[:, -k:]
            scores.append(np.take_along_axis(block, best, 1))
            rows.append(best + first)
        scores, rows = np.concatenate(scores, 1), np.concatenate(rows, 1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.k]
        return np.take_along_axis(rows, order, 1)


class Sklearn:
    def __init__(self, bank, k, threads):
        from sklearn.neighbors import NearestNeighbors

        self.bank = bank
        self.model = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="euclidean", n_jobs=threads)

    def build(self):
        self.model.fit(np.ascontiguousarray(self.bank))

    def settings(self, _asked):
        return [{}]

    def search(self, queries):
        return self.model.kneighbors(queries, return_distance=False)


class Usearch:
    """`usearch.index.search(exact=True)`."""

    def __init__(self, bank, k, threads):
        self.bank, self.k, self.threads = bank, k, threads

    def build(self):
        self.bank = np.ascontiguousarray(self.bank)

    def settings(self, _asked):
        return [{}]

    def search(self, queries):
        from usearch.index import search

        return search(self.bank, queries, self.k, metric="ip", exact=True, threads=self.threads).keys.astype(np.int64)


class Hnswlib:
    """`hnswlib.BFIndex`, its exact index."""

    def __init__(self, bank, k, threads):
        self.bank, self.k, self.threads = bank, k, threads

    def build(self):
        import hnswlib

        self.index = hnswlib.BFIndex(space="ip", dim=self.bank.shape[1])
        self.index.init_index(max_elements=len(self.bank))
        self.index.add_items(np.ascontiguousarray(self.bank))
        self.index.set_num_threads(self.threads)

    def settings(self, _asked):
        return [{}]

    def search(self, queries):
        return self.index.knn_query(queries, k=self.k)[0]


class Torch:
    """The bank in the memory of a GPU, products of blocks of it, `topk` of each, and a merge; queries come from the host, neighbours go back.

    `tf32` rounds the factors of f32 products to ten bits, `f16` holds bank and queries in f16, and `f16+f32` scores the best few times k of
    those again in f32.
    """

    def __init__(self, bank, k, threads, kind):
        import torch

        self.torch, self.rows, self.k, self.kind = torch, bank, k, kind
        self.block, self.factor = 1 << 18, 4
        torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"

    def build(self):
        self.bank = None
        exact = self.torch.from_numpy(np.ascontiguousarray(self.rows)).cuda()
        self.exact = exact if self.kind == "f16+f32" else None
        self.bank = exact.half() if self.kind.startswith("f16") else exact
        self.torch.cuda.synchronize()

    def settings(self, _asked):
        return ({"block": block} for block in (1 << 16, 1 << 18, 1 << 20))

    def use(self, setting):
        self.block = setting["block"]

    def search(self, queries):
        torch = self.torch
        asked = torch.from_numpy(queries).cuda()
        factors = asked.half() if self.kind.startswith("f16") else asked
        wanted = self.k * self.factor if self.exact is not None else self.k
        scores, rows = [], []
        for first in range(0, len(self.bank), self.block):
            products = factors @ self.bank[first : first + self.block].T
            best = products.topk(min(wanted, products.shape[1]), dim=1)
            scores.append(best.values)
            rows.append(best.indices + first)
        scores, rows = torch.cat(scores, 1), torch.cat(rows, 1)
        best = scores.topk(wanted, dim=1)
        rows = rows.gather(1, best.indices)
        if self.exact is not None:
            again = torch.bmm(self.exact[rows], asked.unsqueeze(2)).squeeze(2)
            rows = rows.gather(1, again.topk(self.k, dim=1).indices)
        return rows.cpu().numpy()


PEERS = {
    **{f"torch/{kind}": lambda *a, kind=kind: Torch(*a, kind) for kind in ("f32", "tf32", "f16", "f16+f32")},
    "faiss/flat": Faiss,
    "faiss/as_installed": Faiss,
    "faiss/sq8": lambda *a: FaissCompressed(*a, "sq8"),
    "faiss/bf16": lambda *a: FaissCompressed(*a, "bf16"),
    "faiss/fp16": lambda *a: FaissCompressed(*a, "fp16"),
    "numpy": Numpy,
    "sklearn": Sklearn,
    "usearch": Usearch,
    "hnswlib": Hnswlib,
    "numpy/k_centre": Numpy,
    "torch/k_centre": Numpy,
}


def project(bank, width=128):
    """The random projection to 128 dimensions that PatchCore's sampler makes; counted in its time."""
    random = np.random.default_rng(0)
    return bank @ (random.standard_normal((bank.shape[1], width)) / np.sqrt(width)).astype(np.float32)


def k_centre_numpy(bank, count):
    points = project(bank)
    norms = np.einsum("ij,ij->i", points, points)
    chosen, nearest = [0], np.full(len(points), np.inf, np.float32)
    while len(chosen) < count:
        c = chosen[-1]
        np.minimum(nearest, norms - 2.0 * (points @ points[c]) + norms[c], out=nearest)
        chosen.append(int(np.argmax(nearest)))
    return np.array(chosen)


def k_centre_torch(bank, count):
    """The loop of PatchCore's greedy sampler with its distances from one product, everything in place."""
    import torch

    points = torch.from_numpy(project(bank))
    norms = (points * points).sum(1)
    chosen, nearest = [0], torch.full((len(points),), float("inf"))
    room = torch.empty_like(norms)
    while len(chosen) < count:
        c = chosen[-1]
        torch.addmv(norms, points, points[c], beta=1.0, alpha=-2.0, out=room)
        torch.minimum(nearest, room.add_(norms[c]), out=nearest)
        chosen.append(int(torch.argmax(nearest)))
    return np.array(chosen)


def timed(work):
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


# f32 rounding may put a row at rank k in the place of another whose score is this near; the judge allows as much.
NEAR = 2e-6


def recall(found, exact, scores):
    """The share of the exact neighbours that were found, or others within the rounding of their scores."""
    shares = []
    for i, (a, b) in enumerate(zip(found, exact)):
        lost, instead = np.setdiff1d(b, a), np.setdiff1d(a, b)
        if len(lost):
            least = np.sort(scores(i, lost))
            near = np.sort(scores(i, instead))[-len(lost) :] if len(instead) >= len(lost) else np.full(len(lost), -np.inf)
            lost = lost[near < least - NEAR]
        shares.append(1 - len(lost) / len(b))
    return np.mean(shares)


# The share that counts as all of them.
EVERYTHING = 0.9999


def tune(peer, bank, queries, exact, least=EVERYTHING):
    """Uses the fastest setting that finds at least this share of the neighbours."""
    best = {"seconds": float("inf"), "setting": None}
    few = getattr(peer, "tuned_on", len(queries))
    queries, exact = queries[:few], exact[:few]
    for setting in peer.settings(len(queries)):
        if setting:
            peer.use(setting)
        seconds, found = timed(lambda: peer.search(queries))
        if seconds < 1.2 * best["seconds"]:
            seconds = min(seconds, timed(lambda: peer.search(queries))[0])
        share = recall(found, exact, lambda i, rows: bank[rows].astype(np.float64) @ queries[i].astype(np.float64))
        if share >= least and seconds < best["seconds"]:
            best = {"seconds": seconds, "setting": setting, "recall": float(share)}
    if best["setting"]:
        peer.use(best["setting"])
    return best


def main(name, bank, k, threads):
    bank = np.load(bank, mmap_mode="r")
    peer = PEERS[name](bank, int(k), int(threads))
    for line in sys.stdin:
        request, *words = line.split()
        if request == "build":
            seconds, _ = timed(peer.build)
            answer = {"seconds": seconds}
        elif request == "search":
            queries = np.load(words[0])
            seconds, found = timed(lambda: peer.search(queries))
            np.save(words[1], np.asarray(found, np.int64))
            answer = {"seconds": seconds}
        elif request == "tune":
            answer = tune(peer, bank, np.load(words[0]), np.load(words[1]), *map(float, words[2:]))
        elif request == "coreset":
            choose = k_centre_torch if name.startswith("torch") else k_centre_numpy
            if name.startswith("torch"):
                import torch

                torch.set_num_threads(int(threads))
            seconds, chosen = timed(lambda: choose(bank, int(words[0])))
            np.save(words[1], chosen)
            answer = {"seconds": seconds}
        else:
            raise SystemExit(f"unknown request {line!r}")
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    threads = sys.argv[4]
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", threads)
    main(*sys.argv[1:])
