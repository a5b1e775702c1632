"""The last layer for first tokens alone: the same vectors and gradients, and nothing else changed."""

import copy

import pytest
import torch
from encoders import THE_THREE, gradients, largest_difference, make_encoder, token_ids
from peft import LoraConfig, get_peft_model

from hf_xling.contrastive.model import SimCSEModel
from hf_xling.contrastive.packing import PACKED_ATTENTION, chunks, first_position, narrow_last_layer

LENGTHS = [5, 3, 9, 9, 3, 17, 30, 30, 2, 5, 1, 1]


def packed_encoder(kind, narrow=True, dropout=0.0):
    encoder = make_encoder(kind, dropout)
    encoder.set_attn_implementation(PACKED_ATTENTION)
    assert not narrow or narrow_last_layer(encoder, 20)
    return encoder


def flat(encoder, lengths=LENGTHS, token_budget=None):
    return chunks(token_ids(lengths), packed=True, token_budget=token_budget, first_position=first_position(encoder))[0]


def hidden(encoder, **options):
    with torch.no_grad():
        return encoder.eval()(**flat(encoder)[0], **options).last_hidden_state


def trained(encoder, pooling, token_budget=None, recompute=False):
    torch.manual_seed(1)
    model = SimCSEModel(encoder, pooling).train()
    torch.manual_seed(2)
    vectors, _ = model(flat(encoder, token_budget=token_budget), recompute)
    (vectors * torch.linspace(-1, 1, vectors.numel()).view_as(vectors)).sum().backward()
    return vectors.detach(), gradients(model)


@pytest.mark.parametrize("pooling", ["cls", "cls_mlp"])
@pytest.mark.parametrize("kind", [*THE_THREE, "electra"])
def test_the_same_vectors_and_gradients(kind, pooling):
    vectors, exact = trained(packed_encoder(kind, narrow=False), pooling)
    for options in ({}, {"token_budget": 40, "recompute": True}):
        found, narrowed = trained(packed_encoder(kind), pooling, **options)
        torch.testing.assert_close(found, vectors, atol=1e-5, rtol=0)
        assert largest_difference(exact, narrowed) < 1e-5


@pytest.mark.parametrize("kind", THE_THREE)
def test_only_first_tokens_leave_it_and_only_where_asked(kind):
    whole, encoder = hidden(packed_encoder(kind, narrow=False)), packed_encoder(kind)
    assert hidden(encoder, first_tokens=True).shape == (1, len(LENGTHS), 32)
    assert torch.equal(hidden(encoder), whole)
    sizes = []
    layer = next(module for module in encoder.modules() if module._forward_pre_hooks)
    layer.register_forward_hook(lambda module, args, output: sizes.append(output.shape[1]))
    model = SimCSEModel(encoder, "mean")
    model(flat(encoder))
    model.pooling = "cls"
    model(flat(encoder))
    assert sizes == [sum(LENGTHS), len(LENGTHS)]


@pytest.mark.parametrize("kind", ["albert", "modernbert"])
def test_layers_built_in_another_way_stay_as_they_are(kind):
    """ALBERT's one layer is called many times; ModernBERT normalises before its attention."""
    encoder = packed_encoder(kind, narrow=False)
    before = hidden(encoder)
    assert not narrow_last_layer(encoder.train(), 20)
    assert encoder.training and not any(module._forward_pre_hooks for module in encoder.modules())
    assert torch.equal(hidden(encoder), before)


class Backwards(torch.nn.ModuleList):
    """Layers that are run from the last one to the first."""

    def __iter__(self):
        return reversed(list(super().__iter__()))


def test_a_layer_that_is_not_the_last_one_to_run_is_noticed():
    encoder = packed_encoder("bert", narrow=False)
    encoder.encoder.layer = Backwards(encoder.encoder.layer)
    assert not narrow_last_layer(encoder, 20)
    assert not any(module._forward_pre_hooks for module in encoder.modules())


def test_a_copy_uses_weights_of_its_own():
    encoder = packed_encoder("bert")
    twin = copy.deepcopy(encoder)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    torch.testing.assert_close(
        hidden(twin, first_tokens=True), hidden(packed_encoder("bert"), first_tokens=True), atol=0, rtol=0
    )


def test_an_adapter_reaches_its_keys_and_values():
    vectors = []
    for narrow in (False, True):
        encoder = get_peft_model(
            packed_encoder("bert", narrow), LoraConfig(task_type="FEATURE_EXTRACTION", target_modules=["key", "value"])
        )
        torch.manual_seed(3)
        for name, parameter in encoder.named_parameters():
            if "lora" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        vectors.append(trained(encoder, "cls"))
    torch.testing.assert_close(vectors[0][0], vectors[1][0], atol=1e-5, rtol=0)
    assert largest_difference(vectors[0][1], vectors[1][1]) < 1e-5
    plain, _ = trained(packed_encoder("bert"), "cls")
    assert (plain - vectors[0][0]).abs().max() > 1e-2
