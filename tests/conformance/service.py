"""An image service under one version of the Image API, as a client sees it."""

import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tests.conformance.pictures import Pixels
from tests.web.conftest import Answer, Client

LINK = re.compile(r'<([^>]*)>;\s*rel="([^"]*)"')


@dataclass(frozen=True)
class Service:
    """One image.

    Attributes:
        client: sends paths to the server as they are.
        version: 2 or 3.
        name: the image's name, percent-encoded.
        profile: the profile that it belongs to.
    """

    client: Client
    version: int
    name: str = "example.png"
    profile: str = "files"

    @property
    def path(self) -> str:
        """The path of the base URI."""
        return f"/iiif/{self.version}/{self.profile}:{self.name}"

    @property
    def uri(self) -> str:
        """The base URI."""
        return f"{self.client.server.url}{self.path}"

    def ask(self, parameters: str, method: str = "GET", **headers: str) -> Answer:
        """Send a request for what follows the base URI."""
        return self.client.ask(method, f"{self.path}/{parameters}", headers)

    def status(self, parameters: str) -> int:
        """The status of an image request."""
        return self.ask(parameters).status

    def statuses(self, pattern: str, values: Iterable[str]) -> dict[str, int]:
        """The status of an image request with each of some values in the place of ``{}``."""
        return {value: self.status(pattern.format(value)) for value in values}

    def picture(self, parameters: str) -> Image.Image:
        """The image of an image request that succeeds."""
        answer = self.ask(parameters)
        assert answer.status == 200, answer.text
        picture = Image.open(io.BytesIO(answer.body))
        picture.load()
        return picture

    def pixels(self, parameters: str) -> Pixels:
        """The same as (height, width, 3) bytes; transparency is left out."""
        return np.asarray(self.picture(parameters).convert("RGB"))

    def size(self, parameters: str) -> tuple[int, int]:
        """Width and height of the image of an image request."""
        return self.picture(parameters).size

    def info(self) -> dict[str, Any]:
        """The image information document."""
        answer = self.ask("info.json")
        assert answer.status == 200, answer.text
        document: dict[str, Any] = json.loads(answer.body)
        return document

    def links(self, parameters: str) -> dict[str, str]:
        """The targets of the Link header, by their relation."""
        answer = self.ask(parameters, "HEAD")
        assert answer.status == 200
        return {relation: target for target, relation in LINK.findall(answer.headers["Link"])}

    def canonical(self, parameters: str) -> str:
        """The parameters of the canonical URI of an image request."""
        base, target = f"{self.uri}/", self.links(parameters)["canonical"]
        assert target.startswith(base)
        return target.removeprefix(base)

    def canonicals(self, pattern: str, values: Iterable[str]) -> dict[str, str]:
        """The canonical parameters with each of some values in the place of ``{}``."""
        return {value: self.canonical(pattern.format(value)) for value in values}


@dataclass(frozen=True)
class Images:
    """Every image of the collection, in every profile.

    Attributes:
        clients: of the servers, by the profiles that they have.
        version: 2 or 3.
    """

    clients: Mapping[str, Client]
    version: int

    def __call__(self, name: str = "example.png", profile: str = "files") -> Service:
        """A profile that no server has is looked for on the first."""
        return Service(self.clients.get(profile, self.clients["files"]), self.version, name, profile)
