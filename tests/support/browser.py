"""A headless Chromium that watches what a page does."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from playwright.async_api import ConsoleMessage, Page, Request, Response, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NO_WEBGL = "--disable-3d-apis"
"""Have viewers draw on a canvas: without a graphics card, WebGL takes the processor several times as long."""

ABANDONED = "net::ERR_ABORTED"
"""The viewer itself gives up on tiles that have left the view."""


def find_chromium() -> str | None:
    """The system's browser; none is ever downloaded."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Watched:
    """A page, and everything that went wrong on it."""

    page: Page
    problems: list[str] = field(default_factory=list)
    images: int = 0

    def __post_init__(self) -> None:
        self.page.on("requestfailed", self._request_failed)
        self.page.on("response", self._responded)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))

    def _request_failed(self, request: Request) -> None:
        if request.failure != ABANDONED:
            self.problems.append(f"failed: {request.url}: {request.failure}")

    def _responded(self, response: Response) -> None:
        self.images += response.request.resource_type == "image"
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")


@asynccontextmanager
async def watched_page(
    executable: str, width: int = 640, height: int = 520, *, webgl: bool = False
) -> AsyncIterator[Watched]:
    """Open an empty page in a browser of its own."""
    arguments = [*ARGUMENTS] if webgl else [*ARGUMENTS, NO_WEBGL]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            context = await browser.new_context(viewport={"width": width, "height": height})
            yield Watched(await context.new_page())
            await context.close()
        finally:
            await browser.close()
