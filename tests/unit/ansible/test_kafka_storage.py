"""What may be formatted: never a disk that somebody still needs, never with a second cluster id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.filter.kafka_storage import kafka_storage_plan  # isort: skip
from ansible_collections.obscraft.fleet.plugins.modules import kafka_storage_info  # isort: skip

IDS = {"node1": 1, "node2": 2, "node3": 3}
OURS = "fPoGnPASR_eqgnhnMRWngQ"
FOREIGN = "AAAAAAAAAAAAAAAAAAAAAA"


def formatted(node_id: int, *, cluster_id: str = OURS, has_lived: bool = True, known: str = "") -> dict[str, Any]:
    return {
        "formatted": True,
        "cluster_ids": [cluster_id],
        "known_cluster_id": known,
        "node_ids": [node_id],
        "has_lived": has_lived,
        "unformatted_dirs": [],
        "foreign_dirs": [],
        "candidate_id": f"candidate-{node_id}",
    }


def empty(node_id: int, *, known: str = "") -> dict[str, Any]:
    return {
        "formatted": False,
        "cluster_ids": [],
        "known_cluster_id": known,
        "node_ids": [],
        "has_lived": False,
        "unformatted_dirs": ["/var/lib/kafka"],
        "foreign_dirs": [],
        "candidate_id": f"candidate-{node_id}",
    }


def test_new_cluster_gets_one_random_id_on_all_nodes():
    plan = kafka_storage_plan({host: empty(n) for host, n in IDS.items()}, IDS)
    assert plan == {"cluster_id": "candidate-1", "format": ["node1", "node2", "node3"], "problems": []}


def test_new_cluster_takes_the_inventorys_id():
    plan = kafka_storage_plan({host: empty(n) for host, n in IDS.items()}, IDS, "-starts-with-a-dash-22")
    assert plan["cluster_id"] == "-starts-with-a-dash-22"


def test_formatted_cluster_is_left_alone():
    plan = kafka_storage_plan({host: formatted(n) for host, n in IDS.items()}, IDS)
    assert plan == {"cluster_id": OURS, "format": [], "problems": []}


def test_lost_disk_stops_and_names_both_sides():
    storage = {"node1": formatted(1), "node2": empty(2), "node3": formatted(3)}
    plan = kafka_storage_plan(storage, IDS)
    assert plan["format"] == []
    (problem,) = plan["problems"]
    assert "no storage on node2" in problem
    assert f"cluster {OURS} is on node1, node3" in problem
    assert "kafka_allow_format_lost_nodes: [node2]" in problem


def test_lost_disk_is_formatted_when_a_person_says_so_with_the_clusters_id():
    storage = {"node1": formatted(1), "node2": empty(2), "node3": formatted(3)}
    assert kafka_storage_plan(storage, IDS, "", ["node2"]) == {"cluster_id": OURS, "format": ["node2"], "problems": []}


def test_unmounted_data_of_all_nodes_is_no_new_cluster():
    """All data mounts are missing, or kafka_data_dir has changed: every node looks empty."""
    plan = kafka_storage_plan({host: empty(n, known=OURS) for host, n in IDS.items()}, IDS)
    assert plan["format"] == []
    (problem,) = plan["problems"]
    assert "no storage on node1, node2, node3, while no node holds its data" in problem
    assert f"belongs to cluster {OURS}" in problem
    assert "not mounted, or kafka_data_dir has changed" in problem


def test_new_node_beside_unmounted_ones_is_not_formatted_either():
    storage = {"node1": empty(1, known=OURS), "node2": empty(2, known=OURS), "node3": empty(3)}
    plan = kafka_storage_plan(storage, IDS, "", ["node1"])
    assert plan["format"] == []
    assert "no storage on node2, node3" in plan["problems"][0]


def test_a_cluster_that_lost_everything_keeps_its_id_when_a_person_allows_it():
    storage = {host: empty(n, known=OURS) for host, n in IDS.items()}
    plan = kafka_storage_plan(storage, IDS, "", list(IDS))
    assert plan == {"cluster_id": OURS, "format": ["node1", "node2", "node3"], "problems": []}


def test_storage_of_another_cluster_than_the_node_knows_stops():
    storage = {host: formatted(n, cluster_id=FOREIGN, known=OURS) for host, n in IDS.items()}
    (problem,) = kafka_storage_plan(storage, IDS)["problems"]
    assert f"cluster id {FOREIGN} on node1, node2, node3" in problem
    assert f"cluster id {OURS} on node1 (by its cluster.id)" in problem


def test_first_format_that_was_interrupted_after_the_note_goes_on():
    storage = {"node1": formatted(1, has_lived=False, known=OURS), "node2": empty(2), "node3": empty(3)}
    assert kafka_storage_plan(storage, IDS)["format"] == ["node2", "node3"]


def test_permission_for_one_node_is_none_for_another():
    storage = {"node1": formatted(1), "node2": empty(2), "node3": empty(3)}
    plan = kafka_storage_plan(storage, IDS, "", ["node2"])
    assert plan["format"] == []
    assert "no storage on node3" in plan["problems"][0]


def test_interrupted_first_format_goes_on():
    storage = {"node1": formatted(1, has_lived=False), "node2": empty(2), "node3": empty(3)}
    assert kafka_storage_plan(storage, IDS) == {"cluster_id": OURS, "format": ["node2", "node3"], "problems": []}


def test_foreign_cluster_id_stops_and_names_both_ids_and_nodes():
    storage = {"node1": formatted(1), "node2": formatted(2, cluster_id=FOREIGN), "node3": formatted(3)}
    plan = kafka_storage_plan(storage, IDS)
    assert plan["format"] == []
    (problem,) = plan["problems"]
    assert f"cluster id {FOREIGN} on node2" in problem
    assert f"cluster id {OURS} on node1, node3" in problem


def test_another_id_in_the_inventory_stops():
    plan = kafka_storage_plan({host: formatted(n) for host, n in IDS.items()}, IDS, FOREIGN)
    assert "kafka_cluster_id" in plan["problems"][0]


def test_renumbered_node_stops():
    plan = kafka_storage_plan({host: formatted(n) for host, n in IDS.items()}, {"node1": 2, "node2": 1, "node3": 3})
    assert [p.split(":")[0] for p in plan["problems"]] == ["node1", "node2"]


@pytest.mark.parametrize("unread", [None, {}])
def test_nothing_is_formatted_while_a_node_was_not_read(unread):
    storage = {"node1": empty(1), "node2": empty(2), "node3": unread}
    plan = kafka_storage_plan(storage, IDS)
    assert plan["format"] == []
    assert "storage of node3 was not read" in plan["problems"][0]


def test_healthy_nodes_need_not_be_read_all():
    storage = {"node1": formatted(1), "node2": {}, "node3": {}}
    assert kafka_storage_plan(storage, IDS)["problems"] == []


def test_lost_disk_among_several_of_one_node_stops():
    broken = {**formatted(2), "unformatted_dirs": ["/data/2"]}
    plan = kafka_storage_plan({"node1": formatted(1), "node2": broken, "node3": formatted(3)}, IDS)
    assert "/data/2" in plan["problems"][0]
    assert f"kafka-cli storage format --ignore-formatted --cluster-id={OURS} --config=" in plan["problems"][0]


def test_logs_without_meta_properties_are_never_formatted():
    stranger = {**empty(2), "has_lived": True}
    storage = {"node1": empty(1), "node2": stranger, "node3": empty(3)}
    plan = kafka_storage_plan(storage, IDS)
    assert plan["format"] == []
    assert "node2" in plan["problems"][0]


def test_module_reads_what_kafka_writes(tmp_path: Path):
    lived, fresh = tmp_path / "lived", tmp_path / "fresh"
    (lived / "__cluster_metadata-0").mkdir(parents=True)
    meta = f"#\n#Mon Nov 23 06:25:57 UTC 2026\nnode.id=3\nversion=1\ncluster.id={OURS}\n"
    (lived / "meta.properties").write_text(meta)
    note = tmp_path / "cluster.id"
    assert kafka_storage_info.look([str(fresh)], str(note))["known_cluster_id"] == ""
    note.write_text(f"{OURS}\n")
    state = kafka_storage_info.look([str(lived), str(fresh)], str(note))
    assert state == {
        "formatted": True,
        "cluster_ids": [OURS],
        "known_cluster_id": OURS,
        "node_ids": [3],
        "has_lived": True,
        "unformatted_dirs": [str(fresh)],
        "foreign_dirs": [],
    }


# Each was tried with Kafka 3.9.1: it starts beside the first ones and refuses the others.
@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("nginxlog-0", False),
        ("__consumer_offsets-49", False),
        ("nginxlog-1.8f3a-delete", False),
        ("remote-log-index-cache", False),
        ("lost+found", True),
        (".snapshot", True),
        ("data", True),
        ("nginxlog-old", True),
        ("nginxlog-1.8f3a-backup", True),
    ],
)
def test_directories_with_which_kafka_does_not_start_are_found(tmp_path: Path, name: str, foreign: bool):
    (tmp_path / name).mkdir()
    (tmp_path / "recovery-point-offset-checkpoint").touch()
    state = kafka_storage_info.look([str(tmp_path)], str(tmp_path / "cluster.id"), [str(tmp_path)])
    assert state["foreign_dirs"] == ([str(tmp_path / name)] if foreign else [])
    # Not in a directory that keeps the metadata only.
    assert kafka_storage_info.look([str(tmp_path)], str(tmp_path / "cluster.id"))["foreign_dirs"] == []


def test_file_system_mounted_at_the_data_directory_is_refused_before_formatting():
    mounted = {**empty(2), "foreign_dirs": ["/var/lib/kafka/lost+found"]}
    plan = kafka_storage_plan({"node1": empty(1), "node2": mounted, "node3": empty(3)}, IDS)
    assert plan["format"] == []
    (problem,) = plan["problems"]
    assert problem.startswith("node2: /var/lib/kafka/lost+found is not a partition")
    assert "/var/lib/kafka/data" in problem


@pytest.mark.parametrize(("name", "what"), [("lost+found", "rmdir /data/lost+found"), ("old", "move it out of /data")])
def test_node_that_has_data_is_not_sent_to_another_directory(name: str, what: str):
    storage = {host: formatted(n) for host, n in IDS.items()}
    storage["node2"]["foreign_dirs"] = [f"/data/{name}"]
    (problem,) = kafka_storage_plan(storage, IDS)["problems"]
    assert what in problem
    assert "kafka_data_dir" not in problem


def test_new_ids_are_kafkas_and_never_look_like_an_option():
    ids = {kafka_storage_info.new_cluster_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert {len(text) for text in ids} == {22}
    assert not [text for text in ids if text.startswith("-")]
