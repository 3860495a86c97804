"""Run in a process of its own: render files under a ceiling of memory, and say what became of each.

Reads JSON from standard input: ``{"memory": bytes, "paths": [...], "requests": [...]}``. Writes one line of
JSON per path and request.
"""

import io
import json
import resource
import sys
import time

from PIL import Image

from iiif_server.errors import IIIFServerError
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.parameters import parse_image_parameters
from iiif_server.iiif.resolve import resolve
from iiif_server.imaging.tasks import (
    RenderSettings,
    RenderTask,
    SourceFile,
    SourceProperties,
    WorkbenchSettings,
)
from iiif_server.imaging.workbench import Workbench

SETTINGS = RenderSettings()


def attempt(workbench: Workbench, path: str, request: str) -> str:
    """What came out: the lane, or the error's name; anything else is a finding."""
    try:
        properties = SourceProperties.from_json(workbench.probe(SourceFile(path, "1"))[0])
        operation = resolve(parse_image_parameters(*request.split("/")), properties.size, Limits())
        how, data = workbench.render(RenderTask(SourceFile(path, "1"), operation, SETTINGS))
        with Image.open(io.BytesIO(data)) as image:
            if image.size != operation.size.turned(int(operation.rotation.degrees)):
                return f"wrong size {image.size}"
    except IIIFServerError as error:
        if path in error.public or "/" in error.public.replace(" / ", ""):
            return f"path in public text: {error.public}"
        return type(error).__name__
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return str(how["lane"])


def main() -> None:
    """Read the order, and work it off."""
    order = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (order["memory"], order["memory"]))
    workbench = Workbench(WorkbenchSettings())
    for path in order["paths"]:
        for request in order["requests"]:
            started = time.monotonic()
            outcome = attempt(workbench, path, request)
            seconds = time.monotonic() - started
            print(
                json.dumps({"path": path, "request": request, "outcome": outcome, "seconds": seconds}),
                flush=True,
            )
    workbench.close()


if __name__ == "__main__":
    main()
