"""The distribution audit: words, counts, terms, and what is written where."""

import json

import pytest
from datasets import load_dataset
from review_runs import row, write_run

from hf_xling.cli import run
from hf_xling.errors import InputError
from hf_xling.quality.audit import audit, audit_facts, audit_markdown, write_audit
from hf_xling.quality.sides import Side
from hf_xling.quality.words import TextCounts, read_terms
from hf_xling.runs import file_hash

# Words for groups of people


def rates(side: dict) -> dict[tuple[str, str], float]:
    return {(group, name): rate for group, names in side["terms"].items() for name, rate in names.items() if rate}


def test_terms_before_and_after_by_hand():
    before = Side("source", "en", TextCounts(["A woman's dog and the woman", "elderly men run"]))
    after = Side("paraphrase", "en", TextCounts(["He runs with Muslims or with a girl"]))
    found = audit([before, after])
    source, paraphrase, both = found["sides"]
    assert [side["name"] for side in found["sides"]] == ["source, en", "paraphrase, en", "all"]
    thousands = 10_000
    assert rates(source) == {
        ("gender", "women"): round(2 / 9 * thousands, 2),
        ("gender", "men"): round(1 / 9 * thousands, 2),
        ("age", "old"): round(1 / 9 * thousands, 2),
    }
    assert rates(paraphrase) == {
        ("gender", "women"): 1250.0,
        ("gender", "men"): 1250.0,
        ("religion", "muslim"): 1250.0,
    }
    assert rates(both)["gender", "women"] == round(3 / 17 * thousands, 2)
    assert (
        both["texts"] == 3
        and both["words"] == 17
        and both["term_counts"]["gender"] == {"women": 3, "men": 2, "other": 0}
    )


@pytest.mark.parametrize(
    "text, category",
    [
        *(("பெண்களுக்கு", ("gender", "women")), ("மகளின்", ("gender", "women")), ("அம்மாவை", ("gender", "women"))),
        *(("ஆண்களை", ("gender", "men")), ("மகனுடன்", ("gender", "men")), ("அப்பாவுக்கும்", ("gender", "men"))),
        *(("முஸ்லிம்களும்", ("religion", "muslim")), ("இந்துக்களின்", ("religion", "hindu"))),
        *(("சாதியை", ("caste", "caste")), ("தலித்துகள்", ("caste", "dalit and adivasi"))),
        *(("தமிழர்கள்", ("nationality and race", "indian and south asian")), ("குழந்தைகளுக்கு", ("age", "young"))),
        *(("ஆண்டு", None), ("அப்பாவி", None), ("பாட்டில்", None), ("சாதித்தார்", None), ("தாய்மொழி", None), ("தமிழ்", None)),
        *(("இஸ்லாமாபாத்", None), ("இந்தியரசால்", None)),
        *(("யூத்", None), ("ஜாதிக்காய்", None), ("அக்காலத்தில்", None), ("கணவாய்", None), ("தாய்லாந்து", None)),
    ],
)
def test_tamil_terms_are_found_with_their_endings(text, category):
    (found,) = audit([Side("source", "ta", TextCounts([text]))])["sides"]
    assert set(rates(found)) == ({category} if category else set())


def test_a_list_of_ones_own_and_languages_without_any(tmp_path):
    (tmp_path / "terms.yaml").write_text("language: te\nterms:\n  place:\n    home: ఇల్లు* home\n")
    terms = read_terms(str(tmp_path / "terms.yaml"))
    sides = [Side("source", "te-IN", TextCounts(["ఇల్లుకు home homes"])), Side("translate", "hi", TextCounts(["घर"]))]
    found = audit(sides, terms=terms)
    assert [side["terms"] for side in found["sides"]] == [
        {"place": {"home": round(2 / 3 * 10_000, 2)}},
        None,
        {"place": {"home": round(2 / 3 * 10_000, 2)}},
    ]
    assert "There is no list of such words for translate, hi." in audit_markdown(found)
    assert terms["ta"] == read_terms()["ta"]


# Corpora and runs


def beside(folder):
    return folder.with_name(f"{folder.name}-audit")


def test_a_source_alone(corpus):
    folder = corpus("snli_sentences")
    assert "source, en |" in run(["audit", str(folder)])
    assert [side["name"] for side in json.loads((beside(folder) / "audit.json").read_text("utf-8"))["sides"]] == [
        "source, en"
    ]
    assert not (folder / "audit").exists()  # nothing was augmented


def test_an_audit_leaves_the_corpus_as_it_was_and_its_card_can_show_it(corpus, tmp_path):
    folder = corpus("snli_paraphrased", "paraphrase")
    rows, digest = load_dataset(str(folder), "sentences", cache_dir=str(tmp_path / "a")), file_hash(folder)
    assert audit_facts(folder)["markdown"] in (folder / "README.md").read_text("utf-8")  # which building it made
    (tmp_path / "reviews.csv").write_text("text,label\nThe cat and the film,1\nThe dog,2\n")
    shown = run(["audit", str(folder), "--task_file", str(tmp_path / "reviews.csv")])
    for place in (folder / "audit", beside(folder)):
        assert sorted(path.name for path in place.iterdir()) == ["audit.json", "audit.md", "audit.png"]
    assert (folder / "audit/audit.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert file_hash(folder) == digest
    assert (
        load_dataset(str(folder), "sentences", cache_dir=str(tmp_path / "b"))["train"].to_list()
        == rows["train"].to_list()
    )
    found = json.loads((beside(folder) / "audit.json").read_text("utf-8"))
    # Of the five words the, cat, and, film, dog, the source has two, the paraphrases have `the` as well.
    assert [side["coverage"] for side in found["sides"]] == [
        {"types": 0.4, "words": round(2 / 7, 4)},
        *[{"types": 0.6, "words": round(5 / 7, 4)}] * 2,
    ]
    assert shown.split("\n\n")[0] in (beside(folder) / "audit.md").read_text("utf-8")
    assert "(audit/audit.png)" in (folder / "README.md").read_text("utf-8")


def test_the_same_texts_give_the_same_files(tmp_path):
    sides = [Side("source", "ta", TextCounts(["பெண் ஓடுகிறாள்"])), Side("translate", None, TextCounts())]
    for name in ("a", "b"):
        write_audit(tmp_path / name, sides, TextCounts(["பெண்"]))
    for kind in ("md", "json", "png"):
        assert (tmp_path / "a" / f"audit.{kind}").read_bytes() == (tmp_path / "b" / f"audit.{kind}").read_bytes()


def test_hostile_names_do_nothing_in_tables_and_figures(tmp_path):
    (tmp_path / "terms.yaml").write_text('language: en\nterms:\n  "_a|<b>$x^$":\n    "[c](http://d)": dog\n')
    side = Side("_t|<img src=x>$\\frac$\n", "en", TextCounts(["a dog"]))
    found = write_audit(tmp_path / "audit", [side, side], terms=read_terms(str(tmp_path / "terms.yaml")))
    tables = [block.splitlines() for block in audit_markdown(found).split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
        assert not any(sign in line for line in table for sign in ("<", "$", "["))


@pytest.mark.parametrize(
    "argv, message",
    [
        (["{folder}/nowhere"], "nowhere: holds no corpus"),
        (["{folder}", "--task_file", "{folder}/none.csv"], "none.csv: no such file"),
        (["{folder}", "--task_file", "{folder}/task.csv", "--text_column", "review"], "has no column `review`"),
        (["{folder}", "--task_file", "{folder}/task.csv"], r"task\.csv, row 2 \(line 3\): the text is null"),
    ],
)
def test_what_cannot_be_audited(tmp_path, argv, message):
    folder = write_run(tmp_path / "run", [row(1)])
    (folder / "task.csv").write_text("text,label\na,1\n,2\n")
    with pytest.raises(InputError, match=message):
        run(["audit", *(argument.format(folder=folder) for argument in argv)])
    assert not (folder / "audit").exists()


def test_a_corpus_whose_files_are_gone(corpus):
    folder = corpus("snli_sentences")
    for part in (folder / "sentences").iterdir():
        part.unlink()
    with pytest.raises(InputError, match=r"its card names sentences/train-.*, and there is no such file"):
        run(["audit", str(folder)])
