"""A web server of one folder on this machine, with ranges, and with faults on request."""

import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class FarServer:
    """Serves the files of a folder until the body of its `with` is left.

    Attributes:
        address: of the folder.
        requests: method, file and first byte of each.
        credentials: what the requests' Authorization said.
        fault: asked at each with file and number of the request (of that file, from 0); None or what goes wrong:
            a status, "cut" in the middle, "wrong" bytes, "whole" file instead of a part, or seconds of silence.
    """

    def __init__(self, folder: Path) -> None:
        self.requests: list[tuple[str, str, int]] = []
        self.credentials: set[str | None] = set()
        self.fault: Callable[[str, int], object] = lambda file, number: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet, or the client's delayed acknowledgement costs 40 ms

            def do_HEAD(self) -> None:
                self.handle_request(body=False)

            def do_GET(self) -> None:
                self.handle_request(body=True)

            def handle_request(self, body: bool) -> None:
                file = self.path.partition("?")[0].rsplit("/", 1)[1]
                found = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                number = outer.count(file)
                outer.credentials.add(self.headers.get("Authorization"))
                outer.requests.append((self.command, file, int(found[1]) if found else 0))
                fault = outer.fault(file, number)
                if isinstance(fault, float):
                    time.sleep(fault)
                if not (folder / file).is_file():
                    fault = 404
                if isinstance(fault, int):
                    self.send_response(fault)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.answer(folder / file, found if fault != "whole" else None, body, fault)

            def answer(self, path: Path, found: re.Match[str] | None, body: bool, fault: object) -> None:
                size = path.stat().st_size
                first, end = (int(found[1]), int(found[2]) + 1) if found else (0, size)
                with path.open("rb") as stream:
                    stream.seek(first)
                    part = stream.read(end - first)
                if found and not part:
                    self.send_error(416)
                    return
                self.send_response(206 if found else 200)
                if found:
                    self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{size}")
                self.send_header("Content-Length", str(len(part)))
                self.end_headers()
                if fault == "cut":
                    self.close_connection = True
                    part = part[: len(part) // 2]
                if fault == "wrong":
                    part = bytes(255 - byte for byte in part)
                if body:
                    self.wfile.write(part)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that went away
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/{folder.name}"

    def __enter__(self) -> "FarServer":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, file: str) -> int:
        """How often a file was asked for."""
        return sum(1 for _, each, _ in self.requests if each == file)
