"""Cleaning of review text, step by step."""

from __future__ import annotations

import re
import unicodedata
from html import unescape

from hf_xling.folding import CONTROLS

# Two blocks may have nothing but their tags between their words; these tags become line breaks.
BLOCKS = """address article aside blockquote body br center dd details div dl dt fieldset figcaption figure footer form
h1 h2 h3 h4 h5 h6 head header hr html li main nav newline ol option p pre section select summary table tbody td tfoot
th thead title tr ul"""
# These occur within words too, as in `<b>w</b>ord`, and leave nothing behind.
INLINE = """a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub
sup tt u var wbr"""
LEFT_BY = dict.fromkeys(BLOCKS.split(), "\n") | dict.fromkeys(INLINE.split(), "")
# The attributes that HTML has without a value. No other word may be alone in a tag: `a <b and c> d` compares.
FLAGS = "allowfullscreen|async|autoplay|checked|controls|defer|disabled|hidden|loop|muted|nohref|noshade|nowrap|open|\
readonly|required|reversed|selected"
# Possessive quantifiers (`*+`) keep the time linear in the length of a tag.
TAG = re.compile(
    rf"""
    <!doctype\b[^<>]*+>
    | <\?[a-z][^<>]*+>
    | <\s?/?\s?(?P<line>br|newline)[\s/]*+>            # as tokenised corpora have it too: < br / >
    | </?(?P<name>[a-z][a-z0-9:_-]*+)
      (?:\s+(?:[a-z_:@][^\s"'<>/=]*+\s?=\s?(?:"[^"]*"|'[^']*'|[^\s"'<>=`]++) | (?:{FLAGS})(?=[\s/>])))*+
      [\s/]*+>
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE | re.ASCII,
)
COMMENT = re.compile("<!--.*?-->", re.DOTALL)
LINE_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
# Runs of white space that are not one space or one line break already: most are, and need no call.
SPACES = re.compile(r"[\s\u200b]{2,}|[^\S \n]|\u200b")
# Beside controls the byte-order mark, soft hyphen and word joiner, which show nothing and spell no word.
UNSEEN = re.compile(f"[{CONTROLS}\ufeff\u00ad\u2060]+")


def clean_text(text: str) -> str:
    """`text` without the traces of the web page that it was taken from.

    The steps, in this order:

    1. Characters. Control characters, byte-order marks, soft hyphens and word joiners go. A run of white space of any
       kind (no-break and zero-width spaces too) becomes one line break if it holds one, else one space; none stays at
       the ends. Then NFC, as one letter in two spellings is two words to a tokenizer. Zero-width joiners and
       non-joiners stay: Indic scripts spell with them, emoji are made of them.
    2. Tags. A literal `<NEWLINE>` (in any case), `<br>` and the tags of paragraphs, list items, table cells and other
       blocks become a line break, so that no words are glued together; inline tags (`<b>`, `<a href="…">`, …) and
       comments go without a trace, since they occur within words too; all other tags become a space. Only what HTML
       or XML would call a tag is one: `a <3 b`, `x < y > z`, `a <b and c> d` and `<me@example.org>` stay. A tag that
       comes together when another goes (`<b<i>r>`) goes too.
    3. Entities, once: `&amp;` becomes `&`. After the tags, since `&lt;b&gt;` is how a page shows the visible text
       `<b>`.
    4. Step 1 again, for what the tags have left and the entities brought (`&nbsp;`).

    Cleaning twice is cleaning once, but for visible text that looks like a tag or an entity: `&lt;b&gt;` becomes
    `<b>`, and that would go the second time; `&amp;lt;` becomes `&lt;`. A text without `&` never changes again.
    """
    text = _plain(text)
    while (shorter := _without_tags(text)) != text:
        text = shorter
    return _plain(unescape(text))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", SPACES.sub(_one_space, UNSEEN.sub("", text)).strip())


def _one_space(run: re.Match[str]) -> str:
    return "\n" if any(character in LINE_BREAKS for character in run[0]) else " "


def _without_tags(text: str) -> str:
    head, end, tail = text.rpartition("-->")  # after the last end no `<!--` needs to look for its own
    return TAG.sub(_left_by, COMMENT.sub("", head + end) + tail)


def _left_by(tag: re.Match[str]) -> str:
    name = tag["line"] or tag["name"]
    return LEFT_BY.get(name.lower(), " ") if name else ""
