"""What peers of training steps share: sizes, blocks (timm's, with its fused attention), names of tensors, and the loop that answers requests."""

import functools
import json
import resource
import sys
import time

import torch
from safetensors.torch import load_file
from timm.models.vision_transformer import Block

SIZES = {"vit-ti/16": (192, 12, 3), "vit-s/16": (384, 12, 6), "paper": (384, 6, 6)}
PATCH, RATE = 16, 1e-4

norm = functools.partial(torch.nn.LayerNorm, eps=1e-6)


def stack(width, depth, heads):
    return torch.nn.ModuleList([Block(width, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)])


def initialise(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(module.weight)
            torch.nn.init.zeros_(module.bias)


def patches(images):
    """Images [b, c, h, w] -> pixels of their patches [b, t, c p p]."""
    b, c, height, width = images.shape
    return images.reshape(b, c, height // PATCH, PATCH, width // PATCH, PATCH).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def name(own):
    """A parameter's name here -> in aoi-encoder's table."""
    for here, there in [("decoder_block", "decoder.block"), ("decoder_norm", "decoder.norm"), ("predict", "decoder.predict"), ("embed", "decoder.embed"),
                        (".attn.", ".attention."), (".proj.", ".out."), ("mlp.fc1", "mlp.in"), ("mlp.fc2", "mlp.out")]:
        own = own.replace(here, there)
    return own


def tensors(model, channels):
    """The parameters as aoi-encoder's table names and shapes them."""
    found = {name(n): p.detach().contiguous() for n, p in model.named_parameters()}
    found["patch.weight"] = found["patch.weight"].reshape(-1, channels, PATCH, PATCH)
    return found


def serve(work, model, path, threads, batch):
    """Answers every line `step` with seconds, loss and peak memory; `batch` names the tensors that the model is given."""
    torch.set_num_threads(int(threads))
    inputs = load_file(path)
    with torch.no_grad():
        for n, p in model.named_parameters():
            p.copy_(inputs[name(n)].reshape(p.shape))
    matrices = [p for p in model.parameters() if p.dim() == 2 and p is not model.positions]
    others = [p for p in model.parameters() if p.dim() != 2 or p is model.positions]
    groups = [dict(params=matrices, weight_decay=0.05), dict(params=others, weight_decay=0.0)]
    optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95), fused=True)
    forward = torch.compile(model) if work == "torch/compiled" else model
    given = [inputs[n] for n in batch]
    for line in sys.stdin:
        assert line == "step\n", line
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=work == "torch/bf16"):
            loss = forward(*given)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "loss": loss.item(), "peak_mib": peak}), flush=True)
