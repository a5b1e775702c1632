import html
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from hf_xling.hub.cards import cell, code, model_card, render_card

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
    "pairs": False,
    "configs": {"sentences": {"rows": 1234, "columns": ["anchor", "group"]}},
    "source": "snli.jsonl",
    "source_hash": None,
    "source_rows": 2000,
    "dropped_empty": 3,
    "sentences": 1234,
    "generations": [],
    "license": None,
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
    assert "| sentences | 1,234 | anchor, group |" in card and "2,000 texts,\n3 of them empty" in card
    assert "Nothing in this dataset was generated." in card


@pytest.mark.parametrize(
    ("template", "facts"),
    [
        *(
            (
                "encoder_card",
                {"rows": 10, "pairs": False, "pooling": pooling, "mlp": mlp, "keep_mlp": mlp, "adapter": mlp},
            )
            for pooling, mlp in (("cls", True), ("mean", False), ("first_last_mean", False))
        ),
        (
            "regressor_card",
            {
                **{"rows": 10, "lowest": 1.0, "highest": 4.5, "mean": 2.5},
                **{"classes": None, "adapter": False, "long_text": "truncate"},
            },
        ),
    ],
)
def test_a_model_card_names_its_base_without_a_path_of_this_machine(template, facts, tmp_path):
    (tmp_path / "my-encoder").mkdir()
    for base, on_hub in ((str(tmp_path / "my-encoder"), None), ("org/base`|evil", "org/base`|evil")):
        card = model_card(template, base, {"max_steps": "5\n# x | y"}, {"language": "ta"}, **facts)
        front, body = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card, re.S).groups()
        metadata = yaml.safe_load(front)
        assert metadata.get("base_model") == on_hub and metadata["library_name"] == "transformers"
        assert str(tmp_path) not in card and ("`` org/base`|evil ``" if on_hub else "`my-encoder`") in body
        (row,) = (line for line in body.splitlines() if "max" in line and line.startswith("|"))
        assert row.count("|") == 3 and "\n# x" not in body
