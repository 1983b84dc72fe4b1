"""Forward passes of vision transformers; `encoder_peers.py` and `rten/` hold the peers."""

import itertools
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path

from harness import HERE, WORK, Server, middle, python, show

MODELS = ["vit-ti-16-224", "vit-s-16-224", "vit-b-16-224", "paper-512"]
# The settings of each peer found to be best or as installed; `--peers` takes any other of `encoder_peers.py`, such as `torch f32/compiled`.
PEERS = [
    "openvino f32/onnx",
    "onnxruntime f32/plain",
    "rten f32/plain",
    "rten f32/packed",
    "torch f32/eager",
    "openvino bf16/onnx",
    "torch bf16/eager",
]
# Largest difference to float64, over the largest entry.
BOUNDS = {"f32": 1e-4, "bf16": 0.1}


def arguments(parser):
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--seconds", type=float, default=0.3, help="of one turn of one implementation")
    parser.add_argument("--peers", nargs="*", default=PEERS)


def comparisons(options, aoi, bench):
    if options.quick:
        options.models, options.batches = MODELS[:1], [1]
    interpreter, folder, peers = python("encoder", options), WORK / "encoder", HERE / "encoder_peers.py"
    works = list(itertools.product(options.models, options.batches))
    for model in options.models:
        if not all((folder / model / f"{batch}.onnx").is_file() for batch in options.batches):
            subprocess.run([interpreter, peers, "prepare", folder, model, *map(str, options.batches)], check=True)
    servers = {"aoi": Server([bench, "forward", folder, "--threads", options.threads])}
    for engine in {name.split()[0] for name in options.peers}:
        command = [rten(options), folder] if engine == "rten" else [interpreter, peers, "serve", folder, engine]
        servers[engine] = Server([*command, options.threads])
    found = []
    for (model, batch), precision in itertools.product(works, ["f32", "bf16"]):
        names = [f"aoi {precision}", *(n for n in options.peers if n.split()[1].startswith(precision + "/"))]
        found.append(compare(servers, names, (model, batch, precision), (folder, interpreter), options))
        show(found[-1])
    for server in servers.values():
        server.close()
    return found


def rten(options):
    """The program of `rten/`: the one that lies beside the programs that the command line names, or built."""
    given = options.programs and options.programs / "rten-forward"
    if given and given.is_file():
        return given
    build = ["cargo", "build", "-q", "--release", "--locked", "--target-dir", WORK / "rten"]
    subprocess.run([*build, "--manifest-path", HERE / "rten/Cargo.toml"], check=True)
    return WORK / "rten/release/rten-forward"


def versions(options):
    packages = tomllib.loads((HERE / "rten/Cargo.lock").read_text())["package"]
    return {package["name"]: package["version"] for package in packages if package["name"] == "rten"}


def compare(servers, names, work, places, options):
    model, batch, precision = work

    def ask(name, runs, out="-"):
        engine, setting = name.split()
        return servers[engine].ask(f"{setting} {model} {batch} {runs} {out}")

    operations, moved, runs, errors = None, None, {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            out = Path(scratch) / f"{name.replace(' ', '-').replace('/', '-')}.npy"
            answer = ask(name, 2, out)
            operations, moved = answer.get("operations", operations), answer.get("bytes", moved)
            runs[name] = max(1, min(30, round(options.seconds / min(answer["seconds"]))))
            errors[name] = error_of(places, model, batch, out)
            assert errors[name] < BOUNDS[precision], f"{name} {model}: off by {errors[name]:.1e}"
    seconds = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            # Threads of the engine before this one may still spin.
            time.sleep(0.2)
            seconds[name].append(round(middle(ask(name, runs[name])["seconds"]), 6))
    off = ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
    return {
        "work": f"{model}_{precision}",
        "size": batch,
        "input": f"Images in memory to all tokens after the final norm, batch {batch}, {options.threads} threads; medians of up to 30 passes.",
        "checked": f"largest difference to float64 over the largest entry: {off}.",
        "operations": operations,
        "bytes": moved,
        "runs": [{"name": name, "seconds": seconds[name]} for name in names],
    }


def error_of(places, model, batch, out):
    folder, interpreter = places
    command = [interpreter, HERE / "encoder_peers.py", "check", folder, model, str(batch), out]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
