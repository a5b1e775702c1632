"""Several processes that share the work, each with a ledger of its own."""

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from generation_runs import arguments, config, contents, other_words, rows
from loopback import LoopbackTGI

from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.asking import Asker, Missing
from hf_xling.generation.filling import Filling, Ranks, Spent, common_info, connect
from hf_xling.generation.filters import FilterConfig
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.rows import write_rows
from hf_xling.generation.sources import read_sources
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import serving


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    """Threads in place of processes."""

    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def wait_for_all(self) -> None:
        self.barrier.wait(timeout=300)


def together(world: int, folder: Path, settings) -> list[Spent | Exception]:
    """What each of `world` ranks has spent on filling the ledger in `folder`, or the error that ended it."""
    barrier, ended = threading.Barrier(world), [None] * world

    async def fill(ranks):
        async with AsyncExitStack() as stack:
            pool = await connect(settings, settings.endpoint, stack, world)
            asker = Asker(settings, common_info(pool), 0.3)
            with Ledger(folder / "ledger", ranks.rank) as ledger:
                filling = Filling(asker, pool, ledger, ranks)
                missing = Missing(asker, ledger, read_sources(settings).distinct(), ranks.rank, world)
                await filling.run(missing)
                ranks.wait_for_all()
                if ranks.is_first:
                    ledger.refresh()
                    write_rows(folder, asker, FilterConfig(), ledger, read_sources(settings))
        return filling.spent

    def run(rank):
        try:
            ended[rank] = asyncio.run(fill(ThreadRanks(rank, world, barrier)))
        except Exception as error:
            ended[rank] = error
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def parts(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(folder).items() if name.endswith(".parquet")}


def lines_of(folder: Path) -> list[int]:
    return [path.read_bytes().count(b"\n") for path in sorted((folder / "ledger").glob("*.jsonl"))]


@pytest.fixture
def texts(tmp_path) -> list[str]:
    texts = [f"text number {number % 80}" for number in range(100)]
    (tmp_path / "input.txt").write_text("".join(f"{text}\n" for text in texts))
    return texts


def answer(source: str) -> str | int:
    return 422 if source.endswith("7") else other_words(source)


def test_ranks_share_the_texts_and_write_what_one_process_would(tmp_path, texts):
    alone, shared = LoopbackTGI(answer), LoopbackTGI(answer)
    with serving(alone.app()) as url, serving(shared.app()) as other:
        generate(config(tmp_path, url, output="one"))
        (tmp_path / "three").mkdir()
        (tmp_path / "three" / "manifest.json").write_bytes((tmp_path / "one" / "manifest.json").read_bytes())
        settings = config(tmp_path, other, output="three", max_in_flight=6)
        spent = together(3, tmp_path / "three", settings)
        assert parts(tmp_path / "one") == parts(tmp_path / "three")
        assert shared.seen == alone.seen == dict.fromkeys(texts, 1)
        counts = lines_of(tmp_path / "three")
        assert sorted(counts) == sorted(one.completions for one in spent) and len(counts) == 3 and min(counts) > 0
        assert sum(one.requests for one in spent) == len(set(texts))
        # Another number of ranks, or one process, finds what these have written; failures are tried again.
        shared.seen.clear()
        together(2, tmp_path / "three", settings)
        assert set(shared.seen) == {text for text in texts if text.endswith("7")}
        assert parts(tmp_path / "one") == parts(tmp_path / "three")


def test_no_rank_asks_for_anything_before_the_check_of_one_row(tmp_path, capsys):
    (tmp_path / "input.txt").write_text("".join(f"text number {number}\n" for number in range(120)))
    server = LoopbackTGI(lambda source: 401)
    with serving(server.app()) as url:
        first, second = together(2, tmp_path / "out", config(tmp_path, url))
    assert isinstance(first, EndpointError) and "the check of one row failed: 401" in str(first)
    assert isinstance(second, threading.BrokenBarrierError) and sum(server.seen.values()) == 1
    server = LoopbackTGI(other_words)
    with serving(server.app()) as url:
        together(2, tmp_path / "out", config(tmp_path, url))
    assert capsys.readouterr().err.count("check of one row\n") == 1 and set(server.seen.values()) == {1}


def test_who_am_i_is_read_from_the_environment(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.from_environment() == Ranks(0, 1) and Ranks().is_first
    Ranks().wait_for_all()
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Ranks.from_environment() == Ranks(3, 8) and not Ranks.from_environment().is_first


def test_a_server_of_ones_own_is_for_one_process(tmp_path, texts, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="--serve model: is for one process; start a server and give its URL"):
        generate(config(tmp_path, [], serve="model"))
    assert not (tmp_path / "out").exists()


# What really launches two processes on a CPU; `--cpu --num_processes 2` runs one.
TWO_PROCESSES = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
use_cpu: true
num_processes: 2
num_machines: 1
machine_rank: 0
mixed_precision: 'no'
main_process_port: 0
"""


def launched(tmp_path: Path, url: str) -> subprocess.CompletedProcess:
    (tmp_path / "two.yaml").write_text(TWO_PROCESSES)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(tmp_path / "two.yaml")]
    command += ["-m", "hf_xling.generation.stage", *arguments(tmp_path, url, "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)


@pytest.mark.slow
@pytest.mark.distributed
def test_two_processes_of_accelerate_write_what_one_does(tmp_path, texts):
    server = LoopbackTGI(answer)
    with serving(server.app()) as url:
        generate(config(tmp_path, url, output="one", max_in_flight=4))
        server.seen.clear()
        done = launched(tmp_path, url)
        assert done.returncode == 0, done.stderr[-3000:]
        assert server.seen == dict.fromkeys(texts, 1)
        counts = lines_of(tmp_path / "two")
        assert len(counts) == 2 and min(counts) > 0 and sum(counts) == len(set(texts))
        assert contents(tmp_path / "one") == contents(tmp_path / "two")
        assert f"accepted rows: {tmp_path / 'two' / 'accepted'}" in done.stdout.splitlines()
        assert done.stdout.count("accepted rows") == 1 and len(rows(tmp_path / "two", "accepted")) == 90


@pytest.mark.slow
@pytest.mark.distributed
def test_a_failure_in_two_processes_is_told_above_the_report_of_accelerate(tmp_path, texts):
    with serving(LoopbackTGI(lambda source: 401).app()) as url:
        done = launched(tmp_path, url)
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("error: --endpoint ")]
    assert (
        told
        and "requests in a row failed, the last with `401" in told[0]
        and done.stderr.index(told[0]) < done.stderr.index("ChildFailedError")
    )
    assert not (tmp_path / "two" / "accepted").exists()
