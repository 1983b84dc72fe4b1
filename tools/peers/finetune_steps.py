"""Fine-tuning steps in PyTorch, one a request: every weight of a vision transformer and a linear head, cross-entropy of every pixel and class.

usage: finetune_steps.py inputs FILE PRESET CHANNELS SIDE BATCH CLASSES
       finetune_steps.py torch/eager|torch/compiled|torch/bf16 FILE PRESET ... CLASSES THREADS

As `mae_steps.py`, with the truth of every pixel instead of visible patches.
"""

import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from training_steps import PATCH, SIZES, initialise, norm, patches, serve, stack, tensors


class Segmenter(torch.nn.Module):
    def __init__(self, preset, channels, side, classes):
        super().__init__()
        width, depth, heads = SIZES[preset]
        self.grid = side // PATCH
        self.patch = torch.nn.Linear(channels * PATCH * PATCH, width)
        self.class_token = torch.nn.Parameter(0.02 * torch.randn(width))
        self.positions = torch.nn.Parameter(0.02 * torch.randn(1 + self.grid**2, width))
        self.block, self.norm = stack(width, depth, heads), norm(width)
        self.head = torch.nn.Linear(width, classes)
        initialise(self)

    def forward(self, images, truth):
        b, g = len(images), self.grid
        x = self.patch(patches(images)) + self.positions[1:]
        x = torch.cat([(self.class_token + self.positions[0]).expand(b, 1, -1), x], 1)
        for block in self.block:
            x = block(x)
        small = self.head(self.norm(x[:, 1:])).transpose(1, 2).unflatten(-1, (g, g))
        logits = F.interpolate(small.float(), scale_factor=PATCH, mode="bilinear", align_corners=False)
        return F.binary_cross_entropy_with_logits(logits, truth.permute(0, 3, 1, 2))


def main(work, path, preset, channels, side, batch, classes, *threads):
    channels, side, batch, classes = int(channels), int(side), int(batch), int(classes)
    torch.manual_seed(1)
    model = Segmenter(preset, channels, side, classes)
    if work == "inputs":
        generator = torch.Generator().manual_seed(2)
        images = torch.randn(batch, channels, side, side, generator=generator)
        # Where the first channel, blurred, is bright: something that can be learned.
        blurred = F.avg_pool2d(images[:, :1], 9, 1, 4)[:, 0]
        truth = torch.stack([blurred > 0.05 * c for c in range(classes)], -1).float()
        save_file(tensors(model, channels) | {"images": images, "truth": truth}, path)
    else:
        serve(work, model, path, *threads, ["images", "truth"])


if __name__ == "__main__":
    main(*sys.argv[1:])
