import pytest
from generation_runs import DEAD, config, other_words
from loopback import LoopbackTGI

from hf_xling.errors import EndpointError, InputError
from hf_xling.generation.config import GenerateConfig
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
    manifest, _, _ = world(["one", "two"], lambda source: 422)
    assert manifest["reasons"] == {"endpoint": 2}


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


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"language": "tamil"}, "--language tamil"),
        ({"task": "summarize"}, "--task summarize"),
        ({"source_language": "xx"}, "--source_language xx"),
        ({"prompt": "gone.yaml"}, "--prompt gone.yaml"),
        ({"endpoint": "localhost:8080"}, "--endpoint localhost:8080"),
        ({"endpoint": [DEAD, DEAD]}, "--endpoint: names the same endpoint twice"),
        ({"endpoint": []}, "--endpoint URL is needed, or --serve MODEL"),
        ({"serve": "model"}, "--serve: starts an endpoint of its own; give it or --endpoint"),
        ({"serve": "model", "endpoint": [], "wire": "generate"}, "--wire generate: what --serve starts speaks chat"),
        ({"api_key_variable": "NO_SUCH_KEY"}, "--api_key_variable NO_SUCH_KEY: is not set in the environment"),
        ({"max_new_tokens": 0}, "--max_new_tokens 0"),
        ({"max_in_flight": 0}, "--max_in_flight 0"),
        ({"samples": 0}, "--samples 0"),
        ({"samples": 2, "temperature": 0.0}, "--samples 2: greedy answers (--temperature 0) are all the same"),
        ({"longest_outage": 0.0}, "--longest_outage 0.0"),
        ({"token_budget": -1.0}, "--token_budget -1.0"),
        ({"token_budget": float("inf")}, "--token_budget inf"),
        ({"timeout": -1.0}, "--timeout -1.0"),
        ({"top_p": 1.0}, "--top_p"),
        ({"temperature": -0.1}, "--temperature"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": 2**63}, "--seed 9223372036854775808"),
        ({"seed": 2**63 - 1, "samples": 2}, "--seed 9223372036854775807"),
    ],
)
def test_fields_out_of_range_are_named(fields, said):
    good = {"input": "x", "endpoint": DEAD, "output_dir": "y", "task": "translate", "language": "ta"}
    with pytest.raises(InputError) as caught:
        GenerateConfig(**{**good, **fields})
    assert said in str(caught.value)


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
