"""An OpenAI-compatible endpoint on loopback that answers what a test wrote down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


def completion(
    text: str | None = "",
    *,
    finish: str = "stop",
    usage: tuple[int, int] = (100, 20),
    **message: Any,
) -> dict[str, Any]:
    """Return a chat completion with one message."""
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }


def call(name: str, arguments: str, id: str = "c1") -> dict[str, Any]:
    """Return a tool call as endpoints send it."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


class FakeOpenAI:
    """Answers each request with the next of `answers`, the last one again and again.

    An answer is a body (a dict is sent as JSON, a list as a stream of events), or (status, body, headers), or
    a number of seconds to hang.
    """

    def __init__(self, *answers: Any, pause_s: float = 0.0) -> None:
        self.answers, self.requests, self.keys = list(answers), [], []
        self.busy = self.most_busy = 0
        self._pause_s, self._lock = pause_s, threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _next(self, body: dict[str, Any], key: str) -> Any:
        with self._lock:
            self.requests.append(body)
            self.keys.append(key)
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
            found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        time.sleep(self._pause_s)
        return found(body) if isinstance(found, Callable) else found  # type: ignore[arg-type]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = fake._next(body, self.headers.get("authorization", ""))
                try:
                    self._send(answer)
                except OSError:
                    pass  # the client has gone
                finally:
                    with fake._lock:
                        fake.busy -= 1

            def _send(self, answer: Any) -> None:
                if isinstance(answer, float):
                    time.sleep(answer)
                    return
                status, content, headers = answer if isinstance(answer, tuple) else (200, answer, {})
                kind = "application/json"
                if isinstance(content, list):
                    kind = "text/event-stream"
                    content = (
                        "".join(f"data: {json.dumps(part)}\n\n" for part in content) + "data: [DONE]\n\n"
                    )
                data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in (
                    {"content-type": kind, "content-length": str(len(data))} | headers
                ).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
