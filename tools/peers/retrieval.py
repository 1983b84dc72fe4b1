"""The comparisons of exact search and of choosing a coreset; `neighbours.py` holds the peers."""

import json
import shutil
import subprocess

from harness import HERE, WORK, Server, python, requirements, show

# What OpenBLAS may take this processor for; the fastest is used, and "as installed" leaves it alone.
CORES = ["", "SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS", "ZEN"]
FAST = ["faiss/flat", "faiss/as_installed", "numpy"]
COMPRESSED = ["faiss/bf16", "faiss/sq8", "faiss/fp16"]
ALL = [*FAST, *COMPRESSED, "sklearn", "usearch", "hnswlib"]
# Rows times queries up to which a peer is measured: compressed indexes scan the bank once a query, and the others sort all scores too; beyond, they take ten
# to twenty times as long as the fast ones.
MOST = {name: 20_480_000 if name in COMPRESSED else 10_240_000 for name in ALL if name not in FAST}
# Peers of a bank hold a copy each, all at once: more do not fit into 24 GB.
MOST_ROWS = 150_000
# Scores of a peer's rows may be this far below the exact ones: f32 rounding of a sum of a few hundred products of unit rows.
TOLERANCE = 2e-6


def arguments(parser):
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="sizes of generated banks")
    parser.add_argument("--queries", type=int, nargs="+", default=[1024, 196, 12])
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("-k", type=int, default=30)
    parser.add_argument("--weights", help="encoder weights, for a bank of real features")
    parser.add_argument("--images", help="folder of images to embed with them")
    parser.add_argument("--resize", default="224x224", help="height and width to which they are brought first")
    parser.add_argument("--tokens", type=int, default=256, help="patches of one image, which stay on one side of bank and queries")
    parser.add_argument("--k-centre", dest="k_centre", type=int, default=100_000, help="rows of the bank that a coreset is chosen from")


def comparisons(options, aoi, bench):
    if options.quick:
        options.rows, options.queries, options.width, options.k_centre = [3_000, 20_000], [64, 5], 48, 2_000
    interpreter = python("retrieval", options)
    work = WORK / "retrieval"
    work.mkdir(exist_ok=True)
    banks = [("clusters", rows, lambda rows=rows: generated(bench, work, rows, max(options.queries), options.width)) for rows in options.rows]
    if options.weights:
        banks.append(("real_features", None, lambda: embedded(interpreter, aoi, work, options)))
    found = []
    core = None
    for kind, rows, make in banks:
        bank = make()
        core = core if core is not None else best_core(interpreter, bank, options)
        found += searches(interpreter, bench, kind, bank, core, options)
    found += coresets(interpreter, bench, generated(bench, work, options.k_centre, 1, options.width), core, options)
    shutil.rmtree(work)
    return found


def generated(bench, work, rows, queries, width):
    subprocess.run([bench, "generate", "features", "--rows", str(rows), "--queries", str(queries), "--width", str(width), "--out", work], check=True)
    return work / "bank.npy"


def embedded(interpreter, aoi, work, options):
    """Patch features of real images; every eighth image's patches are queries."""
    out = work / "features.safetensors"
    command = [aoi, "encoder", "embed", options.weights, "--images", options.images, "--resize", options.resize, "--out", out]
    subprocess.run([str(word) for word in command], check=True)
    subprocess.run([interpreter, HERE / "split_features.py", out, work, str(options.tokens), str(max(options.queries))], check=True)
    return work / "bank.npy"


def serve(interpreter, name, bank, core, options):
    environment = {"OPENBLAS_CORETYPE": core} if core and name != "faiss/as_installed" else {}
    return Server([interpreter, HERE / "neighbours.py", name, bank, options.k, options.threads], **environment)


def first_queries(interpreter, bank, count):
    """The first `count` queries as a file of their own."""
    path = bank.with_name(f"queries-{count}.npy")
    script = "import sys, numpy as np; a = np.load(sys.argv[1]); assert len(a) >= int(sys.argv[3]); np.save(sys.argv[2], a[: int(sys.argv[3])])"
    subprocess.run([interpreter, "-c", script, bank.with_name("queries.npy"), path, str(count)], check=True)
    return path


def best_core(interpreter, bank, options):
    """The processor that OpenBLAS is best told about, by FAISS's time on the first bank and the most queries: with few, other settings decide."""
    queries = first_queries(interpreter, bank, max(options.queries))
    found = bank.with_name("found.npy")
    seconds = {}
    for core in CORES:
        server = serve(interpreter, "faiss/flat", bank, core, options)
        server.ask("build")
        seconds[core] = min(server.ask(f"search {queries} {found}")["seconds"] for _ in range(3))
        server.close()
    print("FAISS by OPENBLAS_CORETYPE:", {core or "unset": round(s, 4) for core, s in seconds.items()})
    return min(seconds, key=seconds.get)


def takes_part(name, rows, queries):
    return name not in MOST or (rows * queries <= MOST[name] and rows <= MOST_ROWS)


def searches(interpreter, bench, kind, bank, core, options):
    count = "import sys, numpy as np; print(len(np.load(sys.argv[1], mmap_mode='r')))"
    rows = int(subprocess.run([interpreter, "-c", count, bank], check=True, capture_output=True, text=True).stdout)
    # Those that cannot take part in any comparison of a bank are not even built.
    names = [name for name in ALL if takes_part(name, rows, min(options.queries))]
    command = [bench, "neighbours", bank, "--k", str(options.k), "--threads", str(options.threads)]
    servers = {"aoi/certified": Server(command), "aoi/f32_scan": Server([*command, "--no-copy"])}
    servers.update({name: serve(interpreter, name, bank, core, options) for name in names})
    # In turns, and not the first: other processes may still be starting.
    answers = {name: [] for name in servers}
    for _ in range(3):
        for name, server in servers.items():
            answers[name].append(server.ask("build"))
    built = ["aoi/certified", *(name for name in names if name.startswith("faiss"))]
    extra = answers["aoi/certified"][0]["extra_mib"]
    found = [{
        "work": f"build_{kind}",
        "size": rows,
        "input": f"{rows} x {options.width} f32 in memory into a searchable bank, {options.threads} threads; ours holds {extra:.0f} MiB beside the rows.",
        "checked": "by the searches below.",
        "input_bytes": 4.0 * rows * options.width,
        "runs": [building(name, answers[name][1:]) for name in built],
    }]
    show(found[-1])
    for count in options.queries:
        asked = {name: server for name, server in servers.items() if takes_part(name, rows, count)}
        found.append(search(interpreter, kind, bank, rows, count, asked, core, options))
    for server in servers.values():
        server.close()
    return found


def building(name, answers):
    """The runs of one implementation: what its process holds after building and held at most, the rows included, where it says so."""
    runs = {"name": name, "seconds": [round(a["seconds"], 5) for a in answers]}
    for key in ("held_mib", "peak_mib"):
        if all(a.get(key) is not None for a in answers):
            runs[key] = [round(a[key], 1) for a in answers]
    return runs


def search(interpreter, kind, bank, rows, count, servers, core, options):
    queries = first_queries(interpreter, bank, count)
    exact = bank.with_name("exact.npy")
    ours = servers["aoi/certified"].ask(f"search {queries} {exact}")
    settings, left_out, checks = {}, [], []
    for name, server in servers.items():
        if not name.startswith("aoi/") and name != "faiss/as_installed":
            tuned = server.ask(f"tune {queries} {exact}")
            settings[name] = tuned["setting"]
            if tuned["setting"] is None:
                left_out.append(name)
                continue
        out = bank.with_name("found.npy")
        server.ask(f"search {queries} {out}")
        try:
            checks.append(compare(interpreter, bank, queries, exact, out, name))
        except SystemExit:
            # What a compressed index loses is not scored again.
            if name not in COMPRESSED:
                raise
            left_out.append(name)
    compared = {name: server for name, server in servers.items() if name not in left_out}
    seconds = {name: [] for name in compared}
    for _ in range(options.rounds):
        for name, server in compared.items():
            seconds[name].append(round(server.ask(f"search {queries} {bank.with_name('found.npy')}")["seconds"], 5))
    said = ", ".join(f"{name} {setting}" for name, setting in settings.items() if setting)
    without = f" Left out, as no setting found every neighbour: {', '.join(left_out)}." if left_out else ""
    slow = [name for name in ALL if not takes_part(name, rows, count)]
    without += f" Not measured at this size: {', '.join(slow)}." if slow else ""
    comparison = {
        "work": f"exact_knn_{kind}_{count}_queries",
        "size": rows,
        "input": f"{rows} x {options.width} f32, {count} queries, k = {options.k}, inner product of unit rows, {options.threads} threads. "
        f"OPENBLAS_CORETYPE of FAISS={core or 'unset'}; {said}. "
        f"Ours: {ours['bins']:.1f} bins and {ours['rescored']:.1f} rows rescored a query, by (compact, f32, exhaustive) {ours['routes']}.{without}",
        "operations": 2.0 * rows * count * options.width,
        "bytes": 4.0 * (rows + count) * options.width + 4.0 * count * options.k,
        "checked": f"f64 scores of every peer's rows within {TOLERANCE} of the exact ones; the exact ones against every score of eight queries. "
        f"Lists equal to the exact ones: {', '.join(checks)}.",
        "runs": [{"name": name, "seconds": s} for name, s in seconds.items()],
    }
    show(comparison)
    return comparison


def compare(interpreter, bank, queries, exact, found, name):
    command = [interpreter, HERE / "compare_neighbours.py", bank, queries, exact, found, str(TOLERANCE)]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{name}: {done.stderr}")
    return f"{name} {float(done.stdout):.2%}"


def coresets(interpreter, bench, bank, core, options):
    """Greedy k-centre to 1 % of the rows."""
    count = options.k_centre // 100
    servers = {
        "aoi": Server([bench, "neighbours", bank, "--threads", str(options.threads)]),
        "numpy/k_centre": serve(interpreter, "numpy/k_centre", bank, core, options),
    }
    if requirements("encoder").is_file():
        # PyTorch comes with the encoder's peers.
        servers["torch/k_centre"] = serve(python("encoder", options), "torch/k_centre", bank, core, options)
    radius = {}
    for name, server in servers.items():
        out = bank.with_name("chosen.npy")
        server.ask(f"coreset {count} {out}")
        script = HERE / "compare_neighbours.py"
        radius[name] = float(subprocess.run([interpreter, script, "--radius", bank, out], check=True, capture_output=True, text=True).stdout)
    worst = max(radius.values()) / radius["aoi"]
    assert 1 / 1.1 < worst < 1.1, f"covering radii {radius} are not those of one algorithm"
    seconds = {name: [] for name in servers}
    for _ in range(options.rounds):
        for name, server in servers.items():
            seconds[name].append(round(server.ask(f"coreset {count} {bank.with_name('chosen.npy')}")["seconds"], 5))
    for server in servers.values():
        server.close()
    comparison = {
        "work": "k_centre_1_percent",
        "size": options.k_centre,
        "input": f"{options.k_centre} x {options.width} f32 to {count} rows, distances in a random projection to 128, {options.threads} threads.",
        "checked": f"furthest row from its centre: {json.dumps({name: round(r, 4) for name, r in radius.items()})}.",
        "runs": [{"name": name, "seconds": s} for name, s in seconds.items()],
    }
    show(comparison)
    return [comparison]
