from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from converters.apps.android import writer
from tests.converters.apps.npm import npm_ci

HERE = Path(__file__).parent
TEMPLATES = Path(writer.__file__).parent / "templates"
JSON = Path("/usr/share/java/com.android.json.jar")
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")


class Kotlin:
    """The Kotlin compiler, which npm has, on a JVM."""

    def __init__(self, library: Path) -> None:
        self._compiler = [str(path) for path in sorted(library.glob("*.jar"))]
        self._classes = [str(library / "kotlin-stdlib.jar"), str(JSON)]

    def compile(self, out: Path, *sources: Path) -> str:
        """Compile files and folders into a folder; a warning is an error. Returns what the compiler says."""
        command = ["java", "-Xmx1g", "-cp", ":".join(self._compiler), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
        options = ["-no-stdlib", "-no-reflect", "-Werror", "-cp", ":".join(self._classes), "-d", str(out)]
        done = subprocess.run([*command, *options, *map(str, sources)], capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def run(self, classes: Path, main: str, *arguments: str) -> bytes:
        command = ["java", "-cp", ":".join([str(classes), *self._classes]), main, *arguments]
        done = subprocess.run(command, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-4000:]
        return done.stdout


@pytest.fixture(scope="session")
def kotlin(request: pytest.FixtureRequest) -> Kotlin:
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    if not JSON.exists():
        pytest.skip("Android's org.json is not installed (libandroid-json-java)")
    cache = request.config.cache
    assert cache is not None
    return Kotlin(npm_ci(cache, HERE) / "kotlin-compiler" / "lib")


@pytest.fixture(scope="session")
def program(kotlin: Kotlin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that need no Android, compiled with a program that drives them."""
    out = tmp_path_factory.mktemp("kotlin") / "classes"
    code = TEMPLATES / "app/src/main/java/app/classifier"
    sources = [code / f"{name}.kt" for name in ("Preprocess", "Golden", "Description")]
    said = kotlin.compile(out, *sources, HERE / "Program.kt")
    assert not said, said
    return out
