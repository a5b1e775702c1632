import dataclasses
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.recipes import RecipeParser, given_fields, section, to_argv


@dataclass
class Job:
    name: str = field(metadata={"help": "required"})
    rate: float = field(default=1.0, metadata={"help": "100%% honest"})
    steps: int = field(default=10, metadata={"help": "…"})
    fast: bool = field(default=False, metadata={"help": "…"})
    careful: bool = field(default=True, metadata={"help": "…"})
    seeds: list[int] = field(default_factory=lambda: [1], metadata={"help": "…"})
    columns: list[str] = field(default_factory=list, metadata={"help": "…"})
    revision: str | None = field(default=None, metadata={"help": "…"})
    wire: Literal["generate", "chat"] = field(default="generate", metadata={"help": "…"})

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError("--steps must be 0 or more")


@dataclass
class Sectioned:
    name: str = field(default="x", metadata={"help": "…"})
    train: dict[str, Any] = section("of training")


def parse(argv, types=(Job,)):
    return RecipeParser(list(types), prog="job").parse(argv)[0]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipes") / "recipe.yaml"

    def write(content) -> str:
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True), "utf-8")
        return str(path)

    return write


def failure(argv, types=(Job,)) -> str:
    with pytest.raises(InputError) as caught:
        parse(argv, types)
    return str(caught.value)


# Values that a shell can hand over: no NUL. A list's tokens must not look like options, as on any command line.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
JOBS = st.fixed_dictionaries(
    {"name": TEXT},
    optional={
        "rate": st.floats(allow_nan=False, allow_infinity=False),
        "steps": st.integers(0, 10**9),
        "fast": st.booleans(),
        "careful": st.booleans(),
        "seeds": st.lists(st.integers(-5, 10**6), min_size=1, max_size=3),
        "columns": st.lists(TEXT.filter(lambda text: not text.startswith("-")), min_size=1, max_size=3),
        "revision": TEXT,
        "wire": st.sampled_from(["generate", "chat"]),
    },
)


@settings(max_examples=40)
@given(fields=JOBS)
def test_a_recipe_gives_what_the_same_fields_give_on_the_command_line(recipe, fields):
    from_yaml = parse(["--config", recipe(fields)])
    assert from_yaml == parse(to_argv(fields)) == Job(**fields)


@settings(max_examples=20)
@given(in_file=JOBS, typed=JOBS)
def test_the_command_line_wins_over_the_recipe(recipe, in_file, typed):
    path = recipe(in_file)
    for argv in (["--config", path, *to_argv(typed)], [*to_argv(typed), f"--config={path}"]):
        assert parse(argv) == Job(**{**in_file, **typed})


def test_a_recipe_value_is_what_stands_in_the_file(recipe):
    text = "name: no\nrate: 2e-5\nrevision: 0123456\ncolumns: [yes, 1.10, 2024-01-01]\nfast: true\nsteps: 007\n"
    job = parse(["--config", recipe(text)])
    assert (job.name, job.rate, job.revision, job.fast, job.steps) == ("no", 2e-5, "0123456", True, 7)
    assert job.columns == ["yes", "1.10", "2024-01-01"]


def test_null_leaves_the_default_and_a_byte_order_mark_is_no_text(recipe):
    assert parse(["--config", recipe("\ufeffname: x\nsteps: null\nrevision: ~\nrate:\n")]) == Job("x")


@pytest.mark.parametrize(
    ("wrong", "nearest", "types"),
    [("sted", "steps", [Job]), ("colums", "columns", [Job]), ("trian", "train", [Sectioned])],
)
def test_an_unknown_name_suggests_the_nearest(recipe, wrong, nearest, types):
    path = recipe({"name": "x", wrong: 1})
    message = failure(["--config", path], types)
    assert f"`{wrong}`" in message and f"did you mean `{nearest}`" in message and path in message
    message = failure(["--name", "x", f"--{wrong}", "1"], types)
    assert f"--{wrong}" in message and f"did you mean `{nearest}`" in message


def test_abbreviations_are_unknown_options():
    assert "unknown option --stepsize" in failure(["--name", "x", "--stepsize=1"])
    assert "did you mean `steps`" in failure(["--name", "x", "--step", "1"])


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "--name"),
        (["--name", "x", "--steps", "many"], "--steps"),
        (["--name", "x", "--wire", "soap"], "--wire"),
        (["--name", "x", "--fast=perhaps"], "--fast"),
        (["--name", "x", "--steps", "-1"], "--steps must be 0 or more"),
        (["--name", "x", "stray"], "stray"),
        (["--name", "x", "--config"], "--config wants a file"),
    ],
)
def test_bad_usage_is_one_clear_line(argv, said):
    message = failure(argv)
    assert said in message and "\n" not in message and "usage:" not in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- name\n", "a recipe is a mapping"),
        ("", "a recipe is a mapping"),
        ("name: [", "not valid YAML"),
        ("name: x\nconfig: other.yaml\n", "belongs on the command line"),
        ("name: x\nhelp: true\n", "belongs on the command line"),
        ("name: x\n1: 2\n", "unknown key `1`"),
    ],
)
def test_a_bad_recipe_is_named(recipe, content, said):
    path = recipe(content)
    message = failure(["--config", path])
    assert said in message and path in message


def test_a_missing_or_undecodable_recipe_is_named(tmp_path):
    assert "nowhere.yaml" in failure(["--config", "nowhere.yaml"])
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    assert "not valid YAML" in failure(["--config", str(tmp_path / "latin.yaml")])
    assert str(tmp_path) in failure(["--config", str(tmp_path)])


def test_a_section_is_the_same_from_a_recipe_and_from_options(recipe):
    content = "train:\n  max_steps: 10\n  learning_rate: 1e-3\n  bf16: true\n  seeds: [1, 2]\n"
    from_yaml = parse(["--config", recipe(content)], [Sectioned])
    options = ["--train.max_steps", "10", "--train.learning_rate=1e-3", "--train.bf16", "true", "--train.seeds", "1"]
    options.append("2")
    assert from_yaml == parse(options, [Sectioned])
    assert from_yaml.train == {"max_steps": "10", "learning_rate": "1e-3", "bf16": "true", "seeds": ["1", "2"]}


def test_an_option_of_a_section_wins_and_leaves_its_neighbours(recipe):
    path = recipe({"train": {"max_steps": 10, "seed": 3}})
    parsed = parse(["--train.max_steps", "20", "--config", path, "--name", "y"], [Sectioned])
    assert parsed == Sectioned("y", {"max_steps": "20", "seed": "3"})


def test_a_section_that_is_no_mapping_is_refused(recipe):
    assert "`train` must be a mapping" in failure(["--config", recipe("train: 3\n")], [Sectioned])


def test_a_mapping_within_a_field_keeps_its_types(recipe):
    path = recipe("train:\n  max_steps: 5\n  lr_scheduler_kwargs: {num_cycles: 2, deep: {rate: 0.5}}\n")
    kwargs = parse(["--config", path], [Sectioned]).train["lr_scheduler_kwargs"]
    assert kwargs == {"num_cycles": 2, "deep": {"rate": 0.5}}
    (token,) = to_argv({"lr_scheduler_kwargs": kwargs})
    assert json.loads(token.partition("=")[2]) == kwargs


def test_several_dataclasses_share_one_command_line():
    job, sectioned = RecipeParser([Job, Sectioned], prog="job", conflict_handler="resolve").parse(
        ["--name", "x", "--train.a", "1"]
    )
    assert job.name == "x" and sectioned.train == {"a": "1"}


def test_help_shows_fields_and_defaults_and_leaves_with_0(capsys):
    with pytest.raises(SystemExit) as left:
        parse(["--help"], [Job])
    shown = capsys.readouterr().out
    assert left.value.code in (0, None)
    assert "--rate RATE" in shown and "(default: 1.0)" in shown and "100% honest" in shown and "--config FILE" in shown


def test_the_help_of_a_negated_flag_says_so(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"], [Job])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines if line.strip().startswith("--no_")] == [
        "the opposite of --careful"
    ]
    assert parse(["--name", "x", "--no_careful"]).careful is False and parse(["--name", "x", "--no-careful"]) == parse(
        ["--name", "x", "--careful", "false"]
    )


def test_given_fields_are_those_that_make_another_run():
    from hf_xling.regression.config import RegressionConfig

    same = given_fields(RegressionConfig(output_dir="a", use_cpu=True, logging_steps=3, report_to="none"))
    assert same == given_fields(RegressionConfig(output_dir="b", use_cpu=True, logging_steps=9, report_to="none"))
    other = given_fields(RegressionConfig(output_dir="a", use_cpu=True, report_to="none", learning_rate=0.5))
    assert other["learning_rate"] == 0.5 and asdict(Job("x"))["name"] == given_fields(Job("x"))["name"]


def test_threads_parse_the_same_dataclass_side_by_side() -> None:
    """As the trainings of an experiment do."""
    from concurrent.futures import ThreadPoolExecutor

    from hf_xling.regression.config import RegressionScriptArguments

    before = {spec.name: spec.type for spec in dataclasses.fields(RegressionScriptArguments)}
    argv = ["--model_name_or_path", "m", "--train_file", "t.csv", "--seeds", "1", "2"]

    def parse(number: int) -> list[int]:
        return RecipeParser([RegressionScriptArguments]).parse(argv)[0].seeds

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(parse, range(40))) == [[1, 2]] * 40
    assert {spec.name: spec.type for spec in dataclasses.fields(RegressionScriptArguments)} == before
