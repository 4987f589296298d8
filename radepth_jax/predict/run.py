"""Predict files, as `radepth predict` does. One broken file does not stop the others."""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from radepth_jax.data.films import Picture, footage_of, read_film
from radepth_jax.data.intrinsics import parse_intrinsics
from radepth_jax.errors import UserError, writing_to
from radepth_jax.files import remove_stale_parts
from radepth_jax.names import counted, shown
from radepth_jax.pictures import colorize
from radepth_jax.predict import outputs, viewer
from radepth_jax.predict.inputs import Input, input_size, read_image
from radepth_jax.predict.predictor import Predictor
from radepth_jax.predict.request import Request, Summary
from radepth_jax.predict.steadying import make_steady
from radepth_jax.predict.video_writer import RunningLimits, VideoWriter, side_by_side, writing_video
from radepth_jax.progress import Progress, no_progress

FILM_SUFFIX = "_depth.mp4"
FRAMES_SUFFIX = "_frames"  # the folder of a video's frames
Predicted = tuple[Picture, np.ndarray, np.ndarray]  # a frame, its image and its depth
_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


def predict_files(
    predictor: Predictor,
    inputs: Sequence[Input],
    request: Request,
    *,
    progress: Progress = no_progress,
    summary: Summary | None = None,
) -> Summary:
    """Predict images and videos, and write what is asked for.

    Args:
        predictor: from `load`.
        inputs: from `find_inputs`.
        request: what to write, and where.
        progress: called after every batch.
        summary: is filled while files are predicted. A caller that passes one can tell what was
            done even if this function raises.

    Returns:
        What was done and what failed.

    Raises:
        UserError: An output would replace an input, or cannot be written.
    """
    _check_nothing_is_replaced(inputs, request)
    with (
        writing_to(request.output),
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
    ):
        request.output.mkdir(parents=True, exist_ok=True)
        remove_stale_parts(path.parent for file in inputs for path in outputs_of(file, request))
        run = _Run(predictor, request, progress, pool, summary or Summary())
        run.images([file for file in inputs if not file.is_video])
        for file in inputs:
            if file.is_video:
                run.video(file)
    return run.summary


def outputs_of(file: Input, request: Request) -> list[Path]:
    """The output files of an input, without those of a video's frames."""
    kinds = [kind for kind in request.save if kind == "rrd" or not file.is_video]
    suffixes = [outputs.SUFFIXES[kind] for kind in kinds] + [FILM_SUFFIX] * file.is_video
    return [request.output / f"{file.name}{suffix}" for suffix in suffixes]


def _check_nothing_is_replaced(inputs: Sequence[Input], request: Request) -> None:
    paths = {file.path for file in inputs}
    for file in inputs:
        suffixes = (FILM_SUFFIX,) if file.is_video else outputs.SUFFIXES.values()
        for suffix in suffixes:
            target = Path(os.path.abspath(request.output / f"{file.name}{suffix}"))
            if target in paths:
                raise UserError(f"{target}: is an input, and would be replaced by the depth of "
                                f"{file.path}; name another output folder")  # fmt: skip


class _Run:
    def __init__(
        self,
        predictor: Predictor,
        request: Request,
        progress: Progress,
        pool: ThreadPoolExecutor,
        summary: Summary,
    ) -> None:
        self.predictor = predictor
        self.request = request
        self.progress = progress
        self.pool = pool
        self.summary = summary

    def images(self, files: list[Input]) -> None:
        """Predict images, with one program for each canvas of `Predictor.group`."""
        sized: list[tuple[Input, tuple[int, int]]] = []
        for file in files:
            try:
                size = input_size(file.path)
                self.predictor.check_size(size)
                sized.append((file, size))
            except ValueError as error:
                self._failed(str(file.path), error)
        groups = self.predictor.group([size for _, size in sized])
        for canvas, members in groups.items():
            batch_size = self.predictor.batch_for(canvas, len(members))
            readable = self._read([sized[index][0] for index in members], batch_size)
            clock = None
            for batch in self.predictor.stream(readable, canvas, batch_size):
                jobs = [
                    self.pool.submit(self._write, file.name, image, depth, None)
                    for file, image, depth in batch
                ]
                for (file, _, _), job in zip(batch, jobs, strict=True):
                    try:
                        self._count_clipped(*job.result())
                        self.summary.images += 1
                        self.summary.finished.append(file.name)
                    except UserError as error:  # intrinsics that do not fit this image
                        self._failed(str(file.path), error)
                    except OSError as error:  # this file system does not allow the name
                        if error.errno not in _NAMES:
                            raise
                        self._failed(str(file.path), error.strerror or "no such name")
                clock = self._tick(clock, len(batch))
                done = self.summary.images + len(self.summary.failures)
                self.progress("images", done, len(files))

    def _read(self, files: list[Input], ahead: int) -> Iterator[tuple[Input, np.ndarray]]:
        """Decode pictures in threads. Those that cannot be read are noted and left out."""
        for start in range(0, len(files), ahead):
            part = files[start : start + ahead]
            jobs = [self.pool.submit(read_image, file.path) for file in part]
            for file, job in zip(part, jobs, strict=True):
                try:
                    yield file, job.result()
                except ValueError as error:
                    self._failed(str(file.path), error)

    def video(self, file: Input) -> None:
        """Write the side-by-side video, and the frames' own files if asked for."""
        target = self.request.output / f"{file.name}{FILM_SUFFIX}"
        failed_before = len(self.summary.failures)
        try:
            footage = footage_of(file.path)
            with writing_video(target, footage) as film:
                self._film(film, file, footage.rate, footage.frames)
                if not film.frames:
                    raise UserError("no frame of it can be read")
        except UserError as error:
            name, said = shown(file.path), str(error)
            self.summary.failures.append(said if name in said else f"{name}: {said}")
            return
        except OSError as error:
            if error.errno not in _NAMES:
                raise
            self._failed(str(file.path), error.strerror or "no such name")
            return
        except av.FFmpegError as error:
            self._failed(str(file.path), f"FFmpeg cannot write its film ({error.strerror})")
            return
        self.summary.videos += 1
        self.summary.frames += film.frames
        # The same command would skip a finished file, and its failures would not be reported again.
        if len(self.summary.failures) == failed_before:
            self.summary.finished.append(file.name)

    def _viewer(
        self, file: Input, size: tuple[int, int], aspect: float
    ) -> contextlib.AbstractContextManager[Callable[[np.ndarray, np.ndarray, float], None]]:
        """A function that takes a frame's picture, depth and time, for the viewer's recording."""
        request, predictor = self.request, self.predictor
        if "rrd" not in request.save:
            return contextlib.nullcontext(lambda image, depth, seconds: None)
        return viewer.showing(
            request.output / f"{file.name}{outputs.SUFFIXES['rrd']}",
            predictor.model,
            parse_intrinsics(request.intrinsics, request.fov, size, aspect),
            metres_per_unit=predictor.metres_per_unit,
            note=partial(self._note, file),
        )

    def _film(self, film: VideoWriter, file: Input, rate: Fraction, total: int) -> None:
        pictures = self._decode(file)
        first = next(pictures, None)
        if first is None:
            return
        size = first[1].shape[:2]
        try:
            self.predictor.check_size(size)
        except ValueError as error:
            raise UserError(str(error)) from None
        film.aspect = first[0].aspect
        others: dict[tuple[int, int], list[Picture]] = {}

        def of_one_size() -> Iterator[tuple[Picture, np.ndarray]]:
            yield first
            for picture, image in pictures:
                if image.shape[:2] == size:
                    yield picture, image
                else:
                    h, w = image.shape[:2]
                    others.setdefault((h, w), []).append(picture)

        (canvas,) = self.predictor.group([size])
        batch_size = self.predictor.batch_for(canvas)
        limits_of = RunningLimits()
        clock = None
        with self._viewer(file, size, float(film.aspect)) as show:
            predicted = self.predictor.stream(of_one_size(), canvas, batch_size)
            for batch in self._steadied(predicted, size, film.aspect):
                limits = [limits_of(1 / depth) for _, _, depth in batch]
                jobs = []
                if self.request.frames:
                    folder = f"{file.name}{FRAMES_SUFFIX}"
                    jobs = [
                        self.pool.submit(
                            self._write,
                            f"{folder}/{picture.number:06d}",
                            image,
                            depth,
                            limit,
                            float(picture.aspect),
                        )
                        for (picture, image, depth), limit in zip(batch, limits, strict=True)
                    ]
                views = self.pool.map(partial(_view, self.request.colors), batch, limits)
                for (picture, image, depth), view in zip(batch, views, strict=True):
                    time = picture.number / rate if picture.time is None else picture.time
                    film.add(view, time)
                    show(image, depth, float(time))
                for job in jobs:
                    self._count_clipped(*job.result())
                clock = self._tick(clock, len(batch))
                self.progress(shown(file.path.name), film.frames, total or None)
        for (h, w), left_out in others.items():
            frames = counted(len(left_out), "frame")
            self._failed(
                left_out[0].origin,
                f"{w}x{h}, unlike the first frame's {size[1]}x{size[0]}; {frames} of that size "
                "left out",
            )

    def _steadied(
        self, batches: Iterator[list[Predicted]], size: tuple[int, int], aspect: Fraction
    ) -> Iterator[list[Predicted]]:
        """A film's batches, with steadied depth if that is asked for."""
        if not self.request.steady:
            yield from batches
            return
        steady = make_steady(self.predictor, self.request, size, aspect)
        for batch in batches:
            yield [(picture, image, steady(image, depth)) for picture, image, depth in batch]
        self.summary.flicker += steady.flicker

    def _decode(self, file: Input) -> Iterator[tuple[Picture, np.ndarray]]:
        for picture in read_film(file.path, partial(self._note, file)):
            try:
                yield picture, picture.decode()
            except ValueError as error:
                self._failed(picture.origin, error)

    def _write(
        self,
        name: str,
        image: np.ndarray,
        depth: np.ndarray,
        limits: tuple[float, float] | None,
        aspect: float = 1.0,
    ) -> tuple[int, float]:
        """Write the files of one picture.

        Returns how many pixels its 16-bit PNG has, and how many of them were clipped.
        """
        request = self.request
        path = {kind: request.output / f"{name}{outputs.SUFFIXES[kind]}" for kind in request.save}
        intrinsics = None
        if any(kind in path for kind in outputs.IN_SPACE):
            intrinsics = parse_intrinsics(request.intrinsics, request.fov, depth.shape[:2], aspect)
        pixels, clipped = 0, 0.0
        if "color" in path:
            outputs.write_color(path["color"], depth, limits, request.colors)
        if "png" in path:
            pixels, clipped = depth.size, depth.size * outputs.write_png(path["png"], depth)
        if "npy" in path:
            outputs.write_npy(path["npy"], depth)
        if intrinsics is not None and "ply" in path:
            outputs.write_ply(path["ply"], depth, image, intrinsics)
        if intrinsics is not None and "glb" in path:
            outputs.write_glb(path["glb"], depth, image, intrinsics)
        if intrinsics is not None and "rrd" in path and limits is None:  # not of a film
            in_metres = self.predictor.metres_per_unit is not None
            viewer.write_rrd(path["rrd"], depth, image, intrinsics, in_metres=in_metres)
        return pixels, clipped

    def _count_clipped(self, pixels: int, clipped: float) -> None:
        self.summary.pixels += pixels
        self.summary.clipped += clipped

    def _note(self, file: Input, text: str) -> None:
        self.summary.notes.append(f"{shown(file.path)}: {text}")

    def _failed(self, what: str, error: Exception | str) -> None:
        self.summary.failures.append(f"{shown(what)}: {error}")

    def _tick(self, clock: float | None, pictures: int) -> float:
        """Count a batch's time and pictures, unless it is a program's first batch."""
        now = time.perf_counter()
        if clock is not None:
            self.summary.seconds += now - clock
            self.summary.timed += pictures
        return now


def _view(colors: str, item: Predicted, limits: tuple[float, float]) -> np.ndarray:
    _, image, depth = item
    return side_by_side(image, colorize(1 / depth, limits=limits, colors=colors))
