"""`radepth predict [--checkpoint DIR] INPUT...`: depth of images, folders and videos."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from radepth_jax.cli.parser import Parser, add_allow_plugins
from radepth_jax.errors import UserError
from radepth_jax.names import counted
from radepth_jax.startup import start_program

if TYPE_CHECKING:
    from radepth_jax.predict.predictor import Predictor
    from radepth_jax.predict.record import Record
    from radepth_jax.predict.request import Request, Summary


def main(argv: list[str]) -> None:
    """Predict the files that the arguments name. Exits with 1 if some could not be read."""
    parser = Parser("radepth predict", description=__doc__)
    parser.add_argument(
        "--checkpoint",
        default="default",
        help="the --workdir of a training run; by default the bundled model, for road scenes",
    )
    parser.add_argument(
        "--output", default="depth", help="the folder to write to; by default ./depth"
    )
    parser.add_argument(
        "--resolution", help="WxH of the network's input, or native; by default as in training"
    )
    parser.add_argument(
        "--save",
        help="comma-separated: color,png,npy,ply,glb,rrd; by default the first three, and ply with "
        "a camera",
    )
    parser.add_argument(
        "--colors", default="magma", help="a colour map of Matplotlib, or grey; NAME_r is backwards"
    )
    parser.add_argument("--frames", action="store_true", help="save every frame of a video, too")
    parser.add_argument(
        "--steady",
        action="store_true",
        help="filter the depth of films along the camera's motion, so that it flickers less; needs "
        "--fov or --intrinsics",
    )
    parser.add_argument(
        "--intrinsics",
        help="for ply, glb, rrd and --steady: fx,fy,cx,cy in pixels of the pictures, or a camera's "
        "file",
    )
    parser.add_argument(
        "--fov",
        type=float,
        help="or the horizontal field of view in degrees; by default what training learned, if "
        "config.pose.learned_fov asked for it",
    )
    parser.add_argument(
        "--scale", type=float, help="metres per unit of depth; by default what the checkpoint has"
    )
    parser.add_argument("--flip", action="store_true", help="average with the mirrored picture")
    parser.add_argument("--batch_size", type=int, default=8, help="pictures at once, at most")
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="an image or NPY picture, a folder or a video; or one stream: rtsp://..., /dev/video0 "
        "or - for a pipe",
    )
    add_allow_plugins(parser)
    options = parser.parse_args(argv)

    start_program()
    import rich.console

    from radepth_jax.inference.motion import check_pose_network
    from radepth_jax.names import shown
    from radepth_jax.predict import load
    from radepth_jax.predict.inputs import find_inputs
    from radepth_jax.predict.record import Record
    from radepth_jax.predict.request import SAVE, Request, Summary
    from radepth_jax.predict.run import predict_files
    from radepth_jax.predict.steadying import flicker_line
    from radepth_jax.predict.stream import is_stream
    from radepth_jax.progress import progress_bars

    live = [text for text in options.inputs if is_stream(text)]
    if live and len(options.inputs) > 1:
        raise UserError(f"{shown(live[0])}: is a stream; give it alone")
    output = Path(options.output).expanduser()
    found = find_inputs([] if live else options.inputs, output)
    predictor = load(
        options.checkpoint,
        resolution=options.resolution,
        flip=options.flip,
        scale=options.scale,
        batch_size=1 if live else options.batch_size,
        allow_plugins=options.allow_plugins,
    )
    fov = options.fov
    if fov is None and options.intrinsics is None:
        fov = predictor.model.learned_fov
    if options.save is None:
        save = SAVE if options.intrinsics is None and fov is None else (*SAVE, "ply")
    else:
        save = tuple(options.save.split(","))
    request = Request(
        output=output,
        save=save,
        intrinsics=options.intrinsics,
        fov=fov,
        frames=options.frames,
        colors=options.colors,
        steady=options.steady,
    )
    if options.steady:
        if not live and not any(file.is_video for file in found.inputs):
            raise UserError("--steady: none of the inputs is a film; leave it out for pictures")
        check_pose_network(predictor.model, options.checkpoint)
    if live:
        follow(predictor, live[0], request)
        return
    record = Record(options.checkpoint, predictor, request, found)
    if record.before:
        print(
            f"{len(record.before)} of {counted(len(found.inputs), 'input')} were finished before "
            "the same command broke off; going on with the rest",
            file=sys.stderr,
        )
    summary = Summary()
    try:
        with progress_bars(rich.console.Console(stderr=True)) as progress:
            predict_files(predictor, record.rest, request, progress=progress, summary=summary)
        record.write(summary, complete=True)
    except (KeyboardInterrupt, UserError) as end:
        said = record_what_is_done(record, summary, len(found.inputs))
        raise type(end)(*end.args or (said,)) from None

    scale = predictor.metres_per_unit
    done = [counted(summary.images, "image")] * bool(summary.images)
    if summary.videos:
        done.append(f"{counted(summary.videos, 'video')} ({counted(summary.frames, 'frame')})")
    speed = f", {summary.timed / summary.seconds:.1f} a second" if summary.timed else ""
    print(f"{' and '.join(done) or 'nothing'} predicted{speed}: {shown(request.output)}")
    if scale is None:
        print("depth is up to one unknown scale; --scale METRES_PER_UNIT makes it metres")
    else:
        origin = "the checkpoint's" if options.scale is None else "given"
        print(f"depth is in metres: {scale:g} a unit, {origin} scale")
    if summary.flicker:
        print(flicker_line(summary.flicker))
    if summary.clipped:
        share = summary.clipped / summary.pixels
        print(f"16-bit PNG: {share:.2%} of the pixels are beyond 255.996 and were cut to it")
    for note in (*summary.notes, found.note()):
        if note:
            print(note)
    for failure in summary.failures:
        print(f"radepth predict: failed: {failure}", file=sys.stderr)
    if summary.failures:
        raise SystemExit(1)


def record_what_is_done(record: "Record", summary: "Summary", inputs: int) -> str:
    """Write the record of a run that ends early. Returns what the same command does next."""
    if not (record.before or summary.finished):
        return "the same command starts over"
    try:
        finished = record.write(summary, complete=False)
    except UserError:
        return "the same command starts over, as its record cannot be written"
    return f"{finished} of {counted(inputs, 'input')} are finished; the same command goes on"


def follow(predictor: "Predictor", source: str, request: "Request") -> None:
    """Predict a stream until its end or Ctrl-C. Exits with 1 if the stream broke off."""
    from radepth_jax.names import shown
    from radepth_jax.predict.steadying import flicker_line
    from radepth_jax.predict.stream import predict_stream, stream_name

    print(f"{shown(source)}: predicting as it comes; Ctrl-C ends it", file=sys.stderr)
    summary = predict_stream(predictor, source, request)
    path = request.output / f"{stream_name(source)}_depth.mp4"
    dropped = f", {summary.dropped} passed over to keep up" if summary.dropped else ""
    print(f"{counted(summary.frames, 'frame')} predicted{dropped}: {shown(path)}")
    if summary.latencies:
        print(summary.line())
    if summary.flicker:
        print(flicker_line(summary.flicker))
    if summary.failure:
        print(f"radepth predict: failed: {shown(source)}: {summary.failure}", file=sys.stderr)
        raise SystemExit(1)
