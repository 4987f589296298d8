"""Models on the Hugging Face hub, by name: `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`."""

import csv
import re
import tempfile
from pathlib import Path

import huggingface_hub
import huggingface_hub.errors

from radepth_jax.errors import UserError, writing_to
from radepth_jax.files import atomic_write
from radepth_jax.runs.packed_model import CONFIG, WEIGHTS, PackedModel, write_packed

PREFIX = "hf:"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CARD = "README.md"
_TABLE = "results.csv"
# What the data's terms ask of a network that learnt from it, as far as they are known.
_TERMS = {
    "kitti": "KITTI's data is under CC BY-NC-SA 3.0, which allows no commercial use",
    "street": "rendered by radepth-jax itself; no other terms apply",
    "video": "video of the person who trained it",
}


def download(name: str) -> Path:
    """The folder, in the hub's cache, with a model's two files.

    Args:
        name: `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`, a branch, tag or commit.

    Raises:
        UserError: There is no such model, or it cannot be fetched.
    """
    repository, _, revision = name.removeprefix(PREFIX).partition("@")
    if not _NAME.fullmatch(repository):
        raise UserError(f"{name}: expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION")
    try:
        paths = [
            huggingface_hub.hf_hub_download(repository, file, revision=revision or None)
            for file in (WEIGHTS, CONFIG)
        ]
    except (
        huggingface_hub.errors.RepositoryNotFoundError,
        huggingface_hub.errors.RevisionNotFoundError,
        huggingface_hub.errors.RemoteEntryNotFoundError,
    ) as error:
        raise UserError(
            f"{name}: the hub has no such model, or it has no {WEIGHTS} and {CONFIG} as "
            "`radepth push` writes them; a private one needs `hf auth login`"
        ) from error
    except (huggingface_hub.errors.HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(f"{name} could not be downloaded ({_reason(error)})") from error
    return Path(paths[0]).parent


def push(
    model: PackedModel, to: str, *, results: Path | None, license: str | None, private: bool
) -> str:
    """Write a model and its card to the hub, or into a folder.

    Args:
        model: what to write.
        to: `OWNER/NAME` on the hub, or a folder, which is `./NAME` or an absolute path.
        results: a folder with the `results.csv` of `radepth evaluate`, for the card's table.
        license: the hub's identifier of a licence, such as apache-2.0.
        private: whether a new repository is for its owner alone.

    Returns:
        The address of the model, or its folder.

    Raises:
        UserError: The model cannot be written there.
    """
    if to.startswith((".", "/", "~")):
        folder = Path(to).expanduser()
        _write(model, folder, folder.name, results, license)
        return str(folder)
    name = to.removeprefix(PREFIX)
    if not _NAME.fullmatch(name):
        raise UserError(f"--to {to}: expected OWNER/NAME on the hub, or a folder such as ./NAME")
    with tempfile.TemporaryDirectory() as staging:
        _write(model, Path(staging), name, results, license)
        api = huggingface_hub.HfApi()
        try:
            address = api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=name,
                folder_path=staging,
                commit_message=f"Network after {model.step} training steps",
            )
        except huggingface_hub.errors.LocalTokenNotFoundError:
            raise UserError(f"--to {to}: log in first, with `hf auth login`") from None
        except (huggingface_hub.errors.HfHubHTTPError, OSError, ValueError) as error:
            raise UserError(f"--to {to}: the hub did not take it ({_reason(error)})") from error
    return str(address)


def _write(
    model: PackedModel, folder: Path, name: str, results: Path | None, license: str | None
) -> None:
    write_packed(model, folder)
    with writing_to(folder), atomic_write(folder / _CARD) as part:
        part.write_text(make_card(model, name, results, license), encoding="utf-8")


def make_card(model: PackedModel, name: str, results: Path | None, license: str | None) -> str:
    """The model's page: what it is, what it learnt from, how good it is, and how to use it.

    Args:
        model: what the page is about.
        name: the model's name on the hub.
        results: a folder with the `results.csv` of `radepth evaluate`.
        license: the hub's identifier of a licence.
    """
    data = model.config.data.name
    facts = huggingface_hub.ModelCardData(
        library_name="radepth-jax",
        pipeline_tag="depth-estimation",
        tags=["depth-estimation", "monocular-depth", "jax", "self-supervised"],
        license=license,
    )
    terms = next(
        (text for prefix, text in _TERMS.items() if data.startswith(prefix)),
        "see the data set's own terms",
    )
    width, height = model.config.views.resolution
    views = ", ".join(model.config.views.names)
    scale = model.metric_scale
    unit = "up to one unknown scale" if scale is None else f"in metres ({scale:g} a unit)"
    used = f"hf:{name}" if "/" in name else f"./{name}"
    depth = model.config.model.depth
    plugins = ", ".join(f"`{name}`" for name in model.config.plugins)
    needs = plugins and (
        f"\n- **Needs** the Python modules {plugins} of whoever made it; commands take it with "
        "`--allow_plugins` (in Python, `allow_plugins=True`) and import them"
    )
    lines = [
        f"---\n{facts.to_yaml()}\n---",
        f"# {name}",
        "Monocular depth by [radepth-jax](https://pypi.org/project/radepth-jax/), which learns it "
        "from video without ground truth and keeps it steady over test resolutions (RA-Depth, "
        "ECCV 2022).",
        f"- **Network**: {depth.encoder.name} encoder, {depth.decoder.name} decoder\n"
        f"- **Trained** on `{data}` at {width}x{height}, views {views}, for {model.step} steps\n"
        f"- **Terms of the data**: {terms}\n"
        f"- **Depth** is {unit}{needs}",
        f"```bash\nradepth predict --checkpoint {used} photo.jpg\n"
        f"radepth evaluate --checkpoint {used} --dataset {data}\n```",
        f'```python\nfrom radepth_jax.predict import load\n\ndepth = load("{used}")(image)\n```',
    ]
    table = _results_table(results) if results else ""
    if table:
        lines.append("## Accuracy over test resolutions\n\n" + table)
    return "\n\n".join(lines) + "\n"


def _results_table(folder: Path) -> str:
    """The rows of `results.csv` in Markdown. Empty if there is no such file."""
    path = folder / _TABLE
    if not path.is_file():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = ("abs_rel", "sq_rel", "rmse", "rmse_log", "d1", "d2", "d3")
    try:
        body = [
            f"| {row['model']} | {row['resolution']} | {row['scaling']} | "
            + " | ".join(f"{float(row[name]):.3f}" for name in numbers)
            + f" | {row['images']} |"
            for row in rows
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a table of `radepth evaluate` ({error})") from None
    head = ["model", "resolution", "scaling", *numbers, "images"]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body])


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
