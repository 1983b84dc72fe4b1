"""Forward passes of vision transformers in ONNX Runtime, OpenVINO and PyTorch.

usage: encoder_peers.py prepare FOLDER MODEL BATCH...    weights, images, graphs and the f64 answer, from one seed
       encoder_peers.py check FOLDER MODEL BATCH TOKENS   largest difference to the f64 answer over its largest entry
       encoder_peers.py serve FOLDER ENGINE THREADS       reads requests `SETTING MODEL BATCH RUNS OUT`, one a line

A request runs the model RUNS times and answers {"seconds": [...]}; with OUT other than `-` the tokens [b, 1 + t, d] of the last run go to
that .npy file. All peers do what `aoi` does: images in, every token after the final norm out. A graph is made once for each batch, the
most that an engine can know beforehand; loading and the first run are not timed.
"""

import json
import math
import sys
import time
from pathlib import Path

import numpy as np

SEED = 20261122
# width, depth, heads, channels, side
MODELS = {
    "vit-ti-16-224": (192, 12, 3, 3, 224),
    "vit-s-16-224": (384, 12, 6, 3, 224),
    "vit-b-16-224": (768, 12, 12, 3, 224),
    "paper-512": (384, 6, 6, 2, 512),
}


def timm_model(model, folder=None):
    """The model with the weights of `folder`, or with new ones."""
    import torch
    from safetensors.torch import load_file
    from timm.models.vision_transformer import VisionTransformer

    width, depth, heads, channels, side = MODELS[model]
    torch.manual_seed(SEED)
    vit = VisionTransformer(
        img_size=side, in_chans=channels, embed_dim=width, depth=depth, num_heads=heads, num_classes=0, global_pool="token"
    ).eval()
    if folder is not None:
        vit.load_state_dict(load_file(folder / model / "weights.safetensors"))
    # The forward pass without the head: every token after the final norm.
    vit.forward = vit.forward_features
    return vit.requires_grad_(False)


def prepare(folder, model, batches):
    import torch
    from safetensors.torch import save_file

    target = folder / model
    target.mkdir(parents=True, exist_ok=True)
    vit = timm_model(model)
    generator = torch.Generator().manual_seed(SEED)
    # Away from zero and large enough that attention is not uniform, as in trained weights.
    for name, parameter in vit.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        kind = name.rsplit(".", 1)[-1]
        if "norm" in name and kind == "weight":
            parameter.data = 1 + 0.1 * noise
        elif kind == "weight":
            parameter.data = noise / math.sqrt(parameter[0].numel())
        else:
            parameter.data = 0.1 * noise
    save_file({n: p.contiguous() for n, p in vit.state_dict().items()}, target / "weights.safetensors")
    channels, side = MODELS[model][3:]
    images = torch.randn(max(batches), channels, side, side, generator=generator)
    for batch in batches:
        np.save(target / f"images-{batch}.npy", images[:batch].numpy())
        torch.onnx.export(
            vit, (images[:batch],), target / f"{batch}.onnx", input_names=["images"], output_names=["tokens"], dynamo=False, opset_version=17
        )
    np.save(target / "answer.npy", vit.double()(images.double()).numpy())


def openvino(folder, setting, model, batch, threads):
    import openvino as ov

    precision, source = setting.split("/")
    if source == "torch":
        import torch

        graph = ov.convert_model(timm_model(model, folder), example_input=torch.zeros(images(folder, model, batch).shape))
        graph.reshape(images(folder, model, batch).shape)
    else:
        graph = ov.Core().read_model(folder / model / f"{batch}.onnx")
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(graph, "CPU", {} if source == "default" else options)
    request = compiled.create_infer_request()
    tensor = ov.Tensor(images(folder, model, batch))

    def run():
        request.infer([tensor], share_inputs=True, share_outputs=True)
        return request.get_output_tensor(0).data

    return run


def onnxruntime(folder, setting, model, batch, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    path = folder / model / f"{batch}.onnx"
    if setting == "f32/fused":
        from onnxruntime.transformers.optimizer import optimize_model

        width, _, heads, _, _ = MODELS[model]
        fused = path.with_suffix(".fused.onnx")
        optimize_model(str(path), model_type="vit", num_heads=heads, hidden_size=width).save_model_to_file(str(fused))
        path = fused
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = {"images": images(folder, model, batch)}
    return lambda: session.run(None, inputs)[0]


def torch(folder, setting, model, batch, threads):
    import torch

    torch.set_num_threads(threads)
    precision, how = setting.split("/")
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
    vit = timm_model(model, folder).to(kind)
    if how == "compiled":
        import torch._inductor.config as inductor

        inductor.freezing = True
        vit = torch.compile(vit)
    pixels = torch.from_numpy(images(folder, model, batch)).to(kind)

    def run():
        with torch.inference_mode() if how == "eager" else torch.no_grad():
            return vit(pixels).float().numpy()

    return run


def images(folder, model, batch):
    return np.load(folder / model / f"images-{batch}.npy")


ENGINES = {"openvino": openvino, "onnxruntime": onnxruntime, "torch": torch}


def serve(folder, engine, threads):
    ready = {}
    for line in sys.stdin:
        setting, model, batch, runs, out = line.split()
        key = (setting, model, batch)
        if key not in ready:
            ready = {k: v for k, v in ready.items() if k[1:] == key[1:]}
            ready[key] = ENGINES[engine](folder, setting, model, int(batch), threads)
            ready[key]()
        seconds = []
        for _ in range(int(runs)):
            start = time.perf_counter()
            tokens = ready[key]()
            seconds.append(time.perf_counter() - start)
        if out != "-":
            np.save(out, tokens)
        print(json.dumps({"seconds": seconds}), flush=True)


def check(folder, model, batch, tokens):
    """`tokens` is a .npy file, or the bare numbers of one."""
    answer = np.load(folder / model / "answer.npy")[:batch]
    with open(tokens, "rb") as file:
        bare = file.read(6) != b"\x93NUMPY"
    found = np.fromfile(tokens, "<f4").reshape(answer.shape) if bare else np.load(tokens)
    assert found.shape == answer.shape, f"{found.shape} and {answer.shape}"
    off = float(np.abs(found - answer).max() / np.abs(answer).max())
    print(off if math.isfinite(off) else math.inf)


def main():
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "prepare":
        prepare(folder, sys.argv[3], [int(batch) for batch in sys.argv[4:]])
    elif what == "check":
        check(folder, sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        serve(folder, sys.argv[3], int(sys.argv[4]))


if __name__ == "__main__":
    main()
