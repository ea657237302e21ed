"""The repository of signed RPMs, and how its packages are made."""

from __future__ import annotations

import shutil
from pathlib import Path

from obsctl.lab.bootstrap import Note
from obsctl.lab.eltwin import specfile
from obsctl.lab.eltwin.packages import NEVER, PACKAGES, Package
from obsctl.lab.eltwin.workshop import Workshop

#: Files that replace Debian's, a directory a package.
FILES = Path(__file__).parent / "files"
#: The key's file in the repository's directory.
PUBLIC_KEY = "RPM-GPG-KEY-el-twin"

_SIGNER = "EL twin of this machine <el-twin@lab.invalid>"
_KEYRING = "/build/keyring"


def build(workshop: Workshop, target: Path, note: Note) -> None:
    """Make every package, sign packages and metadata with a key made for this, and leave the repository.

    The private key stays in the workshop and goes with it: nothing can be signed later.

    Args:
        workshop: where it is made.
        target: the directory to make; gets the packages, their metadata and the public key.
        note: called with each line of progress.

    Raises:
        LabError: a step failed; the message names it.
    """
    repository = workshop.tree("repository").root
    _rpmbuild(workshop, specfile.RELEASE_PACKAGE, specfile.of_release(), repository)
    for number, (name, package) in enumerate(sorted(PACKAGES.items()), 1):
        note(f"  package {number}/{len(PACKAGES)}: {name}")
        _package(workshop, name, package, repository)
    note("  signing the repository")
    _sign(workshop, repository)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(repository, target)


def _package(workshop: Workshop, name: str, package: Package, repository: Path) -> None:
    tree = workshop.tree(f"trees/{name}")
    if package.fill:
        version = package.fill(tree, workshop)
    else:
        workshop.unpack(workshop.needed(package.debs), tree)
        version = workshop.version(package.debs[0])
    tree.merge_usr()
    tree.remove(NEVER)
    for source, to in package.move:
        tree.move(source, to)
    tree.remove(package.remove)
    if package.adapt:
        package.adapt(tree)
    for path in package.from_root:
        tree.at(path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(workshop.naked / path, tree.at(path))
    tree.add(FILES / name)
    for directory in package.directories:
        tree.at(directory.path).mkdir(parents=True, exist_ok=True)
    text = specfile.of_package(
        name,
        package,
        version,
        tree=workshop.inside(tree.root),
        files=list(tree.files()),
        directories=list(tree.empty_directories()),
    )
    _rpmbuild(workshop, name, text, repository)
    shutil.rmtree(tree.root)


def _rpmbuild(workshop: Workshop, name: str, text: str, repository: Path) -> None:
    work = workshop.tree(f"rpmbuild/{name}")
    spec = work.root / f"{name}.spec"
    spec.write_text(text)
    defines = {
        "_topdir": workshop.inside(work.root),
        "_rpmdir": workshop.inside(repository),
        "_rpmfilename": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
    }
    options = [word for key, value in defines.items() for word in ("--define", f"{key} {value}")]
    workshop.run(["rpmbuild", "-bb", "--quiet", *options, workshop.inside(spec)])
    shutil.rmtree(work.root)


def _sign(workshop: Workshop, repository: Path) -> None:
    where = workshop.inside(repository)
    gpg = ["gpg", "--homedir", _KEYRING, "--batch", "--quiet", "--yes"]
    workshop.run(["install", "-d", "-m", "0700", _KEYRING])
    workshop.run([*gpg, "--passphrase", "", "--quick-generate-key", _SIGNER, "rsa3072", "sign", "never"])
    workshop.run([*gpg, "--armor", "--output", f"{where}/{PUBLIC_KEY}", "--export"])
    packages = [workshop.inside(path) for path in sorted(repository.glob("*.rpm"))]
    settings = {"_gpg_path": _KEYRING, "_gpg_name": _SIGNER, "__gpg": "/usr/bin/gpg"}
    options = [word for key, value in settings.items() for word in ("--define", f"{key} {value}")]
    workshop.run(["rpmsign", *options, "--addsign", *packages])
    workshop.run(["createrepo_c", "--quiet", where])
    workshop.run([*gpg, "--armor", "--detach-sign", f"{where}/repodata/repomd.xml"])
