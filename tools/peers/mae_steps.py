"""Masked-autoencoder steps in PyTorch, one a request.

usage: mae_steps.py inputs FILE PRESET CHANNELS SIDE BATCH DECODER_WIDTH DECODER_DEPTH DECODER_HEADS
       mae_steps.py torch/eager|torch/compiled|torch/bf16 FILE PRESET ... DECODER_HEADS THREADS

`inputs` writes the weights all start from, by the names of aoi-encoder's table, with images and visible patches. The others answer every line
`step` with seconds, loss and peak memory as JSON. A step is forward, backward, clipping and AdamW (torch's fused one), as in aoi.
"""

import sys

import torch
from safetensors.torch import save_file
from training_steps import PATCH, SIZES, initialise, norm, patches, serve, stack, tensors


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
        self.grid = side // PATCH
        pixels = channels * PATCH * PATCH
        self.patch = torch.nn.Linear(pixels, width)
        self.class_token = torch.nn.Parameter(0.02 * torch.randn(width))
        self.positions = torch.nn.Parameter(0.02 * torch.randn(1 + self.grid**2, width))
        self.block, self.norm = stack(width, depth, heads), norm(width)
        self.embed = torch.nn.Linear(width, inner)
        self.mask_token = torch.nn.Parameter(0.02 * torch.randn(inner))
        self.register_buffer("places", sin_cos(self.grid, inner))
        self.decoder_block, self.decoder_norm = stack(inner, inner_depth, inner_heads), norm(inner)
        self.predict = torch.nn.Linear(inner, pixels)
        initialise(self)

    def forward(self, images, visible):
        b, t, visible = len(images), self.grid**2, visible.long()
        pixels = patches(images)
        pick = lambda x, index: x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))
        x = self.patch(pick(pixels, visible)) + self.positions[1:][visible]
        x = torch.cat([(self.class_token + self.positions[0]).expand(b, 1, -1), x], 1)
        for block in self.block:
            x = block(x)
        x = self.embed(self.norm(x))
        full = self.mask_token.to(x.dtype).expand(b, t, -1).scatter(1, visible[..., None].expand(-1, -1, x.shape[-1]), x[:, 1:])
        x = torch.cat([x[:, :1], full + self.places], 1)
        for block in self.decoder_block:
            x = block(x)
        predicted = self.predict(self.decoder_norm(x[:, 1:]))
        target = (pixels - pixels.mean(-1, keepdim=True)) / (pixels.var(-1, keepdim=True) + 1e-6) ** 0.5
        masked = torch.ones(b, t).scatter(1, visible, 0.0)
        return (((predicted - target) ** 2).mean(-1) * masked).sum() / masked.sum()


def main(work, path, preset, channels, side, batch, *rest):
    channels, side, batch = int(channels), int(side), int(batch)
    torch.manual_seed(1)
    model = Mae(preset, channels, side, tuple(map(int, rest[:3])))
    if work == "inputs":
        generator = torch.Generator().manual_seed(2)
        images = torch.randn(batch, channels, side, side, generator=generator)
        order = torch.rand(batch, model.grid**2, generator=generator).argsort(1)
        visible = order[:, : model.grid**2 // 4].sort(1).values
        save_file(tensors(model, channels) | {"images": images, "visible": visible.float()}, path)
    else:
        serve(work, model, path, rest[3], ["images", "visible"])


if __name__ == "__main__":
    main(*sys.argv[1:])
