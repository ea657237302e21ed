"""Stand-ins for the outside world: robots that answer like their vendors, a webhook, a mail server.

One background process beside the lab, ``python -m obsctl.lab.standins STATE_DIR ADDRESS HTTP_PORT SMTP_PORT``.

HTTP:

- ``POST /robot/send?access_token=…&timestamp=…&sign=…``: DingTalk. Like the vendor's it answers HTTP 200 with
  ``{"errcode", "errmsg"}``, also to what it refuses.
- ``POST /open-apis/bot/v2/hook/TOKEN``: Feishu, ``{"code", "msg"}``; the signature stands in the body.
- ``POST /cgi-bin/webhook/send?key=…``: WeCom, ``{"errcode", "errmsg"}``.
- ``POST /services/T…/B…/…``: Slack, ``ok`` or an error's name as plain text, with its HTTP status.
- ``POST /hook``: a plain webhook, answers ``{"ok": true}``.
- ``PUT /behaviour {"name": …, "channel": …}``: what a channel does from now on; names by channel in ``BEHAVIOURS``.
  Without ``channel`` it is DingTalk's. ``GET /behaviour?channel=…`` says what it does.
- ``PUT /smtp/behaviour {"name": …}``: what the mail server does, one of ``SMTP_BEHAVIOURS``.
- ``GET /received``, ``DELETE /received``: a list of everything that arrived on any channel, the oldest first.

The robots were made after their vendors' documentation; the vendors themselves have not been asked.
Tokens and passwords are never kept: an entry says whether they were right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Reply(NamedTuple):
    """What a vendor answers: JSON, or plain text where the body is one."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


def _errcode(code: int, text: str) -> Reply:
    return Reply({"errcode": code, "errmsg": text})


def _code(code: int, text: str) -> Reply:
    return Reply({"code": code, "data": {}, "msg": text})


_SUCCESS = {
    "dingtalk": _errcode(0, "ok"),
    "feishu": Reply({"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}),
    "wecom": _errcode(0, "ok"),
    "slack": Reply("ok"),
    "webhook": Reply({"ok": True}),
}
_TOO_MANY = {"Retry-After": "30"}
#: The vendors' words for the codes that matter to a client.
_REFUSALS: dict[str, dict[str, Reply]] = {
    "dingtalk": {
        "310000": _errcode(310000, "sign not match"),
        "130101": _errcode(130101, "send too fast, exceed 20 times per minute"),
        "300005": _errcode(300005, "token is not exist"),
        "310000-keyword": _errcode(310000, "错误描述:关键词不匹配;解决方案:请联系群管理员查看此机器人的关键词"),
        "310000-sign": _errcode(310000, "错误描述:机器人发送签名不匹配;解决方案:请确认机器人的密钥填写正确"),
        "310000-expired": _errcode(
            310000, "错误描述:机器人发送签名过期;解决方案:签名生成时间和发送时间请保持在一小时内"
        ),
        "310000-address": _errcode(310000, "错误描述:来源IP地址不在白名单;解决方案:请把IP地址加入白名单"),
        "-1": _errcode(-1, "系统繁忙"),
        "410100": _errcode(410100, "发送速度太快而限流"),
        "400013": _errcode(400013, "群已被解散"),
        "400101": _errcode(400101, "access_token不存在"),
        "400102": _errcode(400102, "机器人已停用"),
        "400106": _errcode(400106, "机器人不存在"),
        "430104": _errcode(430104, "含有不合适的内容"),
        "460101": _errcode(460101, "message too long, exceed 20000 bytes"),
    },
    "feishu": {
        "19001": _code(19001, "param invalid: incoming webhook access token invalid"),
        "19021": _code(19021, "sign match fail or timestamp is not within one hour from current time"),
        "19022": _code(19022, "Ip Not Allowed"),
        "19024": _code(19024, "Key Words Not Found"),
        "9499": _code(9499, "Bad Request"),
        "11232": _code(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]"),
        "11247": _code(11247, "internal send msg failed"),
        "old-9499": Reply({"StatusCode": 9499, "StatusMessage": "too many request"}),
        "too-long": _code(9499, "request body too large"),
    },
    "wecom": {
        "-1": _errcode(-1, "system busy"),
        "45009": _errcode(45009, "api freq out of limit"),
        "93000": _errcode(93000, "invalid webhook url"),
        "40008": _errcode(40008, "invalid message type"),
        "40058": _errcode(40058, "markdown.content exceed max length 4096"),
        "40058-parameter": _errcode(40058, "invalid request parameter"),
        "45002": _errcode(45002, "content size out of limit"),
    },
    "slack": {
        "invalid_payload": Reply("invalid_payload", 400),
        "no_service": Reply("no_service", 404),
        "channel_not_found": Reply("channel_not_found", 404),
        "channel_is_archived": Reply("channel_is_archived", 410),
        "action_prohibited": Reply("action_prohibited", 403),
        "posting_to_general_channel_denied": Reply("posting_to_general_channel_denied", 403),
        "invalid_token": Reply("invalid_token", 403),
        "msg_too_long": Reply("msg_too_long", 400),
        "rollup_error": Reply("rollup_error", 500),
    },
    "webhook": {
        "401": Reply({"error": "invalid_token"}, 401),
        "error": Reply({"status": "error"}),
        "code-1": Reply({"code": 1, "msg": "success"}),
        "list": Reply([]),
    },
}
#: Behaviours of anything between client and vendor, for all channels.
_IN_BETWEEN = {
    "429": Reply("rate_limited", 429, _TOO_MANY),
    "500": Reply("", 500),
    "502": Reply("<html><body>Bad Gateway</body></html>", 502),
    "html": Reply("<!DOCTYPE html><html><body>Please log in</body></html>", 200, {"Content-Type": "text/html"}),
    "empty": Reply("", 200),
}
BEHAVIOURS = {
    channel: ("success", *refusals, *_IN_BETWEEN, "slow", "reset", "redirect")
    for channel, refusals in _REFUSALS.items()
}
_NOT_JSON = _errcode(43004, "无效的HTTP HEADER Content-Type")
_LIMITS = {"dingtalk": 20_000, "feishu": 20_000, "wecom": 4096, "slack": 40_000}
_TOO_LONG = {"dingtalk": "460101", "feishu": "too-long", "wecom": "40058", "slack": "msg_too_long"}
SMTP_BEHAVIOURS = ("accept", "451", "550")
_SLOW_S = 30.0
#: The vendor refuses a signature that is older than an hour.
_SIGNATURE_AGE_MS = 3_600_000
_MAX_BODY_BYTES = 1 << 20
_FEISHU = "/open-apis/bot/v2/hook/"
_SLACK = "/services/"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Received:
    """What arrived, the behaviours, and the lab's secrets to compare with; shared by all threads."""

    def __init__(self, secrets_dir: Path) -> None:
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []
        self._secrets_dir = secrets_dir
        self.behaviours = dict.fromkeys(BEHAVIOURS, "success")
        self.smtp = "accept"

    def add(self, channel: str, **what: Any) -> dict[str, Any]:
        """Keep one arrival and return its entry, to which the answer may be added."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {"channel": channel, "at": at, **what}
        with self._lock:
            self._entries.append(entry)
        return entry

    def all(self) -> list[dict[str, Any]]:
        """Return the arrivals, the oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget the arrivals; the behaviours stay."""
        with self._lock:
            self._entries.clear()

    def judge(self, secret: str, given: str) -> str:
        """Compare with the lab's secret: ``missing``, ``valid``, ``invalid``, or ``unknown`` without that secret."""
        if not given:
            return "missing"
        wanted = self.secret(secret)
        return "unknown" if wanted is None else "valid" if hmac.compare_digest(wanted, given) else "invalid"

    def secret(self, name: str) -> str | None:
        """Return the lab's secret of that name, or None."""
        try:
            return (self._secrets_dir / name).read_text().strip()
        except OSError:
            return None


def judge_signature(secret: str | None, timestamp: str, sign: str, now_ms: int, *, feishu: bool = False) -> str:
    """Judge a signature, base64 of HMAC-SHA256.

    DingTalk signs ``{milliseconds}\\n{secret}`` with the secret as key; Feishu signs nothing with
    ``{seconds}\\n{secret}`` as key.

    Returns:
        ``missing``, ``valid``, ``expired``, ``invalid``, or ``unknown`` without a secret.
    """
    if not sign or not timestamp:
        return "missing"
    if secret is None:
        return "unknown"
    text = f"{timestamp}\n{secret}".encode()
    key, message, unit_ms = (text, b"", 1000) if feishu else (secret.encode(), text, 1)
    digest = hmac.new(key, message, hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64encode(digest), sign.encode()):
        return "invalid"
    fresh = timestamp.isdigit() and abs(now_ms - int(timestamp) * unit_ms) < _SIGNATURE_AGE_MS
    return "valid" if fresh else "expired"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: Received

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/received":
            self._answer(self.received.all())
        elif path == "/behaviour":
            channel = parse_qs(urlsplit(self.path).query).get("channel", ["dingtalk"])[0]
            if channel in BEHAVIOURS:
                self._answer({"name": self.received.behaviours[channel], "channel": channel})
            else:
                self._answer({"error": f"channel must be one of {', '.join(BEHAVIOURS)}"}, 400)
        elif path == "/smtp/behaviour":
            self._answer({"name": self.received.smtp})
        elif path == "/redirected":
            self._redirected()
        else:
            self._answer({"error": "no such path"}, 404)

    def do_DELETE(self) -> None:
        if urlsplit(self.path).path == "/received":
            self.received.clear()
            self._answer({"ok": True})
        else:
            self._answer({"error": "no such path"}, 404)

    def do_PUT(self) -> None:
        body = self._body()
        asked = body if isinstance(body, dict) else {}
        name, channel = str(asked.get("name", "")), str(asked.get("channel", "dingtalk"))
        path = urlsplit(self.path).path
        if path not in ("/behaviour", "/smtp/behaviour"):
            self._answer({"error": "no such path"}, 404)
            return
        if path == "/behaviour" and channel not in BEHAVIOURS:
            self._answer({"error": f"channel must be one of {', '.join(BEHAVIOURS)}"}, 400)
            return
        choices = BEHAVIOURS[channel] if path == "/behaviour" else SMTP_BEHAVIOURS
        if name not in choices:
            self._answer({"error": f"name must be one of {', '.join(choices)}"}, 400)
            return
        if path == "/behaviour":
            self.received.behaviours[channel] = name
            self._answer({"name": name, "channel": channel})
        else:
            self.received.smtp = name
            self._answer({"name": name})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        if path == "/robot/send":
            self._dingtalk()
        elif path.startswith(_FEISHU):
            self._feishu(path.removeprefix(_FEISHU))
        elif path == "/cgi-bin/webhook/send":
            self._wecom()
        elif path.startswith(_SLACK):
            self._slack(path.removeprefix(_SLACK))
        elif path == "/hook":
            self._hook()
        elif path == "/redirected":
            self._redirected()
        else:
            self._body()
            self._answer({"error": "no such path"}, 404)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Write nothing: request lines hold tokens."""

    def _dingtalk(self) -> None:
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        token = self.received.judge("dingtalk_token", query.get("access_token", ""))
        secret = self.received.secret("dingtalk_secret")
        signature = judge_signature(secret, query.get("timestamp", ""), query.get("sign", ""), _now_ms())
        body = self._body()
        # As the vendor's robot: the header first, then what a signature shows to be wrong. A message without a
        # signature passes, as it does with a robot whose security setting is a keyword or an address.
        fault = None
        if self._media_type() != "application/json":
            fault = _NOT_JSON
        elif token == "valid" and signature in ("invalid", "expired"):  # noqa: S105 - a verdict
            fault = _REFUSALS["dingtalk"]["310000"]
        self._act(
            "dingtalk",
            fault,
            "/robot/send",
            token=token,
            signature=signature,
            timestamp=query.get("timestamp"),
            body=body,
        )

    def _feishu(self, given: str) -> None:
        body = self._body()
        sent = body if isinstance(body, dict) else {}
        signature = judge_signature(
            self.received.secret("feishu_secret"),
            str(sent.pop("timestamp", "")),
            str(sent.pop("sign", "")),
            _now_ms(),
            feishu=True,
        )
        token = self.received.judge("feishu_token", given)
        fault = None
        if token == "invalid":  # noqa: S105 - a verdict
            fault = _REFUSALS["feishu"]["19001"]
        elif token == "valid" and signature in ("invalid", "expired"):  # noqa: S105 - a verdict
            fault = _REFUSALS["feishu"]["19021"]
        self._act("feishu", fault, f"{_FEISHU}***", token=token, signature=signature, body=body)

    def _wecom(self) -> None:
        given = parse_qs(urlsplit(self.path).query).get("key", [""])[0]
        token = self.received.judge("wecom_token", given)
        fault = _REFUSALS["wecom"]["93000"] if token == "invalid" else None  # noqa: S105 - a verdict
        self._act("wecom", fault, "/cgi-bin/webhook/send", token=token, body=self._body())

    def _slack(self, given: str) -> None:
        token = self.received.judge("slack_token", given)
        fault = _REFUSALS["slack"]["invalid_token"] if token == "invalid" else None  # noqa: S105 - a verdict
        self._act("slack", fault, f"{_SLACK}***", token=token, body=self._body())

    def _hook(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self._act("webhook", None, "/hook", token=self.received.judge("webhook_token", given), body=self._body())

    def _act(self, channel: str, fault: Reply | None, path: str, **what: Any) -> None:
        """Record the request, and act as the channel's behaviour says, by default like the vendor."""
        behaviour = self.received.behaviours[channel]
        entry = self.received.add(
            channel, path=path, behaviour=behaviour, content_type=self.headers.get("Content-Type", ""), **what
        )
        if behaviour == "reset":
            self._reset()
        elif behaviour == "redirect":
            self._answer({}, 302, {"Location": "/redirected"})
        else:
            if behaviour == "slow":
                time.sleep(_SLOW_S)
            set_to = _REFUSALS[channel].get(behaviour) or _IN_BETWEEN.get(behaviour)
            reply = set_to or fault or (self._too_long(channel, what["body"])) or _SUCCESS[channel]
            entry["answer"] = reply.body
            self._answer(reply.body, reply.status, reply.headers)

    @staticmethod
    def _too_long(channel: str, body: Any) -> Reply | None:
        """Return the vendor's refusal of a message that is too long for it."""
        if channel not in _LIMITS or not isinstance(body, dict):
            return None
        text = (
            body.get("markdown", {}).get("content", "") if channel == "wecom" else json.dumps(body, ensure_ascii=False)
        )
        return _REFUSALS[channel][_TOO_LONG[channel]] if len(text.encode()) > _LIMITS[channel] else None

    def _redirected(self) -> None:
        """Record that a client went where it was sent, which none of ours may: the address holds a token."""
        self.received.add("redirect-followed", path="/redirected", method=self.command, body=self._body())
        self._answer(_SUCCESS["dingtalk"].body)

    def _media_type(self) -> str:
        return self.headers.get("Content-Type", "").split(";")[0].strip().lower()

    def _body(self) -> Any:
        """Return the request's body: parsed where it is JSON, as text where it is not, None where there is none."""
        try:
            length = min(int(self.headers.get("Content-Length", 0)), _MAX_BODY_BYTES)
        except ValueError:
            length = 0
        raw = self.rfile.read(length) if length else b""
        if not raw:
            return None
        try:
            return json.loads(raw)
        except ValueError:
            return raw.decode(errors="replace")

    def _answer(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        plain = isinstance(body, str)
        raw = body.encode() if plain else json.dumps(body, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        kind = "text/plain; charset=utf-8" if plain else "application/json; charset=utf-8"
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _reset(self) -> None:
        # Lingering for zero seconds turns the close into a reset. The descriptor is closed directly, since the
        # server would say a polite goodbye first.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True


class HttpServer(ThreadingHTTPServer):
    """The stand-ins that speak HTTP.

    Args:
        received: takes what arrives.
        address: to listen on.
        port: 0 for a free one.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, received: Received, address: str, port: int) -> None:
        super().__init__((address, port), type("Handler", (_Handler,), {"received": received}))

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Do not log clients that disconnected: with ``slow`` and ``reset`` that is the purpose."""


def _mail_server(received: Received, address: str, port: int) -> Any:
    from email import message_from_bytes, policy

    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    class Mailbox:
        async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
            self, _server: Any, _session: Any, envelope: Any, to: str, _options: Any
        ) -> str:
            if received.smtp == "550":
                return "550 5.1.1 mailbox unavailable"
            envelope.rcpt_tos.append(to)
            return "250 OK"

        async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
            mail = message_from_bytes(envelope.content, policy=policy.default)
            text = mail.get_body(preferencelist=("plain", "html"))
            answer = "451 4.3.0 try again later" if received.smtp == "451" else "250 OK"
            received.add(
                "smtp",
                sender=envelope.mail_from,
                recipients=list(envelope.rcpt_tos),
                subject=str(mail.get("Subject", "")),
                body=text.get_content().replace("\r\n", "\n") if text is not None else "",
                authenticated=bool(session.authenticated),
                answer=answer,
            )
            return answer

    def let_in(*_: Any) -> Any:
        return AuthResult(success=True)

    return Controller(Mailbox(), hostname=address, port=port, authenticator=let_in, auth_require_tls=False)


def main(argv: list[str]) -> None:
    """Serve until SIGTERM."""
    state_dir, address, http_port, smtp_port = argv
    received = Received(Path(state_dir) / "secrets")
    server = HttpServer(received, address, int(http_port))
    mail = _mail_server(received, address, int(smtp_port))
    mail.start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        mail.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
