"""A server on loopback that speaks vLLM's part of HTTP, and fails as it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any


class FakeVLLM:
    """Answers completions with the tokens of `says`, one after another, or as `faults` tell it to.

    A fault is a status, "hang" or "close", and is used up by one completion.
    """

    def __init__(self, *, root: str = "base/model", tokens: list[int] | None = None) -> None:
        self.root, self.tokens = root, tokens or [7, 8]
        self.says: deque[dict[str, Any]] = deque()
        self.faults: deque[int | str] = deque()
        self.retry_after = ""
        self.takes_adapters, self.is_healthy = True, True
        self.raw_logprobs = self.is_mute = False
        self.adapters: dict[str, str] = {}
        self.completions: list[dict[str, Any]] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End as a process does: connections break, adapters are forgotten."""
        assert self._server is not None
        self._server.close()
        self._server = None
        self.adapters = {}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                length = next(
                    (int(h.split(":")[1]) for h in head if h.lower().startswith("content-length")), 0
                )
                body = json.loads(await reader.readexactly(length)) if length else {}
                if self._server is None:
                    break
                status, answer = await self._answer(head[0].split()[1], body)
                if status == 0:
                    break
                content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                kind = "text/plain" if isinstance(answer, str) else "application/json"
                about = f"Content-Type: {kind}\r\nContent-Length: {len(content)}"
                writer.write(f"HTTP/1.1 {status} X\r\n{about}\r\n\r\n".encode() + content)
                await writer.drain()
        writer.close()

    async def _answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/health":
            return (200 if self.is_healthy else 503), ""
        if path == "/v1/models":
            adapters = [
                {"id": name, "root": root, "parent": "served"} for name, root in self.adapters.items()
            ]
            return 200, {"data": [{"id": "served", "root": self.root, "parent": None}, *adapters]}
        if path.endswith("_lora_adapter") and self.takes_adapters:
            if not body["lora_name"]:
                return 400, "Both 'lora_name' and 'lora_path' must be provided."
            if path == "/v1/load_lora_adapter":
                self.adapters[body["lora_name"]] = body["lora_path"]
            else:
                del self.adapters[body["lora_name"]]
            return 200, "Success"
        if path == "/v1/completions":
            return await self._complete(body)
        return 404, "Not Found"

    async def _complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.completions.append(body)
        if body.get("logprobs") == 5:
            scale = 1.0 if self.raw_logprobs else body["temperature"]
            top = {str(rank): -rank / scale for rank in range(5)}
            return 200, {"choices": [{"logprobs": {"top_logprobs": [top]}}]}
        if self.faults:
            fault = self.faults.popleft()
            if fault == "hang":
                await asyncio.sleep(60)
            if fault in ("hang", "close"):
                return 0, ""
            return int(fault), "fault as ordered"
        if body["model"] not in {"served", self.root, *self.adapters}:
            return 404, f"The model {body['model']} does not exist."
        if self.is_mute:
            return 200, {"choices": [{"text": "words", "logprobs": None}]}
        said = self.says.popleft() if self.says else {"ids": self.tokens, "stop_reason": None}
        ids = said["ids"][: body["max_tokens"]]
        logprobs = {"token_logprobs": [-0.5] * len(ids)}
        return 200, {
            "choices": [{"token_ids": ids, "logprobs": logprobs, "stop_reason": said.get("stop_reason")}]
        }


@contextlib.asynccontextmanager
async def fakes(count: int, **options: Any) -> AsyncIterator[list[FakeVLLM]]:
    made = [FakeVLLM(**options) for _ in range(count)]
    for fake in made:
        await fake.start()
    try:
        yield made
    finally:
        for fake in made:
            if fake._server is not None:
                await fake.stop()
