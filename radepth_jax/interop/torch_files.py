"""A folder with a PyTorch checkpoint: four files, `.pth` or `.safetensors`.

What training frameworks put around a state dict is taken off. Only `.pth` needs PyTorch (the extra
`torch`). It is opened with `weights_only=True`, which runs no code from the file.
"""

import contextlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from radepth_jax.errors import UserError, writing_to
from radepth_jax.files import atomic_write
from radepth_jax.interop.torch_keys import PARTS, PLAIN

FORMATS = {"torch": ".pth", "safetensors": ".safetensors"}
INSTALL = "pip install 'radepth-jax[torch]'"

Part = dict[str, Any]

# The names under which state dicts are saved beside other things, the likeliest first.
_WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module"),
    *("weights", "params", "ema"),
)


def read_folder(folder: str | Path) -> dict[str, Part]:
    """Read every part that the folder has a file for.

    If a part has both files, the safetensors one is read.

    Args:
        folder: has `encoder`, `depth` and usually `pose_encoder` and `pose`, as `.safetensors`
            or `.pth`.

    Returns:
        For each part, the values by key. A value is a NumPy array in PyTorch's layout and type, or
        the plain value of an entry that is not a tensor (`height`, `width`, `use_stereo`).

    Raises:
        UserError: The folder has none of the parts, or a file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected one with encoder.pth and depth.pth")
    parts = {}
    for part in PARTS:
        for suffix, read in ((".safetensors", _read_safetensors), (".pth", _read_pickle)):
            path = folder / f"{part}{suffix}"
            if path.is_file():
                parts[part] = read(path)
                break
    if not parts:
        raise UserError(
            f"{folder}: expected encoder.pth, depth.pth, pose_encoder.pth and pose.pth, or "
            ".safetensors of these names; found none of them"
        )
    return parts


def write_folder(parts: Mapping[str, Part], folder: str | Path, format: str) -> list[Path]:
    """Write each part to a file of its own.

    Args:
        parts: what `read_folder` returns. In safetensors, plain values are strings in the metadata.
        folder: is made if it is not there. It must hold no file of the same name yet.
        format: "torch" or "safetensors".

    Returns:
        The files.

    Raises:
        UserError: A file exists already or cannot be written, or PyTorch is needed and missing.
    """
    torch = _import_torch("writing .pth files") if format == "torch" else None
    paths = {part: Path(folder) / f"{part}{FORMATS[format]}" for part in parts}
    for path in paths.values():
        if path.exists():
            raise UserError(f"{path}: already exists; name another folder")
    with writing_to(folder), contextlib.ExitStack() as all_or_none:
        for part, path in paths.items():
            target = all_or_none.enter_context(atomic_write(path))
            plain = {k: v for k, v in parts[part].items() if not isinstance(v, np.ndarray)}
            arrays = {k: v for k, v in parts[part].items() if isinstance(v, np.ndarray)}
            if torch:
                tensors = {key: torch.tensor(value) for key, value in arrays.items()}
                content = io.BytesIO()  # PyTorch's own writer would not report a full disk
                torch.save(tensors | plain, content)
                target.write_bytes(content.getbuffer())
            else:
                metadata = {key: str(value) for key, value in plain.items()}
                safetensors.numpy.save_file(arrays, target, metadata=metadata)
    return list(paths.values())


def _read_safetensors(path: Path) -> Part:
    try:
        values: Part = dict(safetensors.numpy.load_file(path))
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a readable safetensors file ({error})") from error
    for key in ("height", "width"):
        if metadata.get(key, "").isdigit():
            values[key] = int(metadata[key])
    if "use_stereo" in metadata:
        values["use_stereo"] = metadata["use_stereo"] == "True"
    return values


def _read_pickle(path: Path) -> Part:
    torch = _import_torch(f"{path}: reading it", f", or give {path.with_suffix('.safetensors')}")
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch has no error class for this
        # The message is not shown, because it would tell how to run the code in the file.
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            raise UserError(
                f"{path}: refused, because it holds more than weights ({wanted[1]}) and could run "
                "any code; expected a state dict of tensors and numbers"
            ) from error
        reason = str(error).splitlines()[0] if isinstance(error, RuntimeError | OSError) else ""
        raise UserError(
            f"{path}: not a readable PyTorch file ({reason or type(error).__name__})"
        ) from error
    return {key: _plain(torch, path, key, v) for key, v in _unwrapped(path, values).items()}


def _unwrapped(path: Path, values: Any) -> Part:
    """The state dict in what a training framework saved: `{"state_dict": ..., "epoch": ...}`."""
    if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{path}: expected a PyTorch state dict, got {type(values).__name__}")
    for name in _WRAPPERS:
        inner = values.get(name)
        if isinstance(inner, Mapping) and inner:
            beside = {key: values[key] for key in PLAIN if key in values}
            return beside | _unwrapped(path, inner)
    return dict(values)


def _plain(torch: Any, path: Path, key: str, value: Any) -> Any:
    """A tensor as a NumPy array, and anything else as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    try:
        value = value.detach()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    except (TypeError, RuntimeError) as error:
        raise UserError(
            f"{path}: {key} is a tensor of layout {value.layout} and type {value.dtype}; "
            "expected a dense one of numbers"
        ) from error


def _import_torch(purpose: str, otherwise: str = "") -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise UserError(f"{purpose} needs PyTorch: {INSTALL}{otherwise}") from error
    return torch
