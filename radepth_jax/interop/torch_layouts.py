"""Which keys each layer has in the PyTorch state dicts of the published systems.

The encoders have the names of their authors' code (HRNet) and of torchvision (ResNet).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from radepth_jax.errors import UserError
from radepth_jax.models.resnet import LAYERS

Path = tuple[str, ...]
# Maps a layer's path in the variables to its part and the prefixes of its PyTorch keys. The first
# prefix is read, and the others list the same tensors again.
Keys = dict[Path, tuple[str, ...]]

# A decoder's layer has three entries:
# - our name, or None if the layer is not used;
# - its kind: `conv.conv` is the convolution of a block, `conv` is one by itself, and `gate` and
#   `ca.gate` are channel gates;
# - the name by which a dictionary called `convs` lists it again, or None if there is no such one.
Layer = tuple[str | None, str, str | None]


def depth_keys(config: Mapping[str, Any]) -> Keys:
    """The layers of the depth network that `config.model.depth` describes.

    Raises:
        UserError: Its encoder or its decoder has no published PyTorch form.
    """
    encoder, decoder = config["encoder"], config["decoder"]
    if decoder["name"] not in _DECODERS:
        raise _no_layout("depth.decoder", decoder["name"], _DECODERS)
    keys = encoder_keys(encoder)
    sizes = encoder["branches" if encoder["name"] == "hrnet" else "stages"] + 1
    return keys | _DECODERS[decoder["name"]](sizes)


def encoder_keys(encoder: Mapping[str, Any]) -> Keys:
    """The layers of the encoder that `config.model.depth.encoder` describes.

    Raises:
        UserError: it has no published PyTorch form.
    """
    if encoder["name"] == "hrnet":
        return _hrnet_keys(encoder)
    if encoder["name"] == "resnet":
        return _resnet_keys("depth", "encoder", encoder["layers"])
    raise _no_layout("depth.encoder", encoder["name"], ("hrnet", "resnet"))


def pose_keys(pose: Mapping[str, Any]) -> Keys:
    """The layers of the pose network that `config.model.pose` describes.

    Raises:
        UserError: it has no published PyTorch form.
    """
    if pose["name"] != "resnet18":
        raise _no_layout("pose", pose["name"], ("resnet18",))
    head = {
        ("pose", "head", name, "conv"): ("pose", f"net.{index}")
        for index, name in enumerate(("squeeze", "layer1", "layer2", "motion"))
    }
    return _resnet_keys("pose", "pose_encoder", 18) | head


def unused_shapes(config: Mapping[str, Any]) -> dict[tuple[str, str], tuple[int, ...]]:
    """The shapes, by (part, key), of what published checkpoints hold and no network uses."""
    shapes: dict[tuple[str, str], tuple[int, ...]] = {}

    def classifier(part: str, features: int) -> None:
        shapes[part, "encoder.fc.weight"] = (1000, features)
        shapes[part, "encoder.fc.bias"] = (1000,)

    encoder, decoder = config["depth"]["encoder"], config["depth"]["decoder"]
    if encoder["name"] == "resnet":
        expansion = 4 if encoder["layers"] == 50 else 1
        classifier("encoder", expansion * encoder["width"] * 2 ** (encoder["stages"] - 1))
    classifier("pose_encoder", 64 * 2 ** (config["pose"].get("stages", 4) - 1))
    if decoder["name"] == "nested" and encoder["name"] == "resnet":
        for index, (name, _, again) in enumerate(_nested_layers(encoder["stages"] + 1)):
            if name is None:
                features = encoder["width"] // (1 if again == "X_00_Conv_0" else 2)
                shape = (features // 2, features, 3, 3)
                for prefix in (f"decoder.{index}", f"convs.{again}"):
                    shapes["depth", f"{prefix}.conv.conv.weight"] = shape
                    shapes["depth", f"{prefix}.conv.conv.bias"] = shape[:1]
    return shapes


def _no_layout(field: str, name: str, known: Iterable[str]) -> UserError:
    return UserError(
        f"model.{field}.name is {name!r}: the layers of PyTorch weights have known names for "
        f"{' and '.join(map(repr, known))} only; weights of other networks are read from "
        "checkpoints, by config.pretrained.checkpoint"
    )


def _hrnet_keys(config: Mapping[str, Any]) -> Keys:
    """HRNet, as in its authors' code: conv1, layer1.N, transitionX, stageX.Y.branches..."""
    layers: Keys = {("stem1",): ("conv1", "bn1"), ("stem2",): ("conv2", "bn2")}
    for block in range(config["bottlenecks"]):
        layers.update(_block_layers((f"stage1_block{block}",), f"layer1.{block}", 3))
    layers["transition1_branch0",] = ("transition1.0.0", "transition1.0.1")
    layers["transition1_branch1",] = ("transition1.1.0.0", "transition1.1.0.1")
    for stage, modules in enumerate(config["modules"], start=2):
        if stage > 2:
            prefix = f"transition{stage - 1}.{stage - 1}.0"
            name = f"transition{stage - 1}_branch{stage - 1}"
            layers[name,] = (f"{prefix}.0", f"{prefix}.1")
        for module in range(modules):
            name, prefix = f"stage{stage}_module{module}", f"stage{stage}.{module}"
            for i in range(stage):
                for block in range(config["blocks"]):
                    path = (name, f"branch{i}_block{block}")
                    layers.update(_block_layers(path, f"{prefix}.branches.{i}.{block}", 2))
                for j in range(stage):
                    fuse = f"{prefix}.fuse_layers.{i}.{j}"
                    if j > i:
                        layers[name, f"fuse{i}_from{j}"] = (f"{fuse}.0", f"{fuse}.1")
                    for step in range(i - j):
                        path = (name, f"fuse{i}_from{j}_step{step}")
                        layers[path] = (f"{fuse}.{step}.0", f"{fuse}.{step}.1")
    return dict(_conv_norms(("depth", "encoder"), "encoder", "", layers))


def _resnet_keys(network: str, part: str, layers: int) -> Keys:
    """A ResNet, as in torchvision. The part holds it under the name `encoder`."""
    names: Keys = {("stem",): ("conv1", "bn1")}
    convolutions = 3 if layers == 50 else 2
    for stage, blocks in enumerate(LAYERS[layers][1], start=1):
        for block in range(blocks):
            path = (f"stage{stage}_block{block}",)
            names.update(_block_layers(path, f"layer{stage}.{block}", convolutions))
    return dict(_conv_norms((network, "encoder"), part, "encoder.", names))


def _hr_keys(sizes: int) -> Keys:
    """RA-Depth has one flat list of blocks, in the order in which they are made."""
    names = []
    for level, branches in enumerate(range(sizes - 1, 1, -1)):
        names += [f"level{level}_branch{i}" for i in range(branches)]
        # They are ordered by the sending branch, with the nearest receiver first.
        names += [
            f"level{level}_fuse{i}_from{j}" for j in range(branches) for i in reversed(range(j))
        ]
    names += ["stem", "last_branch", "stem_from0", "head1", "head2"]
    return _listed([(name, "conv.conv", None) for name in names] + [("disparity", "conv", None)])


def _skip_keys(sizes: int) -> Keys:
    """Monodepth2 has both blocks of every scale, coarsest first, then the disparities."""
    return _listed(
        [
            (f"{name}{scale}", "conv.conv", None)
            for scale in reversed(range(sizes))
            for name in ("up", "fuse")
        ]
        + [(f"disparity{scale}", "conv", None) for scale in range(4)]
    )


def _nested_keys(sizes: int) -> Keys:
    return _listed(_nested_layers(sizes))


def _nested_layers(sizes: int) -> list[Layer]:
    """HR-Depth has each node's own convolution, then the layers that merge a node's inputs."""
    last = sizes - 1
    grid = [(row, column) for column in range(1, sizes) for row in range(sizes - column)]
    layers: list[Layer] = []
    # Node (row, column) sends to (row - 1, column + 1). The nodes of row 0 send to none, and yet
    # they have a convolution.
    for row, column in [(row, 0) for row in range(sizes)] + grid[:-1]:
        name = f"up{row - 1}{column + 1}" if row else None
        layers.append((name, "conv.conv", f"X_{row}{column}_Conv_0"))
    layers.append(("head1", "conv.conv", f"X_0{last}_Conv_0"))
    layers.append(("head2", "conv.conv", f"X_0{last}_Conv_1"))
    for row in reversed(range(last)):
        node = f"{row}{last - row}"
        layers.append((f"gate{node}", "gate", f"X_{node}_attention"))
    for row, column in grid:
        if row + column < last:
            node = f"{row}{column}"
            if column > 1:
                layers.append((f"reduce{node}", "conv", f"X_{node}_downsample"))
            layers.append((f"fuse{node}", "conv.conv", f"X_{row + 1}{column - 1}_Conv_1"))
    layers += [(f"disparity{scale}", "conv", f"dispConvScale{scale}") for scale in range(4)]
    return layers


def _attention_keys(sizes: int) -> Keys:
    """DIFFNet has the head, the gates (named by their coarser input's width), the disparities."""
    layers: list[Layer] = [
        ("head1", "conv.conv", "up_x9_0"),
        ("head2", "conv.conv", "up_x9_1"),
    ]
    layers += [
        (f"gate{scale}", "ca.gate", str(9 * 2 ** (scale - 1)))
        for scale in reversed(range(1, sizes))
    ]
    layers += [(f"disparity{scale}", "conv", f"dispConvScale{scale}") for scale in range(4)]
    return _listed(layers)


_DECODERS = {
    "hr": _hr_keys,
    "skip": _skip_keys,
    "nested": _nested_keys,
    "attention": _attention_keys,
}


def _listed(layers: Iterable[Layer]) -> Keys:
    """The keys of a decoder's layers, which a list called `decoder` holds in this order."""
    keys: Keys = {}
    for index, (name, kind, again) in enumerate(layers):
        if name is None:
            continue
        prefixes = [f"decoder.{index}"] + ([f"convs.{again}"] if again else [])
        root = ("depth", "decoder", name)
        if kind.endswith("gate"):
            inner = "ca." if kind == "ca.gate" else ""
            for layer, its in (
                (("squeeze",), f"{inner}fc.0"),
                (("excite",), f"{inner}fc.2"),
                (("mix", "conv"), "conv_se"),
            ):
                keys[*root, *layer] = ("depth", *(f"{prefix}.{its}" for prefix in prefixes))
        else:
            keys[*root, *kind.split(".")] = ("depth", *(f"{p}.{kind}" for p in prefixes))
    return keys


def _block_layers(path: Path, prefix: str, layers: int) -> Iterator[tuple[Path, tuple[str, str]]]:
    """A residual block of `layers` convolutions, and the shortcut that some blocks have."""
    for n in range(1, layers + 1):
        yield (*path, f"layer{n}"), (f"{prefix}.conv{n}", f"{prefix}.bn{n}")
    yield (*path, "shortcut"), (f"{prefix}.downsample.0", f"{prefix}.downsample.1")


def _conv_norms(
    root: Path,
    part: str,
    prefix: str,
    layers: Keys,
) -> Iterator[tuple[Path, tuple[str, str]]]:
    for path, (conv, norm) in layers.items():
        yield (*root, *path, "conv"), (part, prefix + conv)
        yield (*root, *path, "bn"), (part, prefix + norm)
