"""What the measured trainings share: random checkpoints of known sizes, texts, a clock of steps, where time goes."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from measured import peak_memory
from transformers import BertConfig, BertModel, TrainerCallback

from hf_xling.sample.encoder import train_tokenizer

VOCABULARY = 30522  # rows of the embeddings, as bert-base-uncased has; the tokenizer knows fewer
SIZES = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "small": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    "tiny": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
}
PRODUCTS = ("mm", "addmm", "bmm", "linear", "mkldnn_linear")
ATTENTION = ("scaled_dot_product", "flash_attention", "efficient_attention")


def make_checkpoint(folder: Path, size: str, texts: Sequence[str], dropout: float) -> None:
    """A random BERT of a size in `SIZES`. Its weights are wide, so that its vectors depend on the words."""
    tokenizer = train_tokenizer(texts, 8000)
    tokenizer.model_max_length = 512
    dropouts = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    vocabulary = VOCABULARY if size != "tiny" else len(tokenizer)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=vocabulary, initializer_range=0.07, **SIZES[size], **dropouts)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)


def read_texts(paths: Sequence[str], rows: int, seed: int = 0) -> list[str]:
    """`rows` of the distinct lines of text files, in mixed order; from the beginning again where there are fewer."""
    lines = {line.strip() for path in paths for line in Path(path).read_text(encoding="utf-8").split("\n")}
    texts = sorted(lines - {""})
    random.Random(seed).shuffle(texts)
    return [texts[number % len(texts)] for number in range(rows)]


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class StepClock(TrainerCallback):
    """The seconds of each step of a Trainer, from the end of the one before: loading, forward, backward, optimiser."""

    def __init__(self, warm_up: int = 0):
        self.ends, self.warm_up = [], warm_up

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        """The clock starts."""
        self.ends.append(time.perf_counter())

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """A step has ended; the peak on a GPU is that of the steps after the first ones."""
        synchronise()
        self.ends.append(time.perf_counter())
        if len(self.ends) == self.warm_up + 1 and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def seconds(self) -> list[float]:
        """Of each step after the warm-up."""
        return [end - start for start, end in zip(self.ends, self.ends[1:], strict=False)][self.warm_up :]


def memory() -> float:
    """The peak in MiB: of what the GPU's allocator gave out where there is one, else of the process."""
    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else peak_memory()


@contextmanager
def timed(owner: Any, names: dict[str, str], seconds: dict[str, float]) -> Iterator[None]:
    """Add up in `seconds` what calls of `owner`'s methods take; `names` says under which name each."""
    before = {name: getattr(owner, name) for name in names}

    def wrap(function: Callable, name: str) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            synchronise()
            start = time.perf_counter()
            result = function(*args, **kwargs)
            synchronise()
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
            return result

        return call

    for name, function in before.items():
        setattr(owner, name, wrap(function, names[name]))
    yield
    for name, function in before.items():
        setattr(owner, name, function)


def by_kind(profile: torch.profiler.profile) -> dict[str, float]:
    """The seconds of a profile by kind of operation: matrix products, attention, and the other ones by name."""
    kinds: dict[str, float] = defaultdict(float)
    for event in profile.key_averages():
        on_gpu = getattr(event, "self_device_time_total", 0)
        spent = (on_gpu if torch.cuda.is_available() else event.self_cpu_time_total) / 1e6
        name = event.key.removeprefix("aten::").lstrip("_")
        kind = "matrix products" if name in PRODUCTS else name
        kinds["attention" if any(word in name for word in ATTENTION) else kind] += spent
    return dict(kinds)


def product_rate(precision: str) -> float:
    """Floating-point operations a second of one large matrix product on the GPU: what it can reach at best."""
    size, dtype = 8192, torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = (torch.randn(size, size, dtype=dtype, device="cuda") for _ in range(2))
    rates = []
    for _ in range(4):
        synchronise()
        start = time.perf_counter()
        one @ other
        synchronise()
        rates.append(2 * size**3 / (time.perf_counter() - start))
    return max(rates[1:])
