"""Entering a scan midway: what is written reads back."""

import pytest

from iiif_server.imaging.huffman import BadCode, Block, read_unit, table_of, write_flat
from iiif_server.imaging.scan import standard_tables

LUMA, CHROMA = (tuple(map(table_of, pair)) for pair in standard_tables())
COLOUR = (*[Block(0, *LUMA)] * 4, Block(1, *CHROMA), Block(2, *CHROMA))
GRAY = (Block(0, *LUMA),)


@pytest.mark.parametrize("beyond", range(8))
@pytest.mark.parametrize("means", [(0, 0, 0), (1, -1, 2), (-1024, 1023, -1), (77, -300, 512)])
def test_empty_units_leave_the_means(means: tuple[int, ...], beyond: int) -> None:
    """And end where they are to end, so that what follows has not to be moved."""
    for unit, wanted in ((COLOUR, means), (GRAY, means[:1])):
        bits = write_flat(3, wanted, unit, beyond)
        assert len(bits) % 8 == beyond
        left = [0] * len(wanted)
        for _ in range(3):
            length, change = read_unit(bits, unit)
            bits = bits[length:]
            left = [sum(pair) for pair in zip(left, change, strict=True)]
        assert (bits, left) == ("", list(wanted))


def test_a_table_has_the_codes_of_the_standard() -> None:
    """Some of tables K.3, K.4 and K.5."""
    dc, ac = LUMA
    assert [dc.write(size) for size in (0, 1, 2, 11)] == ["00", "010", "011", "111111110"]
    assert [ac.write(symbol) for symbol in (0x00, 0x01, 0xF0)] == ["1010", "00", "11111111001"]
    assert [CHROMA[0].write(size) for size in (0, 11)] == ["00", "11111111110"]


@pytest.mark.parametrize("bits", ["", "1", "0010", "111111111111", "00" + "00" * 20])
def test_what_is_no_unit_is_refused(bits: str) -> None:
    with pytest.raises(BadCode):
        read_unit(bits, GRAY)


def test_what_the_tables_lack_is_refused() -> None:
    """A mean beyond what eight bits of samples give."""
    with pytest.raises(BadCode):
        write_flat(1, (5000,), GRAY, 0)
