"""The ids of stage 1's rows: the user's own where they tell rows apart."""

import json

import pytest
from generation_runs import DEAD, config, rows

from hf_xling.errors import InputError
from hf_xling.generation.stage import generate


def ids_of(world, tmp_path, ids, **fields):
    lines = [{"id": id, "text": f"sentence {number}"} for number, id in enumerate(ids)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    _, out, _ = world("a.jsonl", **fields)
    return [row["id"] for row in rows(out, "accepted") + rows(out, "rejected")]


@pytest.mark.parametrize("given", [["b", "a"], [7, 5], ["x/y", "அ"], ["1", 1.5], ["2", "1"]])
def test_unique_ids_of_the_input_are_kept_and_nothing_is_said(world, tmp_path, capsys, given):
    assert ids_of(world, tmp_path, given) == [str(id) for id in given]
    assert "column `id`" not in capsys.readouterr().err


@pytest.mark.parametrize("given", [["a", "a"], [1, "1"], [2, None], ["2", ""]])
def test_ids_that_do_not_tell_rows_apart_give_way_to_row_numbers(world, tmp_path, capsys, given):
    assert ids_of(world, tmp_path, given) == ["1", "2"]
    assert "a.jsonl: the values of column `id` are not unique; rows are named by their num" in capsys.readouterr().err


def test_a_row_without_an_id_goes_by_its_number(world, tmp_path, capsys):
    assert ids_of(world, tmp_path, ["a", None, " ", "d"]) == ["a", "2", "3", "d"]
    assert "a.jsonl: 2 rows have no value in column `id`" in capsys.readouterr().err


def test_several_columns_of_a_row_keep_its_id(world, tmp_path):
    (tmp_path / "a.csv").write_text("id,premise,hypothesis\nq,one,two\n")
    _, out, _ = world("a.csv", text_column=["premise", "hypothesis"])
    assert [row["id"] for row in rows(out, "accepted")] == ["q/premise", "q/hypothesis"]


def test_a_column_that_is_named_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="--text_column text text: names the column `text` twice"):
        generate(config(tmp_path, DEAD, text_column=["text", "text"]))
