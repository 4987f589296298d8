import codecs

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from radepth_jax.data.text import decode_text, read_json, read_lines, read_numbers
from radepth_jax.errors import UserError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_line_ends_blank_lines_and_comments_say_nothing(tmp_path, encoding, end):
    text = end.join(["# from – to", "1 2 3", "", "  \t", "4 5 6  # the second", "", ""])
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    np.testing.assert_array_equal(read_numbers(tmp_path / "a.txt", 3), [[1, 2, 3], [4, 5, 6]])
    lines = read_lines(tmp_path / "a.txt", comments="#")
    assert [line.where.split(", ")[1] for line in lines] == ["line 2", "line 5"]


@pytest.mark.parametrize("bad", ["1 2", "1 2 nan", "1 2 x", "1 2 3 4"])
def test_a_bad_line_is_named_by_its_number_in_the_file(tmp_path, bad):
    (tmp_path / "a.txt").write_text(f"\n\n1 2 3\n{bad}\n")
    with pytest.raises(UserError, match=rf"a\.txt, line 4: expected 3 numbers, got '{bad}'"):
        read_numbers(tmp_path / "a.txt", 3)


def test_what_is_no_text_is_named_with_what_to_do(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\x89PNG\r\n\0\xff")
    with pytest.raises(UserError, match=r"a\.txt: not a text file; unpack it"):
        read_lines(tmp_path / "a.txt", hint="unpack it")
    with pytest.raises(UserError, match=r"b\.txt: No such file or directory; unpack it"):
        read_lines(tmp_path / "b.txt", hint="unpack it")


@hypothesis.given(st.binary(max_size=80))
def test_any_bytes_are_text_or_a_value_error(data):
    for mark in (b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE):
        try:
            text = decode_text(mark + data)
        except ValueError as error:
            text = str(error)
        assert text is not None
        assert "\r" not in text
        assert "\0" not in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_read_in_any_encoding_of_a_text_file(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes('{"w": [1, 2.5, "é"]}'.encode(encoding))
    assert read_json(tmp_path / "a.json", "a camera") == {"w": [1, 2.5, "é"]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"w": ' * 200_000 + b"1" + b"}" * 200_000, "nested deeper than 100 levels"),
        (b"[" * 101 + b"]" * 101, "nested deeper than 100 levels"),  # which the parser itself takes
        (b'{"w": 1', "Expecting ',' delimiter"),
        (b"", "Expecting value"),
        (b"\x1f\x8b\x08\0\0", "not a text file"),
        (b"1" * 5000, "Exceeds the limit"),
    ],
)
def test_what_is_no_json_or_nested_too_deep_is_named(tmp_path, content, says):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.json: not a camera \({says}"):
        read_json(tmp_path / "a.json", "a camera")
    with pytest.raises(UserError, match=r"b\.json: not a camera \(No such file or directory\)"):
        read_json(tmp_path / "b.json", "a camera")


def test_json_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(UserError, match=r"a\.json: not a camera \(it is larger than 64 MiB\)"):
        read_json(tmp_path / "a.json", "a camera")
