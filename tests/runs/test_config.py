import pytest

from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.runs.config import check_config, default_config


def test_an_unknown_scaling_is_named():
    config = default_config()
    config.evaluate.scaling = "fixed"  # a run has no stored factor yet
    with pytest.raises(UserError, match=r"evaluate.scaling: expected one of median, ground, none"):
        check_config(config)


@pytest.mark.parametrize("name", presets.MODELS)
def test_only_ra_depth_has_the_views_and_the_consistency(name):
    config = default_config(name)
    check_config(config)
    assert (len(config.views.names) == 3) == (name == "ra_depth")
    assert (config.loss.consistency > 0) == (name == "ra_depth")
