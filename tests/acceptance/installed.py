"""The project as its users get it: a wheel, built here and installed into an empty environment."""

import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it. Its dependencies are those of the running one."""

    python: Path
    wheel: Path

    @property
    def bin(self) -> Path:
        """Where the console scripts are."""
        return self.python.parent


def install_wheel(folder: Path) -> Installed:
    """Build the wheel and install it, both without the network."""
    dist = folder / "dist"
    build = [
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), str(ROOT)
    ]  # fmt: skip
    _run(build, folder)
    (wheel,) = dist.glob("*.whl")
    home = folder / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    _run(
        [
            sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check",
            "install", "--no-index", "--no-deps", "--quiet", str(wheel),
        ],
        folder,
    )  # fmt: skip
    # A folder that a .pth line adds is searched last, and its own .pth files (an editable
    # install of this tree among them) are not read.
    paths = {"base": str(home), "platbase": str(home)}
    site_packages = Path(sysconfig.get_path("purelib", vars=paths))
    locked = sysconfig.get_path("purelib")
    (site_packages / "locked-dependencies.pth").write_text(f"{locked}\n", encoding="utf-8")
    # The one program that a dependency brings along: an installer puts it here too.
    (python.parent / "monty").symlink_to(Path(sysconfig.get_path("scripts")) / "monty")
    return Installed(python=python, wheel=wheel)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
