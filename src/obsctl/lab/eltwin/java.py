"""OpenJDK at EL's places."""

from __future__ import annotations

from obsctl.lab.eltwin.tree import Tree

_HOME = "usr/lib/jvm/java-17-openjdk"


def adapt(tree: Tree) -> None:
    """Give the runtime EL's directory, and the links that EL's alternatives would make."""
    (debian,) = tree.root.glob("usr/lib/jvm/java-17-openjdk-*")
    tree.move(str(debian.relative_to(tree.root)), _HOME)
    tree.remove(("usr/lib/jvm/.java-*", "usr/lib/jvm/java-1.17*", "usr/lib/jvm/openjdk*"))
    for name in ("jre", "jre-17", "jre-17-openjdk"):
        tree.link(f"usr/lib/jvm/{name}", "java-17-openjdk")
    for program in ("java", "keytool"):
        tree.link(f"usr/bin/{program}", f"../lib/jvm/java-17-openjdk/bin/{program}")
