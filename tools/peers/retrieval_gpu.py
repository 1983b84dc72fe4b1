"""The comparison of exact search on a GPU; `neighbours.py` holds PyTorch's side."""

import json
import shutil
import subprocess

from harness import HERE, WORK, Server, python, show
from retrieval import TOLERANCE, compare, first_queries, generated

# Those that promise f32 products have to find what f32 can; of the others, recall is told.
PEERS = {"torch/f32": None, "torch/tf32": 0.0, "torch/f16": 0.0, "torch/f16+f32": 0.0}
OURS = {
    "aoi/f32": ["--gpu", "f32"],
    "aoi/f16": ["--gpu", "f16"],
    "aoi/f16_cooperative": ["--gpu", "f16", "--cooperative"],
    "aoi/int8": ["--gpu", "int8"],
}
FEATURES = ["aoi-bench/gpu"]
STAGES = ["scan", "select", "rescore", "merge"]


def arguments(parser):
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, nargs="+", default=[4096, 1024, 196])
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("-k", type=int, default=30)
    parser.add_argument("--software", action="store_true", help="try it on a program that plays a GPU, without peers")


def comparisons(options, _, bench):
    if options.quick:
        options.rows, options.queries, options.width = [20_000], [64, 5], 48
    interpreter = python("retrieval-gpu", options)
    work = WORK / "retrieval-gpu"
    work.mkdir(exist_ok=True)
    found = []
    for rows in options.rows:
        found += searches(interpreter, bench, generated(bench, work, rows, max(options.queries), options.width), rows, options)
    shutil.rmtree(work)
    return found


def machine(options, bench):
    """The description of the GPU's machine."""
    return [bench, "machine", "--gpu", *(["--software"] if options.software else [])]


def versions(options):
    if options.software:
        return {}
    script = "import json, torch; print(json.dumps({'torch': torch.__version__, 'cuda': torch.version.cuda}))"
    return json.loads(subprocess.run([python("retrieval-gpu", options), "-c", script], check=True, capture_output=True, text=True).stdout)


def searches(interpreter, bench, bank, rows, options):
    command = [bench, "neighbours", bank, "--k", options.k, "--threads", options.threads]
    servers, missing = {}, []
    for name, extra in OURS.items():
        server = Server([*command, *extra, *(["--software"] if options.software else [])])
        try:
            server.ask("build")
            servers[name] = server
        except SystemExit as reason:
            missing.append(f"{name} ({reason})")
    if not options.software:
        for name in PEERS:
            servers[name] = Server([interpreter, HERE / "neighbours.py", name, bank, options.k, options.threads])
            servers[name].ask("build")
    found = [search(interpreter, bank, rows, count, servers, options) for count in options.queries]
    for server in servers.values():
        server.close()
    if missing:
        print("missing:", "; ".join(missing))
    return found


def search(interpreter, bank, rows, count, servers, options):
    queries, exact = first_queries(interpreter, bank, count), bank.with_name("exact.npy")
    out, said, checks = bank.with_name("found.npy"), [], []
    servers["aoi/f32"].ask(f"search {queries} {exact}")
    for name, server in servers.items():
        if not name.startswith("aoi/"):
            least = PEERS[name]
            tuned = server.ask(f"tune {queries} {exact}" + ("" if least is None else f" {least}"))
            said.append(f"{name} {tuned['setting']} finds {tuned['recall']:.4%}")
        server.ask(f"search {queries} {out}")
        if PEERS.get(name) is None:
            checks.append(compare(interpreter, bank, queries, exact, out, name))
    answers = {name: [] for name in servers}
    for _ in range(options.rounds):
        for name, server in servers.items():
            answers[name].append(server.ask(f"search {queries} {out}"))
    for name in servers:
        if name.startswith("aoi/"):
            said.append(f"{name} {described(answers[name][-1])}")
    comparison = {
        "work": f"exact_knn_gpu_{count}_queries",
        "size": rows,
        "input": f"{rows} x {options.width} f32, {count} queries, k = {options.k}, inner product of unit rows; queries and neighbours in the host's memory. {'; '.join(said)}.",
        "checked": f"f64 scores of the rows of all that promise f32 within {TOLERANCE} of the exact ones; the exact ones against every score of eight queries. "
        f"Lists equal to the exact ones: {', '.join(checks)}.",
        "operations": 2.0 * rows * count * options.width,
        "bytes": 4.0 * (rows + count) * options.width + 4.0 * count * options.k,
        "runs": [{"name": name, "seconds": [round(a["seconds"], 6) for a in answers[name]]} for name in servers],
    }
    kernels = {name: [a["kernels"] for a in answers[name]] for name in servers if name.startswith("aoi/")}
    for name, times in kernels.items():
        if all(times):
            comparison["runs"].append({"name": f"{name}/kernels", "seconds": [round(sum(t[stage] for stage in STAGES), 6) for t in times]})
            comparison["runs"].append({"name": f"{name}/scan", "seconds": [round(t["scan"], 6) for t in times]})
    show(comparison)
    print("  ", "; ".join(said))
    return comparison


def described(answer):
    kernels = answer["kernels"] or {}
    times = ", ".join(f"{stage} {1e3 * kernels[stage]:.2f} ms" for stage in kernels)
    return f"keeps {answer['bins']:.1f} bins and {answer['rescored']:.1f} rows a query, {answer['on_host']} by the host, {answer['bytes_back']} bytes back, {times}"
