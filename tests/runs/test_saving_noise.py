import subprocess
import sys

import pytest

# What JAX's writer of arrays leaves behind where one fragment failed before another had begun.
FORGOTTEN = """
from radepth_jax.runs.saving_noise import leave_out_saving_noise

leave_out_saving_noise()

def {name}():
    async def write_fragment():
        pass
    return write_fragment()

kept_to_the_end = {name}()
"""


@pytest.mark.parametrize(
    ("name", "shown"),
    [("async_serialize_from_host", False), ("something_else", True)],
)
def test_a_fragment_that_was_never_written_is_not_reported(name, shown):
    done = subprocess.run(
        [sys.executable, "-c", FORGOTTEN.format(name=name)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ("never awaited" in done.stderr) == shown


GIVEN_UP = """
import types
from radepth_jax.runs.saving_noise import leave_out_saving_noise

leave_out_saving_noise()

@types.coroutine
def wait():
    yield

async def read():
    try:
        await wait()
    except GeneratorExit as error:
        raise Exception("cannot read") from error

begun = read()
begun.send(None)
del begun
"""


def test_a_read_that_was_given_up_is_not_reported():
    done = subprocess.run(
        [sys.executable, "-c", GIVEN_UP],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
