"""A generator that makes batches of whatever is ready.

Requests that arrive while a batch is being generated form the next one, so nobody waits for the slowest
script of another episode.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mledojo_train.generation.base import Completion, Sampling, StopRule


@dataclass
class Request:
    """One turn that an episode waits for. Nobody does any more once `answer` is done."""

    prompt_ids: list[int]
    max_new_tokens: int
    stop: StopRule | None
    answer: asyncio.Future[Completion]


class BatchingGenerator(ABC):
    """Collects requests into batches for a worker thread, so that the event loop goes on serving executions.

    Belongs to one event loop at a time.

    Args:
        sampling: How tokens are drawn, how large a batch is and how long it stays open.
        prepare_thread: Called once in the worker thread, before the first batch.
    """

    def __init__(self, sampling: Sampling, prepare_thread: Callable[[], Any] | None = None) -> None:
        self._sampling = sampling
        self._waiting: list[Request] = []
        self._server: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "generate", prepare_thread)
        self.generated_tokens = 0
        self.busy_s = 0.0

    @abstractmethod
    def _generate_batch(self, batch: list[Request]) -> list[Completion]:
        """Return a completion for each request; runs in the worker thread."""

    async def generate(
        self, prompt_ids: Sequence[int], max_new_tokens: int, stop: StopRule | None = None
    ) -> Completion:
        """Return a completion of at most `max_new_tokens` tokens, sampled in a batch with other requests."""
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append(Request(list(prompt_ids), max_new_tokens, stop, answer))
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        return await answer

    def close(self) -> None:
        """Stop the worker thread after the batch it is in."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(self._sampling.batch_wait_s)
            batch = self._next_batch()
            if not batch:
                continue
            started = loop.time()
            try:
                completions = await loop.run_in_executor(self._thread, self._generate_batch, batch)
            except BaseException as error:
                _fail(batch, error)
                if not isinstance(error, Exception):
                    raise
                continue
            self.busy_s += loop.time() - started
            for request, completion in zip(batch, completions, strict=True):
                self.generated_tokens += len(completion.token_ids)
                if not request.answer.done():
                    request.answer.set_result(completion)

    def _next_batch(self) -> list[Request]:
        """Take who waits longest, and those nearest in length, so that little of a batch is padding."""
        waiting = [request for request in self._waiting if not request.answer.done()]
        if waiting:
            first = len(waiting[0].prompt_ids)
            waiting.sort(key=lambda request: abs(len(request.prompt_ids) - first))
        batch = waiting[: self._sampling.max_batch_size]
        taken = {id(request) for request in batch}
        self._waiting = [
            request for request in self._waiting if id(request) not in taken and not request.answer.done()
        ]
        return batch


def _fail(batch: list[Request], error: BaseException) -> None:
    reason = error if isinstance(error, Exception) else RuntimeError("generation was cancelled")
    for request in batch:
        if not request.answer.done():
            request.answer.set_exception(reason)
