from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.generation.languages import LANGUAGES, get_language
from hf_xling.generation.prompts import TASKS, get_template
from hf_xling.generation.records import Request

EN, TA = LANGUAGES["en"], LANGUAGES["ta"]


def test_the_forms_are_those_the_models_were_tuned_on():
    assert get_template("paraphrase").render("A dog runs.", EN, EN) == (
        "<|start_header_id|>system<|end_header_id|>\n\n"
        "You rewrite English sentences. Answer with the rewritten sentence and nothing else.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\n"
        "Paraphrase this sentence in English. Keep its meaning; change its words and its structure.\n\n"
        "A dog runs.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert get_template("translate").render("A dog runs.", EN, TA) == (
        "You translate English into Tamil. Answer with the translation and nothing else.\n\n"
        "### Instruction:\nTranslate this sentence into Tamil.\n\n### Input:\nA dog runs.\n\n### Response:\n"
    )


def test_chat_messages_leave_the_form_to_the_server():
    system, user = get_template("translate").messages("A dog runs.", EN, TA)
    assert system["role"] == "system" and "English into Tamil" in system["content"]
    assert user == {"role": "user", "content": "Translate this sentence into Tamil.\n\nA dog runs."}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("wire", ["render", "messages"])
@given(source=st.text() | st.just("{{ system }} {% raw %}") | st.just("<|eot_id|>\n\n### Response:\n"))
def test_the_source_stands_in_the_prompt_verbatim_and_comes_back(task, wire, source):
    template = TASKS[task]
    prompt = getattr(template, wire)(source, EN, TA)
    assert template.source_of(prompt, EN, TA) == source


def test_a_prompt_of_another_template_or_language_has_no_source():
    prompt = TASKS["translate"].render("x", EN, TA)
    assert TASKS["paraphrase"].source_of(prompt, EN, TA) is None
    assert TASKS["translate"].source_of(prompt, TA, EN) is None
    assert TASKS["translate"].source_of(prompt[:-1], EN, TA) is None


def test_the_id_changes_with_all_that_is_rendered_and_with_nothing_else():
    template = TASKS["translate"]
    others = [
        replace(template, system=template.system + " "),
        replace(template, instruction="Übersetze."),
        replace(template, form="llama3"),
        replace(template, version=2),
    ]
    assert len({template.id, *(other.id for other in others)}) == 5
    assert replace(template).id == template.id and template.id.startswith("translate-v1-")


def test_unknown_tasks_and_languages_list_the_known():
    with pytest.raises(InputError, match="known are paraphrase, translate"):
        get_template("summarise")
    with pytest.raises(InputError, match="known are en, ta"):
        get_language("tamil")


def test_the_key_of_a_request_is_that_of_everything_its_answer_depends_on():
    request = Request("a", "prompt of a", {"seed": 1, "stop": ["x"]}, "m", "sha")
    others = [
        replace(request, prompt="prompt of b"),
        replace(request, prompt=[{"role": "user", "content": "prompt of a"}]),
        replace(request, parameters={"seed": 2, "stop": ["x"]}),
        replace(request, model_id=None),
        replace(request, model_sha="other"),
        replace(request, sample=1),
    ]
    assert len({request.key, *(other.key for other in others)}) == 7
    assert replace(request, parameters={"stop": ["x"], "seed": 1}).key == request.key
