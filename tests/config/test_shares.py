"""What is configured for the server stays the total, however many processes there are."""

import pytest

from iiif_server.config.machine import memory_budget, usable_memory
from iiif_server.config.model import Config, ConfiguredProfile
from iiif_server.config.shares import Share
from iiif_server.profiles.options import ProfileOptions

PROFILES = {"files": ConfiguredProfile(name="files", type="disk", options=ProfileOptions(rights="x"))}
MIB = 1024**2


def parts(processes, **keys):
    config = Config(**keys, profiles=PROFILES)
    return [Share(process, processes).of(config) for process in range(processes)]


def test_one_process_has_everything():
    config = Config(profiles=PROFILES)

    assert Share().of(config) is config


@pytest.mark.parametrize(("workers", "processes"), [(2, 2), (7, 2), (8, 3), (4, 4)])
def test_workers_and_memory_are_divided(workers, processes):
    found = parts(processes, image_pool_size=workers, memory_cache_size=100 * MIB, image_queue_size=50)

    assert sum(part.image_pool_size for part in found) == workers
    assert sum(part.image_queue_size or 0 for part in found) == 50
    assert 99 * MIB < sum(part.memory_cache_size for part in found) <= 100 * MIB
    assert 31 * MIB < sum(part.tile_index_cache_size for part in found) <= 32 * MIB
    assert sum(part.download_max_parallel for part in found) == 8
    for part in found:
        assert part.image_cache_size_per_process == 5
        assert part.image_cache_bytes_per_process == 512 * MIB
        assert part.disk_cache_size == 10 * 1024 * MIB  # shared


def test_more_processes_than_workers_have_one_each_and_no_more_memory_together():
    found = parts(4, image_pool_size=2, image_cache_size_per_process=10, image_queue_size=2)

    assert [part.image_pool_size for part in found] == [1, 1, 1, 1]
    assert [part.image_cache_size_per_process for part in found] == [5, 5, 5, 5]
    assert [part.image_cache_bytes_per_process for part in found] == [256 * MIB] * 4
    assert [part.image_queue_size for part in found] == [1, 1, 1, 1]


def test_nothing_becomes_none_at_all():
    (part, *_) = parts(64, image_pool_size=1, image_cache_size_per_process=1)

    assert part.image_cache_size_per_process == 1
    assert part.image_queue_size is None


def test_the_budget_of_memory_is_divided_whether_it_is_configured_or_not():
    configured = parts(3, image_pool_size=3, image_memory_budget=3000 * MIB)
    by_default = parts(2, image_pool_size=2)

    assert [memory_budget(part, 3) for part in configured] == [1000 * MIB] * 3
    assert [memory_budget(part, 2) for part in by_default] == [usable_memory() // 4] * 2
