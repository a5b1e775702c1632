"""Unknown tokens and pieces a word, of tokenizers of many kinds."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import CanineTokenizer, PreTrainedTokenizerFast

from hf_xling.training.coverage import coverage

TELUGU = "తెలుగు భాష చాలా మధురమైనది"
CASES = {
    "known": ("the dog", 0.0, 1.0, "word"),
    "half": ("the తెలుగు", 0.5, 1.0, "word"),
    "telugu": (TELUGU, 1.0, 1.0, "word"),
    "thai": ("ภาษาไทย", 1.0, 1 / 5, "character"),  # vowel signs are no characters of their own
    "chinese": ("我喜欢狗", 1.0, 1.0, "character"),
    "nothing": ("", 0.0, 0.0, "word"),
}


@pytest.fixture(scope="module")
def wordpiece(bert_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(bert_folder)


@pytest.mark.parametrize("name", CASES)
def test_wordpiece(wordpiece, name):
    text, unknown, pieces, unit = CASES[name]
    found = coverage(wordpiece, [text])
    assert (found.unknown, found.unit) == (unknown, unit) and found.pieces == pytest.approx(pieces, abs=0.06)
    assert found.is_poor == (unknown > 0.2)


def test_unigram(xlmr_folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(xlmr_folder)
    assert coverage(tokenizer, ["the dog eats fish"]).unknown == 0
    assert coverage(tokenizer, [TELUGU]).is_poor


def test_bytes_know_every_text_and_show_it_by_their_pieces():
    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    bare = Tokenizer(models.BPE(vocab=letters, merges=[]))
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    found = coverage(PreTrainedTokenizerFast(tokenizer_object=bare), [TELUGU])
    assert found.unknown == 0 and found.pieces > 15
    assert str(found) == f"0.0% of the tokens unknown, {found.pieces:.1f} pieces a word"


def test_single_bytes_of_what_has_no_token_are_told():
    vocabulary = {"<unk>": 0, **{f"<0x{byte:02X}>": byte + 1 for byte in range(256)}, "a": 300, "b": 301}
    bare = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, unk_token="<unk>"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, unk_token="<unk>")
    found = coverage(tokenizer, ["ab త"])
    assert (found.unknown, found.bytes, found.pieces) == (0, 3 / 5, 2.5)
    assert "60.0% single bytes" in str(found)


def test_words_that_vanish_are_unknown():
    """Of a tokenizer without an unknown token."""
    bare = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate("abcdef")}, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    found = coverage(PreTrainedTokenizerFast(tokenizer_object=bare), ["ab zz zz"])
    assert found.unknown == 0.5


def test_characters_are_pieces_too():
    found = coverage(CanineTokenizer(), ["the dog"])
    assert found.unknown == 0 and found.pieces == 3.5


def test_a_sample_is_enough(wordpiece):
    assert coverage(wordpiece, ["the dog " * 1_000] * 1_500).pieces == 1


def from_file(vocabulary, **fields):
    """A tokenizer of words whose unknown token is in its file alone."""
    bare = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<unk>"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=bare, **fields)


def test_an_unknown_token_that_the_tokenizer_does_not_declare_is_counted():
    tokenizer = from_file({"<unk>": 0, "the": 1, "dog": 2})
    assert tokenizer.unk_token_id is None
    assert coverage(tokenizer, ["the dog"]).unknown == 0
    assert coverage(tokenizer, ["the తెలుగు"]).unknown == 0.5 and coverage(tokenizer, [TELUGU]).unknown == 1


def test_an_unknown_token_of_a_unigram_file_is_counted():
    bare = Tokenizer(models.Unigram([("<unk>", 0.0), ("the", -1.0), ("dog", -1.0)], unk_id=0))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    assert coverage(PreTrainedTokenizerFast(tokenizer_object=bare), ["the తెలుగు"]).unknown == 0.5


@pytest.mark.parametrize(("text", "unknown"), [("abzz abzz", 0.25), ("zazzz", 4 / 9), ("abcdef", 0.0), ("ab zz", 0.5)])
def test_letters_that_vanish_inside_words_are_unknown(text, unknown):
    """A word counts by the share of its letters that no token has."""
    bare = Tokenizer(models.BPE(vocab={"ab": 6, **{each: n for n, each in enumerate("abcdef")}}, merges=[("a", "b")]))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    found = coverage(PreTrainedTokenizerFast(tokenizer_object=bare), [text]).unknown
    assert found > 0.2 if unknown else found == 0


def test_accents_that_are_normalised_away_are_no_unknown_letters(wordpiece):
    assert coverage(wordpiece, ["thé dög, ẞ"[:7]]).unknown == 0
