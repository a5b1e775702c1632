"""What a corpus that was built, or rows of stage 1 as they are, tell of the models behind them."""

from corpus_folders import card, load

from hf_xling.corpora.generators import WRITTEN_BY, Generator
from hf_xling.corpora.origins import corpus_of

PARAPHRASER = Generator("org/writer", "abc123", "paraphrase", "en")
TRANSLATOR = Generator("org/writer", "abc123", "translate", "ta")


def test_a_corpus_tells_of_the_models_whose_output_was_rewritten_too(corpus):
    """No row of it was written by the paraphraser: what that wrote was translated."""
    folder = corpus("snli_tamil_paraphrased", "translate", "paraphrase-translate", source_name="SNLI")
    rows = load(folder, "sentences")
    columns = {name: [row[name] for row in rows] for name in WRITTEN_BY}
    found = corpus_of(str(folder), {"train": len(rows)}, columns, "sentences")
    assert set(found.generators) == {PARAPHRASER, TRANSLATOR} and "paraphrase" not in columns["task"]
    assert (found.sources, found.config) == (("SNLI",), "sentences") and "ta" in found.languages
    assert found.license == card(folder)[0]["license"]


def test_rows_of_stage_1_that_are_read_as_they_are_tell_it_by_their_runs(stage_1):
    found = corpus_of(str(stage_1 / "paraphrase-translate" / "accepted"), {"train": 3}, {})
    assert found.generators == (PARAPHRASER, TRANSLATOR) and found.sources == ("nli.jsonl",)
    alone = corpus_of(str(stage_1 / "paraphrase" / "accepted"), {"train": 3}, {"model_id": [None], "task": ["source"]})
    assert alone.generators == (PARAPHRASER,)


def test_a_rated_corpus_names_its_source_for_programs(tamil):
    folder = tamil[0]
    told = card(folder)[0]["hf_xling"]
    found = corpus_of(str(folder), {"train": 1}, {}, "clean")
    assert list(found.sources) == told["sources"] and found.generators == () and found.languages == ("ta",)
