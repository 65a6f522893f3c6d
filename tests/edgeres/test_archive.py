from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeres.archive import MAX_MEMBERS, check_members
from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file


def with_member(name: str, content: bytes = b"x", *, mode: int = 0) -> Callable[[zipfile.ZipFile], object]:
    def add(archive: zipfile.ZipFile) -> None:
        member = zipfile.ZipInfo("placeholder")
        member.filename, member.external_attr, member.compress_type = name, mode << 16, zipfile.ZIP_DEFLATED
        archive.writestr(member, content)

    return add


def encrypted(archive: zipfile.ZipFile) -> None:
    archive.writestr("secret", b"x")
    archive.infolist()[-1].flag_bits |= 1


def twice(*names: str) -> Callable[[zipfile.ZipFile], object]:
    return lambda archive: [with_member(name)(archive) for name in names]


ATTACKS: dict[str, tuple[Callable[[zipfile.ZipFile], object], str]] = {
    "parent": (with_member("../outside"), "leaves the archive's folder"),
    "parent inside": (with_member("assets/../../outside"), "leaves the archive's folder"),
    "absolute": (with_member("/etc/passwd"), "leaves the archive's folder"),
    "drive": (with_member("C:/outside"), "path of another system"),
    "backslash": (with_member("..\\outside"), "path of another system"),
    "escape sequence": (with_member("a\x1b[2Jb"), "path of another system"),
    "symbolic link": (with_member("link", b"/etc/passwd", mode=stat.S_IFLNK | 0o777), "is a link or a device"),
    "device": (with_member("device", mode=stat.S_IFCHR | 0o666), "is a link or a device"),
    "pipe": (with_member("pipe", mode=stat.S_IFIFO | 0o666), "is a link or a device"),
    "duplicate": (twice("config.json"), "two members 'config.json' and 'config.json'"),
    "case collision": (twice("Config.JSON"), "two members 'config.json' and 'Config.JSON'"),
    "folder and file": (twice("config.json/"), "two members"),
    "encrypted": (encrypted, "is encrypted"),
    "bomb": (with_member("bomb", bytes(80 << 20)), "unpacks to 83,886,080"),
    "many": (lambda archive: [archive.writestr(f"{n}", b"") for n in range(MAX_MEMBERS)], "more than the 100,000"),
}


def keras_archive(path: Path) -> Path:
    """What `read_keras_file` needs of a `.keras` file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.21.0"}))
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": []}}))
        archive.writestr("assets/", b"")
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_keras_archive_with_a_hostile_member_is_refused_and_nothing_is_written(attack: str, tmp_path: Path) -> None:
    add, message = ATTACKS[attack]
    folder = tmp_path / "inner"
    folder.mkdir()
    file = keras_archive(folder / "model.keras")
    assert read_keras_file(file).generation == 2
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        add(archive)
    with pytest.raises(ModelError, match="is not a readable Keras file") as caught:
        read_keras_file(file)
    assert message in caught.value.message
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "model.keras"]


def test_all_members_together_are_bounded() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a", bytes(600))
        archive.writestr("b", bytes(600))
    with zipfile.ZipFile(content) as archive, pytest.raises(ValueError, match="1,200 bytes, more than the 1,000"):
        check_members(archive, limit=1000)
