"""What our speed is compared with: PyTorch's networks are the published ones."""

import sys
from pathlib import Path

import numpy as np
import pytest
from published_networks import images, pairs, reference, state_dicts

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))


def test_networks_give_the_published_outputs():
    torch = pytest.importorskip("torch")
    from torch_ra_depth import RADepth

    model = RADepth().eval()
    model.load(
        {
            part: {key: value for key, value in values.items() if np.ndim(value) or "num" in key}
            for part, values in state_dicts().items()
        }
    )
    with torch.inference_mode():
        disparity = model.disparity(torch.tensor(images()).movedim(-1, 1)).movedim(1, -1)
        axisangle, translation = model.pose(
            model.pose_encoder(torch.tensor(pairs()).movedim(-1, 1))
        )
    expected = reference()
    np.testing.assert_allclose(disparity, expected["eval/disp_0"], atol=1e-5)
    np.testing.assert_allclose(axisangle, expected["pose/axisangle"][:, 0, 0], atol=1e-8)
    np.testing.assert_allclose(translation, expected["pose/translation"][:, 0, 0], atol=1e-8)


def test_autocast_takes_the_networks_to_bfloat16_and_back():
    torch = pytest.importorskip("torch")
    from torch_ra_depth import RADepth

    torch.manual_seed(0)
    plain, half = RADepth(), RADepth(bfloat16=True)
    half.load_state_dict(plain.state_dict())
    frames = torch.rand(1, 3, 3, 64, 96)
    with torch.inference_mode():
        expected, found = (model.disparity(frames[:, 0]) for model in (plain, half))
        motions = half.motion(frames)
    assert found.dtype == motions[0].dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
