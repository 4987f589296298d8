"""An ONNX graph that takes images of any size, made from graphs of fixed sizes.

jax2onnx (0.17 as well) cannot leave height and width open: its `concatenate` compares symbolic
sizes as text, and its `arange` gives a length that JAX cannot compute with. But a network's graphs
for two sizes have the same nodes, and only their constants differ. These are whole numbers, which
are sums of multiples of the image's sides, numbers of pixels, and matrices that interpolate between
aligned end points. All of them are found by comparing graphs. They are replaced by nodes that
compute them from the image's shape.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.models.blocks import aligned_weights

SIDES = ("height", "width")  # the names of the open dimensions, beside "batch"
PREFIX = "size_"  # the names of the nodes that compute with the image's shape begin with it


def open_sizes(make: Callable[[tuple[int, int]], Any], stride: int) -> Any:
    """The graph of `make` for images of any size.

    Args:
        make: a function of (width, height) that makes an ONNX model with one input, [batch,
            height, width, 3].
        stride: the sides must be multiples of this, and at least twice as large.

    Returns:
        An ONNX model.

    Raises:
        UserError: A constant depends on the size in another way.
    """
    from onnx import numpy_helper

    # (width, height) in strides. The last size only checks what the others show.
    sizes = [(2, 3), (4, 3), (2, 5), (5, 4)]
    models = [make((w * stride, h * stride)) for w, h in sizes]
    units = np.array([[h, w, 1] for w, h in sizes], np.float64)
    graph = models[0].graph
    if len({tuple(node.op_type for node in model.graph.node) for model in models}) > 1:
        raise UserError("the network's ONNX graph has other nodes for other sizes")

    tables = [
        {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        for model in models
    ]
    sums = _Sums(graph, stride)
    for nodes in zip(*(model.graph.node for model in models), strict=True):
        for place, names in enumerate(zip(*(node.input for node in nodes), strict=True)):
            if names[0] not in tables[0]:
                continue
            values = [table[name] for table, name in zip(tables, names, strict=True)]
            if all(np.array_equal(values[0], value) for value in values):
                continue
            nodes[0].input[place] = _replace(sums, values, units)
    return _finish(models[0], sums, stride)


def _replace(sums: "_Sums", values: list[np.ndarray], units: np.ndarray) -> str:
    """The name of a node that computes a constant with these values for the sizes of `units`."""
    if values[0].dtype == np.int64 and len({value.shape for value in values}) == 1:
        numbers = np.stack([value.ravel() for value in values])
        return sums.vector(_solve(numbers, units), values[0].ndim)
    if all(value.ndim == 2 and value.dtype == np.float32 for value in values):
        shapes = np.array([value.shape for value in values])
        if all(np.allclose(value, aligned_weights(*value.shape), atol=1e-6) for value in values):
            return sums.interpolation(*_solve(shapes, units))
    areas = units[:, 0] * units[:, 1]
    if values[0].ndim == 0 and np.allclose(values / areas, values[0] / areas[0], rtol=1e-6):
        return sums.area(float(values[0] / areas[0]))
    raise UserError("a constant of the network's ONNX graph depends on the size in a new way")


def _solve(numbers: np.ndarray, units: np.ndarray) -> list[tuple[int, ...]]:
    """For each column of whole numbers, the (a, b, c) of a * h + b * w + c."""
    factors, *_ = np.linalg.lstsq(units, numbers, rcond=None)
    whole = np.asarray(np.round(factors))
    if not np.array_equal(units @ whole, numbers):
        raise UserError("a number in the network's ONNX graph is not a sum of the image's sides")
    return [tuple(int(v) for v in column) for column in whole.T]


class _Sums:
    """Nodes at the start of a graph that compute from the image's shape. Each is made once.

    A `form` (a, b, c) stands for a * h + b * w + c, with h and w in strides.
    """

    def __init__(self, graph: Any, stride: int) -> None:
        self.graph = graph
        self.nodes: list[Any] = []
        self.made: dict[Any, str] = {}
        shape = self._node("Shape", [graph.input[0].name])
        sides = self._node("Slice", [shape, self._constant([1]), self._constant([3])])
        whole = self._node("Div", [sides, self._constant([stride])])
        self.units = self._node("Concat", [whole, self._constant([1])], axis=0)

    def number(self, form: tuple[int, ...]) -> str:
        """An int64 scalar."""
        product = self._node("Mul", [self.units, self._constant(form)])
        return self._node("ReduceSum", [product], keepdims=0)

    def vector(self, forms: list[tuple[int, ...]], ndim: int) -> str:
        """An int64 vector, or a scalar if `ndim` is 0."""
        if ndim == 0:
            return self.number(forms[0])
        one = self._constant([0])
        parts = [self._node("Unsqueeze", [self.number(form), one]) for form in forms]
        return self._node("Concat", parts, axis=0)

    def area(self, factor: float) -> str:
        """A float32 scalar: the factor times h * w."""
        sides = [self._float(self.number(form)) for form in ((1, 0, 0), (0, 1, 0))]
        area = self._node("Mul", sides)
        return self._node("Mul", [area, self._constant(factor, np.float32)])

    def interpolation(self, out: tuple[int, ...], into: tuple[int, ...]) -> str:
        """Float32 [out, in], the same as `aligned_weights`: max(0, 1 - |position - index|)."""
        zero, one = (self._constant(value, np.float32) for value in (0.0, 1.0))
        rows, columns = (self._float(self.number(form)) for form in (out, into))
        across = self._node(
            "Div", [self._node("Sub", [columns, one]), self._node("Sub", [rows, one])]
        )
        index = self._node("Range", [zero, rows, one])
        position = self._node(
            "Unsqueeze", [self._node("Mul", [index, across]), self._constant([1])]
        )
        apart = self._node("Sub", [position, self._node("Range", [zero, columns, one])])
        near = self._node("Sub", [one, self._node("Abs", [apart])])
        return self._node("Max", [near, zero])

    def _float(self, name: str) -> str:
        return self._node("Cast", [name], to=1)  # onnx.TensorProto.FLOAT

    def _constant(self, value: Any, dtype: Any = np.int64) -> str:
        from onnx import numpy_helper

        key = ("constant", np.dtype(dtype).name, str(value))
        if key not in self.made:
            self.made[key] = f"{PREFIX}{len(self.made)}"
            array = np.asarray(value, dtype)
            self.graph.initializer.append(numpy_helper.from_array(array, self.made[key]))
        return self.made[key]

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        key = (kind, *inputs, *attributes.items())
        if key not in self.made:
            self.made[key] = name = f"{PREFIX}{len(self.made)}"
            self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return self.made[key]


def _finish(model: Any, sums: _Sums, stride: int) -> Any:
    """Put the new nodes first, drop what is not used, and name the open dimensions."""
    graph = model.graph
    nodes = [*sums.nodes, *graph.node]
    used = {name for node in nodes for name in node.input}
    constants = [each for each in graph.initializer if each.name in used]
    # The graph's inner shapes are those of one size.
    for field in ("node", "initializer", "value_info"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    for value in (*graph.input, *graph.output):
        for axis, name in enumerate(SIDES, start=1):
            value.type.tensor_type.shape.dim[axis].ClearField("dim_value")
            value.type.tensor_type.shape.dim[axis].dim_param = name
    return model
