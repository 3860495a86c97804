"""The one place that picks implementations and wires them. Read it to see the object graph."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from iiif_server.caches.disk import DiskCache
from iiif_server.caches.memory import MemoryCache
from iiif_server.caches.pyramids import OpenPyramids
from iiif_server.caches.sources.store import SourceStore
from iiif_server.caches.tiers import DerivativeCache
from iiif_server.config.load import directory_config, load_config
from iiif_server.config.machine import memory_budget
from iiif_server.config.model import Config, ConfiguredProfile
from iiif_server.config.shares import ALONE, Share
from iiif_server.errors import ConfigurationError
from iiif_server.execution.messages import Task
from iiif_server.execution.pool import WorkerPool
from iiif_server.execution.settings import WORKER_CEILING, PoolSettings
from iiif_server.iiif.parameters import Format
from iiif_server.iiif.versions import VERSIONS
from iiif_server.imaging.tasks import RenderSettings, SourceLimits, WorkbenchSettings
from iiif_server.plugins import Plugins, load_plugins, option_models
from iiif_server.profiles.base import Probe, Profile, ProfileContext
from iiif_server.profiles.derivatives import effective
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.documents import DocumentService
from iiif_server.services.downloads import DownloadLimits, DownloadService
from iiif_server.services.images import ImageService, RenderRules
from iiif_server.services.infos import InfoService, Prober
from iiif_server.services.metrics import MetricsService, count_outcome
from iiif_server.services.monitor import Monitor
from iiif_server.services.originals import OriginalService
from iiif_server.services.pyramid_builder import PyramidBuilder, TileRules
from iiif_server.services.pyramids import PyramidRules, PyramidService
from iiif_server.services.status import StatusService
from iiif_server.services.tiles import TileService
from iiif_server.telemetry.logs import LOGGER, LogOutput, log_accesses, log_output, use_log_format
from iiif_server.telemetry.metrics import Metrics, create_metrics
from iiif_server.web.assets import ASSETS, load_assets
from iiif_server.web.bodies import SEND_TIMEOUT
from iiif_server.web.http_log import http_logger
from iiif_server.web.keys import SITE, Site
from iiif_server.web.middlewares import answer_errors, answer_options
from iiif_server.web.observe import Observer
from iiif_server.web.responses import add_common_headers
from iiif_server.web.routes import add_routes
from iiif_server.web.urls import PublicUrls

logger = logging.getLogger(__name__)

DERIVATIVES = "derivatives"
"""The directory below ``cache_path`` that derivatives are kept in."""

CONFIG_VARIABLE = "IIIF_CONFIG"
"""The environment variable that names the configuration file for servers that call :func:`create_app`."""

_HOPELESS = 3
"""The exit code at which gunicorn gives up; at others, it starts processes for ever."""


def create_app(argv: Sequence[str] | None = None) -> web.Application:
    """Make the application from the file that ``IIIF_CONFIG`` names.

    For ``python -m aiohttp.web … iiif_server.app:create_app`` and
    ``gunicorn 'iiif_server.app:create_app()'``. A configuration that can't be used ends the process with its
    mistakes listed.
    """
    del argv
    try:
        plugins = load_plugins()
        path = os.environ.get(CONFIG_VARIABLE)
        if not path:
            raise ConfigurationError(
                [f"Set the environment variable {CONFIG_VARIABLE} to the configuration file."]
            )
        config = read_config(Path(path), plugins)
        app = build_app(config, plugins)
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - whoever called us may not have set up logging yet
        raise SystemExit(_HOPELESS) from None
    app.cleanup_ctx.insert(0, functools.partial(_log_beside_others, config=config))
    return app


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


def build_app(config: Config, plugins: Plugins, share: Share = ALONE) -> web.Application:
    """Wire one application. Nothing runs before the application starts up.

    Args:
        config: of the server.
        plugins: that are installed.
        share: which of the server's processes this application is for.

    Raises:
        ConfigurationError: the directory that metrics are to be shared in is none.
    """
    config = share.of(config)
    logging.getLogger(LOGGER).setLevel(config.log_level)
    log_accesses(config.access_log)
    use_log_format(config.log_format)
    metrics = create_metrics()
    observer = _observer(config, metrics)
    app = web.Application(
        middlewares=[observer.observe, answer_options, answer_errors], handler_args={"logger": http_logger}
    )
    app[SEND_TIMEOUT] = config.send_timeout
    app.on_response_prepare.extend((add_common_headers, observer.tell))
    app.cleanup_ctx.append(
        functools.partial(
            _run_site, config=config, plugins=plugins, share=share, metrics=metrics, observer=observer
        )
    )
    app.on_shutdown.append(_stop_taking_requests)
    add_routes(app, VERSIONS[config.default_api_version], plugins.routes)
    return app


async def _log_beside_others(_app: web.Application, *, config: Config) -> AsyncIterator[None]:
    """Write our log lines ourselves in another's process, unless its owner has given our logger handlers.

    Begun here and not earlier, because a thread does not survive the fork that some process managers make.
    """
    if logging.getLogger(LOGGER).handlers:
        yield
        return
    with log_output(LOGGER, config.log_format):
        yield


def _observer(config: Config, metrics: Metrics) -> Observer:
    return Observer(
        metrics,
        PublicUrls(config.base_url, config.trusted_proxies),
        frozenset(config.profiles),
        config.default_profile,
        access_log=config.access_log,
        server_timing=config.server_timing,
    )


async def _run_site(
    app: web.Application,
    *,
    config: Config,
    plugins: Plugins,
    share: Share,
    metrics: Metrics,
    observer: Observer,
) -> AsyncIterator[None]:
    """Start the pool, the caches and the profiles, and end them in reverse."""
    app[ASSETS] = await asyncio.to_thread(load_assets)
    async with AsyncExitStack() as stack:
        settings = await asyncio.to_thread(_pool_settings, config, config.image_pool_size, share.processes)
        pool = WorkerPool(settings, functools.partial(count_outcome, metrics))
        stack.push_async_callback(pool.close)
        await pool.start()
        cache = await _start_derivative_cache(config, share.processes)
        stack.push_async_callback(cache.close)
        profiles = ProfileRegistry(_profiles(config, plugins, pool), config.default_profile)
        await stack.enter_async_context(profiles.running())
        infos = InfoService(profiles)
        originals = OriginalService(infos, profiles, config.download_chunk_size)
        tiles = TileService(pool, config.tile_index_cache_size)
        stack.push_async_callback(tiles.close)
        rules = _render_rules(config, (await pool.run(Task("abilities", None, affinity=""))).meta)
        pyramids = _pyramid_service(config, pool, infos, rules)
        stack.push_async_callback(pyramids.close)
        monitor = Monitor(_statistics(pool, observer), cache.statistics)
        types = {name: configured.type for name, configured in config.profiles.items()}
        status = StatusService(profiles, types, infos, monitor)
        stack.push_async_callback(status.close)
        counted = MetricsService(metrics, monitor)
        await stack.enter_async_context(counted.running())
        app[SITE] = Site(
            images=ImageService(
                infos, pool, cache, rules, tiles, pyramids, settings.kept_memory, settings.largest_task
            ),
            documents=DocumentService(infos, rules, config.min_sizes_size, config.base_url),
            profiles=profiles,
            urls=PublicUrls(config.base_url, config.trusted_proxies),
            originals=originals,
            downloads=DownloadService(originals, _download_limits(config)),
            gallery=config.gallery,
            status=status,
            monitor=monitor,
            metrics=counted,
            thumbnail_width=config.thumbnail_width,
            preview_width=config.preview_width,
        )
        yield


def _download_limits(config: Config) -> DownloadLimits:
    return DownloadLimits(config.download_max_files, config.download_max_size, config.download_max_parallel)


def _pool_settings(config: Config, workers: int, processes: int = 1) -> PoolSettings:
    budget = memory_budget(config, processes)
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
    )


def _statistics(pool: WorkerPool, observer: Observer) -> dict[str, Callable[[], Mapping[str, float]]]:
    before = LogOutput.dropped()  # by an application that ran in this process before
    return {
        "pool": pool.statistics,
        "requests": observer.statistics,
        "log": lambda: {"dropped": LogOutput.dropped() - before},
    }


async def _stop_taking_requests(app: web.Application) -> None:
    app[SITE].monitor.stop()


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
        pool = WorkerPool(await asyncio.to_thread(_pool_settings, config, jobs + 1))
        stack.push_async_callback(pool.close, grace=0)
        await pool.start()
        profiles = ProfileRegistry(_profiles(config, plugins, pool), config.default_profile)
        await stack.enter_async_context(profiles.running())
        infos = InfoService(profiles)
        rules = _render_rules(config, (await pool.run(Task("abilities", None, affinity=""))).meta)
        store = pyramid_store(config)
        stack.push_async_callback(store.close)
        builder = pyramid_builder(config, store, pool, infos, rules)
        settings = {name: rule.settings for name, rule in rules.items()}
        yield Workshop(profiles, infos, store, builder, _pyramid_rules(config), settings)


async def _start_derivative_cache(config: Config, processes: int) -> DerivativeCache:
    disk = None
    if config.disk_cache_size:
        disk = DiskCache(config.cache_path / DERIVATIVES, config.disk_cache_size, processes=processes)
        await disk.start()  # what keeps it from working is logged; the server serves on without it
    return DerivativeCache(MemoryCache(config.memory_cache_size), disk)


def _render_rules(config: Config, abilities: Mapping[str, Any]) -> dict[str, RenderRules]:
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


def _pyramid_service(
    config: Config, pool: WorkerPool, infos: InfoService, rules: Mapping[str, RenderRules]
) -> PyramidService:
    store = pyramid_store(config)
    return PyramidService(
        pyramid_builder(config, store, pool, infos, rules),
        OpenPyramids(store),
        _pyramid_rules(config),
        {name: rule.settings for name, rule in rules.items()},
    )


def _pyramid_rules(config: Config) -> dict[str, PyramidRules]:
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


def _profiles(config: Config, plugins: Plugins, pool: WorkerPool) -> dict[str, Profile[Any]]:
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
