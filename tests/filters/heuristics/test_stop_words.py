from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from filters.heuristics.gopher import GopherQuality
from filters.heuristics.stop_word_kernels import StopWords
from filters.heuristics.stop_words import packaged, read_lists
from pipeline.core.errors import DataError
from pipeline.core.text.batch import Batch
from tests.filters.conftest import measured_rows


def prepared(files: list[Path] | None = None, **params: object) -> GopherQuality:
    names = {} if files is None else {"stop_word_files": [str(file) for file in files]}
    step = GopherQuality(params=GopherQuality.Params.parse({**params, **names}))
    step.prepare({"stop_word_files": files or []})
    return step


def counted(step: GopherQuality, texts: list[str]) -> list[int]:
    return [row["num_stop_words"] for row in measured_rows(step, texts)]


TEXTS = {
    "de": "Der Mensch UND das Tier: (und) nicht anders.",
    "fr": "L'homme et la femme, o\u00f9 qu'ils soient.",
    "ja": "\u732b\u306f\u3053\u3053\u306b\u3044\u308b\u3002",
    "ru": "\u041e\u043d, \u041a\u0410\u041a \u043e\u0442\u0435\u0446, \u043a\u0430\u043a \u0438\u0445.",
}


def test_words_of_a_language_count_once_in_any_case_and_other_signals_are_the_same() -> None:
    texts = [*TEXTS.values(), "", "Nothing German."]
    plain = measured_rows(prepared(), texts)

    assert counted(prepared(stop_words="de"), texts) == [3, 0, 0, 0, 0, 0]  # der, und, das
    assert counted(prepared(stop_words="fr"), texts) == [0, 3, 0, 0, 0, 0]  # et, la, ou: accents fold
    assert counted(prepared(stop_words="ru"), texts) == [0, 0, 0, 2, 0, 0]  # kak, ikh
    for words in ("spaces", "characters"):  # both find Japanese words inside a text without spaces
        assert counted(prepared(stop_words="ja", words=words), texts)[2] >= 3
    rest = measured_rows(prepared(stop_words="de"), texts)
    assert [row | {"num_stop_words": 0} for row in rest] == [row | {"num_stop_words": 0} for row in plain]


def test_a_file_counts_as_plain_python_counts(tmp_path: Path, docstrings: list[str]) -> None:
    words = [f"{word} " for word in ("the", "return", "if", "None", "value", "a_b", "of-the", "self", "1", "caf\u00e9")]
    file, packed = tmp_path / "words.txt", tmp_path / "more.txt.gz"
    file.write_text("\ufeff# mine\n\n" + "\r\n".join(words), encoding="utf-8")
    packed.write_bytes(gzip.compress(b"THE\nraise\n"))
    texts = [*docstrings[:400], "CAFE", "of\nthe", "of the"]

    def expected(text: str) -> int:
        runs = " ".join(["", *re.findall(r"[^\W_]+", text.casefold()), ""])
        listed = ("the", "return", "if", "none", "value", "a b", "of the", "self", "1", "cafe", "raise")
        return sum(f" {entry} " in runs for entry in listed)

    step = prepared([file, packed])
    assert counted(step, texts) == [expected(text) for text in texts]
    assert [*map(counted, [step] * 40, [[text] for text in texts[:40]])] == [[n] for n in counted(step, texts[:40])]
    many = StopWords.of([f"word{number}" for number in range(5000)])
    assert many.count(Batch.from_texts(["word7 word4999 word5000 Word7"])).tolist() == [2]


def test_packaged_lists_are_short_and_each_word_counts() -> None:
    for language, words in packaged().items():
        assert 8 <= len(words) <= 20 and len(StopWords.of(words)) == len(words), language
        assert counted(prepared(stop_words=language), ["  ".join(words)]) == [len(words)]
    assert len(packaged()) >= 20 and prepared().identity_extras() == {}
    assert prepared(stop_words="de").identity_extras()["stop_words"][0] == "und"
    assert "de" in prepared(stop_words="de").signals[-1].meaning and "the, be" in prepared().signals[-1].meaning


def test_a_wrong_language_or_file_is_told_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`dee`.*Did you mean de.*stop_word_files"):
        prepared(stop_words="dee")
    with pytest.raises(ValueError, match="keep one of them"):
        prepared([tmp_path / "x"], stop_words="de")
    wrong = {
        b"": "holds no stop word",
        b"# only a comment\n\n": "holds no stop word",
        b"\xff\xfe\x00": "UTF-8",
        b"und\nPK\x00\x03\n": r"bad:2: .*unprintable",
        b"und\n--\n": r"bad:2: '--' is no word",
        b"und\nUND\n": "has 1 different words.*min_stop_words 2",
    }
    file = tmp_path / "bad"
    for content, message in wrong.items():
        file.write_bytes(content)
        with pytest.raises(DataError, match=message):
            prepared([file])
    with pytest.raises(DataError, match="cannot be read as stop words"):
        read_lists([tmp_path / "none.txt"])
