"""The app's page: what is on it, and which function answers which control."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.names import shown
from radepth_jax.pictures import to_uint8
from radepth_jax.predict.app_answers import FOV, NARROWEST, STEP, WIDEST, OfferedNetworks, depth_at

INSTALL = "pip install 'radepth-jax[app]'"
NONE = "none"
SWEEP = (128, 256, 384, 512, 768)  # widths


def require_gradio() -> Any:
    """The module Gradio. If it is missing, a UserError says how to install it."""
    try:
        import gradio
    except ImportError:
        raise UserError(f"the app needs Gradio: {INSTALL}") from None
    return gradio


def build(networks: OfferedNetworks) -> Any:
    """The page as `gradio.Blocks`, not yet served.

    Args:
        networks: the networks that the page offers. The first one is chosen at the start.
    """
    gr = require_gradio()
    names = list(networks.checkpoints)

    def told(function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose UserErrors become messages on the page."""

        def answer(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except UserError as error:
                raise gr.Error(shown(error)) from None

        return answer

    def predict(path: str | None, width: int, first: str, second: str) -> tuple:
        if path is None:
            return None, None, "", None
        image = networks.read(Path(path))
        one = networks.answer(first, image, int(width))
        if second == NONE:
            return (to_uint8(image), one.colours), None, one.caption, one.depth
        other = networks.answer(second, image, int(width))
        beside = (one.colours, other.colours)
        return (to_uint8(image), one.colours), beside, f"{one.caption}\n{other.caption}", one.depth

    def sweep(path: str | None, first: str) -> list:
        if path is None:
            raise UserError("give a picture first")
        answers = networks.sweep(first, networks.read(Path(path)), SWEEP)
        return [(answer.colours, answer.caption.partition(": ")[0]) for answer in answers]

    def look(path: str | None, depth: Any, fov: float) -> tuple:
        if path is None or depth is None:
            raise UserError("give a picture first")
        paths = networks.files(depth, networks.read(Path(path)), float(fov))
        return str(paths["glb"]), [str(path) for path in paths.values()]

    def point(depth: Any, event: Any) -> str:
        if depth is None:
            return ""
        column, row = event.index
        return depth_at(np.asarray(depth), int(column), int(row))

    point.__annotations__["event"] = gr.SelectData  # Gradio passes the click for it

    def film(video: Any, width: int, first: str) -> str | None:
        return None if video is None else str(networks.film(first, Path(video), int(width)))

    def path_of(upload: Any) -> str | None:
        """The file itself, because Gradio's own reader clips pictures of 16 bits."""
        if upload is not None and upload.path is None:
            raise gr.Error("the picture came without a file; upload one")
        return None if upload is None else upload.path

    with gr.Blocks(title="radepth: depth at any resolution", analytics_enabled=False) as page:
        gr.Markdown("# Depth at any resolution\nNear is bright. Nothing leaves this machine.")
        with gr.Row():
            first = gr.Dropdown(names, value=names[0], label="Network", elem_id="first")
            second = gr.Dropdown([NONE, *names], value=NONE, label="Compare with", elem_id="second")
            width = gr.Slider(
                NARROWEST, WIDEST, value=320, step=STEP, elem_id="width",
                label="Width that the network sees, pixels",
            )  # fmt: skip
        with gr.Tab("Picture"):
            depth = gr.State(None)
            with gr.Row():
                image = gr.Image(
                    label="Picture (click it to read the depth there)",
                    sources=["upload", "webcam", "clipboard"], elem_id="picture",
                    type="filepath", image_mode=None,
                )  # fmt: skip
                image.preprocess = path_of
                slider = gr.ImageSlider(
                    label="Picture and depth", interactive=False, elem_id="depth"
                )
            caption = gr.Textbox(label="What is shown", elem_id="caption", lines=2)
            here = gr.Textbox(label="Depth at the click", elem_id="here")
            beside = gr.ImageSlider(
                label="Network and the one it is compared with", interactive=False, elem_id="beside"
            )
            with gr.Row():
                all_sizes = gr.Button("Show it at several resolutions", elem_id="sweep")
                in_space = gr.Button("3D view and files", elem_id="space")
                fov = gr.Slider(20, 120, value=FOV, label="Horizontal field of view, degrees")
            gallery = gr.Gallery(
                label="Resolutions", columns=2, object_fit="contain", height="auto",
                elem_id="gallery",
            )  # fmt: skip
            with gr.Row():
                model = gr.Model3D(label="3D view", elem_id="model")
                files = gr.File(label="Files", elem_id="files", interactive=False)
            shows = [slider, beside, caption, depth]
            for control in (image, width, first, second):
                control.change(told(predict), [image, width, first, second], shows)
            image.select(point, depth, here)
            all_sizes.click(told(sweep), [image, first], gallery)
            in_space.click(told(look), [image, depth, fov], [model, files])
        with gr.Tab("Video"):
            with gr.Row():
                video = gr.Video(label="Video", sources=["upload", "webcam"], elem_id="video")
                result = gr.Video(label="Video and depth", interactive=False, elem_id="film")
            gr.Button("Predict", elem_id="predict_video").click(
                told(film), [video, width, first], result
            )
    return page
