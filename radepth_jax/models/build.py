"""Networks by name from a configuration.

A network is a Linen module in a file, and an entry of a table below, which code outside this
package may add to: `build.ENCODERS["mine"] = MyEncoder`. The fields of its configuration are those
of the module, which checks their ranges in `__post_init__` with a `UserError` that starts with the
field's name. Every module has a field `policy`; an encoder also has a `stride`.
"""

import dataclasses
import math
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from radepth_jax.errors import UserError
from radepth_jax.models.attention_decoder import AttentionDecoder
from radepth_jax.models.correlation_pose import CorrelationPose
from radepth_jax.models.decoder import Decoder
from radepth_jax.models.depth import DepthNetwork
from radepth_jax.models.hr_decoder import HRDecoder
from radepth_jax.models.hrnet import HRNet
from radepth_jax.models.nested_decoder import NestedDecoder
from radepth_jax.models.policy import Policy
from radepth_jax.models.pose import ConvPose, ResNetPose
from radepth_jax.models.resnet import ResNet
from radepth_jax.models.settings import Config, check_fields, fields, make, within
from radepth_jax.models.skip_decoder import SkipDecoder
from radepth_jax.settings import check_choice

Table = dict[str, type[nn.Module]]

ENCODERS: Table = {"hrnet": HRNet, "resnet": ResNet}
DECODERS: dict[str, type[Decoder]] = {
    "hr": HRDecoder,
    "skip": SkipDecoder,
    "nested": NestedDecoder,
    "attention": AttentionDecoder,
}
POSES: Table = {"resnet18": ResNetPose, "convs": ConvPose, "correlation": CorrelationPose}

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


class Networks(NamedTuple):
    """The two networks that train together. docs/architecture.md says how they are called."""

    depth: DepthNetwork
    pose: nn.Module


def build(config: Config, policy: Policy | None = None) -> Networks:
    """Build the networks that `config.model` describes.

    Args:
        config: a configuration such as `presets.ra_depth()`. It has `dtype`, `depth` with an
            `encoder` and a `decoder`, and `pose`. Encoder, decoder and pose each have a `name` and
            their own fields. Any encoder goes with any decoder that does not need more of it.
        policy: how the networks compute. The compute type is the config's. By default the networks
            use the plain operations. `Policy.native()` is faster on a CPU.

    Raises:
        UserError: A name or a field is unknown, or a value does not fit.
    """
    check_fields("model", config, ["dtype", "depth", "pose"])
    check_choice("model.dtype", config["dtype"], DTYPES)
    policy = dataclasses.replace(policy or Policy(), dtype=DTYPES[config["dtype"]])
    depth = config["depth"]
    check_fields("model.depth", depth, ["encoder", "decoder"])
    decoder = make("model.depth.decoder", DECODERS, depth["decoder"], policy=policy)
    name = depth["encoder"]["name"]
    check_choice("model.depth.encoder.name", name, ENCODERS)
    fitting = [key for key, cls in ENCODERS.items() if decoder.needs in ("", *fields(cls))]
    if name not in fitting:
        raise UserError(
            f"model.depth.decoder.name is {depth['decoder']['name']!r} and model.depth.encoder.name"
            f" {name!r}: that decoder needs {' or '.join(map(repr, fitting))}"
        )
    given = {decoder.needs: True} if decoder.needs else {}
    encoder = make("model.depth.encoder", ENCODERS, depth["encoder"], policy=policy, **given)
    stride = getattr(encoder, "stride", None)
    if not isinstance(stride, int) or stride < 2 or stride & (stride - 1):
        raise UserError(
            f"model.depth.encoder.name is {name!r}: its stride is {stride}; expected a power of two"
            ", by which the coarsest of its features are smaller than the image"
        )
    with within("model.depth.decoder"):
        decoder.check_features(int(math.log2(stride)))
    pose = make("model.pose", POSES, config["pose"], policy=policy)
    return Networks(DepthNetwork(encoder, decoder, policy), pose)
