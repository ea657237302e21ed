"""Loads the collection's plugins as plain modules: their pure parts need no Ansible run."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader

ROOT = Path(__file__).resolve().parents[2]

init_plugin_loader([str(ROOT / "collections")])
