"""The comparison of training steps; `mae_steps.py` and `finetune_steps.py` hold the peers."""

import subprocess
from dataclasses import dataclass

from harness import HERE, WORK, Server, middle, python, show


@dataclass
class Network:
    preset: str
    channels: int
    side: int
    batch: int
    # Width, depth and heads of the decoder that pre-training has; classes of fine-tuning.
    decoder: tuple = ()
    classes: int = 0

    @property
    def work(self):
        return "mae" if self.decoder else "finetune"

    @property
    def described(self):
        task = f"three quarters masked, decoder {self.decoder}" if self.decoder else f"linear head of {self.classes} classes, all weights"
        return f"{self.preset}, {self.batch} images of {self.channels} x {self.side} x {self.side}, {task}"


NETWORKS = {
    "vit-ti": Network("vit-ti/16", 3, 224, 32, decoder=(192, 2, 3)),
    "paper": Network("paper", 2, 224, 32, decoder=(384, 2, 6)),
    "vit-s": Network("vit-s/16", 3, 224, 16, classes=4),
}
TINY = {"tiny": Network("vit-ti/16", 1, 64, 4, decoder=(32, 1, 2)), "tiny-head": Network("vit-ti/16", 1, 64, 4, classes=2)}
PEERS = ["torch/eager", "torch/compiled", "torch/bf16"]
# Seconds that a peer has for its first step, compiling included.
PATIENCE = 150
# Relative; bf16 products carry eight bits.
TOLERANCE = {"aoi/bf16": 3e-2, "torch/eager": 1e-4, "torch/compiled": 1e-4, "torch/bf16": 3e-2}


def arguments(parser):
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)


def comparisons(options, aoi, bench):
    interpreter = python("training", options)
    networks = TINY if options.quick else {name: NETWORKS[name] for name in options.networks}
    return [steps(interpreter, bench, name, network, options) for name, network in networks.items()]


def steps(interpreter, bench, name, network, options):
    work, inputs = network.work, WORK / f"training-{name}.safetensors"
    peer = [interpreter, HERE / f"{work}_steps.py"]
    sizes = [network.preset, network.channels, network.side, network.batch, *(network.decoder or [network.classes])]
    subprocess.run([str(word) for word in [*peer, "inputs", inputs, *sizes]], check=True)
    ours = [bench, f"{work}-steps", inputs, "--preset", network.preset, "--threads", options.threads]
    if network.decoder:
        ours += ["--decoder", *network.decoder]
    servers = {"aoi/f32": Server(ours), "aoi/bf16": Server([*ours, "--bf16"])}
    servers |= {p: Server([*peer, p, inputs, *sizes, options.threads]) for p in options.peers}
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
    before, after = losses["aoi/f32"]
    assert abs(after - before) > 1e-3 * before, f"a step changes nothing that could be compared: {losses}"
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
        "work": f"{work}_step_{name}",
        "size": network.batch,
        "input": f"{network.described}, {options.threads} threads.{without}",
        "checked": "Losses of the first two steps: " + ", ".join(f"{n} {a:.6f} {b:.6f}" for n, (a, b) in losses.items()),
        "runs": list(runs.values()),
    }
    show(found)
    print(f"  {network.batch / middle(runs['aoi/f32']['seconds']):.1f} images a second")
    return found
