"""Reasoning, control tokens and damaged characters in answers, as the judge and the rows see them."""

import pytest
from generation_runs import other_words, rows
from hypothesis import given
from hypothesis import strategies as st
from loopback import LoopbackTGI

from hf_xling.generation.filters import FilterConfig, Judge
from hf_xling.generation.languages import LANGUAGES
from hf_xling.generation.marks import read_answer
from hf_xling.generation.records import Completion

SOURCE = "A dog runs in the park."
GOOD = "Through the park goes a hound."
TAMIL = "ஒரு நாய் பூங்காவில் ஓடுகிறது."
THOUGHT = "Okay, the user wants a paraphrase.\n\nLet me see: <dog> could be hound. Wait, 12 words?"

REASONING = [
    "<think>\n{thought}\n</think>\n\n{good}",
    "<think>{thought}</think>{good}",
    "<think>\n\n</think>\n\n{good}",
    "<think></think>{good}",
    "<think/>\n{good}",
    "{thought}\n</think>\n\n{good}",
    "</think>{good}",
    "\n</think>\n\n{good}",
    "<THINK>{thought}</THINK> {good}",
    "<Think>\n{thought}\n</Think>\n{good}",
    "<think type='deep' budget=5>{thought}</think>{good}",
    "<think>{thought}</think>\n<think>{thought}</think>\n{good}",
    "<think>{thought} I shall write <think> here. {thought}</think>{good}",
    "<think>{thought}<think>{thought}</think>{thought}</think>{good}",
    "<think>{thought}</think>\n\n</think>\n\n{good}",
    "<thinking>{thought}</thinking>\n{good}",
    "<thinking>{thought}\n<reflection>{thought}</reflection>\n</thinking>\n<output>\n{good}\n</output>",
    "<reasoning>\n{thought}\n</reasoning>\n<answer>\n{good}\n</answer>",
    "<reflection>{thought}</reflection>{good}",
    "<thought>\n{thought}\n</thought>\n{good}",
    "<Thought>\n{thought}\n</Thought>\n<Output>\n{good}\n</Output>",
    "<analysis>{thought}</analysis>{good}",
    "<scratchpad>{thought}</scratchpad>{good}",
    "<inner_monologue>{thought}</inner_monologue>{good}",
    "<chain_of_thought>{thought}</chain_of_thought>{good}",
    "<seed:think>{thought}</seed:think>{good}<seed:eos>",
    "<longcat_think>{thought}</longcat_think>{good}",
    "[THINK]{thought}[/THINK]{good}</s>",
    "[think]\n{thought}\n[/think]\n{good}",
    "◁think▷{thought}◁/think▷{good}",
    "<|think|>{thought}<|/think|>{good}",
    "<|START_THINKING|>{thought}<|END_THINKING|><|START_RESPONSE|>{good}<|END_RESPONSE|>",
    "<|begin_of_thought|>\n{thought}\n<|end_of_thought|>\n\n<|begin_of_solution|>\n{good}\n<|end_of_solution|>",
    "<|inner_prefix|>{thought}<|inner_suffix|>{good}",
    "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{good}<|return|>",
    "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>commentary<|message|>{thought}<|end|>"
    "<|start|>assistant<|channel|>final <|constrain|>text<|message|>{good}",
    "{thought}<|end|><|start|>assistant<|channel|>final<|message|>{good}",
    "analysisThe user wants a paraphrase. {thought}assistantfinal{good}",
    "<|channel>thought\n{thought}<channel|>{good}<turn|>",
    "thought\n{thought}\n<channel|>{good}",
    "<|channel>thought\n<channel|>{good}",
    "Here is my thought process:\n{thought}\n\nHere is my response:\n{good}",
    "Here's my thought process: {thought} Here's my response: {good}",
    "&lt;think&gt;{thought}&lt;/think&gt;{good}",
    "＜think＞{thought}＜/think＞{good}",
    "<|im_start|>assistant\n<think>\n{thought}\n</think>\n\n{good}<|im_end|>",
    "<think>{thought}</think>\n\nAnswer: {good}",
    "<think>{thought}</think>\n\nHere is the paraphrase:\n\n{good}",
    "**Reasoning:** {thought}\n\n**Answer:** {good}",
    "Thought process: {thought}\nParaphrase: {good}",
    # By form: any pair of tags at the beginning that the source has not
    "<thought_process>{thought}</thought_process>{good}",
    "<reasoning_content>{thought}</reasoning_content>\n{good}",
    "<step_by_step>\n{thought}\n</step_by_step>\n{good}",
    "<plan>{thought}</plan>{good}",
    "<s><plan>{thought}</plan>{good}</s>",
    "<plan>{thought}</plan><check>{thought}</check>{good}",
    "<draft>{thought}</draft><final>{good}</final>",
    "<Draft>{thought}</Draft>\n<final_answer>{good}</final_answer>",
    "[REASONING]{thought}[/REASONING]{good}",
    "[THOUGHT]{thought}[/THOUGHT]\n{good}",
    "[PLAN]{thought}[/PLAN]\n{good}",
    "<start_working_out>{thought}<end_working_out>{good}",
    "<start_working_out>{thought}<end_working_out><SOLUTION>{good}</SOLUTION>",
    "<think >{thought}</think >{good}",
    "< think >{thought}< / think >{good}",
    "{thought}</ think>{good}",
    "<details><summary>Thinking</summary>{thought}</details>{good}",
    '<details type="reasoning" done="true">\n<summary>Thought for 3 seconds</summary>\n> {thought}\n</details>\n{good}',
    "<|thought_start|>{thought}<|thought_end|>{good}",
    "<|begin_of_plan|>{thought}<|end_of_plan|>{good}",
    "<seed:cot_budget_reflect>{thought}</seed:cot_budget_reflect>{good}",
    "<seed:think>{thought}<seed:cot_budget_reflect>9</seed:cot_budget_reflect>{thought}</seed:think>{good}",
    "<tool_call></tool_call>{good}",
    "```thinking\n{thought}\n```\n{good}",
    "Thinking...\n{thought}\n...done thinking.\n\n{good}",
    "<|im_start|>think\n{thought}<|im_end|>\n<|im_start|>answer\n{good}<|im_end|>",
    "<unused94>thought\n{thought}<unused95>{good}",
    "<|start|>assistant<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{good}",
    # Headings, and thinking aloud
    "# Thinking\n{thought}\n\n# Answer\n{good}",
    "**Thinking**\n{thought}\n\n**Answer**\n{good}",
    "**Step 1:** {thought}\n\n**Final Answer:** {good}",
    "Let me think step by step. {thought}\n\nFinal answer: {good}",
    "{thought}\n\nFinal answer: {good}",
]
NOT_WHOLE = [
    "<think>\n{thought}",
    "<think>\n{thought}\n{good}",
    "<think>",
    "<think></think>",
    "<think>\n{thought}\n</think>",
    "<think>\n{thought}\n</think>\n\n<|im_end|>",
    "{thought}\n</think>\n",
    "{good}\n<think>\n{thought}",
    "<THINKING>{thought}",
    "<think>{thought}</think><think>{thought}",
    "[THINK]{thought}",
    "◁think▷{thought}",
    "<|START_THINKING|>{thought}",
    "<|channel|>analysis<|message|>{thought}<|end|>",
    "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>",
    "analysisThe user wants a paraphrase. {thought}",
    "<|channel>thought\n{thought}",
    "thought\n{thought}",
    "Here is my thought process:\n{thought}",
    "Reasoning: {thought}",
    "<plan>{thought}</plan>",
    "[PLAN]{thought}[/PLAN]\n",
    "<tool_call>{thought}</tool_call>",
    "[THOUGHT]{thought}",
    "# Thinking\n{thought}",
    "{thought}\n\n{good}",
    "Okay, so I need to paraphrase this sentence. {thought}\n\n{good}",
    "Hmm, {thought}\n\n{good}",
    "Let me think step by step. {good}",
]


def judged(text, source=SOURCE, code="en", finish="eos_token", task=None):
    task = task or ("paraphrase" if code == "en" else "translate")
    return Judge(FilterConfig(), task, "", LANGUAGES["en"], LANGUAGES[code])(source, Completion(text, finish))


@pytest.mark.parametrize("form", REASONING)
@pytest.mark.parametrize(("code", "good"), [("en", GOOD), ("ta", TAMIL)])
def test_whole_reasoning_is_stripped_and_every_score_sees_the_answer_alone(form, code, good):
    verdict = judged(form.format(thought=THOUGHT, good=good), code=code)
    assert (verdict.text, verdict.failed, verdict.reasoning) == (good, (), True)
    alone = {**judged(good, code=code).scores, "preamble": None}
    assert {**verdict.scores, "preamble": None} == alone


@pytest.mark.parametrize("form", NOT_WHOLE)
def test_reasoning_that_is_not_whole_is_no_answer(form):
    text = form.format(thought=THOUGHT, good=GOOD)
    verdict = judged(text)
    assert (verdict.reason, verdict.text, verdict.reasoning, verdict.is_scored) == ("reasoning", text, False, False)
    assert judged(text, finish="length").failed == ("reasoning", "truncated")


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("Write <think> before you reason and </think> behind it.", "Reason between <think> and </think>."),
        ("<think>I am late</think>", "<think>I have no time</think>"),
        ("The tag </s> ends a text.", "A text is ended by </s>"),
        ("In LLaMA 3, <|eot_id|> ends the turn.", "LLaMA 3's turns end in <|eot_id|>"),
        ("Use [INST] as the mark.", "[INST] is the mark to use."),
        ("She thinks: what now?", "Thinking: what comes now?"),
        ("Analysis shows that it works.", "analysis tells us that it works"),
        ("He is lost in thought.", "thought after thought came to him"),
        ("a < b and b > c", "b is more than a < c >"),
        ("He wrote <b>think</b>.", "<b>think</b> is what he wrote."),
        ("Reasoning: A is B.", "Reasoning: B is what A is."),
        ("<plan>Go.</plan> <b>It is</b> late.", "<plan>Leave.</plan> <b>Late</b> it is."),
        ("[NOTE]Go.[/NOTE] It is late.", "[NOTE]Leave.[/NOTE] Late it is."),
        ("<name> is at home.", "<name> stays in the house."),
        ("I must translate the sentence.", "I need to translate this sentence."),
        ("I must leave the room now.", "Okay, so I need to leave this room."),
        ("Step 1: open the lid.", "Step 1: take off the lid."),
        ("We have a plan for today.", "[Plan] We know what to do today."),
        ("A bar \ufffd of text.", "A text's bar \ufffd."),
        ("Sparkline ▁▂▃ of it.", "Its sparkline ▁▂▃"),
        ("क्\u200dष is a letter.", "A letter is क्\u200dष"),
        ("Two\tcolumns", "A pair\tof columns\r\nit is"),
    ],
)
def test_marks_of_the_source_s_own_belong_to_the_text(source, answer):
    verdict = judged(answer, source)
    assert (verdict.text, verdict.reasoning, verdict.reason) == (answer, False, None)


def test_reasoning_about_a_source_with_such_tags_is_stripped():
    source = "Write <think> before you reason and </think> behind it."
    verdict = judged("<think>The text has <think> in it.</think>Reason between <think> and </think>.", source)
    assert (verdict.text, verdict.reasoning) == ("Reason between <think> and </think>.", True)


ENDS = [
    *("</s>", "<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|end|>", "<eos>"),
    *("<|EOT|>", "<|eom_id|>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "<turn|>", "<|return|>", "<EOS>"),
    *("<eos_token>", "<eot>", "[EOT]", "<unused1>"),
    *("<|endofturn|>", "<|EOS|>", "[EOS]", "[/INST]", "<pad>", "<|im_start|>", "<|IM_END|>"),
]


@pytest.mark.parametrize("end", ENDS)
def test_a_token_at_an_end_is_stripped_from_a_good_answer(end):
    for text in (f"{GOOD}{end}", f"{GOOD}\n{end}\n{end} ", f"{end}{GOOD}", f"{GOOD} {end}</s><pad>"):
        verdict = judged(text)
        assert (verdict.text, verdict.failed, verdict.reasoning) == (GOOD, (), False), text


@pytest.mark.parametrize("end", ["[END]", " <end>", "<|im_end", "<|eot_id|", "</s", "</", "\n###", " ## </s>"])
def test_what_only_ends_a_text_is_stripped_there(end):
    assert (judged(GOOD + end).text, judged(GOOD + end).failed) == (GOOD, ())


@pytest.mark.parametrize(
    "form",
    [
        "<s> {} </s>",
        "<s>[INST]{}[/INST]",
        "<bos>{}<eos>",
        "<|begin_of_text|><|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
        "<|im_start|>assistant\n{}<|im_end|>\n",
        "<start_of_turn>model\n{}<end_of_turn>",
        "<|start|>assistant<|channel|>final<|message|>{}<|return|>",
        "<|assistant|>\n{}<|end|>",
        "{}</s>\n<s>[INST] Now do another. [/INST] Of course!",
        "{}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nThank you!<|eot_id|>",
        "{}<|im_end|>\n<|im_start|>user\nAnd this: A cat.<|im_end|>",
        "{}<|im_end|>\nuser\nAnd this: A cat.",
        "{}<end_of_turn>\n<start_of_turn>user\nAnd now?",
        "{}<|endoftext|>Human: Rewrite: A cat.\n\nAssistant: A feline.",
        "{}<|endoftext|>\n\n### Instruction:\nAnother one.",
        "{}<turn|>\n<|turn>user\nmore",
        "{}\n<|user|>\nhello",
        "{}\n\n### Human: x",
        "{}\n### Instruction:\nAnother one.",
        "\ufeff{}",
        "\u200b\ufeff{}\ufeff",
        "\ufeff<s>{}",
        "<paraphrase>{}</paraphrase>",
        "<answer>\n{}\n</answer>",
        "<answer>{}</answer>\nI changed the order.",
        "<p>{}</p>",
        "<rewritten_text>{}</rewritten_text>",
    ],
)
def test_what_a_prompt_form_puts_around_an_answer_is_stripped(form):
    verdict = judged(form.format(GOOD))
    assert (verdict.text, verdict.failed) == (GOOD, ())


@pytest.mark.parametrize(
    "text",
    [
        f"{GOOD}</s> It is fun to be there.",
        f"{GOOD} [INST] more of it",
        "Through the park <unk> goes a hound.",
        "Through the <|im_start|> park goes a hound.",
        f"{GOOD}\n\n### Response:\n{GOOD}",
        f"{GOOD}<|start_header_id|>user<|end_header_id|>\n\nmore",
    ],
)
def test_a_token_within_an_answer_rejects_it(text):
    assert "prompt_echo" in judged(text).failed


@pytest.mark.parametrize(
    "mark",
    [
        *("\0", "\x07", "\x1b[1m", "\x08", "\x7f", "\x85", "\x9f", "\ud83d", "\udc00", "\ufffd", "\ufeff", "\ufffe"),
        *("\uffff", "\ufdd0", "<0x0A>", "<0xE0>", "▁"),
        *("\ue000", "\uf8ff", "\u202e", "\u2066", "Ġ", "Ċ"),
    ],
)
def test_damaged_characters_are_no_text(mark):
    text = f"Through the park{mark} goes a hound."
    verdict = judged(text)
    assert verdict.failed == ("damaged",) and not verdict.is_scored
    verdict.text.encode()  # what Arrow does
    assert judged(f"<think>a{mark}b</think>{GOOD}").failed == ()
    if not "\ud800" <= mark <= "\udfff":
        assert judged(text, f"A park{mark} with a running dog in it.").failed == ()


@pytest.mark.parametrize(
    "text",
    [
        "Through the <b>park</b> goes a hound.",
        "<b>Through</b> the park goes a hound.",
        "Through the park goes a hound.</plan>",
        "<plan>Through the park goes a hound.",
        "Through the park [B]goes[/B] a hound.",
    ],
)
def test_tags_that_the_source_has_not_are_no_text(text):
    verdict = judged(text)
    assert (verdict.text, verdict.failed) == (text, ("damaged",))


@given(
    st.lists(
        st.sampled_from(
            ["<plan>", "</plan>", *ENDS, "<think>", "</think>", "<unk>", "user\n", " ", "\n", GOOD, "a", "\ufeff", "\0"]
        )
    )
)
def test_what_is_left_has_no_more_marks_at_its_ends(pieces):
    answer = read_answer("".join(pieces))
    assert read_answer(answer.text).text == answer.text


def test_rows_have_the_answer_the_ledger_has_all_and_the_run_says_how_many(world, tmp_path):
    answers = {
        "one": "<think>\nhm\n</think>\n\nIn other words, eno",
        "two": "<think>\nhm",
        "three": "hm</think>the third",
    }
    manifest, out, _ = world([*answers, "four", "one"], lambda source: answers.get(source) or other_words(source))
    accepted, rejected = rows(out, "accepted"), rows(out, "rejected")
    assert [row["text"] for row in accepted] == [
        other_words("one"),
        "the third",
        other_words("four"),
        other_words("one"),
    ]
    assert [(row["source_text"], row["text"], row["reason"]) for row in rejected] == [
        ("two", "<think>\nhm", "reasoning")
    ]
    assert manifest["reasoning"] == {"stripped": 3, "rejected": 1}
    ledger = "".join(path.read_text("utf-8") for path in (out / "ledger").iterdir() if path.suffix == ".jsonl")
    assert "<think>\\nhm\\n</think>" in ledger


def test_reasoning_that_loops_does_not_end_the_tries_of_an_answer_that_was_cut(world):
    """Of a cut answer only what was said counts: reasoning goes round in circles, and the answer may not."""
    thought = f"<think>{'Wait, let me see. ' * 20}</think>"

    def answer(source):
        limit = server.bodies[-1]["parameters"]["max_new_tokens"]
        return (f"{thought}the third", "eos_token") if limit == 300 else (f"{thought}the", "length")

    server = LoopbackTGI(answer)
    _, out, _ = world(["three"], server=server, max_new_tokens=300)
    assert [row["text"] for row in rows(out, "accepted")] == ["the third"]
