"""The comparison of a step of masked-autoencoder pre-training; `mae_steps.py` holds the peers."""

import subprocess

from harness import HERE, WORK, Server, middle, python, show

# Name -> preset, channels, side of the images, decoder (width, depth, heads).
NETWORKS = {"vit-ti": ("vit-ti/16", 3, 224, (192, 2, 3)), "paper": ("paper", 2, 224, (384, 2, 6)), "tiny": ("vit-ti/16", 1, 64, (32, 1, 2))}
PEERS = ["torch/eager", "torch/compiled", "torch/bf16"]
# Seconds that a peer has for its first step, compiling included.
PATIENCE = 150
# Relative; bf16 products carry eight bits.
TOLERANCE = {"aoi/bf16": 3e-2, "torch/eager": 1e-4, "torch/compiled": 1e-4, "torch/bf16": 3e-2}


def arguments(parser):
    parser.add_argument("--networks", nargs="*", default=["vit-ti", "paper"], choices=NETWORKS)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)


def comparisons(options, aoi, bench):
    if options.quick:
        options.networks, options.batch = ["tiny"], 4
    interpreter = python("training", options)
    return [steps(interpreter, bench, name, options) for name in options.networks]


def steps(interpreter, bench, name, options):
    preset, channels, side, decoder = NETWORKS[name]
    inputs = WORK / f"mae-{name}.safetensors"
    peer = [interpreter, HERE / "mae_steps.py"]
    shape = [channels, side, options.batch, *decoder]
    subprocess.run([str(word) for word in [*peer, "inputs", inputs, preset, *shape]], check=True)
    ours = [bench, "mae-steps", inputs, "--preset", preset, "--decoder", *decoder, "--threads", options.threads]
    servers = {"aoi/f32": Server(ours), "aoi/bf16": Server([*ours, "--bf16"])}
    servers |= {p: Server([*peer, p, inputs, preset, *shape, options.threads]) for p in options.peers}
    # The first two steps start from the same weights: the second loss is right only if the first step was. They also warm up.
    losses, left_out = {}, []
    for n in list(servers):
        try:
            losses[n] = [servers[n].ask("step", PATIENCE)["loss"] for _ in range(2)]
        except TimeoutError:
            del servers[n]
            left_out.append(n)
    for other in servers.keys() - {"aoi/f32"}:
        for ours_loss, theirs in zip(losses["aoi/f32"], losses[other]):
            off = abs(ours_loss - theirs) / ours_loss
            assert off <= TOLERANCE[other], f"{other}: loss {theirs}, aoi {ours_loss}"
    assert losses["aoi/f32"][1] < losses["aoi/f32"][0], losses
    runs = {n: {"name": n, "seconds": [], "peak_mib": []} for n in servers}
    for _ in range(options.rounds):
        for n, server in servers.items():
            answer = server.ask("step")
            runs[n]["seconds"].append(round(answer["seconds"], 4))
            runs[n]["peak_mib"].append(round(answer["peak_mib"], 1))
    for server in servers.values():
        server.close()
    inputs.unlink()
    without = f" Left out, as the first step took more than {PATIENCE} s: {', '.join(left_out)}." if left_out else ""
    found = {
        "work": f"mae_step_{name}",
        "size": options.batch,
        "input": f"{preset}, {options.batch} images of {channels} x {side} x {side}, three quarters masked, decoder {decoder}, {options.threads} threads.{without}",
        "checked": "Losses of the first two steps: " + ", ".join(f"{n} {a:.6f} {b:.6f}" for n, (a, b) in losses.items()),
        "runs": list(runs.values()),
    }
    show(found)
    print(f"  {options.batch / middle(runs['aoi/f32']['seconds']):.1f} images a second")
    return found
