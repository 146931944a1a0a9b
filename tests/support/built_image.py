"""The image, really built from the Dockerfile without Docker or a registry, and processes that run in it as a platform would run them.

The two base images cannot be pulled here. A stand-in, made of Debian's packages and this machine's Node, takes their place through the
Dockerfile's own build arguments; everything else is the Dockerfile as it is.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from tests.support.paths import ROOT

TOOLS: Final = ("mmdebstrap", "buildah", "bwrap")
STORE: Final = ROOT / ".run/buildah"
"""Images stay here between runs, so that the base is made once."""
STAND_IN: Final = "localhost/stand-in"
IMAGE: Final = "localhost/onramp"
PACKAGES: Final = "opt/onramp/lib/python3.11/site-packages"
_PACKAGES_OF_THE_BASE: Final = "--include=python3,python3-venv,ca-certificates"
_CERTIFICATES: Final = "etc/ssl/certs/ca-certificates.crt"


def missing_tools() -> list[str]:
    """Return what is needed and not installed, or not permitted, on this machine."""
    return [tool for tool in TOOLS if shutil.which(tool) is None] + ([] if os.geteuid() == 0 else ["root"])


def _buildah(*arguments: str, seconds: float = 120) -> str:
    state = ("--root", str(STORE), "--runroot", str(STORE / "run"), "--storage-driver", "overlay")
    done = subprocess.run(
        ["buildah", *state, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout.strip()


def _trust(folder: Path) -> str:
    """Return the file that lets buildah use images without signatures, which are our own."""
    file = folder / "policy.json"
    file.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    return str(file)


def make_stand_in(folder: Path) -> None:
    """Make the base image with Python, pip and npm in the places where the official images have them, unless it exists."""
    STORE.mkdir(parents=True, exist_ok=True)
    if STAND_IN in _buildah("images", "--format", "{{.Name}}").splitlines():
        return
    root = folder / "base"
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", _PACKAGES_OF_THE_BASE, "bookworm", str(root)],
        check=True,
        capture_output=True,
        timeout=900,
    )
    subprocess.run(
        ["chroot", str(root), "python3", "-m", "venv", "/usr/local"], check=True, capture_output=True, timeout=300
    )
    shutil.copy(shutil.which("node") or "", root / "usr/local/bin/node")
    npm = Path(shutil.which("npm") or "").resolve().parents[1]
    shutil.copytree(npm, root / "usr/local/lib/node_modules/npm", symlinks=True)
    (root / "usr/local/bin/npm").symlink_to("../lib/node_modules/npm/bin/npm-cli.js")
    # This machine's authorities, through which it reaches the indexes of packages.
    shutil.copy(Path("/") / _CERTIFICATES, root / _CERTIFICATES)
    (root / "etc/pip.conf").write_text(f"[global]\ncert = /{_CERTIFICATES}\n")
    (root / "usr/local/etc").mkdir(exist_ok=True)
    (root / "usr/local/etc/npmrc").write_text(f"cafile=/{_CERTIFICATES}\n")
    policy = _trust(folder)
    container = _buildah("from", "--signature-policy", policy, "scratch")
    _buildah("add", "--quiet", container, str(root), "/", seconds=600)
    _buildah("config", "--env", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)
    _buildah("commit", "--quiet", "--rm", "--signature-policy", policy, container, STAND_IN, seconds=600)
    shutil.rmtree(root)


def build(folder: Path, revision: str) -> None:
    """Build the Dockerfile. Chroot isolation needs no container runtime; the steps may use the network, as in any build."""
    bases = [part for name in ("NODE_IMAGE", "PYTHON_IMAGE") for part in ("--build-arg", f"{name}={STAND_IN}")]
    _buildah(
        "bud", "--isolation", "chroot", "--pull-never", "--network", "host", "--format", "docker", "--signature-policy", _trust(folder), *bases,
        "--build-arg", f"REVISION={revision}", "--tag", IMAGE, ".", seconds=1200,
    )  # fmt: skip


class BuiltImage:
    """A mounted image, and its configuration as the Dockerfile set it."""

    def __init__(self, folder: Path) -> None:
        """Mount the image that `build` made."""
        self._container = _buildah("from", "--pull-never", "--signature-policy", _trust(folder), IMAGE)
        self.root = Path(_buildah("mount", self._container))
        self.config = json.loads(_buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]

    def close(self) -> None:
        """Unmount it."""
        _buildah("rm", self._container)

    def _sandboxed(self, command: tuple[str, ...], settings: Mapping[str, str]) -> list[str]:
        user = self.config["User"].partition(":")[0]
        environment = dict(item.split("=", 1) for item in self.config["Env"]) | dict(settings)
        return [
            "bwrap", "--ro-bind", str(self.root), "/", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "--share-net",
            "--uid", user, "--gid", user, "--cap-drop", "ALL", "--die-with-parent", "--clearenv", "--chdir", self.config["WorkingDir"],
            *(part for name, value in environment.items() for part in ("--setenv", name, value)), "--", *command,
        ]  # fmt: skip

    def run(self, *command: str, settings: Mapping[str, str] | None = None) -> str:
        """Run a command to its end, read-only, without capabilities; return what it printed."""
        done = subprocess.run(
            self._sandboxed(command, settings or {}), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async def start(self, log: Path, *command: str, settings: Mapping[str, str]) -> asyncio.subprocess.Process:
        """Start a process of the service."""
        with log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *self._sandboxed(command, settings), stdout=output, stderr=output
            )


def terminate(process: asyncio.subprocess.Process) -> None:
    """Send SIGTERM to the service itself, as a platform does; bubblewrap, which waits for it, passes no signals on."""
    inner = psutil.Process(process.pid).children(recursive=True)[-1]
    assert "onramp" in inner.cmdline(), inner.cmdline()
    inner.terminate()
