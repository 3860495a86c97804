"""Blocking calls are told apart by who makes them."""

import os
import time

import pytest
from blockbuster import BlockingError

from iiif_server.testing.blocking import forbid_blocking


async def test_calls_of_the_modules_are_refused():
    with forbid_blocking([__name__]), pytest.raises(BlockingError, match=r"time\.sleep"):
        time.sleep(0)


async def test_calls_of_others_are_not():
    with forbid_blocking(["iiif_server.execution"]):
        time.sleep(0)


async def test_places_that_may_block():
    with forbid_blocking([__name__], besides=[("test_blocking.py", {"test_places_that_may_block"})]):
        assert os.listdir("/")


def test_without_a_loop_anything_goes():
    with forbid_blocking([__name__]):
        time.sleep(0)


async def test_it_ends_with_its_block():
    with forbid_blocking([__name__]):
        pass
    time.sleep(0)
