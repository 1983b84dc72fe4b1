"""Bank and queries from the patch features of `aoi encoder embed`.

usage: split_features.py FEATURES.safetensors FOLDER TOKENS QUERIES

Every eighth image's patches are kept out of the bank; QUERIES of them, spread evenly, are the queries. Rows get length 1.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

features, folder, tokens, queries = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
patches = load_file(features)["patches"]
rows = patches.reshape(-1, patches.shape[-1])
assert len(rows) % tokens == 0, f"{len(rows)} rows are not images of {tokens} patches"
images = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).reshape(-1, tokens, rows.shape[1])
apart = np.arange(len(images)) % 8 == 7
asked = images[apart].reshape(-1, rows.shape[1])
assert len(asked) >= queries, f"{len(asked)} patches for {queries} queries"
np.save(folder / "bank.npy", images[~apart].reshape(-1, rows.shape[1]))
np.save(folder / "queries.npy", asked[np.linspace(0, len(asked) - 1, queries).astype(int)])
