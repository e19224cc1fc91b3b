"""A small Hub on loopback: the endpoints that the clients of huggingface_hub, transformers and datasets call.

Repositories with commits, branches, tags, pull requests and LFS, collections, tokens and rights, in memory. It serves
huggingface_hub 0.36 and 1.x. There is no Xet: since 1.x uploads by nothing else where hf_xet is installed, clients need
`HF_HUB_DISABLE_XET=1`. Requests can be made to fail or to break off in the middle.

```python
with LoopbackHub() as hub:
    hub.run("from huggingface_hub import whoami; print(whoami()['name'])", home, token="hf_alice")
    hub.break_off("PUT", "/lfs/")  # the next LFS upload ends in the middle
```
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .api import Api
from .http import Fault
from .store import Store


class LoopbackHub(Store):
    """The server and all it knows.

    Attributes:
        url: to set HF_ENDPOINT to.
        cdn_url: where large files lie: another host, to which clients send no token.
        page: entries on a page of a listing.
        part: bytes of a part of an LFS upload; larger files come in parts.
        requests: ("PUT /lfs/…", status) of each request that was answered.
        bytes_sent: bodies of all answers, together.
    """

    def __init__(self):
        super().__init__()
        self.page, self.part = 1000, 1 << 30
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, int]] = []
        self.bytes_sent = 0

    def __enter__(self) -> "LoopbackHub":
        handler = type("BoundApi", (Api,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.cdn_url = f"http://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """Variables of a process that talks to this Hub as the owner of a token and keeps its caches below `home`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        variables = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
        variables |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"}
        return kept | variables | ({"HF_TOKEN": token} if token else {})

    def run(self, code: str, home: Path, *arguments: str, token: str | None = None) -> Any:
        """Run a client's code in a process of its own; returns the JSON of the last line that it prints."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *arguments],
            capture_output=True, text=True, env=self.environment(home, token), cwd=home,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    def break_off(self, method: str, path: str, times: int = 1, then: Callable[[], object] = lambda: None) -> None:
        """Break the connection in the middle of the next requests whose path holds `path`, then call `then`."""
        self.faults.append(Fault(method, path, times, then=then))

    def refuse(self, method: str, path: str, status: int, times: int = 1) -> None:
        """Answer the next requests whose path holds `path` with a status."""
        self.faults.append(Fault(method, path, times, status))

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, used up by one."""
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and fault.path in path:
                    fault.times -= 1
                    return fault
        return None

    def sent(self, request: str) -> int:
        """How many requests were answered with success, by a pattern such as "PUT /lfs/"."""
        return sum(bool(re.search(request, line)) and status < 400 for line, status in self.requests)
