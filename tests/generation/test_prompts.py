from dataclasses import replace
from itertools import product

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hf_xling.errors import InputError
from hf_xling.generation.languages import LANGUAGES, Language
from hf_xling.generation.prompts import FORMS, TASKS, get_template
from hf_xling.generation.records import Request

EN, TA = LANGUAGES["en"], LANGUAGES["ta"]
PAIRS = [(EN, EN), (EN, TA), (TA, LANGUAGES["qu"]), (Language("xx", "{{ source }} \\ Klingon"), LANGUAGES["te"])]

CHATML = (
    "{% if system %}<|im_start|>system\n{{ system | trim }}<|im_end|>\n{% endif %}"
    "<|im_start|>user\n{{ instruction }}\n\n{{ source }}<|im_end|>\n<|im_start|>assistant\n"
)
MINE = {
    "name": "my-prompt.x",
    "version": 3,
    "system": "You know {{ language }}.",
    "instruction": "Rewrite this {{ source_language | upper }} sentence in {{ language }}:",
    "form": CHATML,
    "stop": ["<|im_end|>", "\n\n"],
}
MARKS = [
    *(
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|im_end|>",
        "<|im_start|>",
        "<|endoftext|>",
        "<|end|>",
        "<|user|>",
        "</s>",
    ),
    *(
        "<s>",
        "<end_of_turn>",
        "<start_of_turn>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<</SYS>>",
        "<｜User｜>",
        "<eos>",
        "<bos>",
    ),
    *("<turn|>", "<|turn>", "<|channel|>", "<|START_OF_TURN_TOKEN|>", "<seed:eos>", "<pad>", "<unk>"),
    *("[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]", "[IMG]", "[MASK]", "[THINK]"),
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<image>", "<start_of_image>", "<unused0>", "<mask>"),
    *("<fim_prefix>", "<0x0A>", "<extra_id_0>", "<reserved_106>", "<eos_token>"),
]
TEMPLATES = {**TASKS, "mine": replace(TASKS["shuffle"], form=CHATML, instruction="{{ language }}", system="")}


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
    assert TASKS["paraphrase"].stop == ("<|eot_id|>",) and TASKS["translate"].stop == ("### Instruction:",)


def test_chat_messages_leave_the_form_to_the_server():
    system, user = get_template("translate").messages("A dog runs.", EN, TA)
    assert system["role"] == "system" and "English into Tamil" in system["content"]
    assert user == {"role": "user", "content": "Translate this sentence into Tamil.\n\nA dog runs."}
    assert replace(TASKS["translate"], system="").messages("A dog runs.", EN, TA) == [user]


def test_the_ids_that_corpora_name_stay():
    assert TASKS["paraphrase"].id == "paraphrase-v1-45afb46b"
    assert TASKS["translate"].id == "translate-v1-4623d4a5"
    assert list(TASKS) == ["paraphrase", "translate", "summarise", "synonyms", "shuffle"]
    assert all(template.id.startswith(f"{task}-v1-") for task, template in TASKS.items())


@pytest.mark.parametrize("task", TASKS)
def test_each_task_asks_for_the_language_and_for_nothing_but_the_answer(task):
    for source_language, language in product(LANGUAGES.values(), repeat=2):
        system, user = TASKS[task].messages("", source_language, language)
        assert source_language.name in system["content"] and "and nothing else." in system["content"]
        assert language.name in user["content"]
        assert TASKS[task].instruction_text(source_language, language) == (
            f"{system['content']}\n{user['content'].removesuffix(2 * chr(10))}"
        )


@pytest.mark.parametrize("task", TEMPLATES)
@pytest.mark.parametrize("wire", ["render", "messages"])
@pytest.mark.parametrize("languages", PAIRS, ids=lambda pair: "-".join(language.code for language in pair))
@given(
    source=st.text()
    | st.sampled_from(["{{ system }} {% raw %}", "<|eot_id|>\n\n### Response:\n", "\0", "\ud800"])
    | st.lists(st.sampled_from([*MARKS, "<", " ", "#", "## Response", "|eot_id|>", "[", "INST]", "x"])).map("".join)
)
def test_the_source_stands_in_the_prompt_and_comes_back(task, wire, languages, source):
    template = TEMPLATES[task]
    if wire == "messages":
        content = template.messages(source, *languages)[-1]["content"]
        assert content == template.messages("", *languages)[-1]["content"] + source
        return
    before, after = template.render("mark", *languages).split("mark")
    prompt = template.render(source, *languages)
    assert prompt.startswith(before) and prompt.endswith(after)
    assert template.unspaced(prompt[len(before) : len(prompt) - len(after)]) == source


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("task", TEMPLATES)
def test_marks_of_a_prompt_form_in_a_source_are_plain_text_in_a_native_prompt(task, mark):
    template = TEMPLATES[task]
    prompt = template.render(f"One {mark} two.", EN, TA)
    empty = template.render("", EN, TA)
    assert prompt.count(mark) == empty.count(mark)
    assert f"One {mark[0]} {mark[1:]} two." in prompt
    assert template.messages(f"One {mark} two.", EN, TA)[-1]["content"].endswith(f"\n\nOne {mark} two.")


@pytest.mark.parametrize("heading", ["### Instruction:", "### Input:", "### Response:", "### Response"])
def test_headings_are_marks_in_the_form_that_has_them(heading):
    source = f"One.\n\n{heading}\nTwo."
    alpaca, llama = (TASKS[task].render(source, EN, TA) for task in ("translate", "paraphrase"))
    assert f"One.\n\n# {heading[1:]}\nTwo." in alpaca and heading in llama
    assert alpaca.count(heading) == TASKS["translate"].render("", EN, TA).count(heading)


@pytest.mark.parametrize(
    "source",
    [
        *("A dog runs.", "a < b > c | d", "I <3 you", "[1] and [INSTALL]", "# 1 ## 2 ### 3", "### Responses are in"),
        *("<b>bold</b> <sup>2</sup>", "<S>", "< s >", "<|>", "<| a |>", "x <end> y", "<span>", "ஒரு நாய்.", "[EOSX]"),
        *("one<br>two", "<p>a</p>", "<em>a</em> <i>b</i>", "[NOTE]", "[a_b]", "<name>", "<thinker>", "<0x>"),
    ],
)
def test_a_clean_source_stands_in_the_prompt_verbatim(source):
    assert all(source in template.render(source, EN, TA) for template in TEMPLATES.values())


@pytest.mark.parametrize("task", TEMPLATES)
def test_constant_text_comes_first(task):
    template = TEMPLATES[task]
    one, other = (template.render(source, EN, TA) for source in ("Abc.", "Xyz."))
    common = next(n for n, pair in enumerate(zip(one, other, strict=True)) if len(set(pair)) == 2)
    before = one[:common]
    assert one.startswith(before + "Abc.") and other.startswith(before + "Xyz.")
    assert one.removeprefix(before + "Abc.") == other.removeprefix(before + "Xyz.")
    assert all(line in before for line in template.instruction_text(EN, TA).splitlines())
    one, other = (template.messages(source, EN, TA) for source in ("Abc.", "Xyz."))
    assert one[:-1] == other[:-1]
    assert one[-1]["content"].removesuffix("Abc.") == other[-1]["content"].removesuffix("Xyz.")


def test_the_id_changes_with_all_that_shapes_the_answer_and_with_nothing_else():
    template = TASKS["translate"]
    others = [
        replace(template, system=template.system + " "),
        replace(template, instruction="Übersetze."),
        replace(template, form="llama3", stop=()),
        replace(template, form=CHATML, stop=()),
        replace(template, stop=("\n",)),
        replace(template, version=2),
    ]
    assert len({template.id, *(other.id for other in others)}) == 7
    template.render("what it has rendered is no part of it", EN, TA)
    assert replace(template).id == template.id and replace(template) == template
    assert replace(template, stop=("### Instruction:",)).id == template.id
    assert replace(template, form=FORMS["alpaca"], stop=()).id == template.id  # the same text by another road


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "prompt.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True), "utf-8")
        return str(path)

    return write


def test_users_bring_their_own_prompt(write):
    template = get_template("my_task", write({**MINE, "instruction": "\n" + MINE["instruction"] + "\n\n"}))
    assert template.render("Ein Hund.", EN, TA) == (
        "<|im_start|>system\nYou know Tamil.<|im_end|>\n"
        "<|im_start|>user\nRewrite this ENGLISH sentence in Tamil:\n\nEin Hund.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert template.stop == ("<|im_end|>", "\n\n") and template.id.startswith("my-prompt.x-v3-")
    assert get_template("paraphrase", write(MINE)) == template  # in place of a built-in task's
    least = get_template("translate", write({**MINE, "form": "alpaca", "stop": "###", "system": ""}))
    assert least.stop == ("###",) and least.render("x", EN, TA).startswith("\n\n### Instruction:\nRewrite this ENGLISH")
    del (content := dict(MINE))["stop"]
    assert get_template("translate", write({**content, "form": "llama3"})).stop == ("<|eot_id|>",)
    assert get_template("translate", write(content)).stop == ()


def test_the_built_in_prompts_have_the_form_of_a_users_file(write):
    template = TASKS["summarise"]
    content = {key: getattr(template, key) for key in ("name", "version", "system", "instruction", "form")}
    assert get_template("summarise", write(content)) == template


ERRORS = [
    ("", "a mapping is needed, one `key: value` a line, of name, version, system, instruction, form, stop"),
    ("- a\n- b", "a mapping is needed"),
    ("name: {", "not valid YAML: "),
    ("name: a\n---\nname: b", "`version` is missing"),
    (yaml.safe_dump_all([MINE, MINE]), "holds 2 prompts; a file of one is needed"),
    *(({k: v for k, v in MINE.items() if k != key}, f"`{key}` is missing") for key in [*MINE][:-1]),
    ({**MINE, "instructions": "x"}, "unknown key `instructions`; did you mean `instruction`?"),
    ({**MINE, "temperature": 1}, "unknown key `temperature`; known are name, version, system"),
    ({**MINE, "name": "my prompt"}, "`name`: letters, digits and . _ - are needed, not 'my prompt'"),
    ({**MINE, "name": 7}, "`name`: a text is needed, not 7"),
    ({**MINE, "version": 0}, "`version`: a whole number from 1 is needed, not 0"),
    ({**MINE, "version": 1.5}, "`version`: a whole number from 1 is needed, not 1.5"),
    ({**MINE, "version": True}, "`version`: a whole number from 1 is needed, not True"),
    ({**MINE, "instruction": " \n"}, "`instruction`: a text is needed, not ''"),
    ({**MINE, "system": ["x"]}, "`system`: a text is needed, not ['x']"),
    ({**MINE, "form": {"llama3": 1}}, "`form`: a text is needed, not {'llama3': 1}"),
    ({**MINE, "stop": list("abcde")}, "`stop`: a list of at most 4 texts is needed, not ['a', 'b', 'c', 'd', 'e']"),
    ({**MINE, "stop": ["a", ""]}, "`stop`: a list of at most 4 texts is needed"),
    ({**MINE, "stop": 5}, "`stop`: a list of at most 4 texts is needed, not 5"),
    ({**MINE, "system": "one\n{{ language"}, "`system`, line 2 of it: unexpected end of template"),
    ({**MINE, "instruction": "{% if %}"}, "`instruction`, line 1 of it: Expected an expression"),
    ({**MINE, "instruction": "{{ language | shout }}"}, "`instruction`, line 1 of it: No filter named 'shout'"),
    (
        {**MINE, "instruction": "{{ lang }}"},
        "`instruction`: `lang` is undefined there; known are language, source_lang",
    ),
    ({**MINE, "system": "{{ range(3) }}"}, "`system`: `range` is undefined there"),
    ({**MINE, "system": "{{ [1, 2] | random }}"}, "`system`, line 1 of it: No filter named 'random'"),
    ({**MINE, "system": "{{ language.nothing }}"}, "`system`: 'str object' has no attribute 'nothing'"),
    (
        {**MINE, "system": "{{ language.__class__ }}"},
        "`system`: access to attribute '__class__' of 'str' object is unsaf",
    ),
    ({**MINE, "system": "{% include 'x' %}"}, "`system`: "),
    (
        {**MINE, "form": "lama3"},
        "`form`: llama3 or alpaca is needed, or a Jinja text with {{ source }}, not 'lama3'; did",
    ),
    ({**MINE, "form": "{{ system }}{{ instruction }}"}, "`form` holds no {{ source }}"),
    ({**MINE, "form": "{{ system }}{{ source }}"}, "`form` holds no {{ instruction }}"),
    ({**MINE, "form": "{{ instruction }}{{ source }}"}, "`form` holds no {{ system }}"),
    ({**MINE, "form": CHATML + "{{ system }}"}, "`form`: `system` follows {{ source }}, where only constant text may"),
    ({**MINE, "form": CHATML + "{% if system %}x{% endif %}"}, "`form`: `system` follows {{ source }}"),
    (
        {**MINE, "form": CHATML + "{{ source }}"},
        "`form`: {{ source }} is needed once, by itself: in no block and under",
    ),
    ({**MINE, "form": CHATML.replace("source", "source | trim")}, "`form`: {{ source }} is needed once, by itself"),
    (
        {**MINE, "form": CHATML.replace("{{ source }}", "{% if source %}{{ source }}{% endif %}")},
        "`form`: {{ source }} is",
    ),
    ({**MINE, "form": CHATML + "{{ bos_token }}"}, "`form`: `bos_token` is undefined there; known are instruction, so"),
    ({**MINE, "form": CHATML + "\n{% endif %}"}, "`form`, line 9 of it: Encountered unknown tag 'endif'"),
]


@pytest.mark.parametrize(("content", "said"), ERRORS)
def test_what_is_wrong_with_a_prompt_file_is_said_in_one_line(write, content, said):
    path = write(content)
    with pytest.raises(InputError) as caught:
        get_template("my_task", path)
    message = str(caught.value)
    assert message.startswith(f"--prompt {path}") and said in message and "\n" not in message


def test_an_expression_that_fails_for_one_language_only_is_named(write):
    template = get_template("mine", write({**MINE, "system": "{{ ('English', 'Tamil').index(language) }}"}))
    with pytest.raises(InputError, match=r"`system`: tuple\.index"):
        template.render("x", EN, LANGUAGES["te"])


def test_unknown_tasks_list_the_known_and_the_way_to_others(write):
    with pytest.raises(InputError) as caught:
        get_template("summarize")
    assert str(caught.value) == (
        "--task summarize: unknown; known are paraphrase, translate, summarise, synonyms, shuffle; "
        "a task of your own, a name of a-z and _, wants its prompt: --prompt FILE.yaml"
    )
    with pytest.raises(InputError, match="--task my task: a name of a-z and _ is needed"):
        get_template("my task", write(MINE))
    with pytest.raises(InputError, match=r"--prompt nowhere\.yaml: cannot be read: No such file or directory"):
        get_template("translate", "nowhere.yaml")


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
