# SPDX-License-Identifier: Apache-2.0
"""What is installed and what is missing, for `tinyguard doctor`."""

import importlib.metadata
import re
import shutil
import subprocess
from dataclasses import dataclass

_REQUIREMENT = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;.*extra\s*==\s*['\"]([^'\"]+)['\"])?"
)
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*")
_PATIENCE_S = 10


@dataclass(frozen=True)
class Tool:
    """A program: `path` and `version` are None when it is missing; `install` is a command or a place."""

    name: str
    purpose: str
    path: str | None
    version: str | None
    install: str


@dataclass(frozen=True)
class Package:
    """A Python package; `extras` that ask for it, none for the core's own; `version` None: missing."""

    name: str
    extras: tuple[str, ...]
    required: str
    version: str | None


_TOOLS = (
    ("arm-none-eabi-gcc", "build", "sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    ("make", "build", "sudo apt-get install make"),
    ("gcc", "run the C on this machine", "sudo apt-get install gcc libc6-dev"),
    ("qemu-system-arm", "flash emulated boards", "sudo apt-get install qemu-system-arm"),
    ("openocd", "flash hardware", "sudo apt-get install openocd"),
    ("st-flash", "flash STM32 (other way)", "sudo apt-get install stlink-tools"),
    ("pyocd", "flash hardware (other way)", "pip install pyocd"),
    ("STM32_Programmer_CLI", "flash STM32 (other way)", "STM32CubeProgrammer from st.com"),
)


def tools() -> list[Tool]:
    """The programs that tinyguard calls."""
    found = []
    for name, purpose, install in _TOOLS:
        path = shutil.which(name)
        found.append(Tool(name, purpose, path, _tool_version(path) if path else None, install))
    return found


def packages() -> list[Package]:
    """The Python packages that tinyguard's own metadata names, the core's first."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for line in _requirements():
        match = _REQUIREMENT.match(line)
        if match is None or match.group(1) == "tinyguard":
            continue
        name, required, extra = match.group(1), match.group(2).strip().strip("()"), match.group(3)
        extras = wanted.setdefault((name, required), [])
        if extra:
            extras.append(extra)
    found = [
        Package(name, _telling(extras), required, _package_version(name))
        for (name, required), extras in wanted.items()
    ]
    return sorted(found, key=lambda package: (package.extras, package.name))


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("tinyguard") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _telling(extras: list[str]) -> tuple[str, ...]:
    """Without those that only gather others, where others name the package too."""
    own = sorted(set(extras) - {"all", "dev"})
    return tuple(own or sorted(set(extras)))


def install_commands() -> list[str]:
    """What to type for everything that is missing, alternatives for flashing hardware aside."""
    needed = [tool.install for tool in tools() if tool.path is None and "other way" not in tool.purpose]
    debian = [command.removeprefix("sudo apt-get install ") for command in needed]
    commands = [f"sudo apt-get install {' '.join(debian)}"] if debian else []
    missing = [package for package in packages() if package.version is None]
    extras = sorted({extra for package in missing for extra in package.extras})
    if extras:
        commands.append(f"pip install 'tinyguard[{','.join(extras)}]'")
    elif missing:
        commands.append("pip install tinyguard")
    return commands


def _package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _tool_version(path: str) -> str | None:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = (done.stdout + done.stderr).strip().splitlines()
    numbers = _VERSION.findall(said[0].replace("(", " (")) if said else []
    return numbers[-1] if numbers else None
