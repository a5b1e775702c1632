"""Filled sheets: how they are read, what they say, and what is wrong with them."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from review_runs import NO, fill, rated, read_key, read_sheet, row, write_run

from hf_xling.cli import run
from hf_xling.errors import InputError
from hf_xling.hub.cards import render_card
from hf_xling.quality.review import make_sheet, review_facts, tally_sheets
from hf_xling.quality.tally import agreement, tally_markdown

# Four raters, twelve units: Krippendorff (2011), "Computing Krippendorff's alpha-reliability", section C.
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NO, NO, NO],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NO, 3],
    [NO, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NO],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NO],
]


@pytest.fixture
def folder(tmp_path):
    folder = write_run(tmp_path / "run", [row(n) for n in range(12)])
    make_sheet(folder, 12)
    return folder


def sheets(folder, tmp_path, ratings, names="abcdefgh"):
    return [
        fill(folder, tmp_path / f"{name}.csv", rated(*columns)) for name, columns in zip(names, ratings, strict=False)
    ]


def test_the_published_example_of_alpha(folder, tmp_path):
    found = tally_sheets(folder, sheets(folder, tmp_path, [(ratings, 3) for ratings in PUBLISHED]))
    assert found["scales"]["adequacy"]["alpha"] == pytest.approx(0.815, abs=5e-4)
    assert found["scales"]["adequacy"]["ratings"] == 41 and found["scales"]["adequacy"]["items"] == 12
    assert (
        found["scales"]["fluency"]["alpha"] is None and found["scales"]["fluency"]["why"] == "all ratings are the same"
    )
    assert json.loads((folder / "review/tally.json").read_text("utf-8")) == found


def test_alpha_by_hand():
    # Values 1 and 2, three times each; one pair of six differs: Do = 2·9/6, De = 2·3·3·9/30, with ordinal distance 3².
    assert agreement(np.array([[1, 2, 1], [1, 2, 2]], dtype=float)) == (round(1 - 3 / 5.4, 4), None)
    assert agreement(np.array([[1, 2, math.nan], [1, 2, math.nan]])) == (1.0, None)


def test_one_rater_and_raters_who_share_no_item(folder, tmp_path):
    one, other = sheets(folder, tmp_path, [([1, 2, 3, *[NO] * 9], 4), ([NO, NO, NO, 5, *[NO] * 8], "")])
    alone = tally_sheets(folder, [one])["scales"]
    assert alone["adequacy"] == {
        **{
            "items": 3,
            "ratings": 3,
            "mean": 2.0,
            "good": 0.0,
            "bad": round(2 / 3, 4),
            "alpha": None,
            "why": "one rater",
        },
        "interval": alone["adequacy"]["interval"],
    }
    low, high = alone["adequacy"]["interval"]
    assert 1 <= low < 2 < high <= 3 and alone["fluency"]["interval"] == [4.0, 4.0]
    both = tally_sheets(folder, [one, other])["scales"]
    assert both["adequacy"]["why"] == both["fluency"]["why"] == "no item has two ratings"
    assert both["adequacy"]["mean"] == 2.75


def test_an_item_counts_by_the_mean_of_its_ratings_and_strata_have_theirs(folder, tmp_path):
    found = tally_sheets(folder, sheets(folder, tmp_path, [([5, 4, *[NO] * 10], 5), ([3, *[NO] * 11], 4)]))
    adequacy = found["scales"]["adequacy"]
    assert (adequacy["mean"], adequacy["good"], adequacy["bad"], adequacy["items"]) == (4.0, 1.0, 0.0, 2)
    assert found["scales"]["fluency"]["mean"] == 4.5
    assert [(rater["name"], rater["items"], rater["adequacy"]) for rater in found["raters"]] == [
        ("a", 12, 4.5),
        ("b", 12, 3.0),
    ]
    of = {item["item"]: item["stratum"] for item in read_key(folder)["items"]}
    for number, stratum in enumerate(found["strata"]):
        own = [4.0 for item in (1, 2) if of[item] == number]
        assert stratum["adequacy"] == (np.mean(own) if own else None)


@pytest.mark.parametrize(
    "delimiter, encoding, name",
    [(",", "utf-8", "a.csv"), (";", "utf-8-sig", "a.csv"), ("\t", "utf-8", "a.tsv"), ("\t", "utf-16", "a.txt")],
)
def test_sheets_as_spreadsheet_programs_save_them(folder, tmp_path, delimiter, encoding, name):
    path = fill(folder, tmp_path / name, rated([1, "4,0", " 5 ", "2.0", *[NO] * 8], ""), delimiter, encoding)
    text = path.read_text(encoding).replace("adequacy", "Adequacy ", 1)
    path.write_text(text + delimiter * 5 + "\r\n" + "\r\n", encoding, newline="")  # rows that nobody has filled
    found = tally_sheets(folder, [path])
    assert (found["raters"][0]["items"], found["scales"]["adequacy"]["mean"]) == (4, 3.0)


def test_a_sheet_of_ratings_alone(folder, tmp_path):
    (tmp_path / "a.csv").write_text("item,fluency,adequacy\n3,4,5\n1,,2\n")
    found = tally_sheets(folder, [tmp_path / "a.csv"])["scales"]
    assert (found["adequacy"]["mean"], found["fluency"]["mean"], found["fluency"]["items"]) == (3.5, 4.0, 1)


HEADER = "item,adequacy,fluency\n"


@pytest.mark.parametrize(
    "content, message",
    [
        (
            HEADER + "1,4,4\n2,6,4\n",
            r"a\.csv, row 2 \(line 3\), column `adequacy`: '6'; a whole number from 1 to 5, or",
        ),
        (HEADER + "1,4,3.5\n", r"row 1 \(line 2\), column `fluency`: '3\.5'; a whole number"),
        (HEADER + "1,good,4\n", r"column `adequacy`: 'good'; a whole number"),
        (HEADER + "13,4,4\n", r"row 1 \(line 2\), column `item`: '13' is none of the items 1 to 12"),
        (HEADER + ",4,4\n", r"column `item`: '' is none of the items"),
        (HEADER + "1,4,4\n\n1,4,4\n", r"row 2 \(line 4\), column `item`: 1 is in row 1 \(line 2\) too"),
        (HEADER + "1,,\n", r"a\.csv: holds no rating"),
        (HEADER + "1,4,4,5\n", r"row 1 \(line 2\): has 4 cells; the header has 3"),
        (HEADER + '1,"4,4\n', r"a\.csv, line 2: not valid CSV"),
        ("item,adequacy\n1,4\n", r"has no column `fluency`, or two; the columns of a sheet are item, source"),
        ("item,adequacy,fluency,fluency\n1,4,4,4\n", "has no column `fluency`, or two"),
        ("", "has no column `item`"),
        (HEADER.encode() + b"1,\xe0\xae,4\n", r"row 1 \(line 2\), column `adequacy`: 'à®'; a whole number"),
        (
            "item,text,adequacy,fluency\n1,another text,4,4\n",
            r"column `text`: is not the text of item 1; is this the sheet",
        ),
        (None, r"a\.csv: cannot be read: No such file"),
    ],
)
def test_what_is_wrong_with_a_sheet(folder, tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as error:
        run(["review", str(folder), "--filled", str(tmp_path / "a.csv")])
    assert "\n" not in str(error.value)
    assert not (folder / "review/tally.json").exists()


def test_raters_of_one_name_and_runs_without_a_sheet(folder, tmp_path):
    (path,) = sheets(folder, tmp_path, [(3, 3)])
    with pytest.raises(InputError, match="there is another sheet of `a`"):
        tally_sheets(folder, [path, path])
    other = write_run(tmp_path / "other", [row(1)])
    with pytest.raises(InputError, match=r"key\.json: no such file; `hf-xling review .*other` writes"):
        tally_sheets(other, [path])
    (folder / "review/key.json").write_text("{}")
    with pytest.raises(InputError, match=r"key\.json: is damaged"):
        tally_sheets(folder, [path])


def test_a_text_that_began_like_a_formula_is_known_again(tmp_path):
    folder = write_run(tmp_path / "run", [row(1, text="=1+1"), row(2, text="'quoted'")])
    make_sheet(folder, 2)
    for change in (lambda text: text, lambda text: text.lstrip("'")):  # some programs take the apostrophe away
        cells = {int(each["item"]): change(each["text"]) for each in read_sheet(folder)}
        path = fill(folder, tmp_path / "a.csv", lambda item, cells=cells: {"text": cells[item], "adequacy": "4"})
        assert tally_sheets(folder, [path])["scales"]["adequacy"]["mean"] == 4


def test_hostile_names_do_nothing_in_the_tables(tmp_path):
    folder = write_run(tmp_path / "run", [row(n, model_id="m|x<b>[a](javascript:1)") for n in range(8)])
    make_sheet(folder, 8)
    path = fill(folder, tmp_path / "r|1 <img src=x>.csv", rated(4, 4))
    table = tally_markdown(tally_sheets(folder, [path]))
    for line in filter(None, table.splitlines()):
        assert "<" not in line and "[" not in line and "javascript:" not in line
    blocks = [block.splitlines() for block in table.split("\n\n")]
    assert len(blocks) == 3
    for block in blocks:
        assert {line.count("|") for line in block} == {block[0].count("|")}


def test_the_card_has_the_figures_and_no_names(folder, tmp_path):
    assert review_facts(folder) is None
    tally_sheets(
        folder, sheets(folder, tmp_path, [(ratings, 4) for ratings in PUBLISHED], ("asha", "banu", "chitra", "devi"))
    )
    facts = review_facts(folder)
    assert (facts["raters"], facts["texts"], facts["outdated"]) == (4, 12, False)
    assert "asha" not in json.dumps(facts)
    card = render_card("_review", {}, {"reviews": [facts]})
    assert "of a random sample of 12 accepted rows, 4 people\nrated 12 each on scales" in card and "0.82" in card
    assert "have changed since" not in card
    write_run(tmp_path / "new", [row(n) for n in range(11)])
    (folder / "accepted/part-00000.parquet").write_bytes((tmp_path / "new/accepted/part-00000.parquet").read_bytes())
    assert review_facts(folder)["outdated"]
    assert "have changed since" in render_card("_review", {}, {"reviews": [review_facts(folder)]})


@pytest.mark.parametrize(
    ("rated_by", "said"),
    [
        ((12,), "one person\nrated 12 on"),
        ((3,), "one person\nrated 3 on"),
        ((12, 3), "2 people\nrated 12 and 3 on"),
        ((12, 3, 7), "3 people\nrated 3 to 12 each on"),
    ],
)
def test_the_card_says_how_many_rows_each_has_rated(folder, tmp_path, rated_by, said):
    ratings = [([4] * count + [NO] * (12 - count), "") for count in rated_by]
    tally_sheets(folder, sheets(folder, tmp_path, ratings))
    card = render_card("_review", {}, {"reviews": [review_facts(folder)]})
    assert f"of a random sample of 12 accepted rows, {said}" in card


def test_a_review_after_the_build_gets_into_the_card(corpus, stage_1, tmp_path):
    """Of a run that the corpus was built from, and of one that such a run has read."""
    runs = Path(shutil.copytree(stage_1, tmp_path / "runs"))
    build = ("snli_tamil_paraphrased", runs / "translate", runs / "paraphrase-translate")
    folder = corpus(*build)
    before, parts = (folder / "README.md").read_text("utf-8"), sorted(folder.rglob("*.parquet"))
    moments = [part.stat().st_mtime_ns for part in parts]
    assert parts and "Human review" not in before
    for name in ("paraphrase", "translate"):
        make_sheet(runs / name, 2)
        tally_sheets(runs / name, [fill(runs / name, tmp_path / "asha.csv", rated(5, 4))])
    after = (corpus(*build) / "README.md").read_text("utf-8")
    start, end = after.index("## Human review"), after.index("<!-- end of human review -->")
    assert after[start:end].count("of a random sample of 2 accepted rows, one person\nrated 2 on scales") == 2
    assert after[:start] + after[end:] == before
    assert [part.stat().st_mtime_ns for part in parts] == moments, "it was built again"
    assert (corpus(*build) / "README.md").read_text("utf-8") == after
