"""Parts of a training set share no text, however it is spelled."""

from datasets import Dataset

from hf_xling.regression.parts import cross_validation, hold_out

TEXTS = [f"படம் {number}" for number in range(12)]
TWINS = [text.replace("ப", "ப\u200d").replace("ம்", "ம்\ufeff").replace(" ", "\u00a0") for text in TEXTS]


def test_spellings_of_one_text_stand_in_one_part():
    dataset = Dataset.from_dict({"text": TEXTS + TWINS, "label": [1.0] * 24})
    parts = [*cross_validation(dataset, 3), hold_out(dataset, 0.3)]
    for train, tested in parts:
        assert not {TEXTS.index(text) if text in TEXTS else TWINS.index(text) for text in train["text"]} & {
            TEXTS.index(text) if text in TEXTS else TWINS.index(text) for text in tested["text"]
        }
        assert len(train) + len(tested) == len(dataset)
