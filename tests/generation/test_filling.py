"""Runs against several endpoints, against mixed models, and against servers that are not TGI."""

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from generation_runs import DEAD, arguments, config, contents, manifest_of, other_words, rows
from loopback import LoopbackTGI

from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.asking import Asker, Missing
from hf_xling.generation.filling import DEFAULT_IN_FLIGHT, Filling, Ranks, Spent, common_info, connect
from hf_xling.generation.filters import FilterConfig
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.rows import write_rows
from hf_xling.generation.sources import read_sources
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import serving

LINES = [f"text {number}" for number in range(40)]


@pytest.fixture
def together(tmp_path):
    """`run(server, …)` → the manifest and the folder of a run against all of these servers."""

    def run(*servers, lines=LINES, **fields):
        (tmp_path / "input.txt").write_text("".join(f"{line}\n" for line in lines))
        with ExitStack() as stack:
            urls = [stack.enter_context(serving(server.app())) for server in servers]
            manifest = generate(config(tmp_path, urls, **fields))
        return manifest, tmp_path / fields.get("output", "out")

    return run


def servers(*shas: str, answer=other_words) -> list[LoopbackTGI]:
    return [LoopbackTGI(answer, model_sha=sha) for sha in shas]


def test_endpoints_of_one_model_share_the_texts(together):
    one, two, three = servers("a", "a", "a")
    manifest, out = together(one, two, three, max_in_flight=1)
    assert all(server.seen for server in (one, two, three))
    assert one.seen + two.seen + three.seen == dict.fromkeys(LINES, 1)
    assert (manifest["model_sha"], manifest["accepted"]) == ("a", len(LINES))
    again = servers("a")
    before = contents(out)
    together(*again)  # whoever answers: the model is the same
    assert not again[0].seen and contents(out) == before


def test_other_models_or_revisions_are_refused_with_both_named(together, tmp_path):
    said = r"--endpoint http://127.0.0.1:\d+: serves {}, but http://127.0.0.1:\d+ serves {}; --allow_mixed_models takes"
    with pytest.raises(InputError, match=said.format(r"org/model \(b\)", r"org/model \(a\)")):
        together(*servers("a", "a", "b"))
    other = LoopbackTGI(other_words, model_id="org/other", model_sha=None)
    with pytest.raises(InputError, match=said.format(r"org/other \(no sha\)", r"org/model \(a\)")):
        together(*servers("a"), other)
    assert not (tmp_path / "out").exists()


def test_of_mixed_models_each_row_tells_which_of_them_answered(together):
    one, two = servers("a", "b")
    manifest, out = together(one, two, max_in_flight=1, allow_mixed_models=True)
    shas = {row["source_text"]: row["model_sha"] for row in rows(out, "accepted")}
    assert shas == {**dict.fromkeys(one.seen, "a"), **dict.fromkeys(two.seen, "b")} and set(shas.values()) == {"a", "b"}
    assert (manifest["model_id"], manifest["model_sha"]) == ("org/model", "a+b")
    again, before = servers("b", "a"), contents(out)
    together(*again, allow_mixed_models=True)  # in another order
    assert not again[0].seen and not again[1].seen and contents(out) == before
    # One of the two alone is another model than both.
    (alone,) = servers("a")
    together(alone)
    assert set(alone.seen) == set(LINES)


def test_endpoints_that_speak_different_wires_are_refused(together):
    tgi, other = servers("a", "a")
    other.info = None
    with pytest.raises(InputError, match=r"speaks another wire than .*; give --wire"):
        together(tgi, other)
    other.model_id = "org/model"
    manifest, _ = together(tgi, other, wire="chat", max_in_flight=1, allow_mixed_models=True)
    assert (manifest["wire"], manifest["accepted"]) == ("chat", len(LINES))
    assert {body["model"] for body in tgi.bodies} == {"tgi"} and {body["model"] for body in other.bodies} == {
        "org/model"
    }


def test_a_server_without_info_is_asked_in_chat_for_the_model_that_it_names(together, tmp_path):
    server = LoopbackTGI(other_words, model_id="org/vllm")
    server.info = None
    manifest, out = together(server)
    assert {body["model"] for body in server.bodies} == {"org/vllm"} and "messages" in server.bodies[0]
    assert (manifest["wire"], manifest["model_id"], manifest["model_sha"]) == ("chat", "org/vllm", None)
    (row, *_) = rows(out, "accepted")
    assert (row["model_id"], row["model_sha"], row["seed"]) == ("org/vllm", None, 0)
    server.bodies.clear()
    manifest, _ = together(server, model="org/adapter", output="b")
    assert {body["model"] for body in server.bodies} == {"org/adapter"} and manifest["model_id"] == "org/adapter"


def test_the_wire_of_a_run_is_part_of_what_it_asks(together):
    server = LoopbackTGI(other_words)
    together(server, wire="auto")
    assert manifest_of(together(server, wire="auto")[1])["wire"] == "generate"
    server.seen.clear()
    server.info = None
    manifest, _ = together(server, wire="auto")  # the same folder: now it speaks chat, and all is asked again
    assert set(server.seen) == set(LINES) and manifest["wire"] == "chat"


def test_an_endpoint_that_is_down_at_the_start_is_named(together, tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    with serving(LoopbackTGI(other_words).app()) as url, pytest.raises(EndpointError, match=rf"--endpoint {DEAD}: no"):
        generate(config(tmp_path, [url, DEAD]))
    assert not (tmp_path / "out").exists()


def test_when_one_endpoint_fails_the_other_does_the_work(together):
    good, bad = servers("a", "a")
    bad.answer = lambda source: 503
    manifest, _ = together(bad, good, max_in_flight=8)
    assert manifest["accepted"] == len(LINES) and set(good.seen) == set(LINES)
    assert sum(bad.seen.values()) >= 5 and manifest["last_run"]["requests"] == len(LINES) + sum(bad.seen.values())


# How many at a time


@pytest.mark.parametrize(
    ("told", "given", "world", "size"),
    [
        (8, None, 1, 7),
        (128, None, 1, 115),
        (5000, None, 1, 4500),
        (1, None, 1, 1),
        (None, None, 1, DEFAULT_IN_FLIGHT),
        (128, 3, 1, 3),
        (8, 200, 1, 200),
        (128, None, 2, 57),
        (128, 3, 2, 1),
        (None, None, 100, 1),
    ],
)
def test_the_window_is_what_info_allows_less_a_tenth_unless_it_is_given(tmp_path, told, given, world, size):
    server = LoopbackTGI(other_words)
    server.info["max_concurrent_requests"] = told

    async def sizes(urls):
        async with AsyncExitStack() as stack:
            pool = await connect(config(tmp_path, urls, max_in_flight=given), urls, stack, world)
            return pool.limit, [int(endpoint.limit) for endpoint in pool.endpoints]

    with serving(server.app()) as url, serving(server.app()) as other:
        assert asyncio.run(sizes([url, other])) == (2 * size, [size, size])


@pytest.mark.parametrize("status", [500, 424, 401])
def test_one_of_two_that_fails_at_everything_at_once_does_not_swallow_the_run(together, status):
    """The quickest endpoint has the least outstanding, and so would be given nearly everything."""
    lines = [f"text {number}" for number in range(300)]
    sick, well = servers("a", "a")
    sick.answer = lambda source: other_words(source) if sick.seen.total() < 20 else status
    well.delay = 0.005
    manifest, _ = together(sick, well, lines=lines, max_in_flight=4)
    assert manifest["accepted"] >= len(lines) - 3
    assert sick.seen.total() < len(lines) / 3


# Several processes that share the work, each with a ledger of its own


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    """Threads in place of processes."""

    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def wait_for_all(self) -> None:
        self.barrier.wait(timeout=300)


def filled_by(world: int, folder: Path, settings) -> list[Spent | Exception]:
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
        spent = filled_by(3, tmp_path / "three", settings)
        assert parts(tmp_path / "one") == parts(tmp_path / "three")
        assert shared.seen == alone.seen == dict.fromkeys(texts, 1)
        counts = lines_of(tmp_path / "three")
        assert sorted(counts) == sorted(one.completions for one in spent) and len(counts) == 3 and min(counts) > 0
        assert sum(one.requests for one in spent) == len(set(texts))
        # Another number of ranks, or one process, finds what these have written; failures are tried again.
        shared.seen.clear()
        filled_by(2, tmp_path / "three", settings)
        assert set(shared.seen) == {text for text in texts if text.endswith("7")}
        assert parts(tmp_path / "one") == parts(tmp_path / "three")


def test_no_rank_asks_for_anything_before_the_check_of_one_row(tmp_path, capsys):
    (tmp_path / "input.txt").write_text("".join(f"text number {number}\n" for number in range(120)))
    server = LoopbackTGI(lambda source: 401)
    with serving(server.app()) as url:
        first, second = filled_by(2, tmp_path / "out", config(tmp_path, url))
    assert isinstance(first, EndpointError) and "the check of one row failed: 401" in str(first)
    assert isinstance(second, threading.BrokenBarrierError) and sum(server.seen.values()) == 1
    server = LoopbackTGI(other_words)
    with serving(server.app()) as url:
        filled_by(2, tmp_path / "out", config(tmp_path, url))
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
