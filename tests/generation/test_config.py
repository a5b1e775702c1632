import pytest
from generation_runs import DEAD

from hf_xling.errors import InputError
from hf_xling.generation.config import GenerateConfig


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"language": "tamil"}, "--language tamil"),
        ({"task": "summarize"}, "--task summarize"),
        ({"source_language": "xx"}, "--source_language xx"),
        ({"prompt": "gone.yaml"}, "--prompt gone.yaml"),
        ({"endpoint": "localhost:8080"}, "--endpoint localhost:8080"),
        ({"endpoint": [DEAD, DEAD]}, "--endpoint: names the same endpoint twice"),
        ({"endpoint": []}, "--endpoint URL is needed, or --serve MODEL"),
        ({"serve": "model"}, "--serve: starts an endpoint of its own; give it or --endpoint"),
        ({"serve": "model", "endpoint": [], "wire": "generate"}, "--wire generate: what --serve starts speaks chat"),
        ({"api_key_variable": "NO_SUCH_KEY"}, "--api_key_variable NO_SUCH_KEY: is not set in the environment"),
        ({"max_new_tokens": 0}, "--max_new_tokens 0"),
        ({"max_in_flight": 0}, "--max_in_flight 0"),
        ({"samples": 0}, "--samples 0"),
        ({"samples": 2, "temperature": 0.0}, "--samples 2: greedy answers (--temperature 0) are all the same"),
        ({"longest_outage": 0.0}, "--longest_outage 0.0"),
        ({"token_budget": -1.0}, "--token_budget -1.0"),
        ({"token_budget": float("inf")}, "--token_budget inf"),
        ({"timeout": -1.0}, "--timeout -1.0"),
        ({"top_p": 1.0}, "--top_p"),
        ({"temperature": -0.1}, "--temperature"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": 2**63}, "--seed 9223372036854775808"),
        ({"seed": 2**63 - 1, "samples": 2}, "--seed 9223372036854775807"),
    ],
)
def test_fields_out_of_range_are_named(fields, said):
    good = {"input": "x", "endpoint": DEAD, "output_dir": "y", "task": "translate", "language": "ta"}
    with pytest.raises(InputError) as caught:
        GenerateConfig(**{**good, **fields})
    assert said in str(caught.value)
