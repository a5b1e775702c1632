"""Codes of languages as the Hub takes them: ISO 639, two letters where there are two, else three."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

# Two letters and the three that `datasets` does not list for them: ISO 639-2/T, https://www.loc.gov/standards/iso639-2/.
_PAIRS = """
aa aar ab abk ae ave af afr ak aka am amh an arg ar ara as asm av ava ay aym az aze ba bak be bel bg bul bi bis bm
bam bn ben bo bod br bre bs bos ca cat ce che ch cha co cos cr cre cs ces cu chu cv chv cy cym da dan de deu dv div
dz dzo ee ewe el ell en eng eo epo es spa et est eu eus fa fas ff ful fi fin fj fij fo fao fr fra fy fry ga gle gd
gla gl glg gn grn gu guj gv glv ha hau he heb hi hin ho hmo hr hrv ht hat hu hun hy hye hz her ia ina id ind ie ile
ig ibo ii iii ik ipk io ido is isl it ita iu iku ja jpn jv jav ka kat kg kon ki kik kj kua kk kaz kl kal km khm kn
kan ko kor kr kau ks kas ku kur kv kom kw cor ky kir la lat lb ltz lg lug li lim ln lin lo lao lt lit lu lub lv lav
mg mlg mh mah mi mri mk mkd ml mal mn mon mr mar ms msa mt mlt my mya na nau nb nob nd nde ne nep ng ndo nl nld nn
nno no nor nr nbl nv nav ny nya oc oci oj oji om orm or ori os oss pa pan pi pli pl pol ps pus pt por qu que rm roh
rn run ro ron ru rus rw kin sa san sc srd sd snd se sme sg sag si sin sk slk sl slv sm smo sn sna so som sq sqi sr
srp ss ssw st sot su sun sv swe sw swa ta tam te tel tg tgk th tha ti tir tk tuk tl tgl tn tsn to ton tr tur ts tso
tt tat tw twi ty tah ug uig uk ukr ur urd uz uzb ve ven vi vie vo vol wa wln wo wol xh xho yi yid yo yor za zha zh
zho zu zul
""".split()  # noqa: SIM905
_SHORT = dict(zip(_PAIRS[1::2], _PAIRS[::2], strict=True))


@lru_cache
def names() -> Mapping[str, str]:
    """The English name of each language by its code, as the Hub lists them."""
    spec = find_spec("datasets")  # which takes a second to import
    assert spec is not None and spec.origin is not None, "setup.cfg asks for it"
    text = (Path(spec.origin).parent / "utils/resources/languages.json").read_text(encoding="utf-8")
    listed = {code: re.split(r" \(|;", name)[0] for code, name in json.loads(text).items() if len(code) < 4}
    return {code: name.strip() for code, name in listed.items()}


def iso_code(code: str) -> str | None:
    """The code that stands for `code` on the Hub, without region and script; None where it is no code of a language.

    >>> iso_code("pt-BR"), iso_code("tam"), iso_code("Tamil")
    ('pt', 'ta', None)
    """
    base = re.split("[-_]", code.lower())[0]
    base = _SHORT.get(base, base)
    return base if base in names() else None


def nearest_code(name: str) -> str | None:
    """The code of the language that goes by `name`; None where there is none."""
    return next((code for code, known in names().items() if known.casefold() == name.strip().casefold()), None)
