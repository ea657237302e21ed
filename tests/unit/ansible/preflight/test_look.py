"""What a host says about itself, as data."""

from __future__ import annotations

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import (
    Look,
    parse_look,
    read_look,
    said_once,
)


def test_every_line():
    text = (
        "Authorized users only\r\nos.id=rocky\r\nos.version=9.4\nos.name=Rocky Linux 9.4 (Blue Onyx)\npython=3.9\n"
        "ssh_client=192.0.2.1\nmemory=2048\nclock=1767225600 +0800\nclock=1782864000 +0800\nzone=Asia/Shanghai known\n"
        "zone=Asia/Beijing unknown\njava=17\nformatted=yes\nforeign=/k/lost+found\nforeign=/k/a b\n"
        "disk=/var/lib/kafka 4\nmysql=8.0.36\nname=kafka01 192.0.2.11\nname=kafka02 \n"
    )
    assert parse_look(text) == Look(
        os_id="rocky",
        os_version="9.4",
        os_name="Rocky Linux 9.4 (Blue Onyx)",
        python="3.9",
        ssh_client="192.0.2.1",
        java="17",
        mysql="8.0.36",
        memory=2048 * 1024,
        disks={"/var/lib/kafka": 4096},
        names=(("kafka01", "192.0.2.11"), ("kafka02", "")),
        clock={"1767225600": "+0800", "1782864000": "+0800"},
        zones={"Asia/Shanghai": True, "Asia/Beijing": False},
        foreign_directories=("/k/lost+found", "/k/a b"),
        kafka_is_formatted=True,
    )


def test_half_an_answer_breaks_nothing():
    assert parse_look("os.id=debian\nmemory=\ndisk=/x\ndisk=/y none\nclock=\nname=\nzone=a\n") == Look(os_id="debian")


def test_no_answer_keeps_its_words():
    assert read_look({"unreachable": True, "msg": "a\nb"}) == Look(silence="a\nb")
    assert read_look({"failed": True, "msg": "no sshpass"}) == Look(silence="no sshpass")
    assert read_look({"rc": 1, "stdout": "", "stderr": "", "failed": False}) == Look(
        silence="it prints nothing", logged_in=True
    )


def test_a_sentence_is_said_once():
    assert said_once("'a' is undefined. 'a' is\n undefined.") == "'a' is undefined"
