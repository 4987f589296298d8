"""Counts the kernels of plain PyTorch's training step, and the bytes that they move.

    python experiments/torch_cost.py --resolution 640x192 --batch 12    # extra: torch

This is accelerator.py's counterpart for torch_ra_depth.py. Tensors have shapes but no values
(PyTorch's `FakeTensorMode`), so no device is needed and nothing is computed. Every operation that
makes or changes a tensor counts as one kernel, though some are several kernels on a GPU. It moves
its inputs and its results. Adam is the fused one, in which one kernel moves a list of tensors.
"""

import argparse
from collections import Counter

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch_ra_depth import RADepth, training_step

from radepth_jax.runs.config import parse_resolution


class Count(TorchDispatchMode):
    """Counts while it is entered.

    Attributes:
        kernels: the number of kernels, by the operation's name.
        moved: the bytes that they move, likewise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Run an operation, and count it unless it only makes a view."""
        result = operation(*args, **(kwargs or {}))
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        made = [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        name = str(operation)
        if name.startswith("aten.") and not operation.is_view and "empty" not in name and made:
            self.kernels[name] += 1
            self.moved[name] += sum(x.numel() * x.element_size() for x in (*given, *made))
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolution", default="640x192")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--bfloat16", action="store_true", help="autocast of the networks")
    options = parser.parse_args()
    width, height = parse_resolution("--resolution", options.resolution)
    batch = options.batch
    with FakeTensorMode():
        model = RADepth(bfloat16=options.bfloat16)
        optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
        views = {
            name: {
                "images": torch.empty(batch, 3, 3, height, width),
                "intrinsics": torch.empty(batch, 3, 3),
                "size": torch.empty(batch, 2, dtype=torch.int64),
                "offset": torch.empty(batch, 2),
            }
            for name in ("high", "middle", "low")
        }
        model.train()
        training_step(model, optimizer, views, views["middle"]["images"][:, 0])  # Adam's state
        with Count() as count:
            training_step(model, optimizer, views, views["middle"]["images"][:, 0])
    print(f"kernels   {sum(count.kernels.values())}")
    print(f"gigabytes {sum(count.moved.values()) / 1e9:.1f}")
    for name, moved in count.moved.most_common(20):
        print(f"{name:50} {count.kernels[name]:6} {moved / 1e9:8.2f} GB")


if __name__ == "__main__":
    main()
