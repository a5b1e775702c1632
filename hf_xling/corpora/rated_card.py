"""The card of a rated corpus, and the licences of its texts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import hf_xling
from hf_xling.cleaning import clean_text
from hf_xling.corpora.cards import size_category
from hf_xling.corpora.duplicates import SHINGLE
from hf_xling.generation.languages import iso_code
from hf_xling.hub.cards import counts_table, render_card
from hf_xling.provenance.generators import CARD_KEY, for_card
from hf_xling.provenance.licences import Licensing, Published, licensing
from hf_xling.provenance.origins import Corpus, known_source, licensing_parts, source_title
from hf_xling.provenance.terms import SOURCES, find_terms

if TYPE_CHECKING:
    from hf_xling.corpora.ratings import RatedBuildConfig, RatedCorpusSpec


def rated_licensing(spec: RatedCorpusSpec, config: RatedBuildConfig, origins: Sequence[Corpus]) -> Licensing:
    """The licences of the texts, by what is known of each source and what its card states."""
    sources, models, questions = licensing_parts(origins)
    is_said = config.source_name is not None or any(origin.revision or origin.license for origin in origins)
    if spec.made_for is not None and not is_said and not any(find_terms(name, SOURCES) for name in sources):
        sources[spec.made_for] = None
        questions.append(
            f"The source goes by no name that is known: it may be {spec.made_for}, which {spec.name} is for."
        )
    return licensing(sources, models, Published("dataset", config.repo_id), given=config.license, questions=questions)


def local_only(chain: Licensing) -> str | None:
    """Why the texts must not be republished; None if they may be."""
    return next((terms.local_only for terms in chain.components.values() if terms.local_only), None)


def rated_card(
    spec: RatedCorpusSpec,
    config: RatedBuildConfig,
    origins: Sequence[Corpus],
    chain: Licensing,
    facts: dict[str, Any],
) -> str:
    """The card; `facts` are the usable rows, duplicates, published rows, counts and files of `ratings.build`."""
    called = config.source_name or source_title(origins)
    terms = known_source(origins, config.source_name)
    is_known = terms is not None and terms.name == spec.made_for
    language = config.language or (terms.language if is_known and terms else None)
    stated = {iso_code(code) for origin in origins for code in origin.languages}
    codes = [iso_code(language)] if language else [*stated] if len(stated) == 1 else []
    rows = max(len(part) for name in facts["files"] for part in facts["rows"][name].values())
    title = f"{called}, texts with ratings"
    metadata = {"pretty_name": title, "language": [code for code in codes if code]}
    metadata |= {name: getattr(chain, name) for name in ("license", "license_name", "license_link")}
    metadata[CARD_KEY] = for_card(chain.sources, [each for origin in origins for each in origin.generators])
    metadata |= {"size_categories": [size_category(rows)], "task_categories": ["text-classification"]}
    metadata |= {"task_ids": ["sentiment-scoring"] if is_known else [], "tags": ["regression"]}
    configs = [{"config_name": name, "data_files": facts["files"][name]} for name in facts["files"]]
    metadata["configs"] = [{**configs[0], "default": True}, *configs[1:]]
    facts |= {
        "sources": origins,
        "citations": [*dict.fromkeys(origin.citation for origin in origins if origin.citation)],
        "title": title,
        "about": spec.about if is_known else "",
        "scale": config.scale or (spec.scale if is_known else None),
        "local_only": local_only(chain),
        "language": metadata["language"],
        "last_dropped": _dropped(facts["counts"], [*facts["usable"]][-1]),
        "contradicting": any(row["contradicting"] for row in facts["counts"] if row["config"] == "clean"),
        "like_markup": sum(
            clean_text(row.clean) != row.clean for part in facts["rows"]["clean"].values() for row in part
        ),
        "name": spec.name,
        "config": config,
        "license": chain,
        "repo_id": config.repo_id or f"org/{spec.name}",
        "shingle": SHINGLE,
    }
    facts |= {"mean": statistics.fmean, "deviation": statistics.pstdev, "version": hf_xling.__version__}
    return render_card("rated_dataset_card", metadata, {**facts, "table": counts_table(facts["counts"])})


def _dropped(counts: Sequence[Mapping[str, Any]], split: str) -> int:
    """How many source rows of a split are not in `clean`."""
    row = next(row for row in counts if (row["config"], row["split"]) == ("clean", split))
    return row["source rows"] - row["rows"]
