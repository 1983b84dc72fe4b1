"""From a picture to its mask with PyTorch and FAISS: a timm ViT, `IndexFlatIP` over rows of length 1, and a weighted sum of labels.

usage: pipeline_peers.py weights FILE SIDE                     weights of the paper's encoder from one seed
       pipeline_peers.py serve FOLDER WEIGHTS PRECISION SIDE THREADS    `tune`, `mask OUT.npy`, `compare MASK.npy`, one a line

FOLDER holds what `aoi-bench pipeline` writes: `keys.npy`, `labels.npy`, `picture.npy`. Left out, for the peer's good: whether
the answer is exact, and 1 - cos without cancellation.
"""

import json
import sys
from pathlib import Path

import numpy as np

from encoder_peers import MODELS, SEED
from neighbours import Faiss, timed

K = 30
# Keeps the weight of an equal row finite.
NEAREST = 1e-8


def vit(side):
    import torch
    from timm.models.vision_transformer import VisionTransformer

    width, depth, heads, channels, _ = MODELS["paper-512"]
    torch.manual_seed(SEED)
    model = VisionTransformer(
        img_size=side, in_chans=channels, embed_dim=width, depth=depth, num_heads=heads, num_classes=0, global_pool="token"
    ).eval()
    model.forward = model.forward_features
    return model.requires_grad_(False)


def write_weights(path, side):
    import torch
    from safetensors.torch import save_file

    model, generator = vit(side), torch.Generator().manual_seed(SEED)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            parameter.data = 1 + 0.1 * noise
        else:
            parameter.data = noise / parameter[0].numel() ** 0.5 if name.endswith("weight") else 0.1 * noise
    save_file({n: p.contiguous() for n, p in model.state_dict().items()}, path)


class Peer:
    def __init__(self, folder, weights, precision, side, threads):
        import torch
        from safetensors.torch import load_file

        torch.set_num_threads(threads)
        self.torch, self.kind = torch, {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
        model = vit(side)
        model.load_state_dict(load_file(weights))
        self.model = model.to(self.kind)
        keys = np.load(folder / "keys.npy")
        self.search = Faiss(keys / np.linalg.norm(keys, axis=1, keepdims=True), K, threads)
        self.search.build()
        labels = np.load(folder / "labels.npy")
        self.classes, self.patch = labels.shape[1:3]
        self.labels = torch.from_numpy(labels.reshape(len(labels), -1))
        self.picture = torch.from_numpy(np.load(folder / "picture.npy"))[None].to(self.kind)

    def patches(self):
        return (self.picture.shape[2] // self.patch) * (self.picture.shape[3] // self.patch)

    def mask(self):
        torch = self.torch
        with torch.inference_mode():
            tokens = self.model(self.picture)[0, 1:].float()
            queries = torch.nn.functional.normalize(tokens, dim=1).numpy()
            scores, rows = self.search.index.search(queries, K)
            weights = 1 / (1 - torch.from_numpy(scores) + NEAREST)
            weights /= weights.sum(1, keepdim=True)
            mixed = torch.bmm(weights[:, None], self.labels[torch.from_numpy(rows)].float())
            down = self.picture.shape[2] // self.patch
            mixed = mixed.view(down, -1, self.classes, self.patch, self.patch).permute(2, 0, 3, 1, 4)
            return (mixed.reshape(self.classes, down * self.patch, -1) > 0.5).numpy()

    def tune(self):
        best = None
        for setting in self.search.settings(self.patches()):
            self.search.use(setting)
            took = min(timed(self.mask)[0] for _ in range(2))
            best = min(best or (took, setting), (took, setting), key=lambda found: found[0])
        self.search.use(best[1])
        return best[1]


def serve(folder, weights, precision, side, threads):
    peer = Peer(folder, weights, precision, side, threads)
    for line in sys.stdin:
        match line.split():
            case ["tune"]:
                answer = {"setting": peer.tune()}
            case ["mask", out]:
                seconds, mask = timed(peer.mask)
                np.save(out, mask)
                answer = {"seconds": seconds}
            case ["compare", theirs]:
                answer = {"differing": float((peer.mask() != np.load(theirs).astype(bool)).mean())}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["weights", path, side]:
            write_weights(path, int(side))
        case ["serve", folder, weights, precision, side, threads]:
            serve(Path(folder), weights, precision, int(side), int(threads))
        case _:
            raise SystemExit(__doc__)
