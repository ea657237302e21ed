"""Who does not belong is refused at each port of the fleet, and told why in the product's words.

Whoever is let in beside them shows that the port answers at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymysql
import pytest

from obsctl.core.brokers import Brokers, Security
from obsctl.kafka import clients
from obsctl.lab.spec import FLEET_LAB
from obsctl.store.mysql.hints import hint_for
from rig.authority import Authority
from rig.kafka_rights import deleted, read, written
from tests.lab import certificates
from tests.lab.certificates import CA, TLS
from tests.lab.conftest import INVENTORY, NODES, ROOT, VIP, Fleet, log_in

SECRETS = FLEET_LAB.secrets_dir
BROKERS = ("198.18.0.11:9094", "198.18.0.12:9094", "198.18.0.13:9094")
DENIED = "TOPIC_AUTHORIZATION_FAILED"


@pytest.fixture(autouse=True)
def _speaks_tls() -> None:
    if not CA.exists():
        pytest.skip("the lab's inventory has fleet_tls off")


# -- at the ports that obsctl uses, by an inventory that is wrong in one point ---------------------------------------

#: What is wrong; on which hosts; what obsctl is asked; the finding; its words.
WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...], str, str, str]] = {
    "brokers in clear text": (
        {"kafka_client_security_protocol": "PLAINTEXT"}, NODES, "kafka status",
        "KAFKA_TLS_WANTED", "the port expects TLS, but obsctl connects without it",
    ),
    "brokers of another CA": (
        {"kafka_client_ca_file": "{foreign}"}, NODES, "kafka status",
        "KAFKA_CERT_UNTRUSTED", "its certificate is not trusted",
    ),
    # The address moves, and brokers answer on it as on all others.
    "a broker by an address that its certificate does not name": (
        {"ansible_host": VIP}, NODES[:1], "kafka status", "KAFKA_CERT_NAME", f"its certificate does not name {VIP}",
    ),
    "a login with another password": (
        {"kafka_client_password": "file:{password}"}, NODES, "kafka status",
        "KAFKA_LOGIN_REFUSED", "refuses the login of user obsctl",
    ),
    "a login as a user who may not look": (
        {"kafka_client_user": "filebeat", "kafka_client_password": f"file:{SECRETS}/kafka_filebeat"}, NODES,
        "kafka status", "KAFKA_ACL_MISSING", "User:filebeat has no right to Describe the cluster",
    ),
    "nginx in clear text on the port of TLS": (
        {"nginx_listen": ["443"], "nginx_tls_listen": []}, NODES, "verify vip",
        "VIP_WRONG_PROTOCOL", "port 443 speaks TLS, not HTTP",
    ),
    "nginx of another CA": (
        {"nginx_tls_ca_file": "{foreign}"}, NODES, "verify vip",
        "VIP_CERTIFICATE_REFUSED", "its certificate is not signed by a CA of ",
    ),
    "a database of another CA": (
        {"mysql_client_ca_file": "{foreign}"}, ("db1",), "consumer status",
        "HEALTH_DATABASE_TLS", "is signed by no authority in ",
    ),
}  # fmt: skip


@pytest.fixture
def mistaken(fleet: Fleet, tmp_path: Path) -> Callable[[dict[str, Any], tuple[str, ...]], Fleet]:
    """The fleet by a copy of the inventory in which some hosts have further variables."""
    (tmp_path / "password").write_text("another")
    foreign = Authority(tmp_path / "foreign").ca_file

    def has(variables: dict[str, Any], hosts: tuple[str, ...]) -> Fleet:
        inventory = tmp_path / "inventory"
        shutil.copytree(INVENTORY, inventory)
        text = json.dumps({"all": {"hosts": dict.fromkeys(hosts, variables)}})
        text = text.replace("{foreign}", str(foreign)).replace("{password}", str(tmp_path / "password"))
        # Read after hosts.yml, whose variables of hosts it has to win over.
        (inventory / "mistaken.yml").write_text(text)
        return Fleet(fleet.record, inventory)

    return has


@pytest.mark.parametrize("what", WRONG)
def test_obsctl_says_why_it_is_refused_or_refuses(mistaken: Callable[..., Fleet], what: str) -> None:
    variables, hosts, command, code, words = WRONG[what]
    report = mistaken(variables, hosts).obsctl(*command.split(), "-o", "json")
    assert report.code in (1, 2, 3), report.said
    found = [finding for finding in report.json["findings"] if finding["code"] == code]
    assert found, report.out
    assert any(words in finding["summary"] for finding in found), report.out
    assert all(finding["hint"] for finding in found)


def test_the_database_takes_no_login_in_clear_text(fleet: Fleet) -> None:
    log_in(ssl={"ca": str(CA)}).close()
    with pytest.raises(pymysql.OperationalError) as refused:
        log_in(ssl_disabled=True)
    # The first says that only TLS is allowed; an account that requires it is denied access without a reason.
    code = refused.value.args[0]
    assert code in (3159, 1045)
    assert "TLS only" in hint_for(code)


# -- at the ports among brokers and controllers, which only they reach: asked from one of them -----------------------

FROM, TO = "node2", "198.18.0.11"
PORTS = (9095, 9096)
_CA = f"{TLS}/ca.pem"
_OWN = {"ca_file": _CA, "certificate_file": f"{TLS}/kafka/keystore.pem"}
#: Who asks, by which address, with which files; and what the answer says. None for a broker, who is answered.
STRANGERS: dict[str, tuple[str, dict[str, str] | None, str | None]] = {
    "a broker": (f"SSL://{TO}", _OWN, None),
    "somebody in clear text": (TO, None, TO),
    "somebody without a certificate": (f"SSL://{TO}", {"ca_file": _CA}, TO),
    "a certificate of a foreign CA": (f"SSL://{TO}", {"ca_file": _CA, "certificate_file": "foreign.pem"}, TO),
    "a certificate that has expired": (f"SSL://{TO}", {"ca_file": _CA, "certificate_file": "expired.pem"}, TO),
    # Of the fleet's CA, so that it is let in; its user is nobody.
    "a balancer": (f"SSL://{TO}", {"ca_file": _CA, "certificate_file": f"{TLS}/nginx/keystore.pem"}, "error 31"),
    "a broker that reaches another one than it wanted": ("SSL://127.0.0.1", _OWN, "not 127.0.0.1"),
}  # fmt: skip
#: By the module that the role asks with, which needs nothing of the host but its Python.
_ASK = """
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, ".")
import kafka_wire
said = {}
for name, (address, files) in json.load(open("asked.json")).items():
    try:
        kafka_wire.quorum([address], 5, files)
        said[name] = ""
    except kafka_wire.KafkaError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The error that each of them got, by name and port; empty for an answer."""
    folder = tmp_path_factory.mktemp("strangers")
    asked = {f"{who} {port}": (f"{at}:{port}", files) for who, (at, files, _) in STRANGERS.items() for port in PORTS}
    sent = {
        "kafka_wire.py": (ROOT / "plugins/module_utils/kafka_wire.py").read_text(),
        "asked.json": json.dumps(asked) + "\n",
        "ask.py": _ASK,
        **{f"{fault}.pem": certificates.issue(fault, FROM, "kafka", folder) for fault in ("foreign", "expired")},
    }
    script = "umask 077; mkdir -p /run/refusals; cd /run/refusals\n"
    script += "".join(f"cat >{name} <<'EOF'\n{text}EOF\n" for name, text in sent.items())
    try:
        answers: dict[str, str] = json.loads(fleet.ssh(FROM, "sh", "-ec", f"{script}python3 ask.py", timeout=90))
    finally:
        fleet.ssh(FROM, "rm", "-rf", "/run/refusals", check=False)
    return answers


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("who", STRANGERS)
def test_brokers_and_controllers_answer_each_other_alone(said: dict[str, str], who: str, port: int) -> None:
    words = STRANGERS[who][2]
    answer = said[f"{who} {port}"]
    if words is None:
        # A controller that is not the active one names no voters, which is an answer all the same.
        assert answer == "" or "(error 6)" in answer
    else:
        assert words in answer, answer


# -- and who belongs does its own part alone -------------------------------------------------------------------------


def client(user: str) -> dict[str, Any]:
    """Return librdkafka's settings of a user of the fleet."""
    security = Security(protocol="SASL_SSL", user=user, password=f"file:{SECRETS}/kafka_{user}", ca_file=str(CA))
    # It would write each refusal to this process's output.
    return clients.settings(Brokers(BROKERS, security), f"refusals-{user}") | {"log_level": 0}


def test_each_user_of_kafka_may_do_its_part_and_nothing_else(fleet: Fleet) -> None:
    # The canary's topic, which nobody reads lines from, shows that they are let in at all.
    assert written(client("obsctl"), "nginxlog-canary") == ""
    assert written(client("obsctl"), "nginxlog") == DENIED
    assert deleted(client("obsctl"), "nginxlog-canary") == DENIED
    assert written(client("consumer"), "nginxlog") == DENIED
    assert written(client("alerter"), "nginxlog") == DENIED
    assert written(client("filebeat"), "nginxlog-dlq") == DENIED
    assert read(client("filebeat"), "nginxlog", "obsctl-refused") in (DENIED, "GROUP_AUTHORIZATION_FAILED")
    assert read(client("consumer"), "nginxlog", "obsctl-refused") == "GROUP_AUTHORIZATION_FAILED"


def test_obsctl_sees_when_groups_committed(fleet: Fleet) -> None:
    assert fleet.obsctl("kafka", "lag", "--window", "6s", "-o", "json").json["data"]["commits_known_s"] is not None
