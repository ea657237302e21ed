"""No secret stays in a text of another program; what is no secret stays."""

from __future__ import annotations

import json

import pytest

from obsctl.core.redaction import scrub, scrubbed

SECRET = "Sent1nel-Value"
HOLDERS = [
    "password: {}",
    "  password = {} with blanks",
    "\tauth_pass {}",
    "#password: {}",
    "password: '{}'",
    "export TOKEN={}",
    "MYSQL_PWD={}",
    "api_key: {}",
    "ssl.keystore.password={}",
    'sasl.jaas.config=org.example.Module required username="a" password="{}";',
    'proxy_set_header Authorization "Basic {}";',
    'secure_link_md5 "$secure_link_expires $http_x {}";',
    "Authorization: Bearer {}",
    "set-cookie: a={}; b={}",
    "CREATE USER x IDENTIFIED BY '{}'",
    "password:\n  {}",
    '{{"password":"{}","port":1}}',
    '{{"a":{{"token":"{}"}}}}',
    '{{"message":"{{\\"secret\\":\\"{}\\"}}"}}',
    'password: "a\\"{}"',
    "Nov 28 12:00:00 node1 x[1]: login failed with password={}, again",
    "GET /send?access_token={}&x=1 HTTP/1.1",
    "GET /cgi-bin/webhook/send?key={} HTTP/1.1",
    "https://user:{}@host/x",
    "https://hooks.slack.com/services/T/{}",
    "https://open.feishu.cn/open-apis/bot/v2/hook/{}",
    "run --password {} --verbose",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n{}",
    "ansible_become_pass={}",
    "smtp.pass: {}",
    "-o ProxyCommand='sshpass -p {} ssh jump'",
    "sshpass -p'{}' ssh jump",
    "ExecStart=/usr/bin/mysql -uroot -p{} obs",
    "curl -su admin:{} http://127.0.0.1/",
    "curl --proxy-user 'admin:{}' http://127.0.0.1/",
    "redis-cli -h x -a {} ping",
    "openssl rsa -passin pass:{}",
    "curl -H 'Authorization: Basic {}' x",
    "https://{}@host/x",
    "http_proxy = //user:{}@host",
    "ALTER USER x IDENTIFIED WITH caching_sha2_password BY '{}'",
    "agent --authkey {}",
    "aws_access_key_id={}",
    "said ghp_{}",
    "said eyJhbGciOiJIUzI1NiJ9.{}.x",
    "GET /login?session={} HTTP/1.1",
]


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_stands_where_secrets_stand_is_masked(holder: str) -> None:
    text = scrub(f"before\n{holder.format(SECRET, SECRET)}\nafter")
    assert SECRET not in text
    assert "***" in text
    assert text.startswith("before\n")


@pytest.mark.parametrize(
    "unit", ["x.-", "pass-", "mysql ", "curl ", "://a/", "eyJ-", "token ", "//a", "identified with ", "auth_pass."]
)
def test_a_line_that_somebody_chose_takes_no_minutes(unit: str) -> None:
    """A run of letters may begin anywhere in such a line; without a bound each of them would be read to its end."""
    assert scrub(unit * (64 * 1024 // len(unit)))


@pytest.mark.parametrize(
    "line",
    [
        "proxy_pass http://backend;",
        "proxy_cache_bypass $arg_nocache;",
        "ssh -p 2222 node1",
        "mysqld --port 3306 -u mysql",
        "listen 80;",
        "ssl_certificate_key /etc/ssl/site.pem;",
        "password: file:/etc/obsctl/secrets/mysql",
        '{"lag":3,"status":"ok"}',
        "node1 nginx: 192.0.2.1 GET /api/items?page=1 200",
        "min.insync.replicas=2",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert scrub(line) == line


def test_a_document_stays_one() -> None:
    document = {
        "reader_password": "vault:mysql_reader_password",
        "auth": {"password": SECRET, "port": 1},
        "findings": [{"summary": f"no login with password={SECRET}"}],
    }
    clean = scrubbed(document)
    assert SECRET not in json.dumps(clean)
    assert clean["reader_password"] == "vault:mysql_reader_password"
    assert clean["auth"]["port"] == 1
    assert SECRET not in json.dumps(scrubbed(({"a": (f"token={SECRET}",)},)))
