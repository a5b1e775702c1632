"""The window: so many requests in flight at all times, refilled on each completion and never at a barrier."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from hf_xling.generation.endpoint import RequestError
from hf_xling.generation.records import Completion, Request

MAX_ATTEMPTS = 5


async def run_window(
    requests: Iterable[Request],
    send: Callable[[Request], Awaitable[Completion]],
    record: Callable[[Request, Completion], None],
    size: int,
    longest_wait: float = 30.0,
) -> None:
    """Send all `requests`, at most `size` at a time, and record each completion as it comes.

    A request that may succeed later is sent again after a random, growing wait of at most `longest_wait` seconds. One
    that fails for good is recorded as a completion with its `error`: a failure is a row, not a crash.
    """
    queue = iter(requests)
    retries = AsyncRetrying(
        stop=stop_after_attempt(MAX_ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=longest_wait),
        retry=retry_if_exception(lambda error: isinstance(error, RequestError) and error.retry),
        reraise=True,
    )

    async def worker() -> None:
        for request in queue:
            try:
                async for attempt in retries.copy():
                    with attempt:
                        completion = await send(request)
            except RequestError as error:
                completion = Completion(None, error=str(error))
            record(request, completion)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(size):
                group.create_task(worker())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors  # a full disk, say: the same for every worker
