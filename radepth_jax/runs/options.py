"""Every setting of a run but the model's, with its default, range and meaning.

`config.views`, `config.loss`, `config.optimizer` and `config.evaluate` stand in views/options.py,
losses/options.py, runs/optimizer.py and runs/protocol.py. `radepth config` prints them all. The
defaults are the published recipe.
"""

import dataclasses
from typing import Any, get_type_hints

from ml_collections import ConfigDict

from radepth_jax.data.intrinsics import WIDEST
from radepth_jax.errors import UserError
from radepth_jax.losses import LossOptions
from radepth_jax.runs.optimizer import OptimizerOptions
from radepth_jax.runs.protocol import EvaluateOptions
from radepth_jax.settings import Settings, setting
from radepth_jax.views import ViewOptions

IMAGENET = "imagenet"  # of config.pretrained: the weights that an encoder's published form has
_ENCODER = (
    "Without a checkpoint, this encoder's weights from ImageNet: a .safetensors or .npz file, "
    '"hf:REPO", or "" for random ones. "imagenet" is what the published results started from, '
    "hf:timm/hrnet_w18.ms_in1k or hf:timm/resnet18.tv_in1k (or resnet50); an encoder that has no "
    "published weights, such as one of your own, is then random."
)


@dataclasses.dataclass(frozen=True)
class DataOptions(Settings):
    """`config.data`: the samples."""

    group = "data"

    name: str = setting("kitti_raw", "A prepared data set: kitti_raw, video, street/demo, ...")
    data_dir: str = setting("data", "The folder where `radepth prepare` put it.")
    source: str = setting("", "Of video: a file or folder, which is prepared on the fly.")
    intrinsics: str = setting(
        "", 'Of video: "fx,fy,cx,cy" in native pixels, or a camera file (see the guide to video).'
    )
    fov: float = setting(
        0.0,
        "Of video, in place of intrinsics: the horizontal field of view in degrees. Where nobody "
        "knows it, set pose.learned_fov instead.",
    )
    stride: int = setting(1, "Of video: every n-th frame is kept.")
    train_split: str = setting("train", "The split that is trained on.")
    validation_split: str = setting("validation", "The split that is measured while training.")
    frame_offsets: tuple[int | str, ...] = setting(
        (0, -1, 1), 'The frames of a sample: the target 0 first; "s" is the opposite camera.'
    )
    batch_size: int = setting(12, "Samples of a step, over all devices of all processes.")
    workers: int = setting(
        -1,
        "Processes that decode images; 0 decodes in this one, -1 goes by the machine's cores.",
        least=-1,
    )
    cache: float = setting(
        1.0,
        "GiB of memory, over all workers, for decoded frames: a data set that fits is decoded "
        "once.",
        least=0,
    )
    skip_corrupt: bool = setting(
        False, "Replace samples that cannot be read by the next one, and count them."
    )
    max_corrupt: int = setting(
        100, "With skip_corrupt: stop when a worker has met more of them.", least=0
    )

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        if len(self.frame_offsets) < 2:
            raise UserError(
                "config.data.frame_offsets: expected the target 0 and at least one source, such as "
                f"(0, -1, 1), got {self.frame_offsets}"
            )


@dataclasses.dataclass(frozen=True)
class PoseOptions(Settings):
    """`config.pose`: how the camera's motion is found, and its focal length."""

    group = "pose"

    true_scale: float = setting(
        0.0,
        "A diagnosis, of whether the pose or the depth is badly learned: a positive number takes "
        "the data set's own poses, their metres times this, in place of the pose network's.",
        least=0,
    )
    align: tuple[int, ...] = setting(
        (),
        "Steps of direct image alignment on the predicted depth after the pose network, each as "
        "the factor by which it shrinks the images, such as (4, 4, 2, 2, 1, 1); () is none. The "
        "depth network then learns with the aligned poses, and the pose network learns those.",
        least=1,
    )
    turns_from: int = setting(
        0,
        "Until this step alignment starts from no motion and finds translations alone. While the "
        "depth is still flat, a rotation explains most of what a translation does, and the depth "
        "may come out inside out: far where it is near.",
        least=0,
    )
    learned_fov: float = setting(
        0.0,
        "Where positive, nobody has to know the camera: its focal length is learned with the "
        "motion (Gordon et al., Depth from Videos in the Wild, ICCV 2019), from this horizontal "
        "field of view in degrees. There is one camera for the whole data set, with square pixels "
        "and the principal point in the middle. Only turns tell the focal length.",
        least=0,
        most=WIDEST,
    )
    learn_fov_from: int = setting(
        2000,
        "Until this step the focal length stays where it began: while depth and motion are poor, "
        "another one than the true one fits best, and the depth that is learned with it holds it "
        "there.",
        least=0,
    )

    @property
    def learns_camera(self) -> bool:
        """Whether the focal length is a parameter, in place of the data set's camera."""
        return self.learned_fov > 0


@dataclasses.dataclass(frozen=True)
class PretrainedOptions(Settings):
    """`config.pretrained`: the weights that a run starts from."""

    group = "pretrained"

    checkpoint: str = setting(
        "", 'A run\'s --workdir whose weights to start from, or "default", the bundled model.'
    )
    keep: float = setting(
        0.0,
        "After the last step the weights go this share of the way back to that checkpoint's, so "
        "that what it knew is kept beside what was learned (Wortsman et al., Robust Fine-Tuning, "
        "CVPR 2022). For BatchNorm's statistics to fit, set train.batch_statistics_steps to 0.",
        least=0,
        most=1,
    )
    depth_encoder: str = setting(IMAGENET, _ENCODER)
    pose_encoder: str = setting(IMAGENET, _ENCODER)

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        if self.keep and not self.checkpoint:
            raise UserError(
                f"config.pretrained.keep is {self.keep:g}, but there is no checkpoint to keep "
                "anything of; set config.pretrained.checkpoint, or this to 0"
            )


@dataclasses.dataclass(frozen=True)
class TrainOptions(Settings):
    """`config.train`: the steps, and what is written between them."""

    group = "train"

    epochs: int = setting(20, "Passes over the samples.")
    steps: int = setting(0, "Where positive, the number of steps, in place of epochs.")
    middle_view_steps: int = setting(
        0,
        "Steps at the start that train on the middle view alone. From random weights, the high "
        "view's larger motion and the consistency are in the way of a first idea of depth; 0 from "
        "ImageNet.",
    )
    resolutions: tuple[tuple[int, int], ...] = setting(
        (),
        "Resolutions at which the depth network sees the views in the steps after those, in turns, "
        "such as ((144, 48), (192, 64), (240, 80)): it sees images well at sizes near those of its "
        "training. The losses are computed there, or at views.resolution where that is finer. Each "
        "compiles its own step. () is views.resolution alone.",
        least=8,
    )
    batch_statistics_steps: int = setting(
        -1,
        "Steps at the start in which BatchNorm normalises by each batch's statistics; -1 is all. "
        "The others normalise by the running statistics, which then stay as they are, as in a "
        "test. A batch's own depend on its resolution, and what is learned with them fits no other "
        "one as well.",
        least=-1,
    )
    accumulate: int = setting(
        1,
        "Parts that a step's batch is computed in, one after the other, for a batch that does not "
        "fit. Gradients are averaged over them; each has its own BatchNorm statistics.",
        least=1,
    )
    mapping: str = setting(
        "pmap",
        'How the step runs over the devices, with the same results: "pmap", or "shard_map" (under '
        "jit; of one process).",
        choices=("pmap", "shard_map"),
    )
    deterministic: bool = setting(
        False,
        "On a GPU, only kernels that give the same bits each time, so that a run repeats and a "
        "resumed one is the uninterrupted one. CPUs and TPUs need no such setting.",
    )
    rematerialise: bool = setting(
        False,
        "Compute activations once more for the derivative instead of keeping them: a third of "
        "their memory, for 1.3 times the operations. On a CPU it does nothing "
        "(docs/performance.md).",
    )
    log_every: int = setting(50, "Steps between two lines of figures.", least=1)
    wandb: str = setting("", 'A project at Weights & Biases for the same figures; "" is none.')
    picture_every: int = setting(
        1000, "Steps between two pictures, and one at the end; 0 is never.", least=0
    )
    validate_every: int = setting(
        1000, "Steps between two validations, and one at the end; 0 is never.", least=0
    )
    checkpoint_every: int = setting(
        1000, "Steps between two checkpoints, and one at the end.", least=1
    )
    keep_checkpoints: int = setting(3, "How many of the newest checkpoints are kept.", least=1)

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        for resolution in self.resolutions:
            if not isinstance(resolution, tuple) or len(resolution) != 2:
                raise UserError(
                    f"config.train.resolutions: expected (width, height) each, got {resolution}"
                )
        if self.steps <= 0 and self.epochs <= 0:
            raise UserError("config.train.steps and .epochs: expected one of them to be positive")


@dataclasses.dataclass(frozen=True)
class Options(Settings):
    """A config but for its model: settings of the run, and one group for each of its parts."""

    seed: int = setting(0, "Of all that is random.", least=0, most=2**32 - 1)
    batch_norm: str = setting(
        "per_view",
        'How BatchNorm sees the views: "per_view" (as published: high, middle, low apart) or '
        '"joint".',
        choices=("per_view", "joint"),
    )
    plugins: tuple[str, ...] = setting(
        (),
        "Modules of your own, such as my_network, that add networks, losses or data sets to the "
        "package's tables (docs/extending.md). They are imported before anything is built, here "
        "and by each command that loads a checkpoint of this run.",
    )
    batch_norm_sync: bool = setting(
        False, "Average BatchNorm statistics over devices (each device's own batch otherwise)."
    )
    data: DataOptions = dataclasses.field(default_factory=DataOptions)
    views: ViewOptions = dataclasses.field(default_factory=ViewOptions)
    loss: LossOptions = dataclasses.field(default_factory=LossOptions)
    pose: PoseOptions = dataclasses.field(default_factory=PoseOptions)
    optimizer: OptimizerOptions = dataclasses.field(default_factory=OptimizerOptions)
    pretrained: PretrainedOptions = dataclasses.field(default_factory=PretrainedOptions)
    train: TrainOptions = dataclasses.field(default_factory=TrainOptions)
    evaluate: EvaluateOptions = dataclasses.field(default_factory=EvaluateOptions)


GROUPS: dict[str, type[Settings]] = {
    name: cls
    for name, cls in get_type_hints(Options).items()
    if isinstance(cls, type) and issubclass(cls, Settings)
}


def options_of(config: ConfigDict) -> Options:
    """The options that a config holds, checked.

    Args:
        config: as `default_config`. Fields that are not settings, such as those of earlier
            versions, are left out.

    Raises:
        UserError: a value is not one that its field takes.
    """
    values: dict[str, Any] = {n: _group(cls, config[n]) for n, cls in GROUPS.items()}
    own = [field.name for field in dataclasses.fields(Options) if field.name not in GROUPS]
    return Options(**values, **{name: config[name] for name in own})


def _group(cls: type[Settings], values: ConfigDict) -> Settings:
    names = [field.name for field in dataclasses.fields(cls)]
    unknown = [name for name in values if name not in names]
    if unknown and cls in (ViewOptions, LossOptions):
        raise UserError(
            f"{cls.name_of(unknown[0])}: no such setting; expected one of {', '.join(names)}"
        )
    return cls(**{name: values[name] for name in names})


def validation_resolutions(config: ConfigDict) -> tuple[tuple[int, int], ...]:
    """(width, height) of the resolutions that a run with this config validates at."""
    given: Any = config.evaluate.resolutions or (config.views.resolution,)
    return tuple(map(tuple, given))
