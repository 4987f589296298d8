import os

import hypothesis
import pytest
from hypothesis import strategies as st

from radepth_jax.names import LONGEST, follow, hidden, shortened, shown, visible


def test_what_file_managers_leave_behind_is_hidden(tmp_path):
    for name in ("._1.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "10.jpg", "2.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "__MACOSX").mkdir()
    assert [path.name for path in visible(tmp_path)] == ["2.jpg", "10.jpg"]
    assert hidden("THUMBS.DB")


@hypothesis.given(st.binary(min_size=1, max_size=400), st.integers(0, 40))
def test_names_of_any_bytes_leave_room_for_an_ending(data, ending):
    name = os.fsdecode(data.replace(b"/", b"_"))
    short = shortened(name, ending)
    assert len(os.fsencode(short)) + ending <= LONGEST
    assert shortened(name + "x", ending) != short
    if len(data) + ending <= LONGEST:
        assert short == name


def test_characters_are_not_cut_in_two():
    for count in (78, 79, 80, 81):
        short = shortened("界" * count, 30)
        assert short.encode().decode() == short
        assert short.startswith("界" * 60)


@hypothesis.given(st.binary(max_size=60))
def test_every_name_can_be_shown(data):
    line = shown(os.fsdecode(data))
    assert line.isprintable()
    line.encode("utf-8")


def test_bytes_and_control_characters_are_escaped():
    assert shown(os.fsdecode(b"br\xe9ken\n\x1b[2J")) == r"br\xe9ken\n\x1b[2J"
    assert shown("Übung 界") == "Übung 界"
    assert shown("\ud800") == r"\xed\xa0\x80"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["0", "1", "2", "7", "8"], [0, 1, 1, 0, 1]),
        (["f000", "f005", "f010", "f020"], [0, 1, 1, 0]),  # every fifth was taken
        (["a1", "a2", "a3", "b4", "b5"], [0, 1, 1, 0, 1]),  # two clips
        (["1.04", "1.17", "1.31", "1.39"], [0, 1, 1, 1]),  # times: nothing is known
        (["left", "right"], [0, 1]),
        (["IMG_2024_0001", "IMG_2024_0002", "IMG_2024_0004"], [0, 1, 0]),
        (["7"], [0]),
    ],
)
def test_missing_numbers_part_what_is_around_them(names, expected):
    assert follow(names) == [bool(value) for value in expected]
