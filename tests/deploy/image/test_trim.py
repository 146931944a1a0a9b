"""The image's packages lose what nothing reads, and keep what signs, what is imported, and every licence."""

from pathlib import Path

import botocore
import pytest

from deploy.image.trim import AWS_SERVICES, main, removable

KEPT = (
    "botocore/data/kms/2014-11-01/service-2.json.gz", "botocore/data/sts/2011-06-15/service-2.json.gz", "botocore/data/endpoints.json",
    "cytoolz/itertoolz.cpython-311-x86_64-linux-gnu.so", "cytoolz/itertoolz.py", "cytoolz-1.0.dist-info/licenses/LICENSE.txt",
    "cytoolz-1.0.dist-info/METADATA", "testing/helpers.py",
)  # fmt: skip
REMOVED = (
    "botocore/data/s3/2006-03-01/service-2.json.gz", "cytoolz/itertoolz.c", "cytoolz/itertoolz.pyx", "cytoolz/itertoolz.pyi",
    "cytoolz/tests/test_itertoolz.py", "Crypto/SelfTest/Cipher/test_AES.py",
)  # fmt: skip


def test_what_only_compilers_and_tests_read_is_removed(tmp_path: Path) -> None:
    for name in (*KEPT, *REMOVED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    main(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(KEPT)


def test_the_services_that_are_kept_exist_in_the_locked_botocore() -> None:
    data = Path(botocore.__file__).parent / "data"
    assert all((data / name).is_dir() for name in AWS_SERVICES)


def test_another_layout_of_botocore_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        removable(tmp_path)
