"""The sides of a corpus and of a run of stage 1."""

from review_runs import row, write_run

from hf_xling.quality.sides import read_sides
from hf_xling.quality.words import TextCounts


def test_a_corpus_with_its_source(corpus):
    before, after = read_sides(str(corpus("snli_paraphrased", "paraphrase")))
    assert (before.name, before.counts.texts, after.name, after.counts.texts) == ("source, en", 4, "paraphrase, en", 3)
    assert after.counts.vocabulary["cat"] == 2


def test_a_corpus_without_its_source_has_it_in_its_pairs(corpus):
    before, after = read_sides(str(corpus("snli_tamil_paraphrased", "translate", "paraphrase-translate")))
    assert (before.name, before.counts.texts, after.name, after.counts.texts) == ("source, en", 4, "translate, ta", 7)
    assert (
        before.counts.vocabulary
        == TextCounts(["A dog runs.", "An animal moves.", "A cat sleeps.", "A cat, asleep. Quietly."]).vocabulary
    )


def test_a_run_counts_each_text_once(tmp_path):
    rows = [row(n, source_text="A dog.", text="நாய்") for n in range(5)] + [row(5, source_text="A dog.", text="ஒரு நாய்")]
    before, after = read_sides(str(write_run(tmp_path / "run", rows)))
    assert (before.name, before.counts.texts, after.name, after.counts.texts) == ("source, en", 1, "translate, ta", 2)
