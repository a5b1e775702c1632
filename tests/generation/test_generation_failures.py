import pytest
from generation_runs import DEAD, arguments, config, other_words, rows
from loopback import LoopbackTGI

from hf_xling.console import run_command
from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.stage import generate
from hf_xling.generation.stage import main as generate_command
from hf_xling.sample.replay import serving

# Failures


def test_an_endpoint_that_is_down_writes_nothing(tmp_path):
    (tmp_path / "input.txt").write_text("one\n")
    with pytest.raises(EndpointError, match=rf"--endpoint {DEAD}: no connection"):
        generate(config(tmp_path, DEAD))
    assert [path.name for path in tmp_path.iterdir()] == ["input.txt"]


@pytest.mark.parametrize("status", [401, 404])
def test_an_endpoint_that_refuses_all_is_no_run(world, tmp_path, status):
    with pytest.raises(EndpointError, match=f"2 of 2 texts are unanswered, most often because of `{status} bad "):
        world(["one", "two"], lambda source: status)
    assert not (tmp_path / "out" / "accepted").exists()
    manifest, _, _ = world(["one", "two"])
    assert manifest["accepted"] == 2


def test_texts_that_are_refused_for_what_they_are_make_a_run(world):
    manifest, _, _ = world(["one", "two", "three"], lambda source: other_words(source) if source == "two" else 422)
    assert manifest["reasons"] == {"endpoint": 2}
    assert manifest["examples"] == {"endpoint": "endpoint: 422 bad luck with one"}


@pytest.mark.parametrize("status", [400, 401, 402, 413, 422, 424])
@pytest.mark.parametrize(("good", "count"), [(0, 30), (0, 150), (40, 150)])
def test_what_is_refused_to_all_ends_the_run_in_the_words_of_the_endpoint(world, status, good, count):
    answered = []

    def answer(source):
        answered.append(source)
        return other_words(source) if len(answered) <= good else status

    with pytest.raises(EndpointError, match=f"--endpoint http.*{status} bad luck with"):
        world([f"text number {number} of all" for number in range(count)], answer, max_in_flight=4)
    if status != 424:  # those are sent again, and others go on while they wait
        assert len(set(answered)) < good + 40
    manifest, _, server = world([f"text number {number} of all" for number in range(count)], max_in_flight=4)
    assert manifest["accepted"] == count and server.seen.total() == count - good


def test_a_run_that_accepts_nothing_is_a_failure_that_names_the_filter(tmp_path, capsys):
    (tmp_path / "input.txt").write_text("one of these\ntwo of those\n")
    with serving(LoopbackTGI(lambda source: "ஒரு நாய் ஓடுகிறது").app()) as url:
        argv = arguments(tmp_path, url, "out")
        assert run_command(generate_command, argv) == 1
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("error: ") and "none of 2 rows is accepted (wrong_script)" in told
        assert len(rows(tmp_path / "out", "rejected")) == 2 and rows(tmp_path / "out", "accepted") == []
        # Other filters make rows of the same answers.
        closing = generate_command([*argv, "--min_script_share=0", "--min_length_ratio=0.1"])
    assert "1 accepted, 1 rejected (1 duplicate)" in closing


@pytest.mark.parametrize(("bad", "is_loud"), [(5, False), (6, True)])
def test_a_run_that_rejects_most_rows_says_so_last(tmp_path, bad, is_loud):
    (tmp_path / "input.txt").write_text("".join(f"text number {number} of all\n" for number in range(10)))
    refused = {f"text number {number} of all" for number in range(bad)}
    server = LoopbackTGI(lambda source: 413 if source in refused else other_words(source))
    with serving(server.app()) as url:
        last = generate_command(arguments(tmp_path, url, "out")).splitlines()[-1]
    said = "WARNING: 60% of the rows are rejected, more than 50%; most often because of endpoint: 413 bad luck with"
    assert last.startswith(said if is_loud else "accepted rows: ")


@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        ("text,id\nx,a\ny,b\nz,a\n", {"id_column": "id"}, "a.csv, row 3 (line 4): has the id `a` of row 1"),
        ("text,id\nx,a\ny,\n", {"id_column": "id"}, "a.csv, row 2 (line 3): has no id in column `id`"),
        ("text\nx\n", {"id_column": "id"}, "a.csv: has no column `id`; its columns are text"),
        ("texts\nx\n", {}, "a.csv: has no column `text`; its columns are texts"),
        ("text\n", {}, "a.csv: is empty"),
    ],
)
def test_input_that_cannot_be_used_is_named_before_anything_is_asked(tmp_path, content, fields, said):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        generate(config(tmp_path, DEAD, "a.csv", **fields))
    assert said in str(caught.value) and not (tmp_path / "out").exists()


def test_values_that_are_no_texts_are_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n\n{"text": 5}\n')
    with pytest.raises(InputError, match=r"a.jsonl, row 2 \(line 3\), column `text`: 5 is no text"):
        generate(config(tmp_path, DEAD, "a.jsonl"))


def test_the_closing_lines_tell_counts_and_where_the_rows_are(tmp_path):
    (tmp_path / "input.txt").write_text("one\none\n\ntwo\n")
    with serving(LoopbackTGI(other_words).app()) as url:
        fields = {"input": tmp_path / "input.txt", "output_dir": tmp_path / "out", "endpoint": url}
        argv = [f"--{name}={value}" for name, value in fields.items()]
        closing = generate_command([*argv, "--task=paraphrase", "--language=en"])
    assert closing == (
        "4 rows (2 distinct texts): 3 accepted, 1 rejected (1 no_source_text)\n"
        f"accepted rows: {tmp_path / 'out' / 'accepted'}"
    )
