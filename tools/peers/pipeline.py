"""The comparison from a picture to its mask; `pipeline_peers.py` holds the peer."""

import os
import shutil

from harness import HERE, WORK, Server, python, show

PEERS = ["torch+faiss/f32", "torch+faiss/bf16"]
# Share of the mask that may differ: scores at the threshold, within what rounding does to the neighbours. bf16 moves features by a hundredth;
# the share that was found is recorded.
TOLERANCE = {"f32": 1e-3, "bf16": 5e-2}


def arguments(parser):
    parser.add_argument("--rows", type=int, default=100_000, help="patches of the bank, at least")
    parser.add_argument("--side", type=int, default=512, help="pixels along the picture")
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)


def comparisons(options, aoi, bench):
    if options.quick:
        options.rows, options.side = 2_000, 128
    interpreter, folder = python("pipeline", options), WORK / "pipeline"
    folder.mkdir(exist_ok=True)
    peer = [interpreter, HERE / "pipeline_peers.py"]
    weights = folder / "weights.safetensors"
    Server([*peer, "weights", weights, options.side]).close()
    servers = {}
    for name in ["aoi/f32", "aoi/bf16"]:
        out = folder / name.split("/")[1]
        out.mkdir(exist_ok=True)
        ours = [bench, "pipeline", weights, "--rows", options.rows, "--side", options.side, "--threads", options.threads, "--out", out]
        servers[name] = Server([*ours, *(["--bf16"] if name == "aoi/bf16" else [])])
    masks = {name: folder / name.split("/")[1] / "mask.npy" for name in servers}
    rows = [server.ask(f"mask {masks[name]}")["rows"] for name, server in servers.items()][0]
    core = {"OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE", "SKYLAKEX"), "OMP_NUM_THREADS": str(options.threads)}
    settings, off = [], []
    for name in options.peers:
        # Every peer reads the bank of the f32 encoder.
        servers[name] = Server([*peer, "serve", folder / "f32", weights, name.split("/")[1], options.side, options.threads], **core)
        settings.append(f"{name} {servers[name].ask('tune')['setting']}")
        compared = [masks["aoi/f32"]] if name != "torch+faiss/f32" else list(masks.values())
        for mask in compared:
            differing = servers[name].ask(f"compare {mask}")["differing"]
            least_precise = "bf16" if "bf16" in f"{name} {mask.parent.name}" else "f32"
            assert differing <= TOLERANCE[least_precise], f"{name}: {differing:.2%} of the mask differ"
            off.append(f"aoi/{mask.parent.name} and {name} {differing:.4%}")
    seconds = {name: [] for name in servers}
    for _ in range(options.rounds):
        for name, server in servers.items():
            out = folder / "found.npy"
            seconds[name].append(round(min(server.ask(f"mask {out}")["seconds"] for _ in range(3)), 5))
    for server in servers.values():
        server.close()
    shutil.rmtree(folder)
    comparison = {
        "work": "image_to_mask",
        "size": rows,
        "input": f"A picture of 2 x {options.side} x {options.side} in memory to its mask of two classes: the paper's encoder, {rows} labelled patches, k = 30, "
        f"similarity, threshold 0.5, {options.threads} threads; the best of three in every round. {core}; {', '.join(settings)}.",
        "checked": f"share of the mask that differs: {', '.join(off)}.",
        "runs": [{"name": name, "seconds": s} for name, s in seconds.items()],
    }
    show(comparison)
    return [comparison]
