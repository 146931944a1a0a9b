"""Remove from the image's packages what the service never reads: `python trim.py SITE_PACKAGES`.

Of 265 MB, 40 are C and Cython sources, stubs and tests that wheels contain, and descriptions of 440 services of AWS. Licences and
metadata stay, so that an SBOM of the image is complete.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

AWS_SERVICES: Final = frozenset({"kms", "sts", "sso", "sso-oidc", "signin"})
"""What botocore reads for us: the service that signs, and those from which it gets credentials."""
SOURCES: Final = frozenset({".c", ".cc", ".cpp", ".h", ".hpp", ".pyx", ".pxd", ".pxi", ".pyi"})
"""Suffixes of files that are read only by compilers and type checkers."""
TESTS: Final = frozenset({"test", "tests", "SelfTest"})
"""Names of folders of tests."""


def removable(packages: Path) -> list[Path]:
    """Return the files and folders to remove from `packages`, a `site-packages` folder."""
    data = packages / "botocore" / "data"
    services = [path for path in data.iterdir() if path.is_dir() and path.name not in AWS_SERVICES]
    folders = [path for path in packages.rglob("*") if path.is_dir() and path.name in TESTS]
    files = [path for path in packages.rglob("*") if path.is_file() and path.suffix in SOURCES]
    return [*services, *folders, *files]


def main(packages: Path) -> None:
    """Remove it. Raises FileNotFoundError if botocore is not where it is expected."""
    for path in removable(packages):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # its folder may be gone already


if __name__ == "__main__":
    main(Path(sys.argv[1]))
