"""Splitgill's encoding is undone."""

import pytest

from iiif_server_mss.splitgill import decode


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"_u": 12, "_n": 12.0, "_t": "12", "_k": "12"}, 12),
        ({"_u": None}, None),
        ({"_u": {"_k": 1}}, {"_k": 1}),
        ({"a": {"_u": "x"}, "_msgs": 1, "_id": {"_u": 7}}, {"a": "x", "_id": 7}),
        ([{"_u": 1}, [{"_u": 2}], {"b": {"_u": 3}, "_c": 4}], [1, [2], {"b": 3}]),
        ("plain", "plain"),
        ({}, {}),
    ],
)
def test_values(value, expected):
    assert decode(value) == expected
