import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.devices import AXIS
from radepth_jax.models import init_variables
from radepth_jax.runs.recipe import make_recipe


def test_a_recipe_is_of_its_config_whatever_becomes_of_the_config(micro_config):
    recipe = make_recipe(micro_config, 10)
    before = hash(recipe)
    micro_config.views.flip = 0.0
    micro_config.train.accumulate = 2
    assert (recipe.views.flip, recipe.options.train.accumulate) == (0.5, 1)
    assert hash(recipe) == before
    assert recipe.with_options(views=recipe.views) == recipe
    middle = dataclasses.replace(recipe.views, names=("middle",))
    assert recipe.with_options(views=middle).views.names == ("middle",)


def test_a_step_has_the_views_resolution_or_one_of_several_in_turns(micro_config):
    recipe = make_recipe(micro_config, 10)
    assert recipe.at(1) == recipe
    micro_config.train.resolutions = [[96, 32], [128, 64]]  # lists, as a saved config has them
    recipe = make_recipe(micro_config, 10)
    turns = [recipe.at(step) for step in (2, 3, 4)]
    assert [turn.views.resolution for turn in turns] == [(96, 32), (128, 64), (96, 32)]
    assert turns[0] == turns[2]  # so that it is compiled once
    assert hash(turns[0]) == hash(turns[2])
    assert {turn.views.names for turn in turns} == {recipe.views.names}
    assert {turn.seen for turn in turns} == {None}


def test_what_is_seen_small_is_judged_at_the_views_resolution(micro_config):
    micro_config.train.resolutions = ((48, 32), (64, 32))
    recipe = make_recipe(micro_config, 10)
    small, same = recipe.at(2), recipe.at(3)
    assert (small.seen, small.views.resolution) == ((48, 32), (64, 32))
    assert (same.seen, same.views.resolution) == (None, (64, 32))


def test_only_the_networks_over_devices_average_their_statistics(micro_config):
    """Seen in what they compute: each device's image alone, or all devices' images together."""
    recipe = make_recipe(micro_config, 10)
    variables = init_variables(recipe.networks, jax.random.key(0), (64, 32))["pose"]
    pairs = jnp.asarray(np.random.default_rng(0).random((2, 1, 32, 64, 6)), jnp.float32)

    def statistics(networks):
        def run(pair):
            return networks.pose.apply(variables, pair, train=True, mutable=["batch_stats"])[1]

        found = jax.pmap(run, axis_name=AXIS, devices=jax.devices()[:2])(pairs)
        return np.concatenate([np.asarray(x).reshape(2, -1) for x in jax.tree.leaves(found)], 1)

    alone = statistics(recipe.networks)
    together = statistics(recipe.over_devices().networks)
    assert np.abs(alone[0] - alone[1]).max() > 1e-4
    np.testing.assert_array_equal(together[0], together[1])
    micro_config.batch_norm_sync = False
    apart = make_recipe(micro_config, 10).over_devices()
    np.testing.assert_array_equal(statistics(apart.networks), alone)
