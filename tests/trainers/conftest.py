import csv

import pytest


@pytest.fixture(scope="session")
def files(tmp_path_factory, sentences):
    """A corpus of sentences, and rated texts in three files."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "corpus.txt").write_text("\n".join(sentences[:64]) + "\n", encoding="utf-8")
    for name, rows in (("train", range(32)), ("validation", range(32, 40)), ("test", range(40, 52))):
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            writer.writerows([sentences[row], 1 + len(sentences[row]) % 4] for row in rows)
    return folder
