import io

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import PIL.Image
import pytest

from radepth_jax.data import schema
from radepth_jax.data.pictures import decode_image, image_size

depths = hypothesis.extra.numpy.arrays(
    np.float32,
    hypothesis.extra.numpy.array_shapes(min_dims=2, max_dims=2, max_side=20),
    elements=st.floats(width=32),
)


@hypothesis.given(depths)
def test_depth_survives_bit_for_bit(depth):
    decoded = schema.decode_depth(schema.encode_depth(depth))
    assert decoded.shape == depth.shape
    np.testing.assert_array_equal(decoded.view(np.uint32), depth.view(np.uint32))


def test_sparse_depth_is_small():
    depth = np.zeros((375, 1242), np.float32)
    depth[::5, ::5] = np.random.default_rng(0).uniform(1, 80, depth[::5, ::5].shape)
    assert len(schema.encode_depth(depth)) < depth.nbytes / 10


@pytest.mark.parametrize("cut", [0, 3, 11, 20, -1])
def test_damaged_depth_is_refused(cut):
    data = schema.encode_depth(np.ones((3, 4), np.float32))
    with pytest.raises(ValueError, match="depth map"):
        schema.decode_depth(data[:cut])


def test_depth_of_another_size_is_refused():
    data = bytearray(schema.encode_depth(np.ones((3, 4), np.float32)))
    data[4] = 5
    with pytest.raises(ValueError, match="damaged"):
        schema.decode_depth(bytes(data))


frame_keys = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.integers(0, 12)), unique=True, min_size=1
)


@hypothesis.given(frame_keys, st.booleans())
def test_index_finds_exactly_what_was_added(keys, grouped):
    keys = sorted(keys) if grouped else keys
    index = schema.FrameIndex.of(keys)
    for stored in (index, schema.FrameIndex(index.runs)):
        assert len(stored) == len(keys)
        for position, key in enumerate(keys):
            assert stored.find(*key) == position
            assert stored.locate(position) == key
        for other in {("a", c, f) for c in range(3) for f in range(-1, 14)} - set(keys):
            assert stored.find(*other) is None
    with pytest.raises(ValueError, match="twice"):
        schema.FrameIndex.of([*keys, keys[0]])


def test_consecutive_frames_are_one_run():
    index = schema.FrameIndex.of(("a", 0, frame) for frame in [3, 4, 5, 7])
    assert index.runs == [("a", 0, 3, 3, 0), ("a", 0, 7, 1, 3)]


def test_metadata_survives_json():
    import json

    index = schema.FrameIndex.of([("a", 2, 0)])
    transform = np.eye(4)
    transform[0, 3] = -0.5327190420453419
    metadata = schema.Metadata(
        canvas=(20, 30),
        index=index,
        targets={"train": [0]},
        with_depth={"train": 0},
        stereo={("a", 2): (3, transform)},
        prepared_from={"source": "x"},
        depth_canvas=(5, 9),
        protocol={"max_depth": 10.0},
    )
    again = schema.Metadata.from_json(json.loads(json.dumps(metadata.to_json())))
    assert again.to_json() == metadata.to_json()
    np.testing.assert_array_equal(again.stereo["a", 2][1], transform)


def test_metadata_written_before_it_had_a_depth_canvas_is_read():
    values = {"schema": 1, "canvas": [20, 30], "runs": [], "targets": {}, "with_depth": {}}
    metadata = schema.Metadata.from_json(values | {"stereo": [], "prepared_from": {}})
    assert metadata.depth_canvas == (20, 30)
    assert metadata.protocol == {}


def _encoded(kind: str) -> bytes:
    image = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    data = io.BytesIO()
    PIL.Image.fromarray(image).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@hypothesis.given(st.data())
def test_damaged_images_decode_or_raise_value_error(kind, data):
    encoded = bytearray(_encoded(kind))
    del encoded[data.draw(st.integers(0, len(encoded))) :]
    for _ in range(data.draw(st.integers(0, 4))):
        if encoded:
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    for function in (decode_image, image_size):
        message = "decoded"
        try:
            function(bytes(encoded))
        except ValueError as error:
            message = str(error)
        assert message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "empty"), (b"not an image at all", "not an image"), (_encoded("PNG")[:-200], "trunc")],
)
def test_corrupt_images_say_why(data, message):
    with pytest.raises(ValueError, match=message):
        decode_image(data)


def test_grey_palette_and_alpha_become_rgb_and_16_bits_8():
    grey = PIL.Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    for mode in ("L", "P", "RGBA"):
        data = io.BytesIO()
        grey.convert(mode).save(data, "PNG")
        decoded = decode_image(data.getvalue())
        np.testing.assert_array_equal(decoded, np.asarray(grey)[..., None].repeat(3, -1))
    data = io.BytesIO()
    levels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5957
    PIL.Image.fromarray(levels).save(data, "PNG")
    decoded = decode_image(data.getvalue())
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded[..., 0], np.round(levels / 257))
