"""The catalogue of images: documents in Elasticsearch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from elastic_transport import AsyncTransport, TransportError
from elastic_transport.client_utils import url_to_node_config

from iiif_server_mss.options import MssOptions
from iiif_server_mss.splitgill import decode

_JSON: Final = "application/json"
_SECONDS: Final = 10.0


class CatalogueFailed(Exception):
    """Elasticsearch does not answer, or not with what was asked for."""


class Index:
    """Finds documents. It speaks plain JSON, which every version from 7 on understands.

    Elastic's own transport is used without the client on top of it: that one takes a single major version,
    and refuses servers before 7.14, which do not say what product they are.

    Args:
        options: of the profile.
    """

    def __init__(self, options: MssOptions) -> None:
        self._options = options
        self._transport: AsyncTransport | None = None

    async def search(self, field: str, value: str) -> tuple[int, Mapping[str, Any]]:
        """How many documents have a value in a field, and the decoded data of one of them.

        Raises:
            CatalogueFailed: that can't be told at the moment.
        """
        query = {
            "query": {"bool": {"filter": [{"term": {f"data.{field}._k": value}}]}},
            "size": 1,
            "track_total_hits": True,
        }
        answer = await self._ask("POST", f"/{quote(self._options.mss_index, safe=',*-')}/_search", query)
        try:
            total = answer["hits"]["total"]["value"]
            if isinstance(total, bool) or not isinstance(total, int):
                raise TypeError(f"{total!r} hits")
            data = decode(answer["hits"]["hits"][0]["_source"]["data"]) if total else {}
            if not isinstance(data, Mapping):
                raise TypeError("the data are no object")
        except (KeyError, TypeError, IndexError) as error:
            raise CatalogueFailed(f"not an answer to a search: {error!r}") from error
        return total, data

    async def health(self) -> str:
        """The status of the cluster: green, yellow or red.

        Raises:
            CatalogueFailed: it can't be told.
        """
        answer = await self._ask("GET", "/_cluster/health", None)
        try:
            return str(answer["status"])
        except (KeyError, TypeError) as error:
            raise CatalogueFailed(f"not a cluster's health: {error!r}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.close()

    async def _ask(self, method: str, target: str, body: object) -> Any:
        headers = {"accept": _JSON} | ({} if body is None else {"content-type": _JSON})
        try:
            answer = await self._connected().perform_request(method, target, body=body, headers=headers)
        except TransportError as error:
            raise CatalogueFailed(repr(error)) from error
        if answer.meta.status != 200:
            raise CatalogueFailed(f"{method} {target}: {answer.meta.status}")
        return answer.body

    def _connected(self) -> AsyncTransport:
        if self._transport is None:
            nodes = [
                url_to_node_config(host, use_default_ports_for_scheme=True).replace(
                    connections_per_node=self._options.es_limit, request_timeout=_SECONDS
                )
                for host in self._options.es_hosts
            ]
            self._transport = AsyncTransport(nodes, max_retries=len(nodes), meta_header=False)
        return self._transport
