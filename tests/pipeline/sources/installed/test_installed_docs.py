"""Docstrings and documentation of what is really installed, and of a small tree made for the purpose."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import RecipeError
from pipeline.core.identity import identity_of
from pipeline.sources.installed.docstrings import docstrings_of
from pipeline.sources.installed.installed_docs import InstalledDocsParams, InstalledDocsReader
from pipeline.sources.installed.packages import installed_packages, kind_of
from tests.timing import MEGABYTE, loop_seconds, seconds_of

LONG = "word " * 60


def reader(**params: Any) -> InstalledDocsReader:
    return InstalledDocsReader(params=InstalledDocsParams.parse(params), source="docs", base=Path())


def documents(of: InstalledDocsReader) -> list[dict[str, Any]]:
    return [row for piece in of.slices() for chunk in of.read(piece) for row in chunk.table.to_pylist()]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path that holds one small distribution with every kind of trouble."""
    files = {
        "Odd_Name/__init__.py": f'"""{LONG}"""\nclass A:\n    """{LONG}"""\n    def f(self):\n        """short"""\n',
        "Odd_Name/twice.py": f'if 1:\n  def f():\n    """{LONG}1"""\nelse:\n    def f():\n        """{LONG}2"""\n',
        "Odd_Name/broken.py": f'"""{LONG}"""\ndef f(:\n',
        "Odd_Name/half.py": f'"""{LONG}\\ud83d"""\n',
        "Odd_Name/tiny.md": "too short",
        "Odd_Name/latin.txt": LONG + "caf\xe9",
        "Odd_Name/guide.rst": LONG,
        "Odd_Name-1.0.dist-info/METADATA": f"Name: Odd_Name\nVersion: 1.0\n\n{LONG}",
        "Odd_Name-1.0.dist-info/licenses/LICENSE.APACHE": LONG,
        "outside.txt": LONG,
    }
    root = tmp_path / "site"
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="latin-1" if "latin" in name else "utf-8")
    (tmp_path / "secret.txt").write_text(LONG)
    listed = [*files, "../secret.txt", "/etc/passwd.txt", "Odd_Name/gone.md", "Odd_Name/__pycache__/x.py"]
    lines = "".join(f"{name},sha256=x,1\n" for name in listed if name != "outside.txt")
    (root / "Odd_Name-1.0.dist-info" / "RECORD").write_text(lines)
    monkeypatch.syspath_prepend(str(root))
    return root


def test_a_distribution_becomes_documents_with_names_that_last(site: Path) -> None:
    found = documents(reader(packages=["odd-name"]))

    assert [row["id"] for row in found] == [
        "odd-name/Odd_Name-1.0.dist-info/METADATA",
        "odd-name/Odd_Name-1.0.dist-info/licenses/LICENSE.APACHE",
        "odd-name/Odd_Name/__init__.py:<module>",
        "odd-name/Odd_Name/__init__.py:A",
        "odd-name/Odd_Name/guide.rst",
        "odd-name/Odd_Name/twice.py:f",
        "odd-name/Odd_Name/twice.py:f#2",
    ]
    assert json.loads(found[3]["metadata"]) == {
        "package": "odd-name", "version": "1.0", "path": "Odd_Name/__init__.py", "kind": "docstring", "qualname": "A"
    }  # fmt: skip
    assert {row["origin"] for row in found} == {"human"}


def test_what_cannot_be_parsed_or_decoded_is_quarantined(site: Path) -> None:
    odd = reader(packages=["Odd.Name"])

    refused = [row for piece in odd.slices() for chunk in odd.read(piece) for row in chunk.quarantined]

    assert {row.id: row.reason for row in refused} == {
        "odd-name/Odd_Name/broken.py": "unparsable",
        "odd-name/Odd_Name/half.py:<module>": "lone_surrogate",
        "odd-name/Odd_Name/latin.txt": "invalid_utf8",
    }


def test_kinds_and_lengths_are_chosen(site: Path) -> None:
    files = documents(reader(packages=["odd-name"], kinds=["file"]))
    short = documents(reader(packages=["odd-name"], kinds=["docstring"], min_chars=5))

    assert {json.loads(row["metadata"])["kind"] for row in files} == {"file"}
    assert "short" in [row["text"] for row in short]


def test_an_edited_file_changes_the_identity_and_its_neighbour_does_not(site: Path) -> None:
    before = identity_of(reader(packages=["odd-name"]).inputs())
    (site / "outside.txt").write_text("anything")
    same = identity_of(reader(packages=["odd-name"]).inputs())
    (site / "Odd_Name" / "guide.rst").write_text(LONG + "more")

    assert before == same
    assert identity_of(reader(packages=["odd-name"]).inputs()) != before


def test_an_edit_that_keeps_the_size_of_a_file_without_a_recorded_hash_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody records hashes of the standard library's files."""
    (tmp_path / "module.py").write_text('"""A first text."""')
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    before = reader(packages=["stdlib"]).inputs()
    same = reader(packages=["stdlib"]).inputs()

    (tmp_path / "module.py").write_text('"""Another text."""')

    assert before == same != reader(packages=["stdlib"]).inputs()


def test_an_editable_install_is_said_to_be_left_out(site: Path) -> None:
    (site / "Odd_Name-1.0.dist-info" / "direct_url.json").write_text(
        '{"dir_info": {"editable": true}, "url": "file:///x"}'
    )

    assert "odd-name is installed editable" in reader(packages=["odd-name"]).notes()[0]


def test_a_package_that_is_not_installed_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"sources\.docs\.packages: nunpy is not installed here\. Nearest: numpy, "):
        reader(packages=["numpy", "nunpy"]).check()
    with pytest.raises(RecipeError, match="leaves no package"):
        reader(packages=["numpy"], exclude=["NumPy"]).check()


def test_docstrings_are_those_that_inspect_shows() -> None:
    source = Path(textwrap.__file__).read_bytes()

    found = {docstring.qualname: docstring.text for docstring in docstrings_of(source, min_chars=1)}

    assert found["TextWrapper"] == inspect.getdoc(textwrap.TextWrapper)
    assert found["TextWrapper._split"] == inspect.getdoc(textwrap.TextWrapper._split)
    assert found["<module>"] == inspect.getdoc(textwrap)


def test_definitions_inside_any_block_are_found_in_order() -> None:
    source = '''
    try:
        async def a(): """1"""
    except E:
        def b():
            with x:
                class C: """2"""
    finally:
        match y:
            case 1:
                def d(): """3"""
    '''

    found = docstrings_of(textwrap.dedent(source).encode(), min_chars=1)

    assert [(docstring.qualname, docstring.text) for docstring in found] == [
        ("a", "1"),
        ("b.<locals>.C", "2"),
        ("d", "3"),
    ]


@pytest.mark.parametrize(
    "source", ['"""' + "(" * 5000 + '"""' + "(" * 5000, '"""x"""\0', '"""x"""\n' + "-" * 200_000 + "1"]
)
def test_absurd_source_is_refused_and_not_fatal(source: str) -> None:
    with pytest.raises((SyntaxError, ValueError)):
        docstrings_of(source.encode(), min_chars=1)


def test_other_peoples_escapes_warn_nobody() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = docstrings_of(b'"""a \\d """', min_chars=1)

    assert found[0].text == "a \\d "
    assert not caught


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b.py", "docstring"), ("a/README", "file"), ("a-1.dist-info/METADATA", "file"), ("LICENSE.BSD", "file"),
        ("x/license_check.pyi", None), ("docs/index.RST", "file"), ("a/readme.html", None), ("a/data.csv", None),
        ("NOTICE", "file"), ("COPYING.LESSER", "file"), ("a-1.dist-info/RECORD", None),
    ],
)  # fmt: skip
def test_files_are_told_apart_by_name(path: str, kind: str | None) -> None:
    assert kind_of(path) == kind


def test_the_standard_library_is_a_package_and_tamis_is_none() -> None:
    names = [package.name for package in installed_packages()]
    standard = next(package for package in installed_packages() if package.name == "stdlib")

    assert names == sorted(set(names)) and {"numpy", "stdlib", "torch"} <= set(names)
    assert "json/decoder.py" in {file.path for file in standard.files}
    assert not any("site-packages" in file.path for file in standard.files)
    assert "tamis" not in reader().inputs()


def test_the_whole_environment_is_named_without_reading_it() -> None:
    """0.5 s where plain Python looks at 30 million characters in one; reading all of it takes minutes."""
    everything = reader()

    def name_all() -> None:
        everything.check()
        assert len(everything.inputs()) > 20 and len(everything.slices()) > 4

    assert seconds_of(name_all) < 80 * loop_seconds(MEGABYTE)


def test_order_and_ids_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from tests.pipeline.sources.installed.test_installed_docs import *\n"
        "d = documents(reader(packages=['stdlib'], kinds=['file']));"
        "print(identity_of([d, reader(packages=['stdlib', 'numpy']).inputs()]))"
    )

    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=Path(__file__).parents[4],
            capture_output=True, text=True, timeout=250, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip

    assert len(told) == 1
