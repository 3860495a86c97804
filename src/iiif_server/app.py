"""The one place that picks implementations and wires them. Read it to see the object graph."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import web

from iiif_server.caches.disk import DiskCache
from iiif_server.caches.memory import MemoryCache
from iiif_server.caches.pyramids import OpenPyramids
from iiif_server.caches.tiers import DerivativeCache
from iiif_server.config.model import Config
from iiif_server.config.shares import ALONE, Share
from iiif_server.errors import ConfigurationError
from iiif_server.execution.confinement import give_back_what_is_freed
from iiif_server.execution.messages import Task
from iiif_server.execution.pool import WorkerPool
from iiif_server.iiif.versions import VERSIONS
from iiif_server.plugins import Plugins, load_plugins
from iiif_server.profiles.registry import ProfileRegistry
from iiif_server.services.documents import DocumentService
from iiif_server.services.downloads import DownloadLimits, DownloadService
from iiif_server.services.image_requests import RenderRules
from iiif_server.services.images import ImageService
from iiif_server.services.infos import InfoService
from iiif_server.services.metrics import MetricsService, count_outcome
from iiif_server.services.monitor import Monitor
from iiif_server.services.originals import OriginalService
from iiif_server.services.pyramids import PyramidService
from iiif_server.services.status import StatusService
from iiif_server.services.tiles import TileService
from iiif_server.telemetry.logs import LOGGER, LogOutput, log_accesses, log_output, use_log_format
from iiif_server.telemetry.metrics import Metrics, create_metrics
from iiif_server.web.assets import ASSETS, load_assets
from iiif_server.web.bodies import SEND_TIMEOUT
from iiif_server.web.connections import CONNECTIONS, ConnectionLimits, Connections
from iiif_server.web.doorway import DOORWAY, Doorway
from iiif_server.web.http_log import http_logger
from iiif_server.web.keys import SITE, Site
from iiif_server.web.lingering import LINGERING_SECONDS
from iiif_server.web.middlewares import ErrorAnswers
from iiif_server.web.observe import Observer
from iiif_server.web.protocol import HTTP_OPTIONS
from iiif_server.web.ready import ReadyAnswers
from iiif_server.web.refusals import RefusalLog
from iiif_server.web.responses import add_common_headers
from iiif_server.web.routes import add_routes
from iiif_server.web.urls import PublicUrls
from iiif_server.web.wishes import ImageWishes
from iiif_server.workshop import (
    DERIVATIVES,
    configured_profiles,
    pool_settings,
    pyramid_builder,
    pyramid_rules,
    pyramid_store,
    read_config,
    render_rules,
)

logger = logging.getLogger(__name__)

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
    give_back_what_is_freed()
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
    observer, refusals = _observer(config, metrics), RefusalLog()
    options = _http_options(config)
    app = web.Application(middlewares=[observer.observe, ErrorAnswers(refusals).answer], handler_args=options)
    app[HTTP_OPTIONS] = options
    app[CONNECTIONS] = _connections(config)
    app[SEND_TIMEOUT] = config.send_timeout
    app.on_response_prepare.extend((add_common_headers, observer.tell))
    app.cleanup_ctx.append(
        functools.partial(
            _run_site,
            config=config,
            plugins=plugins,
            share=share,
            metrics=metrics,
            observer=observer,
            refusals=refusals,
        )
    )
    app.on_shutdown.append(_stop_taking_requests)
    add_routes(app, VERSIONS[config.default_api_version], plugins.routes)
    return app


def _http_options(config: Config) -> dict[str, Any]:
    """What aiohttp itself limits, whoever has the sockets."""
    return {
        "logger": http_logger,
        "keepalive_timeout": config.keepalive_timeout,
        "lingering_time": LINGERING_SECONDS,
        "max_line_size": config.max_request_line,
        "max_field_size": config.max_header_field,
    }


def _connections(config: Config) -> Connections:
    limits = ConnectionLimits(
        head_seconds=config.head_timeout,
        idle_seconds=config.keepalive_timeout,
        send_seconds=config.send_timeout,
        most=config.max_connections,
        most_per_client=config.max_connections_per_client,
    )
    return Connections(limits, PublicUrls(config.base_url, config.trusted_proxies).is_proxy)


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
    refusals: RefusalLog,
) -> AsyncIterator[None]:
    """Start the pool, the caches and the profiles, and end them in reverse."""
    app[ASSETS] = await asyncio.to_thread(load_assets)
    async with AsyncExitStack() as stack:
        settings = await asyncio.to_thread(pool_settings, config, config.image_pool_size, share)
        pool = WorkerPool(settings, functools.partial(count_outcome, metrics))
        stack.push_async_callback(pool.close)
        await pool.start()
        cache = await _start_derivative_cache(config, share.processes)
        stack.push_async_callback(cache.close)
        profiles = ProfileRegistry(configured_profiles(config, plugins, pool), config.default_profile)
        await stack.enter_async_context(profiles.running())
        infos = InfoService(profiles)
        originals = OriginalService(infos, profiles, config.download_chunk_size)
        tiles = TileService(pool, config.tile_index_cache_size)
        stack.push_async_callback(tiles.close)
        rules = render_rules(config, (await pool.run(Task("abilities", None, affinity=""))).meta)
        pyramids = _pyramid_service(config, pool, infos, rules)
        stack.push_async_callback(pyramids.close)
        monitor = Monitor(_statistics(pool, observer, app[CONNECTIONS]), cache.statistics)
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
            default_api=VERSIONS[config.default_api_version],
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
        wishes = ImageWishes(app[SITE])
        app[DOORWAY] = Doorway(ReadyAnswers(observer, wishes.stored_tile), wishes, observer, refusals)
        yield


def _download_limits(config: Config) -> DownloadLimits:
    return DownloadLimits(config.download_max_files, config.download_max_size, config.download_max_parallel)


def _statistics(
    pool: WorkerPool, observer: Observer, connections: Connections
) -> dict[str, Callable[[], Mapping[str, float]]]:
    before = LogOutput.dropped()  # by an application that ran in this process before
    return {
        "pool": pool.statistics,
        "requests": observer.statistics,
        "connections": connections.statistics,
        "log": lambda: {"dropped": LogOutput.dropped() - before},
    }


async def _stop_taking_requests(app: web.Application) -> None:
    app[SITE].monitor.stop()


async def _start_derivative_cache(config: Config, processes: int) -> DerivativeCache:
    disk = None
    if config.disk_cache_size:
        disk = DiskCache(config.cache_path / DERIVATIVES, config.disk_cache_size, processes=processes)
        await disk.start()  # what keeps it from working is logged; the server serves on without it
    return DerivativeCache(MemoryCache(config.memory_cache_size), disk)


def _pyramid_service(
    config: Config, pool: WorkerPool, infos: InfoService, rules: Mapping[str, RenderRules]
) -> PyramidService:
    store = pyramid_store(config)
    return PyramidService(
        pyramid_builder(config, store, pool, infos, rules),
        OpenPyramids(store),
        pyramid_rules(config),
        {name: rule.settings for name, rule in rules.items()},
    )
