"""Networks in ONNX files, our own and others, on the rendered street."""

import numpy as np
import pytest

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.errors import UserError
from radepth_jax.evaluation.edges import EDGE_METRICS
from radepth_jax.evaluation.loop import evaluate_method
from radepth_jax.evaluation.onnx_network import fit, load_onnx, onnx_method
from radepth_jax.evaluation.row import UnusablePredictionError
from radepth_jax.runs.protocol import Protocol

onnx = pytest.importorskip("onnx", reason="needs the onnx extra: pip install 'radepth-jax[onnx]'")


@pytest.fixture(scope="module")
def source(street_dir):
    return EvaluationSource(open_dataset("street/tiny", street_dir), "test")


def brightness(path, *, shape=("n", 3, "h", "w"), factor=1.0, shift=0.0, last=None):
    """A network whose output is a channel of its input, times a factor, plus a shift: [n, h, w].

    `last` is one more operation: `Sqrt`, or `Transpose` of h and w.
    """
    helper = onnx.helper
    axis = shape.index(3)
    out = [side for side in shape if side != 3]
    nodes = [
        helper.make_node("Gather", ["picture", "one"], ["green"], axis=axis),
        helper.make_node("Mul", ["green", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["shifted" if last else "map"]),
    ]
    if last == "Transpose":
        out = [out[0], *out[:0:-1]]
        nodes.append(helper.make_node(last, ["shifted"], ["map"], perm=[0, 2, 1]))
    elif last:
        nodes.append(helper.make_node(last, ["shifted"], ["map"]))
    constants = [
        onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in (
            ("one", np.int64(1)),
            ("factor", np.float32(factor)),
            ("shift", np.float32(shift)),
        )
    ]
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("picture", shape), ("map", out))
    ]
    graph = helper.make_graph(nodes, "brightness", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def row_of(network, source, resolutions=((64, 32),), **options):
    protocol = Protocol(**options)
    method = onnx_method(network, list(resolutions), protocol=protocol)
    return evaluate_method(method, source)[0].metrics


def test_the_orders_of_axes_agree(source, tmp_path):
    first = load_onnx(brightness(tmp_path / "1.onnx"), kind="depth")
    last = load_onnx(brightness(tmp_path / "2.onnx", shape=("n", "h", "w", 3)), kind="depth")
    assert (first.channels_first, last.channels_first) == (True, False)
    assert row_of(first, source) == pytest.approx(row_of(last, source))


def test_a_factor_or_a_shift_is_lost_where_the_kind_says_so(source, tmp_path):
    plain = brightness(tmp_path / "plain.onnx", shift=0.1)
    scaled = brightness(tmp_path / "scaled.onnx", factor=3.0, shift=0.3)
    shifted = brightness(tmp_path / "shifted.onnx", factor=-2.0, shift=5.0)
    for kind in ("depth", "disparity", "relative"):
        expected = row_of(load_onnx(plain, kind=kind), source)
        assert row_of(load_onnx(scaled, kind=kind), source) == pytest.approx(expected, rel=1e-4)
    same = row_of(load_onnx(shifted, kind="relative"), source)
    assert same == pytest.approx(row_of(load_onnx(plain, kind="relative"), source), rel=1e-3)
    assert row_of(load_onnx(shifted, kind="depth"), source) != pytest.approx(
        row_of(load_onnx(plain, kind="depth"), source), rel=1e-2
    )


def test_edges_do_not_depend_on_the_scale(source, tmp_path):
    plain = load_onnx(brightness(tmp_path / "plain.onnx", shift=0.1), kind="depth")
    scaled = load_onnx(brightness(tmp_path / "s.onnx", factor=3.0, shift=0.3), kind="depth")
    one, three = (row_of(n, source, edges=True, scaling="none") for n in (plain, scaled))
    assert one["abs_rel"] != pytest.approx(three["abs_rel"], rel=1e-2)
    for name in EDGE_METRICS:
        assert three[name] == pytest.approx(one[name], rel=1e-3)
    assert 0 < one["edge_f1"] < 1


def test_normalisation_is_undone_by_the_network_that_expects_it(source, tmp_path):
    plain = load_onnx(brightness(tmp_path / "a.onnx"), kind="depth")
    undoes = brightness(tmp_path / "b.onnx", factor=0.224, shift=0.456)  # of the green channel
    network = load_onnx(undoes, kind="depth", normalise="imagenet")
    assert row_of(network, source) == pytest.approx(row_of(plain, source), rel=1e-4)


def test_least_squares_finds_scale_and_shift():
    rng = np.random.default_rng(0)
    truth = rng.uniform(2, 50, (8, 9))
    known = rng.random(truth.shape) < 0.7
    values = (1 / truth - 0.02) / 0.5
    values[~known] = -100
    fitted = fit(values, truth, known, nearest=1 / 80)
    np.testing.assert_allclose(fitted[known], 1 / truth[known], rtol=1e-5)
    assert (fitted >= np.float32(1 / 80)).all()
    np.testing.assert_array_equal(fit(values, truth, known & False, nearest=1 / 80), 1)


def test_a_fixed_size_is_kept_to(source, tmp_path):
    network = load_onnx(brightness(tmp_path / "x.onnx", shape=(1, 3, 32, 64)), kind="depth")
    row_of(network, source)
    with pytest.raises(UserError, match="takes images of 64x32 alone; asked for 96x32"):
        row_of(network, source, [(96, 32)])


@pytest.mark.parametrize("kind", ["depth", "disparity", "relative"])
@pytest.mark.parametrize(
    "network", [{"factor": np.nan}, {"shift": np.inf}, {"shift": -0.4, "last": "Sqrt"}]
)
def test_what_is_not_finite_is_not_scored(source, tmp_path, kind, network):
    """Neither everywhere nor where it is dark alone."""
    path = brightness(tmp_path / "x.onnx", **network)
    with pytest.raises(UnusablePredictionError, match=r"64x32: the predicted depth is NaN or inf"):
        row_of(load_onnx(path, kind=kind), source)


@pytest.mark.parametrize("kind", ["depth", "disparity"])
@pytest.mark.parametrize("network", [{"factor": 0.0}, {"factor": -1.0, "shift": -1.0}])
def test_zeros_and_negatives_are_no_depth(source, tmp_path, kind, network):
    path = brightness(tmp_path / "x.onnx", **network)
    with pytest.raises(UnusablePredictionError, match=r"depth is 0 or negative in 3 of 3 images"):
        row_of(load_onnx(path, kind=kind), source)


def test_an_output_that_lies_on_its_side_is_not_scored(source, tmp_path):
    path = brightness(tmp_path / "x.onnx", shift=0.1, last="Transpose")
    network = load_onnx(path, kind="depth")
    with pytest.raises(UserError, match="its output is 32x64 for an image of 64x32: it lies on"):
        row_of(network, source)
    row_of(network, source, [(64, 64)])  # of a square one nobody can tell


def test_a_fixed_batch_is_named(source, tmp_path):
    with pytest.raises(UserError, match=r"takes batches of 4 images alone, and is given one"):
        load_onnx(brightness(tmp_path / "x.onnx", shape=(4, 3, "h", "w")), kind="depth")


def test_all_that_onnxruntime_says_is_in_the_line(source, tmp_path):
    network = load_onnx(brightness(tmp_path / "x.onnx", shape=(1, 3, 32, 64)), kind="depth")
    with pytest.raises(UserError, match="index: 3 Got: 96 Expected: 64") as error:
        network(np.zeros((32, 96, 3), np.float32))
    assert "\n" not in str(error.value)


def test_what_cannot_be_used_is_named(source, tmp_path):
    with pytest.raises(UserError, match=r"missing\.onnx: no such file"):
        load_onnx(tmp_path / "missing.onnx", kind="depth")
    (tmp_path / "bad.onnx").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"bad\.onnx: not an ONNX file that can be run"):
        load_onnx(tmp_path / "bad.onnx", kind="depth")
    path = brightness(tmp_path / "x.onnx")
    with pytest.raises(UserError, match="say what it gives with --onnx_gives: depth, disparity"):
        load_onnx(path)
    with pytest.raises(UserError, match="--onnx goes with --scaling median or none, not ground"):
        row_of(load_onnx(path, kind="depth"), source, scaling="ground")
    vector = brightness(tmp_path / "v.onnx", shape=("n", 3, "h", "w"))
    model = onnx.load(vector)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(model, vector)
    with pytest.raises(UserError, match=r"expected one, \[N, 3, H, W\] or \[N, H, W, 3\]"):
        load_onnx(vector, kind="depth")
