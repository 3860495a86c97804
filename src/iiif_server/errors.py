"""Every error the server answers with: a public text, a log text and an HTTP status.

A leaf: it imports nothing of ours, so that any room can raise these. The public text is what a client may
read: it never holds a path, a host or the text of somebody else's exception. What helps the operator goes
into ``log``.
"""

from __future__ import annotations

from typing import ClassVar


class IIIFServerError(Exception):
    """Base of every error that has an answer.

    Args:
        public: one sentence for the client, free of paths and internals. Only `ImageNotFound` brings one.
        log: what the operator needs to know besides; defaults to the public text.
        retry_after: seconds after which trying again makes sense, sent as ``Retry-After``.
    """

    status: ClassVar[int] = 500
    """The HTTP status this error is answered with."""

    def __init__(self, public: str, *, log: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(public)
        self.public = public
        self.log = log if log is not None else public
        self.retry_after = retry_after


class InvalidRequest(IIIFServerError):
    """The request's syntax or values are wrong (Image API 3.0 section 7.3)."""

    status = 400


class NotFound(IIIFServerError):
    """There is nothing at this address."""

    status = 404


class ProfileNotFound(NotFound):
    """The identifier names a profile that is not configured."""


class ImageNotFound(NotFound):
    """The profile has no image of this name, or must not say that it has."""

    def __init__(
        self,
        public: str = "There is no image of this name.",
        *,
        log: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(public, log=log, retry_after=retry_after)


class SourceTooLarge(IIIFServerError):
    """The source exceeds a configured limit on pixels, bytes or JPEG scans."""

    status = 413


class UnreadableSource(IIIFServerError):
    """The source is damaged, of an unknown format, or mislabelled beyond reading."""

    status = 422


class RenderFailed(IIIFServerError):
    """The image work failed for a reason that is not the source's known fault."""

    status = 500


class WorkerDied(RenderFailed):
    """The worker process died over this task, on the retry as well."""


class UnsupportedFeature(IIIFServerError):
    """A valid IIIF request that this server is configured not to serve (Image API 3.0 section 4.2)."""

    status = 501


class UpstreamFailed(IIIFServerError):
    """The server that an image comes from refuses it, fails, or sends something else."""

    status = 502


class ServerBusy(IIIFServerError):
    """There is no room for more work, or for more data, just now; trying again later helps."""

    status = 503


class SourceSetAside(IIIFServerError):
    """This source killed or stalled workers before and is refused for a while."""

    status = 503


class SourceChanging(IIIFServerError):
    """The source kept changing while it was read."""

    status = 503


class TaskTimeout(IIIFServerError):
    """The image work took longer than its deadline; its worker was ended."""

    status = 504


class UpstreamTimeout(UpstreamFailed):
    """The server that an image comes from does not answer in time."""

    status = 504


class ConfigurationError(Exception):
    """The configuration can't be used. Never sent to a client.

    Args:
        problems: one line each, naming file, line, key, what is wrong and how to mend it.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
