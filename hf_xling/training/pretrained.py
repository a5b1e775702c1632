"""Loads checkpoints and tokenizers, with one clear line on failure; tries on which side padding changes nothing."""

from __future__ import annotations

import copy
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from hf_xling.errors import InputError
from hf_xling.places import hub_file
from hf_xling.training.chunking import ROUNDING, Side, neutral_side

logger = logging.getLogger(__name__)
_IN_ADAPTERS = re.compile(r"\.(base_layer|original_module)\.")  # where peft puts what it wraps
MODEL_OPTION = "--model_name_or_path"  # as training calls it


def load_pretrained(
    loader: Any, name: str, revision: str | None = None, option: str = MODEL_OPTION, **kwargs: Any
) -> Any:
    """`loader.from_pretrained(name)` for an Auto class of transformers; errors name `option`.

    Raises:
        InputError: `name` is neither a checkpoint folder nor reachable on the Hub, or is damaged.
    """
    try:
        return loader.from_pretrained(name, revision=revision or "main", **kwargs)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # RuntimeError: sizes that do not fit
        raise InputError(f"{option} {name}: cannot be loaded as a checkpoint ({error})") from error


def check_checkpoint(name: str, revision: str | None = None) -> None:
    """An `InputError` if `name` holds no config and tokenizer, or is an adapter; its weights are not read."""
    refuse_adapter(name, revision)
    load_pretrained(AutoConfig, name, revision)
    load_tokenizer(name, revision)


def refuse_adapter(name: str, revision: str | None = None) -> None:
    """An `InputError` if the checkpoint `name` is an adapter."""
    try:
        found = hub_file(name, "adapter_config.json", revision)
    except (OSError, ValueError):  # loading says what is wrong
        return
    if found is not None:
        raise InputError(
            f"{MODEL_OPTION} {name}: is an adapter, and training starts from whole checkpoints; merge it into "
            "its base (`merge_and_unload` of peft) and save that"
        )


def load_tokenizer(name: str, revision: str | None = None, option: str = MODEL_OPTION) -> PreTrainedTokenizerBase:
    """The tokenizer beside the model `name`.

    Raises:
        InputError: there is none. transformers then makes one that knows its special tokens alone, silently.
    """
    tokenizer = load_pretrained(AutoTokenizer, name, revision, option)
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise InputError(f"{option} {name}: cannot be loaded as a checkpoint (it holds no tokenizer)")
    return tokenizer


def unlike_checkpoint(model: PreTrainedModel, name: str, revision: str | None = None) -> tuple[set[str], set[str]]:
    """The names of the tensors of `model` that the checkpoint `name` lacks, and of those that it has with other values.

    The tensors of an adapter in `model` do not count.

    Raises:
        InputError: there is no such checkpoint.
    """
    config = copy.deepcopy(model.config)
    with torch.random.fork_rng():  # what is made new here is thrown away
        saved, loading = load_pretrained(
            type(model),
            name,
            revision,
            "peft_config:",
            config=config,
            dtype=model.dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    lacking, values = set(loading["missing_keys"]), saved.state_dict()
    other = {key for key, *_ in loading["mismatched_keys"]}
    for key, tensor in model.state_dict().items():
        key = _IN_ADAPTERS.sub(".", key)
        if key in values and key not in lacking and not torch.equal(tensor.cpu(), values[key]):
            other.add(key)
    return lacking, other


def make_trainable(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Check that `model` can be trained and is that of `tokenizer`; then `make_usable`.

    Raises:
        InputError: it is an encoder-decoder; its weights are in half precision (in bfloat16 most steps are smaller than
            a weight's rounding and change nothing, in float16 they overflow); or the tokenizer has tokens that it has
            no embedding for, or another padding token, or none.
    """
    if "decoder_input_ids" in inspect.signature(model.forward).parameters:
        raise InputError(f"{MODEL_OPTION} {name}: is an encoder-decoder ({model.config.model_type}); give an encoder")
    if model.dtype in (torch.float16, torch.bfloat16):
        raise InputError(
            f"{name}: its weights are {model.dtype}; load it with dtype=torch.float32 (--bf16 then computes in half)"
        )
    other = "give the tokenizer that belongs to the model"
    size, highest = getattr(model.config, "vocab_size", None), max(tokenizer.get_vocab().values(), default=0)
    if size is not None and highest >= size:
        raise InputError(f"the tokenizer has tokens up to number {highest}, {name} only {size}; {other}")
    pads = tokenizer.pad_token_id, getattr(model.config, "pad_token_id", None)
    if None not in pads and pads[0] != pads[1]:
        raise InputError(f"the tokenizer pads with token {pads[0]}, {name} with {pads[1]}; {other}")
    make_usable(tokenizer, model, name)


def make_usable(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, name: str) -> None:
    """Let `tokenizer` and the config of `model` name one padding token, so that batches work wherever they are loaded.

    GPT-2, Llama and their kin come without. Then it is their end of text, as is usual: padding is masked. And XLNet
    gives no memory beside its answer, which no text here follows, and which pipelines cannot take apart.

    Raises:
        InputError: there is no token that could be it, and the model wants one.
    """
    if hasattr(model.config, "use_mems_eval"):
        model.config.use_mems_eval = False
    config = model.config.get_text_config()
    known = getattr(config, "pad_token_id", None)
    if tokenizer.pad_token_id is None:
        taken = [tokenizer.eos_token, tokenizer.unk_token, tokenizer.bos_token]
        if known is not None and known in tokenizer.all_special_ids:
            taken.insert(0, tokenizer.convert_ids_to_tokens(known))
        tokenizer.pad_token = next((token for token in taken if token is not None), None)
    if known is None:
        if tokenizer.pad_token_id is None:
            raise InputError(f"the tokenizer of {name} has no token to pad with; set its `pad_token`")
        for each in {id(each): each for each in (config, model.config)}.values():
            each.pad_token_id = tokenizer.pad_token_id


def sample_tokens(tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[numpy.ndarray]:
    """Some texts of unlike lengths to try a model on: any tokens, between the special ones that the tokenizer sets."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    special = encoded["special_tokens_mask"]
    content = special.index(0) if 0 in special else len(special)
    before, behind = encoded["input_ids"][:content], encoded["input_ids"][content + special[content:].count(0) :]
    tokens = sorted(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids))[:1000]
    generator, room = numpy.random.default_rng(0), max(1, max_length - len(before) - len(behind))
    lengths = sorted({min(room, length) for length in (2, 5, 17)})
    return [numpy.array([*before, *generator.choice(tokens, length), *behind]) for length in lengths]


def side_of_padding(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int, read: Callable[..., Tensor], name: str
) -> Side:
    """The side on which padding does not change what `read` takes from the output of `model`; `tokenizer` is put right.

    So that others, who give a model all that its tokenizer makes, get what is trained here from token ids and a mask:
    it pads on that side, and makes no token types where these change anything. Of a model where padding does on both
    sides, a warning is logged.

    Args:
        read: of an output and a batch, rows of numbers.

    Raises:
        InputError: `model` does not work with token ids and an attention mask alone.
    """

    def run(batch: dict[str, Any]) -> Tensor:
        batch = {key: value.to(model.device) for key, value in batch.items()}
        return read(model(**batch), batch)

    was_training = model.training
    model.eval()
    try:
        side = neutral_side(run, sample_tokens(tokenizer, max_length), tokenizer.pad_token_id or 0)
        _drop_token_types(tokenizer, run)
    except (TypeError, ValueError, LookupError, RuntimeError, AttributeError, AssertionError) as error:
        kind = type(model).__name__
        raise InputError(f"{name}: this {kind} cannot read texts as token ids with a mask ({error})") from error
    finally:
        model.train(was_training)
    if side is None:
        logger.warning(
            "%s: padding changes its results, so passes hold texts of one length; elsewhere batch none", name
        )
    else:
        tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = side  # of which the latter is saved
    return side


@torch.no_grad()
def _drop_token_types(tokenizer: PreTrainedTokenizerBase, run: Callable[[dict[str, Any]], Tensor]) -> None:
    given = tokenizer("a", return_tensors="pt")
    if "token_type_ids" not in given or not given["input_ids"].numel():
        return
    wanted = run({name: given[name] for name in ("input_ids", "attention_mask")})
    try:
        if torch.allclose(run(dict(given)), wanted, atol=ROUNDING, equal_nan=True):
            return
    except TypeError:
        pass  # it takes none
    names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names


def token_positions(model: PreTrainedModel) -> int | None:
    """How many tokens of a text have positions in `model`, or None where that has no bound.

    RoBERTa and its kin (XLM-R) number positions from behind the padding token's number: of 514 they use 512.
    """
    told = getattr(model.config, "max_position_embeddings", None)
    bounds = [told] if told is not None and told > 0 else []
    for path, module in model.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            bounds.append(module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
    return min(bounds, default=None)


def as_texts(texts: Iterable[str] | str) -> list[str]:
    """`texts` as a list; a string is one text, and not its characters.

    Raises:
        InputError: they are no list; or one of them is no text, whose place is named, counted from 0.
    """
    if isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable):
        raise InputError(f"texts: a list of texts is needed, not {type(texts).__name__}")
    texts = [texts] if isinstance(texts, str) else list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"texts[{number}]: is {text!r}; a text is needed")
    return texts


def quiet_transformers() -> None:
    """For scripts: no bars and reports of transformers around loading and saving; training's own progress stays."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
