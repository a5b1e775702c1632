from importlib.resources import files

import pytest
import yaml

from hf_xling.generation.patterns import Patterns


@pytest.mark.parametrize("file", ["chatter.yaml", "marks.yaml"])
def test_each_pattern_of_the_files_can_be_compiled_by_itself(file):
    names = yaml.safe_load(files("hf_xling.generation").joinpath(file).read_text("utf-8"))
    patterns = Patterns(file, language="English|Tamil")
    assert all(isinstance(name, str) for name in names)  # YAML reads `yes:` and `no:` as something else
    assert all(getattr(patterns, name).pattern for name in names)
    assert not any(f"{{{name}}}" in getattr(patterns, name).pattern for name in names)


def test_patterns_hold_what_they_are_given_and_ignore_case():
    patterns = Patterns("chatter.yaml", language="Tamil")
    assert patterns.preamble_or_label.match("TAMIL: நாய்") and not patterns.preamble_or_label.match("Hindi: x")
    assert patterns.preamble_or_label is patterns.preamble_or_label
    with pytest.raises(AttributeError, match="preambel"):
        _ = patterns.preambel
