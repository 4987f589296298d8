"""Whether two prepared folders hold the same data, without reading all of it."""

import hashlib
import json

import numpy as np

from radepth_jax.data import schema
from radepth_jax.data.dataset import Dataset

_READ_WHOLE = 2**26  # bytes of a split
_SPREAD = 128  # records of a larger one


def fingerprint(dataset: Dataset) -> bytes:
    """32 bytes that differ where the frames, cameras, depth maps or splits do.

    Of a split of 64 MiB or more, 128 records are read that are spread over all of it, and the size
    of all records together is taken. Where the data was prepared from, and how many files hold it,
    does not matter.

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
