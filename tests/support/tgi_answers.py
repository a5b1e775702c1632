"""What `faulty_tgi` answers: functions of the source and the fault alone, so that a test knows what is right."""

import hashlib
from typing import Any

# Status, error and error type of TGI's failures.
ERRORS = {
    "overloaded": (429, "Model is overloaded", "overloaded"),
    "incomplete": (500, "Incomplete generation", "incomplete_generation"),
    "unavailable": (503, "unhealthy", "healthcheck"),
    "generation": (424, "Request failed during generation: Server error: CUDA error", "generation"),
    "refused": (422, "Input validation error: `inputs` is not to this server's liking", "validation"),
}
WORDY = 0.05  # of the sources have answers of so many tokens that a tight limit cuts them
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def chance(*names: Any) -> float:
    """A number from 0 to 1 that goes by `names` alone."""
    return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:7]) / 2**56


def answer_to(source: str) -> str:
    """The right answer, another one for each source: its words from the last to the first, and a word of its own."""
    name = hashlib.sha256(source.encode()).hexdigest()[:10].translate(_LETTERS)
    return f"{' '.join(reversed(source.split()))}, as {name} said"


def tokens_of(source: str) -> int:
    """The tokens of the right answer."""
    characters = len(answer_to(source))
    return 3 * characters if chance("wordy", source) < WORDY else 1 + characters // 4


def text_and_tokens(fault: str | None, source: str, limit: int) -> tuple[str, int]:
    """What is generated for `source` with at most `limit` tokens; a runaway has tokens as long as words."""
    text, tokens = answer_to(source), tokens_of(source)
    if fault == "empty":
        return "", 1
    if fault == "loop":
        return " ".join(text.split()[-2 + number % 2] for number in range(limit)), limit
    if fault == "cut":
        return text[: len(text) * limit // tokens].strip(), limit
    return text, tokens


def content(fault: str | None, source: str, limit: int, seed: int | None, chat: bool) -> tuple[int, dict[str, Any]]:
    """The status and the body of TGI's answer on either wire."""
    if fault in ERRORS:
        status, error, kind = ERRORS[fault]
        return status, {"error": error, "error_type": kind}
    (text, tokens), is_cut = text_and_tokens(fault, source, limit), fault in ("loop", "cut")
    if not chat:
        reason = "length" if is_cut else "eos_token"
        details = {"finish_reason": reason, "generated_tokens": tokens, "seed": seed, "prefill": [], "tokens": []}
        return 200, {"generated_text": text, "details": details}
    message, reason = {"role": "assistant", "content": text}, "length" if is_cut else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    frame = {"object": "chat.completion", "id": "", "created": 0, "model": "org/model", "system_fingerprint": "3.3.0"}
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
    return 200, {**frame, "choices": [choice], "usage": usage}
