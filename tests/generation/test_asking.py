from itertools import pairwise
from pathlib import Path

import pytest
from generation_runs import DEAD, config
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hf_xling.generation.asking import GROWTH, STEP, Asker, Missing, budgets, expected_tokens, prompt_tokens
from hf_xling.generation.endpoint import EndpointInfo
from hf_xling.generation.languages import LANGUAGES, Language
from hf_xling.generation.ledger import Ledger
from hf_xling.generation.prompts import TASKS
from hf_xling.generation.records import Completion, Request

INFO = {
    "generate": EndpointInfo("generate", "org/m", "abc"),
    "chat": EndpointInfo("chat", "org/m", None, "org/m"),
}
LOOP = "over and over again, " * 20
TEXT = "A dog runs through the park."


def asker(wire="generate", max_repetition=0.3, extra=None, **fields) -> Asker:
    fields = {"max_new_tokens": 600, **fields}
    return Asker(config(Path(), DEAD, **fields), INFO[wire], max_repetition, extra)


def limits(requests) -> list[int]:
    return [request.parameters.get("max_new_tokens") or request.parameters["max_tokens"] for request in requests]


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        yield ledger


# What is asked


def test_the_tries_of_a_text_have_growing_budgets_and_nothing_else_changes():
    tries = list(asker().tries(TEXT, 0))
    budgets = limits(tries)
    assert len(budgets) > 1 and budgets == sorted(set(budgets)) and budgets[-1] == 600
    assert len({str({**request.parameters, "max_new_tokens": 0}) for request in tries}) == 1
    assert len({request.key for request in tries}) == len(tries)
    assert {(request.source, request.prompt, request.model_id, request.model_sha) for request in tries} == {
        (TEXT, tries[0].prompt, "org/m", "abc")
    }
    assert limits(asker().tries(TEXT * 5, 0))[0] > budgets[0]
    assert limits(asker(token_budget=0).tries(TEXT, 0)) == [600]
    assert limits(asker(max_new_tokens=20).tries(TEXT, 0)) == [20]
    tamil = asker(task="translate", language="ta")
    assert limits(tamil.tries(TEXT, 0))[0] > budgets[0]  # which needs more tokens


def test_each_wire_has_its_own_names():
    sampled = {"temperature": 0.7, "top_p": 0.9, "seed": 5}
    fields = {"top_p": 0.9, "seed": 5, "token_budget": 0.0}
    stop = {"stop": ["<|eot_id|>"]}
    (request,) = asker(**fields).tries(TEXT, 0)
    assert request.parameters == {**sampled, **stop, "do_sample": True, "max_new_tokens": 600}
    assert isinstance(request.prompt, str) and TEXT in request.prompt
    (request,) = asker("chat", **fields).tries(TEXT, 0)
    assert request.parameters == {**sampled, "max_tokens": 600}
    assert request.prompt[-1]["content"].endswith(TEXT)
    # TGI's /generate refuses a temperature of 0, and what does not sample takes no top_p.
    (request,) = asker(temperature=0.0, **fields).tries(TEXT, 0)
    assert request.parameters == {**stop, "seed": 5, "do_sample": False, "max_new_tokens": 600}
    (request,) = asker("chat", temperature=0.0, **fields).tries(TEXT, 0)
    assert request.parameters == {"temperature": 0.0, "seed": 5, "max_tokens": 600}


def test_what_a_server_wants_beside_goes_into_every_request_and_its_key():
    extra = {"extra_body": {"generation_config": "{}"}}
    for one, other in zip(asker("chat").tries(TEXT, 0), asker("chat", extra=extra).tries(TEXT, 0), strict=True):
        assert other.parameters == {**one.parameters, **extra} and one.key != other.key


def test_samples_have_seeds_that_count_up():
    asking = asker(samples=3, seed=40)
    firsts = [next(asking.tries(TEXT, sample)) for sample in range(3)]
    assert [(request.sample, request.parameters["seed"]) for request in firsts] == [(0, 40), (1, 41), (2, 42)]
    assert next(asker(seed=40).tries(TEXT, 0)).key == firsts[0].key  # one sample more leaves the others as they are


# Cut answers


def test_an_answer_that_is_cut_is_asked_for_again_with_more(ledger):
    asking = asker()
    first, *others = asking.tries(TEXT, 0)
    assert len(others) >= 1
    request, budgets = first, []
    while request is not None:
        budgets += limits([request])
        completion = Completion(f"cut at {budgets[-1]}", "length", budgets[-1])
        ledger.add(request.key, completion)
        following = asking.follow_up(request, completion)
        missing = asking.next_request(ledger, TEXT, 0)
        assert following == missing and (following is None or following.key == missing.key)
        request = following
    assert budgets == limits([first, *others])
    last, completion, tokens = asking.outcome(ledger, TEXT, 0)
    assert limits([last]) == [600] and completion.text == "cut at 600" and tokens == sum(budgets)


@pytest.mark.parametrize(
    "completion",
    [
        *(Completion("A dog.", reason, 3) for reason in ("eos_token", "stop_sequence", "stop", None)),
        Completion("", "eos_token", 0),
        Completion(LOOP, "length", 80),
    ],
    ids=str,
)
def test_any_other_answer_is_final(ledger, completion):
    asking = asker()
    first = next(asking.tries(TEXT, 0))
    assert asking.follow_up(first, completion) is None
    ledger.add(first.key, completion)
    assert asking.next_request(ledger, TEXT, 0) is None
    assert asking.outcome(ledger, TEXT, 0) == (first, completion, completion.generated_tokens)
    again = asker(max_repetition=1.0)  # loops are as good as anything
    assert (again.next_request(ledger, TEXT, 0) is not None) == (completion.text == LOOP)
    assert asking.next_request(ledger, TEXT, 1) is not None and asking.next_request(ledger, "B", 0) is not None


def test_failures_are_tried_again_where_they_happened(ledger):
    asking = asker()
    first, second, *_ = asking.tries(TEXT, 0)
    assert asking.outcome(ledger, TEXT, 0) == (first, None, 0)
    failed = Completion(None, error="503 x")
    ledger.add(first.key, failed)
    assert asking.follow_up(first, failed) is None and asking.next_request(ledger, TEXT, 0) == first
    assert asking.outcome(ledger, TEXT, 0) == (first, failed, 0)
    ledger.add(first.key, Completion("A dog", "length", 80))
    assert asking.outcome(ledger, TEXT, 0) == (second, None, 80)
    ledger.add(second.key, failed)
    assert asking.next_request(ledger, TEXT, 0) == second and asking.outcome(ledger, TEXT, 0) == (second, failed, 80)


# What is missing


class Known(dict):
    """A ledger in memory."""

    def state(self, key):
        completion = self.get(key)
        if completion is None:
            return None
        return (
            "failed" if completion.error is not None else "cut" if completion.finish_reason == "length" else "answered"
        )


TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), unique=True, max_size=12)
COMPLETIONS = st.sampled_from(
    [
        None,
        Completion("x", "eos_token"),
        Completion("x", "length"),
        Completion(LOOP, "length"),
        Completion(None, error="503"),
    ]
)


@settings(max_examples=60)
@given(TEXTS, st.integers(1, 3), st.integers(1, 5), st.sampled_from(list(INFO)), st.data())
def test_ranks_share_what_is_missing_and_miss_nothing(texts, samples, world, wire, data):
    asking, ledger = asker(wire, samples=samples, max_new_tokens=200), Known()
    wanted = []
    for text in texts:
        for sample in range(samples):
            for request in asking.tries(text, sample):
                completion = data.draw(COMPLETIONS)
                if completion is None:
                    break
                ledger[request.key] = completion
            if (request := asking.next_request(ledger, text, sample)) is not None:
                wanted.append(request)
    alone = Missing(asking, ledger, texts)
    assert [request.key for request in alone.requests()] == [request.key for request in wanted]
    assert len(alone) == len(wanted) and alone.share == len(texts) * samples
    parts = [Missing(asking, ledger, texts, rank, world) for rank in range(world)]
    shared = [request.key for part in parts for request in part.requests()]
    assert sorted(shared) == sorted(request.key for request in wanted)
    assert sum(part.share for part in parts) == alone.share and sum(map(len, parts)) == len(alone)


def test_a_text_stays_with_its_rank_whatever_is_known_of_it():
    asking, texts = asker(), [f"text {number}" for number in range(40)]

    def parts(ledger) -> list[list[str]]:
        ranks = (Missing(asking, ledger, texts, rank, 3) for rank in range(3))
        return [[request.source for request in missing.requests()] for missing in ranks]

    before = parts(Known())
    assert all(before)
    cut = Known({next(asking.tries(text, 0)).key: Completion("x", "length") for text in texts[::2]})
    assert parts(cut) == before


def test_what_has_been_answered_meanwhile_is_no_longer_missing():
    asking, ledger, texts = asker(), Known(), ["one", "two", "three", "four"]
    missing = Missing(asking, ledger, texts)
    ledger[next(asking.tries("two", 0)).key] = Completion("x", "eos_token")
    assert [request.source for request in missing.requests()] == ["one", "three", "four"] and len(missing) == 4
    assert [request.source for request in missing.requests([3, 1, 0])] == ["four", "one"]


def test_nothing_is_missing_of_nothing():
    missing = Missing(asker(), Known(), [])
    assert (len(missing), missing.share, list(missing.requests())) == (0, 0, [])
    assert isinstance(next(Missing(asker(), Known(), ["x"]).requests()), Request)


EN, TA = LANGUAGES["en"], LANGUAGES["ta"]
DOUBLE = Language("xx", "Double", length_factor=2.0, tokens_per_character=1.0)

numbers = st.floats(0.01, 100)
languages = st.builds(
    Language, st.just("xx"), st.just("Some"), length_factor=numbers, tokens_per_character=numbers
) | st.sampled_from([*LANGUAGES.values()])
factors = st.floats(0, 20) | st.just(0)


def test_the_expected_tokens_of_an_answer():
    plain = Language("yy", "Plain", tokens_per_character=0.5)
    assert expected_tokens("x" * 100, plain, plain) == 50
    assert expected_tokens("x" * 100, plain, DOUBLE) == 200
    assert expected_tokens("x" * 100, DOUBLE, plain) == 25
    assert expected_tokens("x" * 3, plain, plain) == 2  # rounded up
    assert expected_tokens("", plain, plain) == 1


@given(text=st.text(), more=st.text(), source=languages, target=languages)
def test_longer_sources_let_expect_no_fewer_tokens(text, more, source, target):
    assert 1 <= expected_tokens(text, source, target) <= expected_tokens(text + more, source, target)


def test_the_script_of_the_answer_counts():
    text = "Two women in blue jackets are crossing the street."
    tokens = {code: expected_tokens(text, EN, language) for code, language in LANGUAGES.items()}
    assert tokens["en"] < tokens["sw"] < tokens["qu"] < tokens["hi"] < tokens["ta"] < tokens["te"]


def test_the_budgets_of_a_row():
    text = "x" * 100
    assert budgets(text, DOUBLE, DOUBLE, factor=3, most=4096) == (320, 1280, 4096)  # 3 × 100 + 16, to the next 16
    assert budgets(text, DOUBLE, DOUBLE, factor=3, most=1280) == (320, 1280)
    assert budgets(text, DOUBLE, DOUBLE, factor=1, most=512) == (128, 512)
    assert budgets(text, DOUBLE, DOUBLE, factor=3, most=256) == (256,)
    assert budgets(text, DOUBLE, DOUBLE, factor=0, most=256) == (256,)
    assert budgets("", DOUBLE, DOUBLE, factor=3, most=256) == (32, 128, 256)


@given(text=st.text(max_size=2000), source=languages, target=languages, factor=factors, most=st.integers(1, 10**6))
@example(text="", source=EN, target=EN, factor=0.01, most=1)
def test_budgets_ascend_to_the_most(text, source, target, factor, most):
    tries = budgets(text, source, target, factor=factor, most=most)
    assert tries and tries[-1] == most
    assert list(tries) == sorted(set(tries)) and tries[0] >= 1
    assert all(tokens % STEP == 0 for tokens in tries[:-1])
    assert all(later == GROWTH * earlier for earlier, later in pairwise(tries[:-1]))
    assert tries == budgets(text, source, target, factor=factor, most=most)


@given(text=st.text(max_size=500), source=languages, target=languages, factor=st.floats(1, 20))
def test_the_first_try_has_room_for_what_is_expected_and_not_much_more(text, source, target, factor):
    expected = expected_tokens(text, source, target)
    assume(expected < 10**5)
    first, *_ = budgets(text, source, target, factor=factor, most=10**8)
    assert factor * expected < first < factor * expected + 3 * STEP


@pytest.mark.parametrize("wire", ["render", "messages"])
def test_the_tokens_of_a_prompt(wire):
    tamil = "ஒரு நாய் ஓடுகிறது."
    empty = getattr(TASKS["paraphrase"], wire)("", TA, TA)
    full = getattr(TASKS["paraphrase"], wire)(tamil, TA, TA)
    constant = prompt_tokens(empty, "", TA)
    assert 40 < constant < 150
    # all but the rounding of two numbers
    assert abs(prompt_tokens(full, tamil, TA) - constant - len(tamil) * TA.tokens_per_character) < 1
    # Constant text in another script counts by its bytes: some 0.35 × 3 tokens a letter.
    assert prompt_tokens("அ" * 100, "", EN) == 105
    assert prompt_tokens("\ud800", "\ud800", EN) == 1
