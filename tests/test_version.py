# SPDX-License-Identifier: Apache-2.0
"""One place says the version, and it lies below everything that needs it."""

import ast
import tomllib
from pathlib import Path

import tinyguard
from tinyguard.version import VERSION

ROOT = Path(__file__).parents[1]


def test_the_package_and_its_wheel_read_the_version_from_one_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    said = (ROOT / project["tool"]["hatch"]["version"]["path"]).read_text()
    assert said.endswith(f'VERSION = "{VERSION}"\n')
    assert tinyguard.__version__ == VERSION


def test_no_module_asks_the_package_itself_for_its_version():
    for path in (ROOT / "tinyguard").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "tinyguard":
                assert "__version__" not in {alias.name for alias in node.names}, path
