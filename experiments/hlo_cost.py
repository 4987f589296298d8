"""A model of the time that a compiled program would take on a GPU or a TPU, from its text.

A GPU's kernel takes the longest of three times: that of its bytes at 80 % of the memory's
bandwidth, that of its operations at 40 % of the peak of matrix products, and 2 microseconds for its
launch. A TPU's operation takes the cycles that the compiler wrote beside it (a loop's body counts
once).
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

LAUNCH, OF_BANDWIDTH, OF_PEAK = 2e-6, 0.8, 0.4

_BYTES = {"f64": 8, "s64": 8, "u64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2}
_BYTES |= {"s16": 2, "u16": 2, "s8": 1, "u8": 1, "pred": 1}
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{")
_INSTRUCTION = re.compile(r"(?:ROOT )?%([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")
_FREE = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast", "after-all"}
_FREE |= {"partition-id", "replica-id"}


@dataclass(frozen=True)
class Kernel:
    """One operation that a program starts.

    Attributes:
        kind: "convolution", "product", or the HLO operation.
        room: the part of the program that it belongs to, such as "encoder/stage1".
        type: its result's type.
        times: how often it runs.
        bytes: how many bytes it reads and writes in one run.
        operations: its operations in one run. Only convolutions have them.
        bf16: whether it computes in bfloat16.
        name: the operation in the source.
    """

    kind: str
    room: str
    type: str
    times: int
    bytes: int
    operations: int
    bf16: bool
    name: str

    def seconds(self, bandwidth: float, tf32: float, bf16: float) -> float:
        """The seconds of all its runs on a GPU with these rates."""
        peak = OF_PEAK * (bf16 if self.bf16 else tf32)
        moved = self.bytes / (OF_BANDWIDTH * bandwidth)
        return self.times * max(moved, self.operations / peak, LAUNCH)


def kernels(text: str) -> list[Kernel]:
    """The kernels of a GPU's program, from the text of `compiled.as_text()`."""
    computations: dict[str, list[str]] = {}
    entry = name = ""
    for line in text.splitlines():
        if match := _COMPUTATION.match(line):
            name = match[2]
            computations[name] = []
            entry = name if match[1] else entry
        elif name and line.startswith("  "):
            computations[name].append(line.strip())
    return list(_run(computations, entry, 1))


def _run(computations: dict[str, list[str]], name: str, times: int) -> Iterator[Kernel]:
    types: dict[str, str] = {}
    for line in computations[name]:
        match = _INSTRUCTION.match(line)
        if not match:
            continue
        result, type_, operation, rest = match.groups()
        if operation == "custom-call":  # a library's workspace is not what the kernel moves
            type_ = re.sub(r", [su]8\[\d+\]\{[^}]*\}\)$", ")", type_)
        types[result] = type_
        if operation in _FREE:
            continue
        if operation == "while":
            count = re.search(r'"known_trip_count":\{"n":"(\d+)"', rest)
            body = re.search(r"body=%([\w.\-]+)", rest)
            yield from _run(computations, body[1], times * int(count[1] if count else 1))
        elif operation in ("call", "async-start"):
            called = re.search(r"(?:to_apply|calls)=%([\w.\-]+)", rest)
            yield from _run(computations, called[1], times)
        elif operation == "conditional":
            branches = re.search(r"branch_computations=\{([^}]*)\}", rest)
            yield from _run(computations, re.findall(r"%([\w.\-]+)", branches[1])[-1], times)
        elif operation not in ("async-done", "async-update"):
            names = re.findall(r"%([\w.\-]+)", rest.split("), ")[0])
            arguments = [types.get(name, "") for name in names]
            called = re.search(r"calls=%([\w.\-]+)", rest) if operation == "fusion" else None
            read = sum(
                _read(computations[called[1]], arguments) if called else map(_size, arguments)
            )
            yield _kernel(operation, type_, arguments, rest, times, read)


def _read(fused: list[str], arguments: list[str]) -> Iterator[int]:
    """The bytes that a fusion reads of each argument. If it takes only slices, these count."""
    matches = [match for line in fused if (match := _INSTRUCTION.match(line))]
    for index, argument in enumerate(arguments):
        given = next(m[1] for m in matches if m[3] == "parameter" and m[4].startswith(f"{index})"))
        uses = [m for m in matches if re.search(rf"%{re.escape(given)}[,)]", m[4])]
        sliced = all(m[3] == "slice" for m in uses)
        whole = _size(argument)
        yield min(whole, sum(_size(m[2]) for m in uses)) if uses and sliced else whole


def _kernel(
    operation: str, type_: str, arguments: list[str], rest: str, times: int, read: int
) -> Kernel:
    target = re.search(r'custom_call_target="([^"]*)"', rest)
    kind = (target[1] if target else operation).lower()
    kind = "convolution" if "conv" in kind and target else "product" if "gemm" in kind else kind
    source = re.search(r'op_name="([^"]*)"', rest)
    name = source[1] if source else "?"
    return Kernel(
        kind=kind,
        room=_room(name),
        type=type_,
        times=times,
        bytes=_size(type_) + read,
        operations=_operations(target[1], type_, arguments, rest) if kind == "convolution" else 0,
        bf16=any("bf16" in text for text in (type_, *arguments)),
        name=name,
    )


def _shapes(type_: str) -> list[tuple[int, ...]]:
    return [
        tuple(int(n) for n in numbers.split(",") if n)
        for kind, numbers in _SHAPE.findall(type_)
        if kind in _BYTES
    ]


def _size(type_: str) -> int:
    return sum(
        _BYTES[kind] * math.prod(int(n) for n in numbers.split(",") if n)
        for kind, numbers in _SHAPE.findall(type_)
        if kind in _BYTES
    )


def _operations(target: str, type_: str, arguments: list[str], rest: str) -> int:
    """The operations: two for each multiplication. Channels are last."""
    given = [shapes[0] for shapes in map(_shapes, arguments) if shapes]
    if len(given) < 2:
        return 0
    window = re.search(r"size=(\d+)x(\d+)", rest)
    taps = int(window[1]) * int(window[2]) if window else 1
    if "BackwardFilter" in target:  # (input, gradient) -> kernel
        return 2 * math.prod(given[1]) * taps * given[0][-1]
    result = _shapes(type_)[0]  # (input, kernel) -> output; of its gradient likewise
    return 2 * math.prod(result) // result[-1] * math.prod(given[1])


def _room(name: str) -> str:
    """The part of the training step that an operation belongs to, by its name in the source."""
    way = "backward " if "transpose(" in name else ""
    for pattern in (r"(decoder/\w+)", r"(stem\w*|stage\d|transition\d)", r"(pose)", r"(encoder)"):
        if match := re.search(pattern, name, re.IGNORECASE):
            inside = match[1].lower()
            return way + (inside if "/" in inside or inside == "pose" else f"encoder/{inside}")
    if "vmap" in name:
        return way + "views and losses"
    return way + "update and the rest"


def by(kernels: list[Kernel], field: str, **rates: float) -> list[tuple[str, int, float, float]]:
    """(value, kernels, bytes, seconds) for every value of a field, the slowest first."""
    count: Counter[str] = Counter()
    moved: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for kernel in kernels:
        key = getattr(kernel, field)
        count[key] += kernel.times
        moved[key] += kernel.times * kernel.bytes
        seconds[key] += kernel.seconds(**rates)
    return [(key, count[key], moved[key], value) for key, value in seconds.most_common()]


def cycles(text: str) -> list[tuple[int, str]]:
    """(cycles, name in the source) of each operation of a TPU's program, the slowest first."""
    found = []
    for line in text.splitlines():
        if (match := re.search(r'"estimated_cycles":"(\d+)"', line)) and int(match[1]) < 1e12:
            name = re.search(r'op_name="([^"]*)"', line)
            found.append((int(match[1]), name[1] if name else "?"))
    return sorted(found, reverse=True)
