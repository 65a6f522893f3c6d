"""Signatures of bundles by OpenSSF model-signing, with a key of one's own: nothing is sent or fetched.

The hashes in a manifest tell that a bundle is whole; who made it, only a signature does. `model.sig` in the bundle
covers every other file of the folder, the manifest among them.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from edgeres.bundle import Bundle, open_bundle
from edgeres.errors import ArtifactError, ConfigError, require
from edgeres.storage import write_bytes

SIGNATURE = "model.sig"

_MAKE_KEY = "make one: openssl ecparam -name prime256v1 -genkey -noout -out private.pem"
_EXPORT_KEY = "give the public key: openssl ec -in private.pem -pubout -out public.pem"


def sign(path: Path, key: Path) -> Path:
    """Sign a bundle whose files are those of its manifest; returns the signature's place in it.

    `key`: a private key of an elliptic curve (P-256, P-384 or P-521), PEM, without a password.

    Raises:
        ArtifactError: no bundle, or one that was altered.
        ConfigError: the file is no such key.
        MissingExtraError: the package that signs is not installed.
        OutputError: the bundle cannot be written to.
    """
    signing = require("model_signing.signing", extra="sign", purpose="signing a bundle")
    _require_whole(open_bundle(path))
    _require_file(key, _MAKE_KEY)
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=key)
    except (ValueError, TypeError, AttributeError, OSError) as problem:  # it has a password, or no curve
        raise ConfigError(f"{key} is no private key that can sign: {_line(problem)}", fix=_MAKE_KEY) from problem
    with tempfile.TemporaryDirectory(prefix="edgeres-sign-") as folder:
        made = Path(folder) / SIGNATURE
        config.set_hashing_config(_hashing(path)).sign(path, made)
        write_bytes(path / SIGNATURE, made.read_bytes())
    return path / SIGNATURE


def check_signature(path: Path, key: Path) -> None:
    """Hold a bundle against its signature; `key`: the public key of whoever should have signed it, PEM.

    Raises:
        ArtifactError: not signed, not by this key, or a file was altered, added or removed since.
        ConfigError: the file is no such key.
        MissingExtraError: the package that verifies is not installed.
    """
    verifying = require("model_signing.verifying", extra="sign", purpose="checking a signature")
    _require_file(key, _EXPORT_KEY)
    try:
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except (ValueError, TypeError, AttributeError, OSError) as problem:
        raise ConfigError(f"{key} is no public key: {_line(problem)}", fix=_EXPORT_KEY) from problem
    signature = path / SIGNATURE
    if not signature.is_file():
        raise ArtifactError(f"{path} is not signed", fix="ask whoever made it: edgeres sign BUNDLE --key private.pem")
    try:
        with redirect_stdout(io.StringIO()):
            config.set_hashing_config(_hashing(path)).verify(path, signature)
    except Exception as problem:  # a hostile signature can make a parser of JSON, protobuf or keys raise anything
        raise ArtifactError(
            f"{path} is not what was signed, or not by this key: {_line(problem)}",
            fix="do not use it; get the bundle again from whoever made it",
        ) from problem


def _hashing(path: Path) -> Any:
    """All files but the signature itself; a link among them is an error."""
    hashing = require("model_signing.hashing", extra="sign", purpose="signing a bundle")
    config = hashing.Config().use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)
    return config.set_ignored_paths(paths=[path / SIGNATURE], ignore_git_paths=False)


def _require_whole(bundle: Bundle) -> None:
    for name in bundle.manifest.files:
        bundle.read(name)


def _require_file(key: Path, fix: str) -> None:
    if not key.is_file():
        raise ConfigError(f"the key {key} does not exist", fix=fix)


def _line(problem: Exception) -> str:
    return next((line.strip() for line in str(problem).splitlines() if line.strip()), type(problem).__name__)[:300]
