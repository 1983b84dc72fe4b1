"""Masked-autoencoder steps in PyTorch, one a request; blocks are timm's, with its fused attention.

usage: mae_steps.py inputs FILE PRESET CHANNELS SIDE BATCH DECODER_WIDTH DECODER_DEPTH DECODER_HEADS
       mae_steps.py torch/eager|torch/compiled|torch/bf16 FILE PRESET ... DECODER_HEADS THREADS

`inputs` writes the weights all start from, by the names of aoi-encoder's table, with images and visible patches. The others answer every line
`step` with seconds, loss and peak memory as JSON. A step is forward, backward, clipping and AdamW (torch's fused one), as in aoi.
"""

import functools
import json
import resource
import sys
import time

import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import Block

SIZES = {"vit-ti/16": (192, 12, 3), "paper": (384, 6, 6)}
PATCH, RATE = 16, 1e-4


def sin_cos(side, width):
    frequency = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    parts = []
    for place in (columns.flatten(), rows.flatten()):
        angles = place[:, None] * frequency
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, 1).float()


class Mae(torch.nn.Module):
    def __init__(self, preset, channels, side, decoder):
        super().__init__()
        width, depth, heads = SIZES[preset]
        inner, inner_depth, inner_heads = decoder
        self.channels, self.grid = channels, side // PATCH
        pixels = channels * PATCH * PATCH
        norm = functools.partial(torch.nn.LayerNorm, eps=1e-6)
        stack = lambda d, n, h: torch.nn.ModuleList([Block(d, h, qkv_bias=True, norm_layer=norm) for _ in range(n)])
        self.patch = torch.nn.Linear(pixels, width)
        self.class_token = torch.nn.Parameter(0.02 * torch.randn(width))
        self.positions = torch.nn.Parameter(0.02 * torch.randn(1 + self.grid**2, width))
        self.block, self.norm = stack(width, depth, heads), norm(width)
        self.embed = torch.nn.Linear(width, inner)
        self.mask_token = torch.nn.Parameter(0.02 * torch.randn(inner))
        self.register_buffer("places", sin_cos(self.grid, inner))
        self.decoder_block, self.decoder_norm = stack(inner, inner_depth, inner_heads), norm(inner)
        self.predict = torch.nn.Linear(inner, pixels)
        for module in self.modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.xavier_uniform_(module.weight)
                torch.nn.init.zeros_(module.bias)

    def forward(self, images, visible):
        b, g = len(images), self.grid
        pixels = images.reshape(b, self.channels, g, PATCH, g, PATCH).permute(0, 2, 4, 1, 3, 5).reshape(b, g * g, -1)
        pick = lambda x, index: x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))
        x = self.patch(pick(pixels, visible)) + self.positions[1:][visible]
        x = torch.cat([(self.class_token + self.positions[0]).expand(b, 1, -1), x], 1)
        for block in self.block:
            x = block(x)
        x = self.embed(self.norm(x))
        full = self.mask_token.to(x.dtype).expand(b, g * g, -1).scatter(1, visible[..., None].expand(-1, -1, x.shape[-1]), x[:, 1:])
        x = torch.cat([x[:, :1], full + self.places], 1)
        for block in self.decoder_block:
            x = block(x)
        predicted = self.predict(self.decoder_norm(x[:, 1:]))
        target = (pixels - pixels.mean(-1, keepdim=True)) / (pixels.var(-1, keepdim=True) + 1e-6) ** 0.5
        masked = torch.ones(b, g * g).scatter(1, visible, 0.0)
        return (((predicted - target) ** 2).mean(-1) * masked).sum() / masked.sum()


def name(own):
    """A parameter's name here -> in aoi-encoder's table."""
    for here, there in [("decoder_block", "decoder.block"), ("decoder_norm", "decoder.norm"), ("predict", "decoder.predict"), ("embed", "decoder.embed"),
                        (".attn.", ".attention."), (".proj.", ".out."), ("mlp.fc1", "mlp.in"), ("mlp.fc2", "mlp.out")]:
        own = own.replace(here, there)
    return own


def main(work, path, preset, channels, side, batch, *rest):
    channels, side, batch = int(channels), int(side), int(batch)
    decoder = tuple(map(int, rest[:3]))
    torch.manual_seed(1)
    model = Mae(preset, channels, side, decoder)
    if work == "inputs":
        generator = torch.Generator().manual_seed(2)
        images = torch.randn(batch, channels, side, side, generator=generator)
        order = torch.rand(batch, model.grid**2, generator=generator).argsort(1)
        visible = order[:, : model.grid**2 // 4].sort(1).values
        tensors = {name(n): p.detach() for n, p in model.named_parameters()}
        tensors["patch.weight"] = tensors["patch.weight"].reshape(-1, channels, PATCH, PATCH)
        save_file({n: t.contiguous() for n, t in tensors.items()} | {"images": images, "visible": visible.float()}, path)
        return
    torch.set_num_threads(int(rest[3]))
    inputs = load_file(path)
    with torch.no_grad():
        for n, p in model.named_parameters():
            p.copy_(inputs[name(n)].reshape(p.shape))
    matrices = [p for p in model.parameters() if p.dim() == 2 and p is not model.positions]
    others = [p for p in model.parameters() if p.dim() != 2 or p is model.positions]
    groups = [dict(params=matrices, weight_decay=0.05), dict(params=others, weight_decay=0.0)]
    optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95), fused=True)
    forward = torch.compile(model) if work == "torch/compiled" else model
    images, visible = inputs["images"], inputs["visible"].long()
    for line in sys.stdin:
        assert line == "step\n", line
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=work == "torch/bf16"):
            loss = forward(images, visible)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "loss": loss.item(), "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
