"""HRNet: parallel branches at several resolutions that exchange features repeatedly.

Wang et al., Deep High-Resolution Representation Learning for Visual Recognition, TPAMI 2020.
"""

import dataclasses
from functools import partial
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.models.blocks import BasicBlock, Bottleneck, ConvNorm, upsample_bilinear
from radepth_jax.models.policy import Layers, Policy
from radepth_jax.models.settings import FOR_DECODERS


class HRNet(nn.Module):
    """The HRNet encoder. The defaults are those of HRNet-W18 (9,562,260 parameters).

    Attributes:
        width: the channels of the finest branch. Branch i has `width * 2**i`.
        branches: 3 or 4. The coarsest branch is at 1/16 or 1/32.
        modules: the number of exchange modules in each stage, for 2, 3, ... `branches` branches.
        blocks: the number of basic blocks of a branch in each module.
        stem_width: the channels of the two stem convolutions and inside the bottlenecks.
        bottlenecks: the number of bottleneck blocks in the first stage.
        every_stage: whether the results of all stages are returned, as DIFFNet's decoder needs
            them (Zhou et al., BMVC 2021, section 3.1).
        policy: how it computes. The blocks of `remat` are bottlenecks and exchange modules.

    Raises:
        UserError: A value is out of range.
    """

    width: int = 18
    branches: int = 4
    modules: tuple[int, ...] = (1, 4, 3)
    blocks: int = 4
    stem_width: int = 64
    bottlenecks: int = 4
    every_stage: bool = dataclasses.field(default=False, metadata=FOR_DECODERS)
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.branches not in (3, 4):
            raise UserError(f"branches is {self.branches!r}: expected 3 or 4")
        if len(self.modules) != self.branches - 1 or min(self.modules) < 1:
            raise UserError(
                f"modules is {tuple(self.modules)}: expected {self.branches - 1} numbers of 1 or "
                f"more, for the stages of 2 to {self.branches} branches"
            )
        for field in ("width", "blocks", "stem_width", "bottlenecks"):
            if getattr(self, field) < 1:
                raise UserError(f"{field} is {getattr(self, field)}: expected 1 or more")
        super().__post_init__()

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this: the stride of the coarsest branch."""
        return 2 ** (self.branches + 1)

    @nn.compact
    def __call__(
        self, images: Float[Array, "N H W 3"], train: bool = False, groups: int = 1
    ) -> list[Any]:
        """Features [N, h, w, c] at 1/2 (stem), 1/4, 1/8, 1/16 and, with four branches, 1/32.

        With `every_stage` there is a list for each size. It holds the stems at 1/2 and 1/4, and
        every branch after each stage.
        """
        layers = self.policy.layers(train=train, groups=groups)
        layer = partial(ConvNorm, layers=layers)

        stem = layer(self.stem_width, stride=2, name="stem1")(images)
        x = layer(self.stem_width, stride=2, name="stem2")(stem)
        seen = [[stem], [x], *([] for _ in self.modules)]
        remat = self.policy.remat
        bottleneck = nn.remat(Bottleneck) if remat else Bottleneck
        exchange = RematExchangeModule if remat else JitExchangeModule
        for block in range(self.bottlenecks):
            x = bottleneck(self.stem_width, layers, name=f"stage1_block{block}")(x)

        # The new branch of every stage comes from the coarsest so far. Only the first stage's
        # result must also be brought to the finest branch's width.
        xs = [
            layer(self.width, name="transition1_branch0")(x),
            layer(2 * self.width, stride=2, name="transition1_branch1")(x),
        ]
        for stage, modules in enumerate(self.modules, start=2):
            if stage > 2:
                new = layer(
                    self.width * 2 ** (stage - 1),
                    stride=2,
                    name=f"transition{stage - 1}_branch{stage - 1}",
                )
                xs = [*xs, new(xs[-1])]
            for number in range(modules):
                name = f"stage{stage}_module{number}"
                xs = exchange(self.width, self.blocks, layers, name=name)(xs)
            for i, x in enumerate(xs, start=1):
                seen[i].append(x)
        return seen if self.every_stage else [stem, *xs]


class ExchangeModule(nn.Module):
    """`blocks` basic blocks on every branch, then every branch receives from every other."""

    width: int
    blocks: int
    layers: Layers

    @nn.compact
    def __call__(self, xs: list[Float[Array, "N h w c"]]) -> list[Float[Array, "N h w c"]]:
        """New features of every branch, finest first. The sizes stay the same."""
        xs = [self._branch(i, x) for i, x in enumerate(xs)]
        fused = []
        for i, x in enumerate(xs):
            total = x
            for j, other in enumerate(xs):
                if j < i:
                    total = total + self._down(other, i, j)
                elif j > i:
                    total = total + self._up(other, i, j, (x.shape[1], x.shape[2]))
            fused.append(self.layers.relu(total))
        return fused

    def _branch(self, i: int, x: Float[Array, "N h w c"]) -> Float[Array, "N h w c"]:
        for block in range(self.blocks):
            x = JitBlock(self.width * 2**i, self.layers, name=f"branch{i}_block{block}")(x)
        return x

    def _down(self, x: Float[Array, "N h w c"], i: int, j: int) -> Float[Array, "N h2 w2 d"]:
        """From branch j to the coarser i: stride-2 convolutions, of which the last one is wider."""
        for step in range(i - j):
            last = step == i - j - 1
            x = ConvNorm(
                self.width * 2 ** (i if last else j),
                self.layers,
                stride=2,
                relu=not last,
                name=f"fuse{i}_from{j}_step{step}",
            )(x)
        return x

    def _up(
        self, x: Float[Array, "N h w c"], i: int, j: int, size: tuple[int, int]
    ) -> Float[Array, "N h2 w2 d"]:
        """From branch j to the finer i: a 1x1 convolution, then bilinear interpolation."""
        x = ConvNorm(
            self.width * 2**i,
            self.layers,
            kernel=1,
            relu=False,
            name=f"fuse{i}_from{j}",
        )(x)
        return upsample_bilinear(x, size)


# Equal blocks are traced, differentiated and lowered once: HRNet-18 has 30 branches of four.
JitBlock = nn.jit(BasicBlock)
JitExchangeModule = nn.jit(ExchangeModule)
RematExchangeModule = nn.jit(nn.remat(ExchangeModule))
