# SPDX-License-Identifier: Apache-2.0
"""The registry reads what attacks declare without importing them; the classes must say the same."""

import ast
import re
from pathlib import Path

import pytest

from tinyguard import attacks
from tinyguard.attacks import declared, find_attack, registry
from tinyguard.errors import TinyguardError

FOLDER = Path(attacks.__file__).parent
README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.mark.parametrize("name", registry())
def test_what_is_read_is_what_the_class_says(name: str) -> None:
    said, cls = registry()[name], find_attack(name)
    assert (cls.name, cls.summary, cls.access) == (name, said.summary, said.access)
    assert (cls.budgeted, cls.norms) == (said.budgeted, said.norms)
    assert (cls.__module__, cls.__name__) == (said.module, said.cls)


def test_every_attack_has_a_summary_that_fits_its_line() -> None:
    for name, said in registry().items():
        assert 0 < len(said.summary) <= 60, name
        assert said.summary[-1] not in ".,;:", name


def test_every_class_that_can_run_and_says_a_name_is_found() -> None:
    found = {(said.module, said.cls) for said in registry().values()}
    for path in FOLDER.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and "name: ClassVar[str] =" in ast.unparse(node):
                assert (f"tinyguard.attacks.{path.stem}", node.name) in found


def test_those_that_see_more_come_first_and_names_are_sorted() -> None:
    keys = [(declared.ACCESS.index(said.access), name) for name, said in registry().items()]
    assert keys == sorted(keys)


def test_the_readme_lists_each_by_what_it_sees() -> None:
    rows = re.findall(
        r"^\| (gradients|scores|decisions).* \| (`fgsm`.*|`square`.*|`boundary`.*) \|$", README, re.M
    )
    listed = {seen.rstrip("s"): set(re.findall(r"`([a-z0-9-]+)`", names)) for seen, names in rows}
    for access in declared.ACCESS:
        assert listed[access] == {name for name, said in registry().items() if said.access == access}


def test_an_unknown_attack_names_the_nearest() -> None:
    with pytest.raises(TinyguardError, match="did you mean hopskipjump"):
        find_attack("hop-skip-jump")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('summary: ClassVar[str] = ""', None),
        ("", "declares no summary"),
        ("summary: ClassVar[str] = TEXT", "declares no summary"),
        ('summary: ClassVar[str] = "a"\n    access: ClassVar[str] = "magic"', "access 'magic'"),
    ],
)
def test_an_attack_in_one_file_of_the_folder(
    line: str, says: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It inherits from a class of another file, whose source is read too."""
    (tmp_path / "pgd.py").write_text((FOLDER / "pgd.py").read_text())
    (tmp_path / "mine.py").write_text(
        "from tinyguard.attacks.pgd import PGD\n"
        f'class Mine(PGD):\n    name: ClassVar[str] = "mine"\n    {line}\n'
    )
    monkeypatch.setattr(declared, "_FOLDER", tmp_path)
    caches = (declared.own, declared.registry, declared._classes)
    for cache in caches:
        cache.cache_clear()
    try:
        if says is None:
            assert list(registry()) == ["fgsm", "mine", "pgd"]
            assert registry()["mine"].norms == ("linf", "l2")
        else:
            with pytest.raises(TinyguardError, match=says):
                registry()
    finally:
        monkeypatch.undo()
        for cache in caches:
            cache.cache_clear()
