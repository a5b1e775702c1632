"""Likeness in meaning of answers and their sources, by a sentence-embedding model that the user names."""

from __future__ import annotations

from collections.abc import Sequence

from hf_xling.errors import InputError, one_line


class Similarity:
    """The cosine of the sentence vectors of a source and an answer.

    Only this class imports sentence-transformers, and torch with it. A model for translations must know both languages.

    Args:
        model: a sentence-transformers model or any encoder (then mean pooling): a folder or a Hub id.

    Raises:
        InputError: sentence-transformers is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise InputError(
                f"--similarity_model {model}: sentence-transformers is needed; pip install sentence-transformers"
            ) from error
        try:
            self._model = SentenceTransformer(model)
        except Exception as error:  # a missing folder, a damaged file and an unreachable Hub all raise their own
            raise InputError(f"--similarity_model {model}: cannot be loaded: {one_line(error)}") from error

    def __call__(self, sources: Sequence[str], answers: Sequence[str]) -> list[float]:
        """The cosine of each source and its answer, -1 to 1; each distinct text is encoded once."""
        texts = list(dict.fromkeys([*sources, *answers]))
        if not texts:
            return []
        vectors = self._model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        rows = {text: vectors[row] for row, text in enumerate(texts)}
        pairs = zip(sources, answers, strict=True)
        return [max(-1.0, min(1.0, float(rows[source] @ rows[answer]))) for source, answer in pairs]
