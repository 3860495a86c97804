"""Credits are clean and bounded."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from iiif_server.imaging.credit.model import MAX_NAMES, MAX_TEXT, Credit, decoded
from tests.imaging.credit.helpers import CREDITS, FULL


def test_nothing_is_false():
    """A credit that says nothing, or only what is no text, counts as none."""
    assert not Credit()
    assert not Credit(creators=("", " \0"), source="\x01\n")
    assert Credit(source="a")


def test_texts_are_on_one_line_without_control_characters():
    """Line ends, escapes, byte order marks and halves of surrogate pairs; other scripts stay."""
    assert Credit(source=" a\r\n b\x1b\ud800\ufeffc\u2028d\xa0\u200de ").source == "a b c d\xa0\u200de"


def test_texts_are_bounded():
    """What is cut off shows."""
    assert Credit(usage_terms="x" * MAX_TEXT).usage_terms == "x" * MAX_TEXT
    assert Credit(usage_terms="x" * (MAX_TEXT + 1)).usage_terms == "x" * (MAX_TEXT - 1) + "…"
    assert Credit(creators=tuple(map(str, range(1000)))).creators == tuple(map(str, range(MAX_NAMES)))


def test_names_are_told_once():
    """Some software writes the same creator twice."""
    assert Credit(creators=("a", " a", "b")).creators == ("a", "b")


@given(CREDITS)
def test_cleaning_is_done_once(credit):
    """A clean credit stays as it is, and is all that a writer can meet."""
    assert credit.or_else(Credit()) == credit
    assert Credit(**{name: getattr(credit, name) for name in Credit.__slots__}) == credit
    for text in (credit.source, *credit.creators):
        assert len(text) <= MAX_TEXT
        assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
    assert all(credit.creators)


def test_what_is_lacking_comes_from_another():
    """Property by property, never mixed within one."""
    mine = Credit(creators=("me",), source="here")
    assert mine.or_else(FULL).creators == ("me",)
    assert mine.or_else(FULL).source == "here"
    assert mine.or_else(FULL).license_url == FULL.license_url
    assert Credit().or_else(FULL) == FULL.or_else(mine) == FULL


def test_text_of_unstated_encoding():
    """UTF-8, else what Western systems wrote."""
    assert decoded("© Zoë".encode()) == "© Zoë"
    assert decoded("© Zoë – “a”".encode("cp1252")) == "© Zoë – “a”"


@given(st.binary())
def test_any_bytes_are_some_text(data):
    """Never an error."""
    assert isinstance(decoded(data), str)
