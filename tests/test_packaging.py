# SPDX-License-Identifier: Apache-2.0
"""What an installation gets: bounds that leave room for other packages, tested versions, types."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tinyguard

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in lines
]
OTHERS = {str(each): each for each in REQUIRED if each.name != PROJECT["name"]}


@pytest.fixture(scope="module")
def tested() -> dict[str, str]:
    """The version that constraints.txt has of each package."""
    lines = (ROOT / "constraints.txt").read_text().split()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize("required", OTHERS.values(), ids=OTHERS)
def test_a_requirement_has_bounds_and_a_tested_version_within(required: Requirement, tested: dict[str, str]):
    assert not any(each.operator in ("==", "===") for each in required.specifier)
    assert required.specifier.contains(tested[canonicalize_name(required.name)], prereleases=True)


def test_type_checkers_read_the_package() -> None:
    assert (Path(tinyguard.__file__).parent / "py.typed").is_file()
