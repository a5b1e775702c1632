"""What a corpus that was built, or rows of stage 1 as they are, tell of the models behind them."""

import pytest
import yaml
from corpus_folders import card, load

from hf_xling.generation.sources import source_record
from hf_xling.provenance.generators import WRITTEN_BY, Generator
from hf_xling.provenance.origins import corpus_of

PARAPHRASER = Generator("org/writer", "abc123", "paraphrase", "en")
TRANSLATOR = Generator("org/writer", "abc123", "translate", "ta")


def test_a_corpus_tells_of_the_models_whose_output_was_rewritten_too(built):
    """No row of it was written by the paraphraser: what that wrote was translated."""
    folder = built("snli_tamil_paraphrased", "translate", "paraphrase-translate")
    rows = load(folder, "sentences")
    columns = {name: [row[name] for row in rows] for name in WRITTEN_BY}
    found = corpus_of(str(folder), {"train": len(rows)}, columns, "sentences")
    assert set(found.generators) == {PARAPHRASER, TRANSLATOR} and "paraphrase" not in columns["task"]
    assert (found.sources, found.config) == (("SNLI",), "sentences") and "ta" in found.languages
    assert found.license == card(folder)[0]["license"]


def test_rows_of_stage_1_that_are_read_as_they_are_tell_it_by_their_runs(stage_1):
    found = corpus_of(str(stage_1 / "paraphrase-translate" / "accepted"), {"train": 3}, {})
    assert found.generators == (PARAPHRASER, TRANSLATOR) and found.sources == ("nli.jsonl",)
    (part,) = (stage_1 / "paraphrase-translate" / "accepted").iterdir()
    assert corpus_of(str(part), {"train": 3}, {}).generators == found.generators
    alone = corpus_of(str(stage_1 / "paraphrase" / "accepted"), {"train": 3}, {"model_id": [None], "task": ["source"]})
    assert alone.generators == (PARAPHRASER,)


def test_a_rated_corpus_names_its_source_for_programs(tamil):
    folder = tamil[0]
    told = card(folder)[0]["hf_xling"]
    found = corpus_of(str(folder), {"train": 1}, {}, "clean")
    assert list(found.sources) == told["sources"] and found.generators == () and found.languages == ("ta",)


@pytest.mark.parametrize("part", ["pairs", "pairs/train-*.parquet", "sentences/train-*.parquet"])
def test_a_part_of_a_corpus_is_known_by_the_card_above_it(corpus, monkeypatch, part):
    """Else the licence of a model would be got round by the path that was given."""
    folder = corpus("snli_tamil_paraphrased", "translate", "paraphrase-translate", source_name="SNLI")
    (path,) = folder.glob(part)
    whole = corpus_of(str(folder), {"train": 1}, {})
    found = corpus_of(str(path), {"train": 1}, {})
    assert set(found.generators) == {PARAPHRASER, TRANSLATOR} and found.name == path.name
    assert (found.sources, found.license_name) == (("SNLI",), whole.license_name)
    monkeypatch.chdir(path.parent)
    assert corpus_of(path.name, {"train": 1}, {}).generators == found.generators
    (path.parent / "mine.parquet").write_bytes(b"")
    assert corpus_of("mine.parquet", {"train": 1}, {}).generators == ()


def test_a_link_to_a_part_and_a_part_of_a_cache_of_links_are_known_too(corpus, tmp_path):
    folder = corpus("snli_paraphrased", "paraphrase")
    (part,) = (folder / "pairs").glob("*.parquet")
    (tmp_path / "link.parquet").symlink_to(part)
    (tmp_path / "blob").write_bytes(part.read_bytes())
    part.unlink()
    part.symlink_to(tmp_path / "blob")
    for path in (part, part.parent):
        assert corpus_of(str(path), {"train": 1}, {}).generators == (PARAPHRASER,)
    part.unlink()
    part.write_bytes((tmp_path / "blob").read_bytes())
    assert corpus_of(str(tmp_path / "link.parquet"), {"train": 1}, {}).generators == (PARAPHRASER,)


@pytest.mark.parametrize(
    ("data_files", "is_its"),
    [
        ("data/*.parquet", True),
        (["./data/**/*.parquet"], True),
        ([{"split": "train", "path": ["x", "data/rows.*"]}], True),
        ([{"split": "train", "path": "other/*"}, 3, {"path": {"a": 1}}], False),
        ({"a": 1}, False),
        (None, False),
    ],
)
def test_a_card_above_counts_where_it_names_the_file(data_files, is_its, tmp_path):
    front = {"configs": [{"config_name": "x", "data_files": data_files}, 3], "license": "mit"}
    (tmp_path / "README.md").write_text(f"---\n{yaml.safe_dump(front)}---\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.parquet").write_bytes(b"")
    for name in ("data", "data/rows.parquet"):
        assert corpus_of(str(tmp_path / name), {"train": 1}, {}).license == ("mit" if is_its else None)


PLAIN = "---\nlicense: cc-by-nc-sa-4.0\nlanguage: te\nextra_gated_prompt: Ask.\n---\n@misc{a,\n  year = 2020\n}\n"
SHARD = "data/train-00000-of-00001.csv"


def clone(folder, files, card=PLAIN):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text\nA dog runs.\n")
    (folder / "README.md").write_text(card)
    return folder


@pytest.mark.parametrize(
    "part", ["train.csv", "data", SHARD, "data/te", "data/te/train/a.csv", "raw/v1/te/a.csv"], ids=str
)
@pytest.mark.parametrize("is_linked", [False, True])
def test_a_card_without_configs_speaks_for_all_tables_below_it(part, is_linked, tmp_path):
    """Most cards on the Hub have none; and stage 1 records what they state, for the stages behind it."""
    folder = clone(tmp_path / "clone", ["train.csv", SHARD, "data/te/train/a.csv", "raw/v1/te/a.csv"])
    path = folder / part
    if is_linked:
        path = tmp_path / f"link{path.suffix}"
        path.symlink_to(folder / part)
    found, told = corpus_of(str(path), {"train": 1}, {}), source_record(str(path))
    assert (found.license, found.languages, found.terms) == ("cc-by-nc-sa-4.0", ("te",), "Ask.")
    assert (told["license"], told["languages"], told["terms"]) == ("cc-by-nc-sa-4.0", ["te"], "Ask.")
    assert told["citation"] == found.citation and "@misc{a," in found.citation


def test_a_card_that_is_not_the_next_above_or_of_another_repository_says_nothing(tmp_path):
    folder = clone(tmp_path / "clone", ["mine/a.csv", "one/two/three/four/a.csv", "other/data/a.csv"])
    (folder / "mine" / "README.md").write_text("My notes.\n")
    (folder / "other" / ".git").mkdir()
    for name in ("mine", "mine/a.csv", "other/data/a.csv", "other/data", "one/two/three/four/a.csv"):
        assert corpus_of(str(folder / name), {"train": 1}, {}).license is None, name
    assert source_record(str(folder / "mine" / "a.csv")) is None
    clone(folder / "mine", [], PLAIN.replace("cc-by-nc-sa-4.0", "mit"))
    assert source_record(str(folder / "mine" / "a.csv"))["license"] == "mit"


@pytest.mark.parametrize("data", ["data_files: data/*.csv", "data_dir: data", "data_dir: ./data/"])
def test_a_card_of_configs_speaks_for_the_files_that_they_name_in_stage_1_too(data, tmp_path):
    named = PLAIN.replace("---\n@", f"configs:\n- config_name: x\n  {data}\n---\n@")
    folder = clone(tmp_path / "clone", [SHARD, "mine/a.csv"], named)
    assert source_record(str(folder / SHARD))["license"] == "cc-by-nc-sa-4.0"
    assert source_record(str(folder / "mine" / "a.csv")) is None
