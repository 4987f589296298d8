"""Published PyTorch weights through the commands: `.pth` files -> convert -> predict."""

import numpy as np
import pytest
from published_networks import images, reference, state_dicts

from radepth_jax.inference.depth import depth_of_batch
from radepth_jax.interop.torch_files import write_folder


def test_the_published_networks_depth_comes_out_of_predict(radepth, tmp_path):
    """The full RA-Depth network, compiled once; its inputs are floats, which levels would round."""
    pytest.importorskip("torch", reason="needs the torch extra: pip install 'radepth-jax[torch]'")
    write_folder(state_dicts(), tmp_path / "published", "torch")
    assert (tmp_path / "published" / "encoder.pth").is_file()
    (tmp_path / "pictures").mkdir()
    for i, image in enumerate(images()):
        np.save(tmp_path / "pictures" / f"{i}.npy", image)

    run, out = tmp_path / "run", tmp_path / "out"
    code, _, err = radepth("convert", "--input", tmp_path / "published", "--output", run)
    assert code == 0, err
    depth_of_batch.clear_cache()
    code, _, err = radepth(
        "predict", "--checkpoint", run, "--output", out, "--resolution", "192x64", "--save", "npy",
        tmp_path / "pictures",
    )  # fmt: skip
    assert code == 0, err
    assert depth_of_batch._cache_size() == 1

    expected = reference()["eval/disp_0"][..., 0]
    least, most = 1 / 100, 1 / 0.1  # the inverse depths that disparities 0 and 1 stand for
    for i in range(len(expected)):
        depth = np.load(out / f"{i}_depth.npy").astype(np.float64)
        disparity = (1 / depth - least) / (most - least)
        np.testing.assert_allclose(disparity, expected[i], atol=1e-4, rtol=0)
