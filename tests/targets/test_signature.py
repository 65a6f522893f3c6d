from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from edgeres.console import run
from edgeres.errors import ArtifactError, ConfigError
from edgeres.storage import sha256_bytes
from targets.signature import SIGNATURE, check_signature, sign
from tests.targets.bundles import change_manifest, make_bundle
from tests.targets.conftest import Models

COMPILED = "compiled/ethosu-u55-256.tflite"
PEM = serialization.Encoding.PEM
PRIVATE = serialization.PrivateFormat.PKCS8
PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo


def write_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(PEM, PRIVATE, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(PEM, PUBLIC))
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"), "mine")


@pytest.fixture
def signed(models: Models, keys: tuple[Path, Path], tmp_path: Path) -> Path:
    bundle = make_bundle(tmp_path / "bundle", models("int8"), compiled=True)
    sign(bundle, keys[0])
    return bundle


def test_a_signed_bundle_is_verified_by_the_command(
    models: Models, keys: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "bundle", models("int8"), compiled=True)
    assert run(["verify", str(bundle), "--key", str(keys[1])]) == 8
    assert "is not signed" in capsys.readouterr().err
    assert run(["sign", str(bundle), "--key", str(keys[0])]) == 0
    assert run(["verify", str(bundle), "--key", str(keys[1])]) == 0
    assert "signed by the holder of" in capsys.readouterr().out
    assert run(["sign", str(bundle), "--key", str(keys[0])]) == 0  # again, over the signature that is there
    shutil.move(bundle, tmp_path / "moved")
    check_signature(tmp_path / "moved", keys[1])


def alter(bundle: Path, name: str) -> None:
    """A file, and the manifest with it: by that alone, nothing is wrong."""
    content = bytearray((bundle / name).read_bytes())
    content[-1] ^= 1
    (bundle / name).write_bytes(content)
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    change_manifest(bundle, files={**files, name: sha256_bytes(content)})


ALTERED: dict[str, Callable[[Path], object]] = {
    "model and manifest": lambda bundle: alter(bundle, "model.tflite"),
    "compiled file and manifest": lambda bundle: alter(bundle, COMPILED),
    "compiled file": lambda bundle: (bundle / COMPILED).write_bytes(b"other"),
    "compiled file removed": lambda bundle: (bundle / COMPILED).unlink(),
    "compiled file added": lambda bundle: (bundle / "compiled" / "other.tflite").write_bytes(b"x"),
    "manifest": lambda bundle: change_manifest(bundle, tolerance=99.0),
    "file removed": lambda bundle: (bundle / "golden.npz").unlink(),
    "file added": lambda bundle: (bundle / "extra.txt").write_text("x"),
    "hidden file added": lambda bundle: (bundle / ".gitattributes").write_text("x"),
    "link": lambda bundle: (bundle / "link").symlink_to("/etc/hostname"),
    "empty signature": lambda bundle: (bundle / SIGNATURE).write_text(""),
    "signature of nothing": lambda bundle: (bundle / SIGNATURE).write_text("{}"),
    "signature is no text": lambda bundle: (bundle / SIGNATURE).write_bytes(b"\xff\xfe\x00"),
    "deep signature": lambda bundle: (bundle / SIGNATURE).write_text("[" * 100_000),
}


@pytest.mark.parametrize("case", ALTERED)
def test_whatever_was_changed_since_is_refused(case: str, signed: Path, keys: tuple[Path, Path]) -> None:
    ALTERED[case](signed)
    with pytest.raises(ArtifactError, match="is not what was signed"):
        check_signature(signed, keys[1])


def test_a_signature_by_another_key_is_refused(signed: Path, tmp_path: Path) -> None:
    _, other = write_keys(tmp_path, "other")
    with pytest.raises(ArtifactError, match="not by this key"):
        check_signature(signed, other)
    envelope = json.loads((signed / SIGNATURE).read_text())
    envelope["verificationMaterial"]["publicKey"].pop("hint", None)  # nor does it help not to say by which
    (signed / SIGNATURE).write_text(json.dumps(envelope))
    with pytest.raises(ArtifactError, match="not by this key"):
        check_signature(signed, other)


def test_what_is_no_key_is_a_configuration_error(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    for place in (tmp_path / "absent.pem", signed, keys[1]):
        with pytest.raises(ConfigError):
            sign(signed, place)
    for place in (tmp_path / "absent.pem", keys[0]):
        with pytest.raises(ConfigError):
            check_signature(signed, place)
    other = rsa.generate_private_key(65537, 2048)
    (tmp_path / "rsa.pem").write_bytes(other.private_bytes(PEM, PRIVATE, serialization.NoEncryption()))
    secret = ec.generate_private_key(ec.SECP256R1())
    locked = secret.private_bytes(PEM, PRIVATE, serialization.BestAvailableEncryption(b"word"))
    (tmp_path / "locked.pem").write_bytes(locked)
    for name in ("rsa.pem", "locked.pem"):
        with pytest.raises(ConfigError, match="is no private key that can sign"):
            sign(signed, tmp_path / name)


@pytest.mark.parametrize("name", ["labels.txt", COMPILED])
def test_an_altered_bundle_is_not_signed(name: str, models: Models, keys: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", models("int8"), compiled=True)
    (bundle / name).write_text("other\n")
    with pytest.raises(ArtifactError, match="was altered"):
        sign(bundle, keys[0])
    assert not (bundle / SIGNATURE).exists()
