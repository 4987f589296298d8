import pytest

from radepth_jax.errors import reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError(), "ValueError"),
        (ValueError("\n"), "ValueError"),
        (KeyError("name"), "name"),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), "No such file or directory"),
        (OSError("odd"), "odd"),
    ],
)
def test_the_reason_is_one_line_and_never_empty(error, said):
    assert reason(error) == said
