# ruff: noqa: D101, D102 - `forward` is PyTorch's
"""RA-Depth's networks and losses in plain PyTorch, which are used for comparisons of time alone.

They are written from the papers, with the published state dicts' names, so that the same weights
load into both. Views, sources and pairs are loops as in any PyTorch code, but the batch is not.
Images and features are [B, C, H, W], with channels last in memory.
"""

from functools import partial

import torch
from torch import nn
from torch.nn import functional

OFFSETS = (-1, 1)  # the sources' offsets, of frames 1 and 2


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True):
    """Convolution, BatchNorm and perhaps ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), *([nn.ReLU(inplace=True)] if relu else []))


class Block(nn.Module):
    """A residual block of several convolutions, (kernel, stride) each."""

    def __init__(self, inputs, widths, kernels, stride=1):
        super().__init__()
        outputs = widths[-1]
        self.layers = len(widths)
        channels = inputs
        for i, (width, kernel) in enumerate(zip(widths, kernels, strict=True), start=1):
            step = stride if i == 1 else 1
            conv = nn.Conv2d(channels, width, kernel, step, kernel // 2, bias=False)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", nn.BatchNorm2d(width))
            channels = width
        if stride != 1 or inputs != outputs:
            self.downsample = conv_norm(inputs, outputs, 1, stride, relu=False)

    def forward(self, x):
        y = x
        for i in range(1, self.layers + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.layers:
                y = functional.relu(y, inplace=True)
        if hasattr(self, "downsample"):
            x = self.downsample(x)
        return functional.relu(x + y, inplace=True)


def basic_block(inputs: int, outputs: int, stride: int = 1) -> Block:
    return Block(inputs, (outputs, outputs), (3, 3), stride)


def bottleneck(inputs: int, width: int) -> Block:
    return Block(inputs, (width, width, 4 * width), (1, 3, 1))


class Exchange(nn.Module):
    """Basic blocks on every branch, then every branch receives from every other."""

    def __init__(self, widths, blocks):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(basic_block(width, width) for _ in range(blocks))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self._path(widths, i, j) for j in range(len(widths)))
            for i in range(len(widths))
        )

    @staticmethod
    def _path(widths, i, j):
        if j > i:
            return conv_norm(widths[j], widths[i], 1, relu=False)
        steps = [conv_norm(widths[j], widths[j], stride=2) for _ in range(i - j - 1)]
        if j < i:
            steps.append(conv_norm(widths[j], widths[i], stride=2, relu=False))
        return nn.Sequential(*steps)

    def forward(self, xs):
        xs = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        fused = []
        for i, x in enumerate(xs):
            total = x
            for j, other in enumerate(xs):
                if j == i:
                    continue
                sent = self.fuse_layers[i][j](other)
                if j > i:
                    sent = functional.interpolate(
                        sent, size=x.shape[2:], mode="bilinear", align_corners=True
                    )
                total = total + sent
            fused.append(functional.relu(total))
        return fused


class HRNet(nn.Module):
    """HRNet-W18 without its classifier, with features at 1/2, 1/4, ... 1/32."""

    def __init__(self, width=18, modules=(1, 4, 3), blocks=4):
        super().__init__()
        widths = [width * 2**i for i in range(len(modules) + 1)]
        self.conv1, self.bn1, _ = conv_norm(3, 64, stride=2)
        self.conv2, self.bn2, _ = conv_norm(64, 64, stride=2)
        self.layer1 = nn.Sequential(bottleneck(64, 64), *(bottleneck(256, 64) for _ in range(3)))
        self.transition1 = nn.ModuleList(
            [conv_norm(256, widths[0]), nn.Sequential(conv_norm(256, widths[1], stride=2))]
        )
        for stage, number in enumerate(modules, start=2):
            if stage > 2:
                new = nn.Sequential(conv_norm(widths[stage - 2], widths[stage - 1], stride=2))
                kept = [nn.Identity() for _ in range(stage - 1)]
                setattr(self, f"transition{stage - 1}", nn.ModuleList([*kept, new]))
            exchanges = (Exchange(widths[:stage], blocks) for _ in range(number))
            setattr(self, f"stage{stage}", nn.ModuleList(exchanges))
        self.stages = len(modules) + 1

    def forward(self, x):
        stem = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer1(functional.relu(self.bn2(self.conv2(stem))))
        xs = [transition(x) for transition in self.transition1]
        for stage in range(2, self.stages + 1):
            if stage > 2:
                xs = [*xs, getattr(self, f"transition{stage - 1}")[-1](xs[-1])]
            for module in getattr(self, f"stage{stage}"):
                xs = module(xs)
        return [stem, *xs]


class ReflectConv(nn.Module):
    """A convolution with a bias. 3x3 convolutions see the image reflected at its borders."""

    def __init__(self, inputs, outputs, kernel=3):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel)
        self.padding = kernel // 2

    def forward(self, x):
        return self.conv(
            functional.pad(x, (self.padding,) * 4, mode="reflect") if self.padding else x
        )


class ConvElu(nn.Module):
    def __init__(self, inputs, outputs, kernel=3):
        super().__init__()
        self.conv = ReflectConv(inputs, outputs, kernel)

    def forward(self, x):
        return functional.elu(self.conv(x), inplace=True)


class HRDecoder(nn.Module):
    """Disparity from HRNet's features. Its blocks are one flat list, in the order of use."""

    def __init__(self, widths=(18, 36, 72, 144), stem=64, head=(32, 16)):
        super().__init__()
        self.decoder = nn.ModuleList()
        for branches in range(len(widths), 1, -1):
            self.decoder.extend(ConvElu(widths[i], widths[i]) for i in range(branches))
            for j in range(branches):
                self.decoder.extend(ConvElu(widths[j], widths[i], 1) for i in reversed(range(j)))
        self.decoder.extend([ConvElu(stem, stem), ConvElu(widths[0], widths[0])])
        self.decoder.extend([ConvElu(widths[0], stem, 1), ConvElu(stem, head[0])])
        self.decoder.extend([ConvElu(head[0], head[1]), ReflectConv(head[1], 1)])

    def forward(self, features):
        stem, *xs = features
        blocks = iter(self.decoder)
        up = partial(functional.interpolate, mode="nearest")
        while len(xs) > 1:
            xs = [next(blocks)(x) for x in xs]
            totals = list(xs)
            for j, x in enumerate(xs):
                for i in reversed(range(j)):
                    # A 1x1 block treats pixels alike, so it may run before they are repeated.
                    totals[i] = totals[i] + up(next(blocks)(x), scale_factor=2 ** (j - i))
            xs = totals[:-1]
        stem, x = next(blocks)(stem), next(blocks)(xs[0])
        x = stem + up(next(blocks)(x), scale_factor=2)
        x = next(blocks)(x)
        x = next(blocks)(up(x, scale_factor=2))
        return torch.sigmoid(next(blocks)(x))


class ResNet18(nn.Module):
    """The pose encoder: two frames in, features at 1/32."""

    def __init__(self, channels=6):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for stage, width in enumerate((64, 128, 256, 512), start=1):
            first = basic_block(inputs, width, 1 if stage == 1 else 2)
            setattr(self, f"layer{stage}", nn.Sequential(first, basic_block(width, width)))
            inputs = width

    def forward(self, pairs):
        x = functional.relu(self.bn1(self.conv1((pairs - 0.45) / 0.225)))
        x = functional.max_pool2d(x, 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class PoseHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.ModuleList(
            [
                nn.Conv2d(512, 256, 1),
                nn.Conv2d(256, 256, 3, 1, 1),
                nn.Conv2d(256, 256, 3, 1, 1),
                nn.Conv2d(256, 12, 1),
            ]
        )

    def forward(self, x):
        for conv in self.net[:-1]:
            x = functional.relu(conv(x))
        motion = 0.01 * self.net[-1](x)[:, :6].mean((2, 3))
        return motion[:, :3], motion[:, 3:]


class RADepth(nn.Module):
    """All four networks, and the training loss of a batch of views.

    With `bfloat16` the networks run under autocast. Geometry and losses are always float32.
    """

    def __init__(self, bfloat16=False):
        super().__init__()
        self.bfloat16 = bfloat16
        self.encoder, self.depth = HRNet(), HRDecoder()
        self.pose_encoder, self.pose = ResNet18(), PoseHead()

    def load(self, parts) -> None:
        """The weights of `radepth_jax.interop.torch_keys.torch_from_variables`."""
        for name, part in parts.items():
            given = {k: torch.tensor(v) for k, v in part.items() if ".fc." not in k}
            prefix = "encoder." if name == "pose_encoder" else ""
            module = getattr(self, name)
            module.load_state_dict({k.removeprefix(prefix): v for k, v in given.items()})

    def autocast(self, device):
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat16)

    def disparity(self, images):
        with self.autocast(images.device):
            return self.depth(self.encoder(images)).float()

    def motion(self, frames):
        """source_T_target [B, 4, 4] of each source. The network sees pairs in temporal order."""
        target, transforms = frames[:, 0], []
        for index, offset in enumerate(OFFSETS, start=1):
            pair = (frames[:, index], target) if offset < 0 else (target, frames[:, index])
            with self.autocast(target.device):
                axisangle, translation = self.pose(self.pose_encoder(torch.cat(pair, 1)))
            matrix = rigid(axisangle.float(), translation.float())
            transforms.append(invert(matrix) if offset < 0 else matrix)
        return transforms

    def loss(self, views, jittered):
        """The objective's mean over the batch.

        Args:
            views: "high", "middle", "low" -> images [B, F, 3, H, W] (target first), intrinsics
                [B, 3, 3], size and offset [B, 2].
            jittered: [B, 3, H, W], what the depth network sees of the middle view's target.
        """
        disparities = {
            name: self.disparity(jittered if name == "middle" else view["images"][:, 0])
            for name, view in views.items()
        }
        transforms = self.motion(views["middle"]["images"])
        total = 0.0
        for name, view in views.items():
            error, won = reprojection(view, disparities[name], transforms)
            total = total + error + 1e-3 * smoothness(disparities[name], view["images"][:, 0])
            if name == "middle":
                mask = won
        return total + consistency(disparities, views, mask)


def rigid(axisangle, translation):
    """4x4 motions (Rodrigues' formula)."""
    angle = axisangle.norm(dim=1)[:, None, None] + 1e-7
    x, y, z = (axisangle[:, :, None] / angle).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.cat([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    eye = torch.eye(3, device=angle.device)
    rotation = eye + angle.sin() * cross + (1 - angle.cos()) * cross @ cross
    return assemble(rotation, translation)


def invert(matrix):
    rotation = matrix[:, :3, :3].transpose(1, 2)
    return assemble(rotation, -(rotation @ matrix[:, :3, 3:])[:, :, 0])


def assemble(rotation, translation):
    top = torch.cat([rotation, translation[:, :, None]], 2)
    last = torch.tensor([0.0, 0, 0, 1], device=top.device).expand(len(top), 1, 4)
    return torch.cat([top, last], 1)


def warp(source, depth, intrinsics, source_T_target):
    batch, _, height, width = source.shape
    v, u = torch.meshgrid(
        torch.arange(height, device=source.device, dtype=source.dtype),
        torch.arange(width, device=source.device, dtype=source.dtype),
        indexing="ij",
    )
    pixels = torch.stack([u, v, torch.ones_like(u)]).reshape(1, 3, -1).expand(batch, -1, -1)
    points = depth.reshape(batch, 1, -1) * (torch.linalg.inv(intrinsics) @ pixels)
    points = source_T_target[:, :3, :3] @ points + source_T_target[:, :3, 3:]
    points = intrinsics @ points
    u, v = points[:, 0] / (points[:, 2] + 1e-7), points[:, 1] / (points[:, 2] + 1e-7)
    grid = torch.stack([2 * u / (width - 1) - 1, 2 * v / (height - 1) - 1], -1)
    grid = grid.reshape(batch, height, width, 2)
    return functional.grid_sample(source, grid, padding_mode="border", align_corners=True)


def reprojection(view, disparity, transforms):
    """Mean of the smallest error of each pixel, and where a warped source has it."""
    target, sources = view["images"][:, 0], view["images"][:, 1:].unbind(1)
    depth = 1 / (0.01 + (10.0 - 0.01) * disparity)
    warped = [
        warp(s, depth, view["intrinsics"], T) for s, T in zip(sources, transforms, strict=True)
    ]
    best = torch.stack([difference(w, target) for w in warped]).amin(0)
    still = torch.stack([difference(s, target) for s in sources]).amin(0)
    return torch.minimum(best, still).mean(), (best < still).detach()


def difference(a, b, pad=None):
    """0.85 of structural dissimilarity and 0.15 of L1, [B, H, W]."""
    pad = pad or partial(functional.pad, pad=(1, 1, 1, 1), mode="reflect")
    mean = partial(functional.avg_pool2d, kernel_size=3, stride=1)
    l1 = (a - b).abs().mean(1)
    a, b = pad(a), pad(b)
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    ssim = top / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
    return 0.85 * ((1 - ssim) / 2).clamp(0, 1).mean(1) + 0.15 * l1


def smoothness(disparity, image):
    disparity = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    total = 0.0
    for axis in (2, 3):
        edges = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (disparity.diff(dim=axis).abs() * torch.exp(-edges)).mean()
    return total


def consistency(disparities, views, mask):
    """Disagreement of the middle view's disparity with the others', where both show the scene."""
    middle = disparities["middle"]
    height, width = middle.shape[2:]
    canvas = torch.tensor([height, width], device=middle.device)
    total = 0.0
    for name in ("high", "low"):
        size, offset = views[name]["size"], views[name]["offset"]
        if name == "high":
            first = torch.round((canvas * offset).double() / size).long()
            length = torch.round((canvas * canvas).double() / size).long()
            length, seen = torch.minimum(length, canvas - first), canvas.expand_as(size)
        else:
            first, length, seen = torch.zeros_like(size), canvas.expand_as(size), size
        rows, columns = (
            torch.arange((height, width)[i], device=middle.device)[None] - first[:, i : i + 1]
            for i in (0, 1)
        )
        # Half-pixel bilinear resizing of the seen part to the region, where it lies in the canvas.
        v, u = (
            ((where + 0.5) * seen[:, i : i + 1] / length[:, i : i + 1] - 0.5).clamp(
                min=torch.zeros(1, device=middle.device), max=seen[:, i : i + 1] - 1.0
            )
            for i, where in enumerate((rows, columns))
        )
        grid = torch.stack(
            [
                (2 * u / (width - 1) - 1)[:, None].expand(-1, height, -1),
                (2 * v / (height - 1) - 1)[:, :, None].expand(-1, -1, width),
            ],
            -1,
        )
        other = functional.grid_sample(
            disparities[name], grid, padding_mode="border", align_corners=True
        )
        error = difference(middle, other, partial(pad_region, first=first, length=length))
        inside_rows = (rows >= 0) & (rows < length[:, :1])
        inside_columns = (columns >= 0) & (columns < length[:, 1:])
        counted = mask & inside_rows[:, :, None] & inside_columns[:, None]
        mean = (error * counted).sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)
        total = total + mean.mean()
    return total


def pad_region(x, first, length):
    """Pad by a pixel, reflecting at the borders of each sample's region instead of the canvas's."""
    for axis in (2, 3):
        start, end = first[:, axis - 2, None], (first + length)[:, axis - 2, None] - 1
        index = torch.arange(-1, x.shape[axis] + 1, device=x.device)[None]
        index = torch.where(index == start - 1, start + 1, index)
        index = torch.where(index == end + 1, end - 1, index).clamp(0, x.shape[axis] - 1)
        shape = [len(x), 1, 1, 1]
        shape[axis] = index.shape[1]
        x = x.take_along_dim(index.reshape(shape), axis)
    return x


def training_step(model, optimizer, views, jittered) -> float:
    """Take one step. Returns the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss = model.loss(views, jittered)
    loss.backward()
    optimizer.step()
    return loss.detach()
