import html
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from hf_xling.hub.cards import cell, code, render_card
from hf_xling.provenance.licences import Published, licensing

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MARKUP = st.lists(
    st.sampled_from(
        [*"|`*_[]()<>#!\\~$@:&", "\n", "---", "```", "<script>", "](http://e)", "![x", "&#124;", "www.e.com", "a", " "]
    )
).map("".join)

FACTS = {
    "title": "A corpus",
    "description": "What it is.",
    "repo_id": "org/corpus",
    "configs": {"sentences": {"splits": ["train", "test"], "columns": ["anchor", "group"]}},
    **{"language": "en", "with_source": True, "splits": ["train", "test"], "leaked": 0, "chains": [], "of_source": []},
    **{"snli": False, "citations": []},
    "config": {
        "repo_id": None,
        "validation_share": 0.0,
        "test_share": 0.01,
        "near_threshold": 0.8,
        "drop_leaked": False,
    },
    "counts": {"source": "| texts |\n| ---: |\n| 2000 |"},
    "strangers": [1, 1233],
    "duplicates": {"overlaps": {}},
    "shingle": 5,
    "audit": None,
    "reviews": [],
    "sources": [{"name": "snli.jsonl", "revision": None, "sha256": None, "config": None}],
    "generations": [],
    "license": licensing("The News", [], Published("dataset")),
    "script": "dataset_scripts/snli.py",
    "version": "0.1.0",
}


@given(TEXT | MARKUP)
def test_a_cell_is_one_line_without_markup_that_reads_as_the_text(text):
    shown = cell(text, limit=10_000)
    assert "\n" not in shown and not set(re.sub(r"&(#\d+|amp|lt|gt);", "", shown)) & set("|`*_[]()<>#!\\~$@:&")
    assert "www." not in shown.lower()
    assert html.unescape(shown) == html.unescape(html.escape(" ".join(text.split()), quote=False))


def test_a_long_cell_is_cut_before_it_is_escaped():
    shown = cell("|" * 300, limit=5)
    assert shown == "&#124;" * 4 + "…"


@given(TEXT | MARKUP)
def test_code_cannot_be_ended_by_its_text(text):
    text = " ".join(text.split())
    shown = code(text)
    fence = re.match("`*", shown)[0] if text else "`"
    assert shown.startswith(fence) and shown.endswith(fence) and "\n" not in shown
    inner = shown[len(fence) : len(shown) - len(fence)]
    assert inner.strip(" ") == text and len(fence) not in map(len, re.findall("`+", inner))


@given(st.dictionaries(st.sampled_from(["license", "pretty_name", "base_model"]), TEXT | MARKUP))
def test_front_matter_is_yaml_of_the_metadata_and_ends_where_it_ends(metadata):
    card = render_card("dataset_card", {**metadata, "tags": ["simcse", "அ"]}, FACTS)
    front, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card, re.S).groups()
    assert yaml.safe_load(front) == {name: text for name, text in metadata.items() if text} | {"tags": ["simcse", "அ"]}
    assert body.startswith("\n# A corpus\n") and body.endswith("\n") and not body.endswith("\n\n")


def test_a_missing_fact_is_an_error_and_not_a_gap():
    with pytest.raises(UndefinedError, match="license"):
        render_card("dataset_card", {}, {name: fact for name, fact in FACTS.items() if name != "license"})


def test_numbers_are_grouped_and_the_table_is_whole():
    card = render_card("dataset_card", {}, FACTS)
    assert "| sentences | train, test | anchor, group |" in card and " 1,234 more accepted rows" in card
    assert "Building it generated no text." in card


@pytest.mark.parametrize("place", ["title", "description", "shingle"])
def test_no_card_holds_a_token(place):
    token = "hf_" + "aB3" * 12
    card = render_card("dataset_card", {"pretty_name": token}, {**FACTS, place: f"by {token}, in it"})
    assert "aB3aB3" not in card and "hf" in card
