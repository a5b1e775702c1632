"""The clients that are compared, each in a process of its own: `python clients.py NAME --url URL --texts FILE …`."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import AsyncInferenceClient, set_async_client_factory
from huggingface_hub.utils import httpx as http_library
from measured import measuring, tell

from hf_xling.generation.config import GenerateConfig

Ask = Callable[[str], Awaitable[str]]


def ours(options: argparse.Namespace, report: dict[str, Any]) -> None:
    """The whole of stage 1, as a user runs it: the check of one row, the ledger, the filters, the Parquet rows."""
    from hf_xling.generation.stage import generate

    config = _config(options)
    with measuring(report):
        manifest = generate(config)
    ledger, first = Path(options.folder) / "run" / "ledger" / "ledger.jsonl", manifest["last_run"]
    report |= {
        "rows": manifest["rows"],
        "accepted": manifest["accepted"],
        "rejected": manifest["rejected"],
        "asking_seconds": first["seconds"],
        "requests": first["requests"],
        "ledger_mib": ledger.stat().st_size / 2**20,
    }


def barrier(options: argparse.Namespace, report: dict[str, Any]) -> None:
    """`asyncio.gather` over a batch of rows at a time, at most `in_flight` of a batch at once; answers kept in memory.

    Within a batch it is a full window, so only the barrier makes a difference.
    """

    async def run() -> None:
        semaphore, texts = asyncio.Semaphore(options.in_flight), _texts(options)
        async with _hub_client(options) as ask:

            async def ask_in_turn(text: str) -> str:
                async with semaphore:
                    return await ask(text)

            for start in range(0, len(texts), options.batch):
                await asyncio.gather(*map(ask_in_turn, texts[start : start + options.batch]))

    with measuring(report):
        asyncio.run(run())


def hub(options: argparse.Namespace, report: dict[str, Any]) -> None:
    """`AsyncInferenceClient` in `in_flight` loops over one iterator of the texts; answers are thrown away."""
    _loops(options, report, _hub_client)


def httpx(options: argparse.Namespace, report: dict[str, Any]) -> None:
    """The HTTP library below it, likewise."""
    _loops(options, report, _http_client)


def _loops(options: argparse.Namespace, report: dict[str, Any], connect: Callable) -> None:
    async def loop(texts: Iterator[str], ask: Ask) -> None:
        for text in texts:
            await ask(text)

    async def run() -> None:
        texts = iter(_texts(options))
        async with connect(options) as ask:
            await asyncio.gather(*(loop(texts, ask) for _ in range(options.in_flight)))

    with measuring(report):
        asyncio.run(run())


@asynccontextmanager
async def _hub_client(options: argparse.Namespace):
    render, parameters, library = _prompt(options), _parameters(options), http_library
    # The library's own client has at most 100 connections, too few for 128 slots.
    set_async_client_factory(lambda: library.AsyncClient(timeout=600, limits=library.Limits(), trust_env=False))
    url = f"{options.url}/generate"
    async with AsyncInferenceClient(options.url, token="none") as client:

        async def ask(text: str) -> str:
            answer = await client.text_generation(
                render(text), model=url, details=True, return_full_text=False, **parameters
            )
            return answer.generated_text

        yield ask


@asynccontextmanager
async def _http_client(options: argparse.Namespace):
    render, library = _prompt(options), http_library
    parameters, url = {"details": True, **_parameters(options)}, f"{options.url}/generate"
    async with library.AsyncClient(timeout=600, limits=library.Limits(), trust_env=False) as client:

        async def ask(text: str) -> str:
            response = await client.post(url, json={"inputs": render(text), "parameters": parameters})
            return json.loads(response.content)["generated_text"]

        yield ask


def _config(options: argparse.Namespace) -> GenerateConfig:
    return GenerateConfig(
        input=options.texts,
        output_dir=str(Path(options.folder) / "run"),
        task="translate",
        language="ta",
        endpoint=[options.url],
        max_in_flight=options.in_flight or None,
        timeout=600,
    )


def _prompt(options: argparse.Namespace) -> Callable[[str], str]:
    """The prompt that stage 1 makes of a text."""
    config = _config(options)
    return lambda text: config.template.render(text, config.source_profile, config.profile)


def _parameters(options: argparse.Namespace) -> dict[str, Any]:
    """As stage 1 sends them, but for the token budget of each row."""
    stop = list(_config(options).template.stop)
    return {"stop": stop, "do_sample": True, "temperature": 0.7, "seed": 0, "max_new_tokens": 320}


def _texts(options: argparse.Namespace) -> list[str]:
    return Path(options.texts).read_text(encoding="utf-8").splitlines()


CLIENTS = {client.__name__: client for client in (ours, barrier, hub, httpx)}


def main() -> None:
    """Parse, run one client, and tell what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--in_flight", type=int, default=128, help="0, for ours: as many as it takes by itself")
    parser.add_argument("--batch", type=int, default=1000)
    options = parser.parse_args()
    report: dict[str, Any] = {}
    CLIENTS[options.client](options, report)
    tell(report)


if __name__ == "__main__":
    main()
