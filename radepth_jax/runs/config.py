"""Every setting of a run, with its default: the full RA-Depth recipe on KITTI.

The files in `configs/` start from `default_config()` and change what differs.
"""

import dataclasses
import math

from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.data.intrinsics import WIDEST
from radepth_jax.errors import UserError
from radepth_jax.losses import LossOptions, check_weights
from radepth_jax.models import presets
from radepth_jax.models.depth import check_resolution
from radepth_jax.runs.optimizer import make_optimizer
from radepth_jax.runs.protocol import CROPS
from radepth_jax.views import ViewOptions

IMAGENET = "imagenet"  # of config.pretrained: the weights that an encoder's published form has
_NATURAL, _POSITIVE = (0, math.inf), (1, math.inf)
# The least and the most that a number may be. Where the most is infinite there is no upper limit.
_RANGES = {
    "seed": (0, 2**32 - 1),
    "data.workers": (-1, math.inf),
    "data.cache": _NATURAL,
    "data.max_corrupt": _NATURAL,
    "pose.true_scale": _NATURAL,
    "pose.turns_from": _NATURAL,
    "pose.learned_fov": (0, WIDEST),
    "pose.learn_fov_from": _NATURAL,
    "pretrained.keep": (0, 1),
    "optimizer.learning_rate": _NATURAL,
    "optimizer.pose_factor": _NATURAL,
    "optimizer.warmup_steps": _NATURAL,
    "optimizer.clip_norm": _NATURAL,
    "train.batch_statistics_steps": (-1, math.inf),
    "train.accumulate": _POSITIVE,
    "train.log_every": _POSITIVE,
    "train.picture_every": _NATURAL,
    "train.validate_every": _NATURAL,
    "train.checkpoint_every": _POSITIVE,
    "train.keep_checkpoints": _POSITIVE,
    "evaluate.batch_size": _POSITIVE,
}


def default_config(model: str = "ra_depth") -> ConfigDict:
    """The published recipe (He et al., ECCV 2022): 640x192, batch 12, 20 epochs, Adam 1e-4.

    Args:
        model: of `presets.MODELS`. All but RA-Depth train on the middle view alone, with neither
            AS-Aug nor consistency.

    Raises:
        UserError: an unknown model.
    """
    if model not in presets.MODELS:
        raise UserError(f"model {model!r}: expected one of {', '.join(presets.MODELS)}")
    config = ConfigDict()
    config.seed = 0

    # Their fields, with what they mean: the modules in the tables of models/build.py.
    config.model = ConfigDict(presets.MODELS[model]())
    # How BatchNorm sees the views: "per_view" (as published: high, middle, low apart) or "joint".
    config.batch_norm = "per_view"
    # Average BatchNorm statistics over devices (each device's own batch otherwise).
    config.batch_norm_sync = False

    config.data = ConfigDict()
    config.data.name = "kitti_raw"  # a prepared data set: kitti_raw, video, street/demo, ...
    config.data.data_dir = "data"  # where `radepth prepare` put it
    config.data.source = ""  # video: a file or folder to prepare on the fly
    config.data.intrinsics = ""  # video: "fx,fy,cx,cy" in native pixels ...
    config.data.fov = 0.0  # ... or the horizontal field of view in degrees; or pose.learned_fov
    config.data.stride = 1  # video: keep every n-th frame
    config.data.train_split = "train"
    config.data.validation_split = "validation"
    config.data.frame_offsets = (0, -1, 1)  # target first; "s" is the opposite camera
    config.data.batch_size = 12  # over all devices of all hosts
    config.data.workers = -1  # processes that decode; 0: in this one; -1: by the machine's cores
    # GiB of memory, over all workers, for decoded frames: a data set that fits is decoded once.
    config.data.cache = 1.0
    config.data.skip_corrupt = False  # replace unreadable samples by the next one, and count them
    config.data.max_corrupt = 100  # ... but stop when a worker has met more of them

    # Their fields, with what they mean and their defaults: losses/options.py, views/options.py.
    config.views = ConfigDict(dataclasses.asdict(ViewOptions()))
    config.loss = ConfigDict(dataclasses.asdict(LossOptions()))

    # A diagnosis: is it the pose or the depth that is badly learned? A positive number takes the
    # data set's own poses, their metres times this, in place of the pose network's.
    config.pose = ConfigDict()
    config.pose.true_scale = 0.0
    # Steps of direct image alignment on the predicted depth after the pose network, each as the
    # factor by which it shrinks the images, such as (4, 4, 2, 2, 1, 1); () is none. The depth
    # network then learns with the aligned poses, and the pose network learns those.
    config.pose.align = ()
    # Until this step alignment starts from no motion and finds translations alone. While the depth
    # is still flat, a rotation explains most of what a translation does, and the depth may come out
    # inside out: far where it is near.
    config.pose.turns_from = 0
    # Where positive, nobody has to know the camera: its focal length is learned with the motion
    # (Gordon et al., Depth from Videos in the Wild, ICCV 2019), from this horizontal field of view
    # in degrees. There is one camera for the whole data set, with square pixels and the principal
    # point in the middle. Only turns tell the focal length.
    config.pose.learned_fov = 0.0
    # Until this step it stays where it began: while depth and motion are poor, another focal length
    # than the true one fits best, and the depth that is learned with it holds it there.
    config.pose.learn_fov_from = 2000

    config.optimizer = ConfigDict()
    # "adam", "sgd" or another function of optax that takes a learning rate: "adamw", "lion", ...
    config.optimizer.name = "adam"
    # Its other keyword arguments, by name: a config file may put {"weight_decay": 1e-4} here.
    config.optimizer.options = ConfigDict()
    config.optimizer.learning_rate = 1e-4
    config.optimizer.pose_factor = 1.0  # of the pose network's learning rate
    config.optimizer.schedule = "step"  # x0.1 after 3/4 of the steps; or "cosine" to zero
    config.optimizer.warmup_steps = 0
    config.optimizer.clip_norm = 0.0  # global gradient norm; 0 does not clip

    config.pretrained = ConfigDict()
    # A run's --workdir whose weights to start from, or "default", the network in the box.
    config.pretrained.checkpoint = ""
    # After the last step the weights go this share of the way back to that checkpoint's, so that
    # what it knew is kept beside what was learned (Wortsman et al., Robust Fine-Tuning, CVPR 2022).
    # For BatchNorm's statistics to fit, set train.batch_statistics_steps to 0.
    config.pretrained.keep = 0.0
    # Without a checkpoint, each encoder's weights from ImageNet: a .safetensors or .npz file,
    # "hf:REPO", or "" for random ones. "imagenet" is what the published results started from,
    # hf:timm/hrnet_w18.ms_in1k or hf:timm/resnet18.tv_in1k (or resnet50); an encoder that has no
    # published weights, such as one of your own, is then random.
    config.pretrained.depth_encoder = IMAGENET
    config.pretrained.pose_encoder = IMAGENET

    config.train = ConfigDict()
    config.train.epochs = 20
    config.train.steps = 0  # overrides epochs where positive
    # Steps at the start that train on the middle view alone. From random weights, the high view's
    # larger motion and the consistency are in the way of a first idea of depth; 0 from ImageNet.
    config.train.middle_view_steps = 0
    # Resolutions at which the depth network sees the views in the steps after those, in turns, such
    # as ((144, 48), (192, 64), (240, 80)): it sees images well at sizes near those of its training.
    # The losses are computed there, or at views.resolution where that is finer. Each compiles its
    # own step.
    config.train.resolutions = ()
    # Steps at the start in which BatchNorm normalises by each batch's statistics; -1 is all. The
    # others normalise by the running statistics, which then stay as they are, as in a test. A
    # batch's own depend on its resolution, and what is learned with them fits no other one as well.
    config.train.batch_statistics_steps = -1
    # Parts that a step's batch is computed in, one after the other, for a batch that does not fit.
    # Gradients are averaged over them; each has its own BatchNorm statistics.
    config.train.accumulate = 1
    # How the step runs over the devices, with the same results: "pmap", or "shard_map" (under jit;
    # of one process).
    config.train.mapping = "pmap"
    # On a GPU, only kernels that give the same bits each time, so that a run repeats and a resumed
    # one is the uninterrupted one. CPUs and TPUs need no such setting.
    config.train.deterministic = False
    # Compute activations once more for the derivative instead of keeping them: a third of their
    # memory, for 1.3 times the operations. On a CPU it does nothing (docs/performance.md).
    config.train.rematerialise = False
    config.train.log_every = 50
    config.train.wandb = ""  # a project at Weights & Biases for the same figures; "" is none
    config.train.picture_every = 1000  # and at the end; 0 is never
    config.train.validate_every = 1000  # likewise
    config.train.checkpoint_every = 1000
    config.train.keep_checkpoints = 3

    config.evaluate = ConfigDict()
    config.evaluate.min_depth = 1e-3
    config.evaluate.max_depth = 80.0
    config.evaluate.crop = "none"  # "garg" for KITTI, "nyu"
    # How predictions become metres: "median" (of each image's ground truth), "ground" (the camera's
    # height over the estimated ground plane) or "none" (times scale_factor).
    config.evaluate.scaling = "median"
    config.evaluate.scale_factor = 1.0  # 5.4 after stereo training with KITTI's baseline as 0.1
    config.evaluate.camera_height = 1.65  # metres, for "ground"; KITTI's
    config.evaluate.batch_size = 8
    config.evaluate.resolutions = ((640, 192),)  # of the validation during training

    if model != "ra_depth":
        config.views.names = ("middle",)
        config.loss.weights.consistency = 0.0
    return config


def check_config(config: ConfigDict) -> None:
    """Raise UserError for a setting that cannot be used.

    Args:
        config: as `default_config`.
    """
    ViewOptions(**config.views)
    check_weights(LossOptions(**config.loss))
    networks = models.build(config.model)
    stride = networks.depth.stride
    for resolution in (config.views.resolution, *config.evaluate.resolutions):
        check_resolution(tuple(resolution), stride)
    models.check_own_networks(networks, tuple(config.views.resolution))
    for resolution in config.train.resolutions:
        ViewOptions(**{**config.views, "resolution": resolution})
        check_resolution(tuple(resolution), stride)
    for resolution in (config.views.resolution, *config.train.resolutions):
        if any(factor < 1 or side % factor for factor in config.pose.align for side in resolution):
            raise UserError(
                f"config.pose.align: {tuple(config.pose.align)}: expected numbers that divide both "
                f"sides of every training resolution; {tuple(resolution)} is one"
            )
    if config.pose.align and "s" in config.data.frame_offsets:
        raise UserError(
            f"config.pose.align: {tuple(config.pose.align)}: not with the opposite camera, whose "
            "known distance gives the scale; set it to ()"
        )
    _check_choice("config.batch_norm", config.batch_norm, ("per_view", "joint"))
    _check_choice("config.optimizer.schedule", config.optimizer.schedule, ("step", "cosine"))
    _check_choice("config.evaluate.crop", config.evaluate.crop, CROPS)
    _check_choice("config.evaluate.scaling", config.evaluate.scaling, ("median", "ground", "none"))
    _check_choice("config.train.mapping", config.train.mapping, ("pmap", "shard_map"))
    if len(config.data.frame_offsets) < 2:
        raise UserError(
            "config.data.frame_offsets: expected the target 0 and at least one source, such as "
            f"(0, -1, 1), got {tuple(config.data.frame_offsets)}"
        )
    values = flatten_dict(to_json(config), sep=".")
    for field, (least, most) in _RANGES.items():
        if not least <= values[field] <= most or math.isinf(values[field]):
            to = "" if math.isinf(most) else f" to {most}"
            raise UserError(
                f"config.{field}: expected a number from {least}{to}, got {values[field]}"
            )
    if config.pretrained.keep and not config.pretrained.checkpoint:
        raise UserError(
            f"config.pretrained.keep is {config.pretrained.keep:g}, but there is no checkpoint to "
            "keep anything of; set config.pretrained.checkpoint, or this to 0"
        )
    make_optimizer(config.optimizer, 1)
    if config.train.steps <= 0 and config.train.epochs <= 0:
        raise UserError("config.train.steps and .epochs: expected one of them to be positive")


def check_variant(variant: str, known: tuple[str, ...]) -> None:
    """Raise UserError unless a config file's variant is one that it knows."""
    if variant not in known:
        raise UserError(f"variant {variant!r}: expected one of {', '.join(known)}")


def check_batch_size(config: ConfigDict, devices: int) -> None:
    """Raise UserError, naming the nearest sizes that would do, if a batch cannot be split evenly.

    Args:
        config: as `default_config`.
        devices: of all processes.
    """
    size, unit = config.data.batch_size, devices * config.train.accumulate
    if size > 0 and size % unit == 0:
        return
    below = max(size // unit, 0) * unit
    nearest = f"{below} or {below + unit}" if below else f"{unit}"
    parts = f", in {config.train.accumulate} parts each" if config.train.accumulate > 1 else ""
    raise UserError(
        f"config.data.batch_size: {size} cannot be split evenly over {devices} devices{parts}; "
        f"set it to {nearest}"
    )


def parse_resolution(field: str, text: str) -> tuple[int, int]:
    """`"640x192"` -> (640, 192); UserError if it is not of that form."""
    width, _, height = text.strip().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UserError(f"{field}: expected WIDTHxHEIGHT such as 640x192, got {text!r}")
    return int(width), int(height)


def to_json(config: ConfigDict) -> dict:
    """The config as a plain dict, which JSON can hold (it turns tuples into lists)."""
    return ConfigDict(config).to_dict()


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{field}: expected one of {', '.join(choices)}, got {value!r}")
