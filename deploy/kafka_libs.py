"""Kafka's jars: fetched once from Maven Central into a cache, with a class archive that halves start-up.

The cache is `$TAGTIDE_CACHE`, or `.cache` in a checkout, or `~/.cache/tagtide` for an installed package. In it,
`kafka/<version>-<digest of pom.xml>/` holds `libs/` and, after the first training run, `classes.jsa`. Directories
appear there by one rename, so that a half-finished fetch is never taken for a whole one and two fetches at a time
do no harm.

Starting and stopping a broker is `deploy.local_kafka`'s business.
"""

import contextlib
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devices.errors import TagtideError

KAFKA_FILES = Path(__file__).resolve().parent / "kafka"
"""Where `pom.xml`, `server.properties` and `log4j2.properties` are."""

_JAVA_RELEASE_MIN = 17  # Kafka 4's brokers are compiled for Java 17
_FETCH_TIMEOUT_S = 600  # 40 MB in 60 files, with an empty Maven repository 40 s on a fast line
_JAVA_VERSION_TIMEOUT_S = 30


class LocalKafkaError(TagtideError):
    """A local Kafka broker cannot be fetched, started or stopped."""

    code = "local_kafka_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaLibs:
    """A fetched Kafka."""

    directory: Path
    """Its directory in the cache."""
    version: str
    """Kafka release."""

    @property
    def class_path(self) -> str:
        """Every jar, in a fixed order: the class archive is only good for the order it was made with."""
        return os.pathsep.join(str(jar) for jar in sorted((self.directory / "libs").glob("*.jar")))

    @property
    def class_archive(self) -> Path:
        """Where the class archive (AppCDS) is, if it was made."""
        return self.directory / "classes.jsa"


def cache_directory() -> Path:
    """Return the directory that keeps what was downloaded."""
    chosen = os.environ.get("TAGTIDE_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    checkout = KAFKA_FILES.parent.parent
    return checkout / ".cache" if (checkout / "pyproject.toml").exists() else Path.home() / ".cache" / "tagtide"


def kafka_libs() -> KafkaLibs:
    """Describe the Kafka that `deploy/kafka/pom.xml` names, whether or not it was fetched yet."""
    pom = (KAFKA_FILES / "pom.xml").read_text(encoding="utf-8")
    found = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", pom)
    assert found is not None, "deploy/kafka/pom.xml names its Kafka release in kafka.version"
    digest = hashlib.sha256(pom.encode()).hexdigest()[:8]
    return KafkaLibs(directory=cache_directory() / "kafka" / f"{found[1]}-{digest}", version=found[1])


def is_fetched(libs: KafkaLibs) -> bool:
    """Whether the jars are in the cache."""
    return (libs.directory / "libs").is_dir()


def fetch_libs() -> KafkaLibs:
    """Return Kafka's jars, fetching them from Maven Central where the cache has none.

    Raises:
        LocalKafkaError: Maven is missing, or Maven Central was not reachable.
    """
    libs = kafka_libs()
    if is_fetched(libs):
        return libs
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalKafkaError(
            f"Kafka {libs.version} is not in {libs.directory} yet, and there is no Maven (mvn) to fetch it",
            hint="install Maven (Debian: sudo apt-get install maven), or copy that directory from another machine",
            code="maven_missing",
        )
    libs.directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=libs.directory.parent) as draft:
        shutil.copy(KAFKA_FILES / "pom.xml", draft)
        _run_maven(maven, Path(draft))
        with contextlib.suppress(OSError):  # another process was faster: its directory stays
            Path(draft, "fetched").rename(libs.directory)
    assert is_fetched(libs), f"{libs.directory} holds a finished fetch"
    return libs


def _run_maven(maven: str, draft: Path) -> None:
    command = [maven, "-B", "-q", "--strict-checksums", "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={draft / 'fetched' / 'libs'}"]
    try:
        done = subprocess.run(command, cwd=draft, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _fetch_error(f"no end after {_FETCH_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise _fetch_error("\n".join(lines[:6]) or f"exit code {done.returncode}")


def _fetch_error(reason: str) -> LocalKafkaError:
    return LocalKafkaError(
        f"Maven could not fetch Kafka's jars: {reason}",
        hint="is Maven Central reachable? a proxy or mirror goes in ~/.m2/settings.xml",
        code="kafka_fetch_failed",
    )


@functools.cache
def java_command() -> str:
    """Return the Java to run Kafka with: the one in JAVA_HOME, or on the PATH.

    Raises:
        LocalKafkaError: There is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    hint = f"install Java {_JAVA_RELEASE_MIN} or newer (Debian: sudo apt-get install default-jre-headless)"
    if java is None:
        raise LocalKafkaError("there is no Java on this machine", hint=hint, code="java_missing")
    said = subprocess.run(
        [java, "-version"], capture_output=True, text=True, timeout=_JAVA_VERSION_TIMEOUT_S, check=False
    )
    found = re.search(r'version "(\d+)', said.stderr + said.stdout)
    if found is None or int(found[1]) < _JAVA_RELEASE_MIN:
        release = "of an unknown release" if found is None else f"release {found[1]}"
        raise LocalKafkaError(f"{java} is {release}, Kafka 4 needs {_JAVA_RELEASE_MIN}", hint=hint, code="java_too_old")
    return java


@contextlib.contextmanager
def training_archive(libs: KafkaLibs) -> Iterator[str]:
    """Yield the Java option that writes a class archive at exit; keep the archive if the run went well."""
    draft = libs.directory / f".classes-{os.getpid()}.jsa"
    try:
        yield f"-XX:ArchiveClassesAtExit={draft}"
        if draft.exists():
            draft.replace(libs.class_archive)
    finally:
        draft.unlink(missing_ok=True)
