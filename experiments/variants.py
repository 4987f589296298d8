"""The compared systems and the ablation's variants, as configs of any size and data set."""

from typing import NamedTuple

from ml_collections import ConfigDict

from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.runs.config import default_config
from radepth_jax.runs.small import ALIGN, TURNS_FROM, use_small_recipe

VIEWS = ("high", "middle", "low")


class Variant(NamedTuple):
    """A row of a table: a model, and how it is trained."""

    title: str
    model: str  # one of presets.MODELS
    views: tuple[str, ...] = ("middle",)  # VIEWS is AS-Aug
    consistency: bool = False
    resolutions: bool = False  # whether steps take four resolutions in turns


VARIANTS = {
    "monodepth2": Variant("Monodepth2", "monodepth2"),
    "hr_depth": Variant("HR-Depth", "hr_depth"),
    "diffnet": Variant("DIFFNet", "diffnet"),
    "ra_depth": Variant("RA-Depth (full)", "ra_depth", VIEWS, True),
    "baseline": Variant("baseline (HRNet, Monodepth2 decoder)", "hrnet_skip"),
    "as_aug": Variant("+ AS-Aug", "hrnet_skip", VIEWS),
    "dual_hrnet": Variant("+ Dual HRNet", "ra_depth"),
    "no_dual_hrnet": Variant("full without Dual HRNet", "hrnet_skip", VIEWS, True),
    "no_consistency": Variant("full without CS-loss", "ra_depth", VIEWS),
    "multi_resolution": Variant("Dual HRNet, several resolutions", "ra_depth", resolutions=True),
    "multi_skip": Variant("Monodepth2, several resolutions", "monodepth2", resolutions=True),
}

SYSTEMS = ("monodepth2", "hr_depth", "diffnet", "ra_depth")
ABLATION = ("baseline", "as_aug", "dual_hrnet", "no_dual_hrnet", "no_consistency", "ra_depth")

# Sources of each training mode: video, stereo pairs, both.
MODES = {"M": (0, -1, 1), "S": (0, "s"), "MS": (0, -1, 1, "s")}

# Test resolutions by size of network: 0.65 to 1.6 times the training one.
RESOLUTIONS = {
    "small": ((128, 48), (160, 48), (192, 64), (256, 80), (304, 96)),
    "resnet": ((208, 64), (256, 80), (320, 96), (416, 128), (512, 160)),
    "full": ((416, 128), (512, 160), (640, 192), (832, 256), (1024, 320)),
}
RESOLUTIONS["resnet_small"] = RESOLUTIONS["small"]
TRAINED_AT = 2  # the index of the training resolution


def configure(
    name: str,
    *,
    size: str,
    dataset: str,
    data_dir: str,
    steps: int,
    seed: int,
    mode: str = "M",
    weights: str = "",
) -> ConfigDict:
    """The config of a variant's run.

    Args:
        name: one of `VARIANTS`.
        size: `full` is the published networks and recipe, from ImageNet. `small` is the networks of
            `presets.tiny` and the recipe of `runs/small.py`, from random weights. `resnet` is every
            decoder on a ResNet-18 of three stages, at 320x96, from `weights`. `resnet_small` is the
            same at 192x64.
        dataset: a prepared data set.
        data_dir: the folder of data sets.
        steps: the number of training steps.
        seed: the seed of weights, order and augmentation.
        mode: one of `MODES`.
        weights: for `resnet`, a file of ImageNet weights, as in `config.pretrained.depth_encoder`.
    """
    if name not in VARIANTS:
        raise UserError(f"{name}: no such variant; expected one of {', '.join(VARIANTS)}")
    variant = VARIANTS[name]
    config = default_config(variant.model)
    config.seed = seed
    config.data.name, config.data.data_dir = dataset, data_dir
    config.data.frame_offsets = MODES[mode]
    config.views.names = variant.views
    config.views.resolution = RESOLUTIONS[size][TRAINED_AT]
    config.loss.weights.consistency = float(variant.consistency)
    if variant.resolutions:
        config.train.resolutions = around(
            RESOLUTIONS[size][TRAINED_AT], stride=32 if size == "full" else 16
        )
    config.train.steps = steps
    config.train.validate_every = config.train.picture_every = 0
    config.evaluate.crop = "garg" if dataset == "kitti_raw" else "none"
    config.evaluate.resolutions = RESOLUTIONS[size]
    if size.startswith("resnet"):
        use_resnet(config, weights)
    if size == "small":
        use_small_recipe(config, presets.tiny(variant.model))
        if "s" in config.data.frame_offsets:
            config.pose.align = ()
        # From random weights, all variants begin with the middle view alone, and those of one model
        # part at that checkpoint.
        config.train.middle_view_steps = max(3 * steps // 8, 1)
        config.train.checkpoint_every = max(steps // 8, 1)
        config.train.keep_checkpoints = 9
        config.loss.weights.consistency *= variant.consistency
        config.loss.ramps.consistency = (int(0.4 * steps), int(0.55 * steps))
    return config


def around(resolution: tuple[int, int], stride: int) -> tuple[tuple[int, int], ...]:
    """Resolutions from three quarters of one to one and a half, in multiples of a stride."""
    return tuple(
        tuple(round(factor * side / stride) * stride for side in resolution)
        for factor in (0.75, 1.0, 1.25, 1.5)
    )


def use_resnet(config: ConfigDict, weights: str) -> None:
    """The recipe of `resnet`, for a thousand steps: the paper's views, less consistency.

    The encoder starts from ImageNet. The pose network is a small one that starts from random
    weights, so it learns faster, and alignment corrects it.
    """
    decoder = config.model.depth.decoder.to_dict()
    if decoder["name"] == "attention":
        raise UserError("diffnet: its decoder needs HRNet, so it is not of the size resnet")
    if "channels" in decoder:
        decoder["channels"] = decoder["channels"][:4]
    config.model.depth = ConfigDict(
        {"encoder": presets.RESNET18 | {"stages": 3}, "decoder": decoder}
    )
    config.model.pose = ConfigDict(presets.SMALL_CONV_POSE)
    config.pose.align, config.pose.turns_from = ALIGN, TURNS_FROM
    config.pretrained.depth_encoder, config.pretrained.pose_encoder = weights, ""
    config.data.batch_size, config.data.workers = 4, 0
    # The decoder starts from random weights. With the consistency at full weight and from the
    # start, the depth was the same everywhere after 800 steps (experiments/RESULTS.md).
    config.loss.weights.consistency *= 0.05
    config.loss.ramps.consistency = (config.train.steps // 4, config.train.steps // 2)
    config.optimizer.learning_rate = 2e-4
    config.optimizer.pose_factor = 5.0
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 100
    config.train.checkpoint_every = config.train.steps
