import logging
import re

import pytest

from hf_xling.errors import InputError
from hf_xling.provenance.licences import NAMELESS, Published, check_publishable, licensing

LLAMA_3 = "meta-llama/Meta-Llama-3-8B-Instruct"
TAMIL_LLAMA = "abhinand/tamil-llama-7b-instruct-v0.2"
MISTRAL = "mistralai/Mistral-7B-Instruct-v0.3"
FLAGSHIP = Published("dataset", "org/snli-tamil-paraphrased")


def flagship(published=FLAGSHIP, **given):
    return licensing("stanfordnlp/snli", [LLAMA_3, TAMIL_LLAMA], published, **given)


# What a chain comes to


def test_the_flagship_corpus_is_publishable_as_named_with_its_open_questions_as_warnings(caplog):
    chain = flagship()
    assert chain.breaches == ()
    with caplog.at_level(logging.WARNING, "hf_xling"):
        check_publishable(chain)
    assert len(caplog.messages) == len(chain.open_questions) >= 3
    for question, message in zip(chain.open_questions, caplog.messages, strict=True):
        assert message.startswith("org/snli-tamil-paraphrased: ") and question in message and "\n" not in message
    assert any("encoder of BERT's size" in question for question in chain.open_questions)
    assert any("CC BY-SA 4.0 bars further terms" in question for question in chain.open_questions)
    assert not any("not known" in question for question in chain.open_questions)


def test_the_flagship_corpus_does_not_reduce_and_shows_what_its_licences_want_shown():
    chain = flagship()
    assert (chain.license, chain.license_name) == ("other", "cc-by-sa-4.0-and-llama3-and-llama2")
    assert chain.license_link == "https://huggingface.co/datasets/org/snli-tamil-paraphrased#licences"
    assert "Built with Meta Llama 3" in chain.notices
    assert any("Bowman" in notice and "CC BY-SA 4.0" in notice for notice in chain.notices)
    assert any(notice.startswith("Llama 2 is licensed under the LLAMA 2 Community") for notice in chain.notices)
    assert list(chain.components) == list(chain.obligations) == ["stanfordnlp/snli", LLAMA_3, TAMIL_LLAMA]
    assert all(terms.link and terms.checked == "November 2026" for terms in chain.components.values())
    assert any("begins with “Llama 3”" in asked for asked in chain.obligations[LLAMA_3])
    for model, family in ((LLAMA_3, "Llama 3"), (TAMIL_LLAMA, "Llama 2")):
        assert f"what it wrote improves no large language model but {family}" in chain.obligations[model]


def test_what_asks_for_attribution_alone_leaves_the_licence_of_the_source():
    chain = licensing("SNLI", [MISTRAL, "Qwen/Qwen2.5-7B-Instruct"], Published("dataset"))
    assert (chain.license, chain.license_name, chain.license_link) == ("cc-by-sa-4.0", None, None)
    assert "Generated with Mistral 7B, a model under Apache-2.0." in chain.notices
    assert chain.open_questions == () and chain.breaches == ()


def test_what_is_not_known_is_an_open_question_and_never_a_licence():
    chain = licensing("Tamil Murasu", [], Published("dataset"))
    assert chain.license is chain.license_name is chain.license_link is None
    assert chain.open_questions == ("Tamil Murasu: the licence of its text is not known here.",)
    chain = licensing("Tamil Murasu", ["org/writer", None], Published("dataset"))
    assert chain.license is None and len(chain.open_questions) == 3 and NAMELESS in chain.components
    chain = licensing("SNLI", ["org/writer"], Published("dataset"))
    assert (chain.license, chain.license_name) == ("other", "cc-by-sa-4.0-and-unstated")
    assert chain.license_link is None  # one link would be that of one of the two
    assert chain.open_questions == ("org/writer: the licence for what it writes is not known here.",)


def test_a_licence_that_was_given_is_kept_and_measured_against_the_chain():
    chain = licensing("Tamil Murasu", [MISTRAL], Published("dataset"), given="cc-by-4.0")
    assert (chain.license, chain.given, chain.open_questions) == ("cc-by-4.0", True, ())
    chain = flagship(given="mit")
    assert (chain.license, chain.license_name, chain.license_link) == ("mit", None, None)
    said = " ".join(chain.open_questions)
    assert "given is mit; SNLI asks for cc-by-sa-4.0" in said
    assert "given is mit; that does not lift the Meta Llama 3 Community License and the LLAMA 2" in said
    assert "SNLI asks for" not in " ".join(flagship(given="cc-by-sa-4.0").open_questions)
    assert flagship(given="other").license_name == "cc-by-sa-4.0-and-llama3-and-llama2"


# Whose licence a model has


@pytest.mark.parametrize(
    ("model", "license"),
    [
        *(
            (name, "llama3")
            for name in (LLAMA_3, "llama3:8b", "NousResearch/Hermes-2-Pro-Llama-3-8B", "Llama-3-8b-4bit")
        ),
        *((name, "llama2") for name in (TAMIL_LLAMA, "meta-llama/Llama-2-7b-chat-hf", "llama2", "Tamil_LLaMA")),
        *(("meta-llama/Llama-3.1-8B-Instruct", "llama3.1"), ("llama3.2:3b", "llama3.2")),
        *(("meta-llama/Llama-3.3-70B-Instruct", "llama3.3"), ("meta-llama/Llama-4-Scout-17B-16E", "llama4")),
        *(
            (name, "apache-2.0")
            for name in (MISTRAL, "mistral-7b-v0.1", "Qwen/Qwen2.5-1.5B", "Qwen/Qwen2.5-14B-Instruct")
        ),
        # Sizes and quantisations are no versions, other versions no known ones, and tuned models not their makers'.
        *((name, None) for name in ("open_llama_3b_v2", "llama-30b", "llama-4bit", "Sheared-LLaMA-2.7B", "llama-13b")),
        *((name, None) for name in ("TinyLlama-1.1B", "Llama-3.9-8B", "DeepSeek-R1-Distill-Llama-8B")),
        *((name, None) for name in ("Qwen/Qwen2.5-3B", "Qwen/Qwen2.5-72B", "me/Mistral-7B-tuned", "me/qwen2.5-7b-x")),
    ],
)
def test_a_model_is_known_by_its_id(model, license):
    chain = licensing("SNLI", [model], Published("dataset"))
    assert chain.components[model].license == license
    asked = [question for question in chain.open_questions if question.startswith(f"{model}: ")]
    assert len(asked) == (license is None)


def test_a_model_that_others_trained_further_may_have_terms_that_are_not_known():
    for model, open_ in (("NousResearch/Hermes-2-Pro-Llama-3-8B", True), (LLAMA_3, False), (TAMIL_LLAMA, False)):
        questions = licensing("SNLI", [model], Published("dataset")).open_questions
        assert any("its own makers" in question for question in questions) == open_


def test_later_llamas_bar_nothing_and_ask_for_their_name():
    chain = licensing("SNLI", ["meta-llama/Llama-3.1-8B-Instruct"], FLAGSHIP)
    assert "Built with Llama" in chain.notices
    assert not any("improve" in line for lines in chain.obligations.values() for line in lines)
    assert not any("large language model" in question for question in chain.open_questions)
    assert any("begins with “Llama”" in line for line in chain.obligations["meta-llama/Llama-3.1-8B-Instruct"])


# Breaches


@pytest.mark.parametrize("source", ["IMDB", "stanfordnlp/imdb", "someone/imdb-reviews", "IMDB Dataset.csv", "aclImdb"])
def test_text_of_imdb_is_not_republished(source):
    chain = licensing(source, [], Published("dataset", "org/reviews"))
    with pytest.raises(
        InputError, match=f"^--repo_id org/reviews: cannot be published: it holds text of {source}, and IMDB states no"
    ) as refused:
        check_publishable(chain)
    assert "ratings by review id" in str(refused.value) and "\n" not in str(refused.value)
    assert chain.license is None
    check_publishable(licensing(source, [], Published("model", "org/rater")))  # a model is no breach
    assert licensing("a film by Kimdberg", [], Published("dataset", "org/x")).breaches == ()


@pytest.mark.parametrize(
    ("generator", "name", "allowed"),
    [
        *((LLAMA_3, f"org/{name}", True) for name in ("Llama-3-tamil", "llama3-tamil", "Llama_3.tamil", "Llama-3.1-x")),
        *((LLAMA_3, f"org/{name}", False) for name in ("tamil-simcse", "Llama-tamil", "Meta-Llama-3-x", "Llama-30-x")),
        (LLAMA_3, "Llama-3-org/tamil", False),
        ("meta-llama/Llama-3.2-3B", "org/Llama-tamil", True),
        ("meta-llama/Llama-3.2-3B", "org/Llama3-tamil", True),
        ("meta-llama/Llama-3.2-3B", "org/Llamas-of-tamil", False),
        *((model, "org/tamil-simcse", True) for model in (TAMIL_LLAMA, MISTRAL, "org/writer")),
    ],
)
def test_a_model_has_the_name_that_the_licence_of_its_generator_asks_for(generator, name, allowed):
    chain = licensing("SNLI", [MISTRAL, generator], Published("model", name))
    if allowed:
        return check_publishable(chain)
    with pytest.raises(InputError, match=f"^--repo_id {name}: cannot be published: {generator} ") as refused:
        check_publishable(chain)
    (better,) = re.findall(r"call it (\S+),", str(refused.value))  # the way out is one
    assert better.endswith(name.split("/")[1]) and better.split("/")[0] == name.split("/")[0]
    check_publishable(licensing("SNLI", [MISTRAL, generator], Published("model", better)))


def test_of_two_prefixes_the_name_needs_the_longer_one():
    both = ["meta-llama/Llama-3.1-8B", LLAMA_3]
    for name in ("org/x", "org/Llama-x"):
        with pytest.raises(InputError, match="begins with “Llama 3”"):
            check_publishable(licensing("SNLI", both, Published("model", name)))
    check_publishable(licensing("SNLI", both, Published("model", "org/Llama-3-x")))


def test_a_model_has_questions_of_its_own_and_no_breach_while_it_has_no_name():
    chain = flagship(Published("model"))
    assert chain.breaches == () and "Built with Meta Llama 3" in chain.notices
    assert any("whether this model is one" in question for question in chain.open_questions)
    assert any("must be shared alike" in question for question in chain.open_questions)
    assert "its name begins with “Llama 3”" in chain.obligations[LLAMA_3]
    assert chain.license_link is None
    named = flagship(Published("model", "org/Llama-3-tamil")).license_link
    assert named == "https://huggingface.co/org/Llama-3-tamil#licences"


@pytest.mark.parametrize("name", ["a/b/c", "a b", "../x", "x\ny", "-x", ""])
def test_a_name_that_the_hub_does_not_take_is_said_in_one_line(name):
    with pytest.raises(InputError, match="is no name of a dataset") as refused:
        check_publishable(licensing("SNLI", [], Published("dataset", name)))
    assert "\n" not in str(refused.value)


def test_names_of_a_hostile_endpoint_stay_on_one_line(caplog):
    with caplog.at_level(logging.WARNING, "hf_xling"):
        check_publishable(licensing("SNLI", ["x\n\x1b[31mERROR y"], FLAGSHIP))
    assert caplog.messages and not any("\n" in message or "\x1b" in message for message in caplog.messages)
