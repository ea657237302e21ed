"""Kafka's archive: Apache's own, or the same ``libs/`` assembled from its published Maven artifacts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from xml.sax.saxutils import escape

from obsctl.artifacts import vendor
from obsctl.artifacts.archive import pack
from obsctl.artifacts.errors import ChecksumError
from obsctl.artifacts.lock import KafkaLock, digest
from obsctl.artifacts.programs import Notify, run
from obsctl.artifacts.store import sha256
from obsctl.core.cachedir import cache_root
from obsctl.core.errors import MissingDependencyError

SCALA = "2.13"
_VENDOR = ("https://downloads.apache.org/kafka", "https://archive.apache.org/dist/kafka")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

#: Logging to standard output, where the journal reads it. Kafka 4 went from log4j 1 to log4j 2.
_LOG4J1 = """\
log4j.rootLogger=INFO, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
"""
_LOG4J2 = """\
Configuration:
  Appenders:
    Console:
      name: STDOUT
      PatternLayout:
        pattern: "[%d] %p %m (%c)%n"
  Loggers:
    Root:
      level: INFO
      AppenderRef:
        ref: STDOUT
"""


def file_name(version: str) -> str:
    """Return the archive's name, the same as Apache's."""
    return f"kafka_{SCALA}-{version}.tgz"


def inputs(version: str, lock: KafkaLock) -> str:
    """Return the digest of everything that the archive is made of."""
    return digest("kafka", version, lock.modules, lock.jars, lock.vendor_sha512, _log_config(version))


def make(version: str, lock: KafkaLock, work: Path, notify: Notify) -> tuple[Path, str]:
    """Make the archive in ``work`` and return it with its origin (``vendor`` or ``maven``).

    Raises:
        ChecksumError: a jar or the vendor's archive is not the one of the lock.
        MissingDependencyError: the vendor is out of reach and there is no Maven or no Java.
        BuildError: Maven failed.
    """
    archive = work / file_name(version)
    urls = [f"{base}/{version}/{archive.name}" for base in _VENDOR]
    if vendor.fetch(urls, archive, lock.vendor_sha512, notify):
        return archive, "vendor"
    top = work / archive.stem
    libs = resolve(version, lock.modules, work, notify)
    compare(libs, lock.jars)
    top.mkdir()
    libs.rename(top / "libs")
    (top / "config").mkdir()
    name, text = _log_config(version)
    (top / "config" / name).write_text(text)
    notify(f"kafka {version}: packing {len(lock.jars)} jars")
    pack(top, archive)
    return archive, "maven"


def modules(version: str) -> tuple[str, ...]:
    """Return the Maven modules whose closure is Kafka's ``libs/``: broker, tools, and what binds slf4j to a log."""
    binding = (
        # Kafka 4.1 brings log4j-core in this version, and neither the binding nor the bridge for old callers.
        ("org.apache.logging.log4j:log4j-slf4j-impl:2.24.3", "org.apache.logging.log4j:log4j-1.2-api:2.24.3")
        if int(version.partition(".")[0]) >= 4
        else ("org.slf4j:slf4j-reload4j:1.7.36",)
    )
    return (f"org.apache.kafka:kafka_{SCALA}:{version}", f"org.apache.kafka:kafka-tools:{version}", *binding)


def resolve(version: str, coordinates: tuple[str, ...], work: Path, notify: Notify) -> Path:
    """Let Maven copy the runtime closure of the modules into a folder and return that folder.

    Maven finds its registry by its own settings, and checks each file against the checksum published beside it.

    Raises:
        MissingDependencyError: there is no Maven or no Java.
        BuildError: Maven failed.
    """
    _require_maven(version)
    pom, libs = work / "pom.xml", work / "libs"
    pom.write_text(_pom(coordinates))
    notify(f"kafka {version}: fetching its jars with Maven")
    argv = ["mvn", "--batch-mode", f"--file={pom}", _COPY, "-DincludeScope=runtime", f"-DoutputDirectory={libs}"]
    if "-Dmaven.repo.local" not in os.environ.get("MAVEN_OPTS", "") + os.environ.get("MAVEN_ARGS", ""):
        argv.append(f"-Dmaven.repo.local={cache_root() / 'build' / 'maven'}")
    run(argv, what=f"kafka {version}", notify=notify, cwd=work, fetched="Downloaded from .*[.]jar", attempts=2)
    return libs


def compare(libs: Path, jars: dict[str, str]) -> None:
    """Check that the folder holds exactly the locked jars.

    Raises:
        ChecksumError: one differs, is missing or is not known.
    """
    found = {path.name: sha256(path) for path in sorted(libs.iterdir())}
    for name in sorted(found.keys() | jars.keys()):
        if found.get(name) != jars.get(name):
            raise ChecksumError(name, jars.get(name, "no such file"), found.get(name, "no such file"))


def _require_maven(version: str) -> None:
    has_java = bool(os.environ.get("JAVA_HOME")) or shutil.which("java")
    missing = [name for name, there in (("Maven (mvn)", shutil.which("mvn")), ("Java (java)", has_java)) if not there]
    if missing:
        raise MissingDependencyError(
            f"Apache's archive of Kafka {version} cannot be reached, and assembling it needs {' and '.join(missing)}, "
            "which this machine does not have",
            hint="apt-get install maven (or dnf install maven)",
        )


def _pom(coordinates: tuple[str, ...]) -> str:
    dependencies = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
            *map(escape, coordinate.split(":"))
        )
        for coordinate in coordinates
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>obscraft</groupId><artifactId>kafka-libs</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>\n"
    )


def _log_config(version: str) -> tuple[str, str]:
    return ("log4j2.yaml", _LOG4J2) if int(version.partition(".")[0]) >= 4 else ("log4j.properties", _LOG4J1)
