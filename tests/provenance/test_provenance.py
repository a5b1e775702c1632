"""A card says of a source what its id, its own card or the user says, and of the rest that it is not stated."""

import json
import logging
import shutil

import pytest
import yaml
from corpus_folders import card, copy_of
from hf_xling.dataset_scripts import snli_tamil, tamil_murasu
from rated_files import build as build_rated
from rated_files import reviews, write_csv

from hf_xling.corpora.builders import main
from hf_xling.errors import InputError
from hf_xling.generation.sources import source_record
from hf_xling.provenance.origins import corpus_of

ASSERTED = ("SNLI", "Bowman", "Stanford", "cc-by-sa", "Murasu", "crowd", "film", "stars", "Maas", "IMDB")
CITED = "@inproceedings{doe-2024,\n  title = {A corpus},\n  note = {``` and more},\n}"


def dataset(folder, rows, citation=CITED, **front):
    """A dataset folder with a card, as a copy of one on the Hub is."""
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    front |= {"configs": [{"config_name": "default", "data_files": "data.csv"}]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(front)}---\n# Card\n\n```bibtex\n{citation}\n```\n")
    return folder


def said(folder):
    """The card without what it says of the method and of licences in general."""
    return (folder / "README.md").read_text("utf-8").split("## Intended use")[0]


# Nothing is asserted of a file


@pytest.mark.parametrize("script", ["snli_sentences", "tamil_murasu"])
@pytest.mark.parametrize("name", ["mine.txt", "snli.txt", "tamil_murasu.txt"])
def test_of_a_file_nothing_is_known_but_its_name(corpus, tmp_path, script, name):
    (tmp_path / name).write_text("ఒక వాక్యం.\nమరొక వాక్యం.\n")
    folder = corpus(script, source=tmp_path / name, output=tmp_path / "out")
    front, body = card(folder)
    assert not front.keys() & {"license", "language", "multilinguality", "language_creators", "source_datasets"}
    assert front["pretty_name"] == f"Sentences of {name}" and "The language of the source is not stated." in body
    assert f"{name}: the licence of its text is not known here." in body.replace("&#46;", ".").replace(
        "&#58;", ":"
    ).replace("&#95;", "_")
    text = (said(folder) + body.split("## Licences")[1].split("## Citation")[0]).replace(name, "").replace(script, "")
    assert not [word for word in ASSERTED if word in text]
    assert "Bowman" not in body and "SNLI" not in body.replace(f"dataset_scripts/{script}.py", "")


def test_what_the_user_says_is_said(corpus, tmp_path):
    (tmp_path / "mine.txt").write_text("A dog runs.\n")
    fields = {"source": tmp_path / "mine.txt", "source_name": "SNLI", "source_language": "en"}
    front, body = card(corpus("snli_sentences", output=tmp_path / "out", **fields))
    assert (front["license"], front["language"], front["source_datasets"]) == (
        "cc-by-sa-4.0",
        ["en"],
        ["extended|snli"],
    )
    assert front["language_creators"] == ["crowdsourced"] and "Bowman" in body
    argv = ["--source", str(tmp_path / "mine.txt"), "--source_name", "Tamil Murasu", "--source_language", "ta"]
    main(tamil_murasu.SPEC, [*argv, "--output_dir", str(tmp_path / "news")])
    front, body = card(tmp_path / "news")
    assert (
        front["pretty_name"] == "Sentences of Tamil Murasu" and front["language"] == ["ta"] and "license" not in front
    )


def test_of_rated_texts_nothing_is_known_but_their_values(tmp_path):
    path = write_csv(tmp_path / "difficulty.csv", [(text, 10 * n) for n, text in enumerate(reviews(3))])
    folder, _ = build_rated(tmp_path / "d", "--train_file", path)
    front, body = card(folder)
    assert not front.keys() & {"license", "language", "task_ids"} and front["size_categories"] == ["n<1K"]
    assert "which scale, is not stated" in body and "The language of the texts is not stated." in body
    assert front["pretty_name"] == "difficulty.csv, texts with ratings"
    assert not [word for word in ASSERTED if word in said(folder)]
    more = ["--source_name", "Readability", "--source_language", "te", "--scale", "school grades, from 1 to 12"]
    front, body = card(build_rated(tmp_path / "e", "--train_file", path, *more)[0])
    assert front["language"] == ["te"] and front["pretty_name"] == "Readability, texts with ratings"
    assert (
        "`label` is the rating: school grades, from 1 to 12." in body and "not stated" not in body.split("## Rows")[0]
    )


def test_what_may_be_barred_is_barred_and_not_described(tmp_path):
    path = write_csv(tmp_path / "a.csv", [(text, n % 2) for n, text in enumerate(reviews(3))])
    folder, _ = build_rated(tmp_path / "d", "--train_file", path, script="imdb_ratings")
    body = card(folder)[1]
    assert "Maas" not in body and "positive" not in body
    assert "it may be IMDB" in body
    assert "these texts may be from there" in body and json.loads((folder / "_run.json").read_text())["barred"]
    with pytest.raises(InputError, match=r"text of a\.csv, which may be IMDB, and IMDB states no licence"):
        build_rated(tmp_path / "e", "--train_file", path, "--repo_id", "me/x", script="imdb_ratings")
    for more in (["--source_name", "My own film reviews"], ["--source_name", "Reviews", "--license", "mit"]):
        folder, _ = build_rated(tmp_path / f"f{len(more)}", "--train_file", path, *more, script="imdb_ratings")
        assert "IMDB" not in card(folder)[1]
    front, body = card(
        build_rated(tmp_path / "g", "--train_file", path, "--source_name", "IMDB", script="imdb_ratings")[0]
    )
    assert "Maas" in body and front["language"] == ["en"] and "7 or more" in body


# Licence and terms of a source with a card

NC = {
    "license": "cc-by-nc-sa-4.0",
    "language": "te",
    "extra_gated_prompt": "You agree to x|y</td><script>\n and to cite us.",
}
ROWS = [("A dog runs.", 1), ("An animal moves.", 2), ("A cat sleeps.", 3), ("A cat, asleep.", 2)]


@pytest.mark.parametrize("part", ["", "data.csv"])
def test_the_licence_of_a_source_follows_its_text(corpus, tmp_path, part):
    source = dataset(tmp_path / "news", ROWS, **NC)
    front, body = card(corpus("snli_sentences", source=source / part, output=tmp_path / "out"))
    assert front["license"] == "cc-by-nc-sa-4.0" and front["language"] == ["te"]
    assert "share alike; no commercial use" in body
    folder, _ = build_rated(tmp_path / "rated", "--source", source / part)
    front, body = card(folder)
    assert front["license"] == "cc-by-nc-sa-4.0" and front["language"] == ["te"] and "no commercial use" in body


def test_terms_and_citation_of_a_source_follow_its_text(corpus, tmp_path):
    source = dataset(tmp_path / "news", ROWS, **NC)
    for folder in (corpus("snli_sentences", source=source), build_rated(tmp_path / "rated", "--source", source)[0]):
        body = card(folder)[1]
        assert "who reads it agrees to this" in body and "and to cite us." in body and "<script>" not in body
        (block,) = [part for part in body.split("```bibtex")[1:] if "doe-2024" in part]
        assert "''' and more" in block.split("```")[0]  # its backticks cannot end the block


def test_a_licence_of_its_own_keeps_name_and_link(corpus, tmp_path):
    front = {"license": "other", "license_name": "news-terms", "license_link": "https://e.org/terms"}
    told, body = card(corpus("snli_sentences", source=dataset(tmp_path / "news", ROWS, **front)))
    assert {name: told[name] for name in front} == front and "<https://e.org/terms>" in body


@pytest.mark.parametrize("license", ["cc-by-nc-sa-3.0-igo", "Apache License 2.0", "my terms"])
def test_a_licence_that_the_hub_would_refuse_is_other_with_its_name(corpus, tmp_path, license):
    front, _ = card(corpus("snli_sentences", source=dataset(tmp_path / "news", ROWS, license=license)))
    assert (front["license"], front["license_name"]) == ("other", license.lower().replace(" ", "-"))


def test_a_source_without_a_licence_is_not_stated(corpus, tmp_path):
    told, body = card(corpus("snli_sentences", source=dataset(tmp_path / "news", ROWS, citation="")))
    assert "license" not in told and "No licence is known for the whole" in body


def test_a_licence_by_hand_is_measured_against_that_of_the_source(corpus, tmp_path, caplog):
    source = dataset(tmp_path / "news", ROWS, license="cc-by-nc-4.0")
    with caplog.at_level(logging.WARNING, "hf_xling"):
        front, body = card(corpus("snli_sentences", source=source, license="mit", repo_id="me/mine"))
    assert front["license"] == "mit" and "cc-by-nc-4.0, that of news, bars commercial use" in body
    assert any("bars commercial use" in message for message in caplog.messages)


def test_nothing_that_was_made_from_a_source_without_derivatives_is_published(corpus, stage_1, tmp_path):
    rows = [("A dog runs.", 1), ("A cat sleeps.", 1)]
    source = dataset(tmp_path / "news", rows, license="cc-by-nd-4.0")
    fields = {"source": source, "text_column": ["text"], "output": tmp_path / "out"}
    with pytest.raises(InputError, match=r"made from news, and cc-by-nd-4\.0 bars sharing that"):
        corpus("snli_paraphrased", "paraphrase", repo_id="me/mine", **fields)
    folder = corpus("snli_paraphrased", "paraphrase", **fields)
    assert "bars sharing" in json.loads((folder / "_run.json").read_text("utf-8"))["barred"]


@pytest.mark.parametrize("chain", ["translate", "paraphrase-translate"])
def test_the_licence_that_stage_1_recorded_binds_a_local_copy(corpus, stage_1, tmp_path, chain):
    """Whoever exports the source to a file and generates from the Hub is bound all the same."""
    record = {"name": "org/news", "revision": "a" * 40, "license": "cc-by-nc-sa-4.0", "languages": ["en"]}
    runs = [copy_of(stage_1 / name, tmp_path / name, source=record) for name in ("paraphrase", chain)]
    script = "snli_tamil" if chain == "translate" else "snli_tamil_paraphrased"
    given = runs[1:] if chain == "translate" else ["translate", runs[1]]
    front, body = card(corpus(script, *given))
    assert "cc-by-nc-sa-4.0" in front["license_name"] and "| org/news | cc-by-nc-sa-4.0 |" in body
    told = corpus_of(str(runs[1] / "accepted"), {"train": 1}, {})
    assert told.license == "cc-by-nc-sa-4.0" and told.sources == ("org/news",)


def test_stage_1_records_what_the_card_of_its_source_states(tmp_path, stage_1):
    source = dataset(tmp_path / "news", ROWS, **NC)
    told = source_record(str(source))
    assert told["name"] == "news" and told["license"] == "cc-by-nc-sa-4.0" and "doe-2024" in told["citation"]
    assert told["languages"] == ["te"] and told["terms"].startswith("You agree")
    run = copy_of(stage_1 / "paraphrase", tmp_path / "run", source=told)
    assert source_record(str(run / "accepted")) == told
    shutil.rmtree(source)
    assert source_record(str(stage_1 / "nli.jsonl")) is None


def test_a_card_that_cannot_be_read_is_not_stated_and_warned_of(corpus, stage_1, tmp_path, caplog):
    """The Hub does not answer here: HF_HUB_OFFLINE is set."""
    with caplog.at_level(logging.WARNING, "hf_xling"):
        told = source_record("org/never-seen")
        found = corpus_of("org/never-seen", {"train": 1}, {})
    assert told == {"name": "org/never-seen", "unread": True} and found.license is None
    assert len(caplog.messages) == 2 and "taken as not stated" in caplog.messages[0]
    assert found.questions == ("org/never-seen: its card could not be read.",)
    run = copy_of(stage_1 / "translate", tmp_path / "run", source=told)
    front, body = card(corpus("snli_tamil", run))
    assert "could not be read when texts were generated" in body and front.get("license") in (None, "other")


def test_a_copy_that_names_another_source_keeps_its_own_licence(corpus, tmp_path):
    """`source_datasets: snli` is no licence to take SNLI's for stricter terms."""
    source = dataset(tmp_path / "news", ROWS, license="cc-by-nc-sa-4.0", source_datasets=["extended|snli"])
    front, body = card(corpus("snli_sentences", source=source))
    assert "cc-by-nc-sa-4.0" in front["license_name"] and "| news | cc-by-nc-sa-4.0 |" in body


def test_help_asserts_no_source(capsys):
    with pytest.raises(SystemExit):
        main(snli_tamil.SPEC, ["--help"])
    assert "SNLI by" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "entries"),
    [
        ("@misc{a,\n  title={X},\n  year={2020}}\n\nMore.", ["@misc{a,\n  title={X},\n  year={2020}}"]),
        ("@misc{b, title={Y}, year={2021}}", ["@misc{b, title={Y}, year={2021}}"]),
        ("- x\n\n    @misc{c,\n      title={Z}\n    }\n", ["@misc{c,\n      title={Z}\n    }"]),
        ("@misc{a, year={1}}\n@misc{b, year={2}}\nNot cited: }", ["@misc{a, year={1}}", "@misc{b, year={2}}"]),
        ("@misc{a, t={A {B} c}} @book{b, t={D}}", ["@misc{a, t={A {B} c}}", "@book{b, t={D}}"]),
        ("@misc{a, t={an \\} and \\{ here}}\n}", ["@misc{a, t={an \\} and \\{ here}}"]),
        ("@Article {a,\n t={X}\n}\n", ["@Article {a,\n t={X}\n}"]),
        ("@misc{open, t={never closed\n\n@misc{b, t={Y}}", ["@misc{b, t={Y}}"]),
        ("@misc{open, t={never closed", []),
        ("mail me@example.org {x} or @user {y}", []),
    ],
)  # fmt: skip
def test_each_entry_of_bibtex_is_cited_to_its_end(tmp_path, body, entries):
    (tmp_path / "README.md").write_text(f"---\nlicense: mit\n---\n# Card\n\n```bibtex\n{body}\n```\n")
    told = source_record(str(tmp_path))
    assert told.get("citation", "").split("\n\n") == (entries or [""])


def test_a_card_of_open_braces_is_read_at_once(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n" + "@a{b,{" * 100_000 + "\n@misc{b, t={Y}}")
    assert source_record(str(tmp_path))["citation"] == "@misc{b, t={Y}}"
