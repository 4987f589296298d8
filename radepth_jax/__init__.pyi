from .data.dataset import open_dataset
from .data.evaluation_source import EvaluationSource
from .data.prepare import prepare
from .errors import UserError
from .evaluation.evaluator import evaluate
from .inference.depth import predict_depth
from .losses.objective import objective
from .models.build import build
from .predict.predictor import Predictor, load
from .runs.config import default_config
from .runs.protocol import protocol_of
from .runs.recipe import make_recipe
from .runs.saved_model import Model, load_model
from .training.loop import train
from .views.make import make_views

__version__: str

__all__ = [
    "EvaluationSource",
    "Model",
    "Predictor",
    "UserError",
    "build",
    "default_config",
    "evaluate",
    "load",
    "load_model",
    "make_recipe",
    "make_views",
    "objective",
    "open_dataset",
    "predict_depth",
    "prepare",
    "protocol_of",
    "train",
]
