"""The entropy coding of a sequential JPEG (ITU-T T.81 annexes C and F): what entering a scan midway takes.

Bits are texts of 0 and 1 here: what is read and written are few of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_END_OF_BLOCK, _SIXTEEN_ZEROS, _SHORTEST = 0x00, 0xF0, 0x01
_COEFFICIENTS: Final = 64


class BadCode(Exception):
    """The bits are no blocks, or a table lacks a code that is needed."""


@dataclass(frozen=True, slots=True)
class Table:
    """A Huffman table: the bits of each symbol, and the symbol of each bits."""

    bits: Mapping[int, str]
    symbols: Mapping[str, int]

    def write(self, symbol: int) -> str:
        """The bits of a symbol."""
        if (bits := self.bits.get(symbol)) is None:
            raise BadCode(f"no code for {symbol}")
        return bits

    def read(self, bits: str, at: int) -> tuple[int, int]:
        """The symbol at a position, and the position behind it."""
        for end in range(at + 1, min(at + 17, len(bits) + 1)):
            if (symbol := self.symbols.get(bits[at:end])) is not None:
                return symbol, end
        raise BadCode("no code there")


@lru_cache(maxsize=16)
def table_of(definition: bytes) -> Table:
    """Read a table as a file defines it: how many codes of each length, and the symbols (annex C)."""
    bits, code, at = {}, 0, 16
    for length, count in enumerate(definition[:16], 1):
        for symbol in definition[at : at + count]:
            bits[symbol] = f"{code:0{length}b}"
            code += 1
        at += count
        code <<= 1
    return Table(bits, {text: symbol for symbol, text in bits.items()})


@dataclass(frozen=True, slots=True)
class Block:
    """One of the blocks that make a coded unit: its component's number, and the tables that code it."""

    component: int
    dc: Table
    ac: Table


def read_unit(bits: str, unit: Sequence[Block]) -> tuple[int, tuple[int, ...]]:
    """Read the first coded unit of a scan: how many bits it has, and the last mean of each component.

    Raises:
        BadCode: it is none.
    """
    at, means = 0, [0] * (1 + max(block.component for block in unit))
    for block in unit:
        size, at = block.dc.read(bits, at)
        means[block.component] += _number(bits[at : at + size])
        at = _behind_rest(bits, at + size, block.ac)
    if at > len(bits):
        raise BadCode("it ends early")
    return at, tuple(means)


def write_flat(units: int, means: Sequence[int], unit: Sequence[Block], beyond: int) -> str:
    """Coded units without any detail, which leave these means to what follows.

    Args:
        units: how many.
        means: the last one of each component.
        unit: the blocks of each.
        beyond: by how many bits, modulo 8, they are to end beyond a whole byte.

    Raises:
        BadCode: the tables lack a code for that.
    """
    left, first = list(means), []
    for block in unit:
        mean, left[block.component] = left[block.component], 0
        number = _bits(mean)
        first.append(block.dc.write(len(number)) + number)
    ends = [block.ac.write(_END_OF_BLOCK) for block in unit]
    flat = "".join(block.dc.write(0) + end for block, end in zip(unit, ends, strict=True))
    bits = "".join(map("".join, zip(first[1:], ends[1:], strict=True))) + flat * (units - 1)
    begin, detail, end = first[0], unit[0].ac.write(_SHORTEST) + "1", ends[0]
    for filling in range(8):
        if (len(begin + end + bits) + filling * len(detail) - beyond) % 8 == 0:
            return begin + detail * filling + end + bits
    raise BadCode("no code of that length")


def _behind_rest(bits: str, at: int, ac: Table) -> int:
    """The position behind a block's other coefficients, which begin here (section F.2.2.2)."""
    number = 1
    while number < _COEFFICIENTS:
        symbol, at = ac.read(bits, at)
        run, size = divmod(symbol, 16)
        if not size and symbol != _SIXTEEN_ZEROS:
            break
        number += run + 1
        at += size
    return at


def _number(bits: str) -> int:
    """A number as it is coded (section F.1.2.1): one that begins with 0 is negative."""
    if not bits:
        return 0
    value = int(bits, 2)
    return value if bits[0] == "1" else value - (1 << len(bits)) + 1


def _bits(number: int) -> str:
    length = abs(number).bit_length()
    return f"{number if number > 0 else number + (1 << length) - 1:0{length}b}" if length else ""
