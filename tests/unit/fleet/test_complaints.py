"""The error about an inventory that Ansible could not read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from obsctl.core.errors import ConfigError
from obsctl.fleet import complaints

CORE_19 = (
    "Task failed: Finalization of task args for 'ansible.builtin.set_fact' failed: Error while resolving value for "
    "'__fleet_document_rendered_part': 'kafka_node_id' is undefined"
)
CORE_16 = (
    "The task includes an option with an undefined variable. The error was: {'host': \"{{ __fleet_document_host }}\"}: "
    "{'node_id': '{{ kafka_node_id | int }}'}: 'kafka_node_id' is undefined. 'kafka_node_id' is undefined\n\n"
    "The error appears to be in 'part.yml': line 3, column 3, but may\nbe elsewhere"
)
CONSEQUENCE = "Task failed: object of type 'HostVarsVars' has no attribute '__fleet_document_rendered_part'"


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE", raising=False)
    (tmp_path / "group_vars/all").mkdir(parents=True)
    (tmp_path / "hosts.yml").write_text("all:\n  hosts:\n    node1:\n")
    return tmp_path


def failed(host: str, message: str) -> str:
    return f"fatal: [{host}]: FAILED! => {json.dumps({'changed': False, 'msg': message})}\n"


@pytest.mark.parametrize("message", [CORE_19, CORE_16], ids=["2.19", "2.16"])
def test_a_missing_variable_is_named_with_its_hosts(inventory: Path, message: str) -> None:
    output = failed("node2", message) + failed("node3", message) + failed("node1 -> localhost", CONSEQUENCE)
    error = complaints.unreadable(inventory, output)
    assert str(error) == f"the inventory {inventory} is incomplete: node2, node3 have no kafka_node_id"
    assert f"`ansible-playbook playbooks/preflight.yml -i {inventory}`" in error.hint


def test_another_fault_of_a_host_is_its_last_sentence(inventory: Path) -> None:
    output = failed(
        "db1", "Task failed: Error while resolving value for 'x': object of type 'str' has no attribute 'y'"
    )
    assert str(complaints.unreadable(inventory, output)) == (
        f"the inventory {inventory} cannot be evaluated: object of type 'str' has no attribute 'y' (db1)"
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Syntax error in template: unexpected end of template.", "PLACE: Syntax error in template: unexpected end of"),
        ("'nope' is undefined", "node1 has no nope, which PLACE wants"),
    ],
)
def test_a_faulty_template_is_named_with_its_line(inventory: Path, said: str, words: str) -> None:
    place = f"{inventory.resolve()}/group_vars/all/main.yml:7:12"
    output = (
        "[ERROR]: Task failed.\nOrigin: /usr/share/roles/fleet_document/tasks/part.yml:3:3\n\n<<< caused by >>>\n\n"
        f"{said}\nOrigin: {place}\n\n1 fleet_vip: x\n" + failed("node1", f"Error while resolving value for 'x': {said}")
    )
    assert words.replace("PLACE", place) in str(complaints.unreadable(inventory, output))


def test_what_ansible_says_otherwise_is_kept(inventory: Path) -> None:
    assert "ERROR! something new" in str(complaints.unreadable(inventory, "ERROR! something new\n"))


@pytest.mark.parametrize(
    ("said", "problem", "hint"),
    [
        (
            "[ERROR]: Attempting to decrypt but no vault secrets found.",
            "vault.yml is encrypted, but Ansible",
            "export ",
        ),
        ("[ERROR]: The vault password file /nope was not found", "does not exist: /nope", "write the password into it"),
        ("[ERROR]: Decryption failed (no vault secrets were found that could decrypt).", "password in /pw does", "/pw"),
    ],
)
def test_a_closed_vault_says_which_file_and_how_to_open_it(
    inventory: Path, monkeypatch: pytest.MonkeyPatch, said: str, problem: str, hint: str
) -> None:
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "/pw")
    (inventory / "group_vars/all/vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    for error in (complaints.unreadable(inventory, said), complaints.no_value(inventory, "vault:x", "x", said)):
        assert problem in str(error)
        assert "ANSIBLE_VAULT_PASSWORD_FILE" in error.hint
        assert hint in f"{error}{error.hint}"


def test_a_vault_that_was_never_made_is_named_with_its_example(inventory: Path) -> None:
    folder = inventory / "group_vars/all"
    (folder / "vault.yml.example").touch()
    error = complaints.no_value(inventory, "vault:vault_reader", "vault_reader", "'vault_reader' is undefined")
    assert str(error) == f"vault:vault_reader has no value: {folder} has no vault.yml"
    assert f"`cp {folder}/vault.yml.example {folder}/vault.yml`" in error.hint
    lacking = complaints.unreadable(inventory, failed("node1", "x: 'vault_user' is undefined"))
    assert "node1 has no vault_user" in str(lacking)
    assert "vault.yml.example" in lacking.hint


def test_a_name_that_is_nearly_there_is_offered(inventory: Path) -> None:
    (inventory / "group_vars/all/vault.yml").write_text("vault_raeder: geheim\n")
    error = complaints.no_value(inventory, "vault:vault_reader", "vault_reader", "'vault_reader' is undefined")
    assert error.hint == "did you mean vault_raeder?"
    assert "geheim" not in f"{error}"


BROKEN = {
    "group_vars/all/main.yml": ("a: 1\nb: [1,\nc: 2\n", 4),
    "host_vars/node1.yml": ("a: 1\n  b: 2\n", 2),
    "hosts.yml": ("all:\n  hosts:\n    node1:\n   node2:\n", 4),
    "group_vars/kafka.yaml": ("x: *nowhere\n", 1),
    "group_vars/lb.yml": ("x: {{ y }}: z\n", 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_yaml_is_named_with_its_line(inventory: Path, name: str) -> None:
    text, line = BROKEN[name]
    (inventory / name).parent.mkdir(exist_ok=True)
    (inventory / name).write_text(text)
    for source in (inventory, inventory / "hosts.yml"):
        with pytest.raises(ConfigError, match=rf"{name}:{line}:\d+: ") as caught:
            complaints.refuse_broken_yaml(source)
        assert len(str(caught.value).splitlines()) == 1


def test_sound_yaml_of_ansibles_own_kind_passes(inventory: Path) -> None:
    (inventory / "group_vars/all/own.yml").write_text(
        "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\nb: !unsafe '{{'\n"
    )
    (inventory / "group_vars/all/vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n{{{:\n")
    (inventory / "files").mkdir()
    (inventory / "files/template.yml").write_text("{% if x %}\n")
    complaints.refuse_broken_yaml(inventory)


def test_a_folder_of_something_else_is_refused(inventory: Path) -> None:
    for folder in ("host_vars", ".git", "."):
        (inventory / folder).mkdir(exist_ok=True)
        for number in range(complaints._MOST_FILES - 2):
            (inventory / folder / f"{number}.yml").touch()
    complaints.refuse_other_folders(inventory)
    complaints.refuse_other_folders(inventory / "hosts.yml")
    (inventory / "services").mkdir()
    for name in "abc":
        (inventory / "services" / name).touch()
    with pytest.raises(ConfigError, match="is not an inventory: it contains more than 200 files"):
        complaints.refuse_other_folders(inventory)


def test_the_complaint_about_an_inventory_says_why_and_where() -> None:
    said = complaints.complaint(
        "[WARNING]: Failed to parse inventory with 'yaml' plugin: YAML parsing failed: no node content.\n\n"
        "<<< caused by >>>\n\nYAML parsing failed: no node content.\nOrigin: hosts.yml:4:1\n"
        "YAML parsing failed: no node content.\n[WARNING]: Unable to parse hosts.yml as an inventory source\n"
    )
    assert said.splitlines() == [
        "YAML parsing failed: no node content.",
        "Origin: hosts.yml:4:1",
        "[WARNING]: Unable to parse hosts.yml as an inventory source",
    ]
