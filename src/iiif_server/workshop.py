"""What the server and commands have in common: the configuration, workers, profiles, and pyramids."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iiif_server.caches.sources.store import SourceStore
from iiif_server.config.load import directory_config, load_config
from iiif_server.config.machine import memory_budget
from iiif_server.config.model import Config, ConfiguredProfile
from iiif_server.config.shares import ALONE, Share
from iiif_server.execution.messages import Task
from iiif_server.execution.pool import WorkerPool
from iiif_server.execution.settings import IMAGE_WORK, WORKER_CEILING, PoolSettings
from iiif_server.iiif.parameters import Format
from iiif_server.imaging.tasks import RenderSettings, SourceLimits, WorkbenchSettings
from iiif_server.plugins import Plugins, option_models
from iiif_server.profiles.base import Probe, Profile, ProfileContext
from iiif_server.profiles.derivatives import effective
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.image_requests import RenderRules
from iiif_server.services.infos import InfoService, Prober
from iiif_server.services.pyramid_builder import PyramidBuilder, TileRules
from iiif_server.services.pyramids import PyramidRules

logger = logging.getLogger(__name__)

DERIVATIVES = "derivatives"
"""The directory below ``cache_path`` that derivatives are kept in."""


def read_config(path: Path, plugins: Plugins, text: str | None = None) -> Config:
    """Read a configuration file, or its text, against the installed plugins' options.

    Raises:
        ConfigurationError: listing every mistake.
    """
    return load_config(path, option_models(plugins), plugins.failures, text)


def read_directory(directory: Path, plugins: Plugins) -> Config:
    """The configuration that serves one directory.

    Raises:
        ConfigurationError: there is no such directory.
    """
    return directory_config(directory, option_models(plugins), plugins.failures)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What commands work on pyramids with, without a web server.

    Attributes:
        profiles: that are open.
        infos: what is known of their images.
        store: keeps the pyramids.
        builder: builds them.
        rules: which sources get one, by the profile's name.
        settings: what their tiles are made by, by the profile's name.
    """

    profiles: ProfileRegistry
    infos: InfoService
    store: SourceStore
    builder: PyramidBuilder
    rules: Mapping[str, PyramidRules]
    settings: Mapping[str, RenderSettings]


@asynccontextmanager
async def pyramid_workshop(config: Config, plugins: Plugins, jobs: int) -> AsyncIterator[Workshop]:
    """Run what it takes to build so many pyramids at a time; one worker more looks at headers meanwhile."""
    async with AsyncExitStack() as stack:
        pool = WorkerPool(await asyncio.to_thread(pool_settings, config, jobs + 1))
        stack.push_async_callback(pool.close, grace=0)
        await pool.start()
        profiles = ProfileRegistry(configured_profiles(config, plugins, pool), config.default_profile)
        await stack.enter_async_context(profiles.running())
        infos = InfoService(profiles)
        rules = render_rules(config, (await pool.run(Task("abilities", None, affinity=""))).meta)
        store = pyramid_store(config)
        stack.push_async_callback(store.close)
        builder = pyramid_builder(config, store, pool, infos, rules)
        settings = {name: rule.settings for name, rule in rules.items()}
        yield Workshop(profiles, infos, store, builder, pyramid_rules(config), settings)


def pool_settings(config: Config, workers: int, share: Share = ALONE) -> PoolSettings:
    """So many workers, doing what, within which limits; memory is divided among server processes."""
    budget = memory_budget(config, share.processes)
    # What workers keep is part of the budget, and leaves half of it to work.
    kept = min(config.image_cache_bytes_per_process, budget // (2 * workers))
    workbench = WorkbenchSettings(
        limits=SourceLimits(max_pixels=config.max_source_pixels, max_bytes=config.max_source_bytes),
        open_sources=config.image_cache_size_per_process,
        decoded_bytes=kept,
    )
    return PoolSettings(
        factory="iiif_server.imaging.workbench:create",
        factory_argument=workbench,
        workers=workers,
        queue_size=config.image_queue_size,
        timeout=config.image_timeout,
        max_memory=config.image_worker_max_memory,
        memory_limit=max(WORKER_CEILING, config.image_memory_budget or 0),
        memory_budget=budget,
        kept_memory=kept,
        preload=IMAGE_WORK,
        fork_server=share.fork_server,
    )


def render_rules(config: Config, abilities: Mapping[str, Any]) -> dict[str, RenderRules]:
    """What is made for each profile, given what a worker says it can do: codecs are loaded there alone."""
    formats = frozenset(map(Format, abilities["formats"]))
    chosen = {name: effective(config, profile.options) for name, profile in config.profiles.items()}
    _warn_of_formats(
        {wanted for options in chosen.values() for wanted in options.preferred_formats} - formats
    )
    return {
        name: RenderRules(
            limits=options.limits,
            settings=replace(options.render_settings, lossless=bool(abilities["lossless"])),
            formats=formats,
            renderer=str(abilities["codecs"]),
            preferred_formats=tuple(wanted for wanted in options.preferred_formats if wanted in formats),
        )
        for name, options in chosen.items()
    }


def pyramid_rules(config: Config) -> dict[str, PyramidRules]:
    """Which sources get a pyramid, by the profile's name."""
    chosen = {name: effective(config, profile.options) for name, profile in config.profiles.items()}
    return {name: PyramidRules(own.pyramids, own.pyramid_min_pixels) for name, own in chosen.items()}


def pyramid_store(config: Config) -> SourceStore:
    """Where pyramids are kept; nothing is written before the first one."""
    size = config.pyramid_cache_size
    # Another process may be at work on the same one for so long, and a little longer.
    wait = config.pyramid_timeout + 60
    return SourceStore(config.cache_path / "pyramids", size, max_source_bytes=size, wait_seconds=wait)


def pyramid_builder(
    config: Config,
    store: SourceStore,
    pool: WorkerPool,
    infos: InfoService,
    rules: Mapping[str, RenderRules],
) -> PyramidBuilder:
    """What builds pyramids, for the server and for commands."""
    tiles = {name: TileRules(rule.settings, rule.renderer) for name, rule in rules.items()}
    return PyramidBuilder(store, pool, infos, tiles, config.pyramid_timeout)


def _warn_of_formats(missing: AbstractSet[Format]) -> None:
    if missing:
        names = ", ".join(wanted for wanted in Format if wanted in missing)
        logger.warning("preferred_formats: left out, as no codec here writes them: %s", names)


def configured_profiles(config: Config, plugins: Plugins, pool: WorkerPool) -> dict[str, Profile[Any]]:
    """Every configured profile, not yet open, by its name."""
    return {
        name: create_profile(
            configured, config, plugins, Prober(pool, configured.options.info_json_cache_size)
        )
        for name, configured in config.profiles.items()
    }


def create_profile(
    configured: ConfiguredProfile, config: Config, plugins: Plugins, probe: Probe
) -> Profile[Any]:
    """Make one configured profile, with its directories and its logger."""
    name = configured.name
    logger = logging.getLogger(f"iiif_server.profile.{name}")
    logger.setLevel(configured.options.log_level)
    context = ProfileContext(
        name=name,
        source_path=config.source_path / name,
        cache_path=config.cache_path / "profiles" / name,
        probe=probe,
        logger=logger,
        max_source_bytes=config.max_source_bytes,
    )
    return plugins.profile_types[configured.type].profile(context, configured.options)
