"""What one of several server processes gets of what is configured for all of them together."""

from __future__ import annotations

from dataclasses import dataclass

from iiif_server.config.model import Config


@dataclass(frozen=True, slots=True)
class Share:
    """One process of several.

    Attributes:
        process: its number, from 0.
        processes: how many there are.
        fork_server: the descriptor to ask for workers by, if the processes share who forks them.
    """

    process: int = 0
    processes: int = 1
    fork_server: int | None = None

    def of(self, config: Config) -> Config:
        """The configuration of this process: numbers that are totals are divided.

        Every process has at least one worker. If that makes more workers than are configured, each keeps
        fewer sources and less decoded pixels, so that the totals stay what they were. What is on disk is
        shared and not divided.
        """
        if self.processes == 1:
            return config
        workers = max(config.image_pool_size, self.processes)
        per_worker = config.image_pool_size / workers
        sources = max(1, int(config.image_cache_size_per_process * per_worker))
        queue, budget = config.image_queue_size, config.image_memory_budget
        return config.model_copy(
            update={
                "image_pool_size": self._part(workers),
                "image_queue_size": None if queue is None else max(1, self._part(queue)),
                "image_cache_size_per_process": sources,
                "image_cache_bytes_per_process": int(config.image_cache_bytes_per_process * per_worker),
                "image_memory_budget": None if budget is None else budget // self.processes,
                "memory_cache_size": config.memory_cache_size // self.processes,
                "tile_index_cache_size": config.tile_index_cache_size // self.processes,
                "download_max_parallel": max(1, self._part(config.download_max_parallel)),
            }
        )

    def _part(self, total: int) -> int:
        return total // self.processes + (self.process < total % self.processes)


ALONE = Share()
