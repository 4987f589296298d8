"""Whether two prepared folders hold the same data, without reading all of it."""

import hashlib
import json

import numpy as np

from radepth_jax.data import schema
from radepth_jax.data.dataset import Dataset

_READ_WHOLE = 2**26  # bytes; a split that has fewer is read as a whole
_SPREAD = 128  # how many records of a larger split are read


def fingerprint(dataset: Dataset) -> bytes:
    """32 bytes that differ if the frames, cameras, depth maps or splits differ.

    A split of less than 64 MiB is read as a whole. Of a larger one, 128 records are read, which are
    spread over all of it, and the size of all its records is added. It does not matter what the
    data was prepared from, or how many files hold it.

    Raises:
        UserError: a record cannot be read.
    """
    metadata = dataset.metadata.to_json()
    del metadata["prepared_from"]
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    lengths = dataset.splits | {schema.FRAMES: len(dataset.metadata.index)}
    for split, length in sorted(lengths.items()):
        if not length:
            continue
        size = dataset.size(split)
        whole = 0 < size < _READ_WHOLE or length <= _SPREAD
        positions = np.linspace(0, length - 1, length if whole else _SPREAD).round().astype(int)
        digest.update(f"{split} {length} {size}".encode())
        for position in positions.tolist():
            record = dataset.record(split, position)
            for name in ("image", "depth"):
                digest.update(hashlib.sha256(record[name]).digest())
            for name in ("intrinsics", "world_T_camera"):
                digest.update(np.asarray(record[name], np.float64).tobytes())
    return digest.digest()
