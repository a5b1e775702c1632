"""How rows are written: in parts and batches of any size, and with the likeness in meaning that a model gives."""

import pytest
from generation_runs import DEAD, config, contents, other_words, rows
from loopback import LoopbackTGI

from hf_xling.errors import InputError
from hf_xling.generation.asking import Asker
from hf_xling.generation.endpoint import EndpointInfo
from hf_xling.generation.filters import FilterConfig
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.rows import write_rows
from hf_xling.generation.scores import Similarity
from hf_xling.generation.sources import read_sources
from hf_xling.generation.stage import generate
from hf_xling.sample.replay import serving

TEXTS = [f"text number {number}" for number in range(20)]


def write_again(tmp_path, filters=None, compare=None, samples=1, **sizes):
    """Write the rows of a finished run in `out` anew."""
    settings, filters = config(tmp_path, DEAD, samples=samples), filters or FilterConfig()
    asker = Asker(settings, EndpointInfo("generate", "org/model", "abc123"), filters.max_repetition)
    with Ledger(tmp_path / "out" / "ledger") as ledger:
        write_rows(tmp_path / "out", asker, filters, ledger, read_sources(settings), compare, **sizes)


@pytest.mark.parametrize(("batch", "part"), [(1, 3), (7, 5), (4096, 20)])
def test_parts_and_batches_hold_the_same_rows_whatever_their_size(world, tmp_path, batch, part):
    def answer(source):
        words = ", once" if server.bodies[-1]["parameters"]["seed"] else ", twice"
        answers = {TEXTS[0]: 422, TEXTS[9]: "text number 9", TEXTS[19]: other_words(TEXTS[1]) + words}
        return answers.get(source, other_words(source) + words)

    server = LoopbackTGI(answer)
    _, out, _ = world(TEXTS, server=server, samples=2)
    before = {kind: rows(out, kind) for kind in ("accepted", "rejected")}
    assert (len(before["accepted"]), len(before["rejected"])) == (2 * 17, 2 * 3)
    write_again(tmp_path, samples=2, rows_per_part=part, rows_per_batch=batch)
    assert {kind: rows(out, kind) for kind in before} == before
    parts = sorted(path.name for path in (out / "accepted").iterdir())
    assert parts == [f"part-{number:05d}.parquet" for number in range(-(-2 * 17 // part))]


def test_parts_of_an_earlier_run_do_not_stay(world, tmp_path):
    _, out, _ = world(TEXTS)
    write_again(tmp_path, rows_per_part=2)
    assert len(list((out / "accepted").iterdir())) == len(TEXTS) // 2
    _, out, _ = world(TEXTS[:3])
    assert len(list((out / "accepted").iterdir())) == 1 and len(rows(out, "accepted")) == 3


def test_answers_that_mean_something_else_are_rejected(world, bert_folder, sentences, tmp_path):
    texts = ["", *sentences[:6], "", *sentences[6:9]]
    answers = dict(zip(sentences[:9], sentences[20:29], strict=True))
    answers[sentences[2]] = 422
    answers[sentences[4]] = f"Here is a paraphrase: {sentences[24]}"
    _, out, _ = world(texts, answers.__getitem__)
    assert {row["similarity"] for row in rows(out, "accepted")} == {None}
    before = contents(out)
    compare = Similarity(str(bert_folder))
    pairs = {source: answer.split(": ")[-1] for source, answer in answers.items() if isinstance(answer, str)}
    cosines = dict(zip(pairs, compare(list(pairs.items())), strict=True))
    least = sorted(cosines.values())[4]
    filters = FilterConfig(similarity_model=str(bert_folder), min_similarity=least - 1e-6)
    manifest, out, server = world(texts, answers.__getitem__, filters=filters)
    accepted, rejected = rows(out, "accepted"), rows(out, "rejected")
    assert set(server.seen) == {sentences[2]} and manifest["reasons"] == {
        "similarity": 4,
        "no_source_text": 2,
        "endpoint": 1,
    }
    write_again(tmp_path, filters, compare, rows_per_batch=5)
    assert (rows(out, "accepted"), rows(out, "rejected")) == (accepted, rejected)
    for row in accepted + rejected:
        assert row["similarity"] == pytest.approx(cosines.get(row["source_text"]), abs=1e-5)
        assert row["text"] == pairs.get(row["source_text"])
    assert all(row["similarity"] >= least - 1e-6 for row in accepted)
    world(texts, answers.__getitem__)
    assert contents(out) == before


def test_a_model_that_is_not_there_is_told_before_anything_is_asked(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    server = LoopbackTGI(other_words)
    with serving(server.app()) as url, pytest.raises(InputError, match="--similarity_model gone/model: cannot be load"):
        generate(config(tmp_path, url), FilterConfig(similarity_model="gone/model"))
    assert not server.bodies and not (tmp_path / "out").exists()
