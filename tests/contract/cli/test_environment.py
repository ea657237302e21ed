"""obsctl as a process in a poor environment: the verdict stays, and what goes wrong is said in words."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from obsctl.fleet.model import Fleet, Host, KafkaNode
from rig.waiting import wait_until_idle

_START = [sys.executable, "-c", "from obsctl.cli.main import main; main()"]


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    """A cluster whose only broker is a closed port: kafka status is critical, at once."""
    host = Host(
        name="node1",
        address="127.0.0.1",
        groups=("kafka",),
        kafka=KafkaNode(node_id=1, broker_port=1, controller_port=1),
    )
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(Fleet(hosts=(host,))))
    return str(path)


def obsctl(*argv: str, without: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != without} | environment
    return subprocess.run([*_START, *argv], env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("columns", ["", "abc", "0", "-5", "1"])
def test_columns_that_are_no_width_are_not_used(fleet: str, columns: str) -> None:
    done = obsctl("-i", fleet, "kafka", "status", COLUMNS=columns)
    assert (done.returncode, done.stderr) == (2, "")
    assert "CRITICAL" in done.stdout
    assert "KAFKA_UNREACHABLE" in done.stdout.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("output", ["table", "json"])
def test_a_character_set_that_lacks_a_name_costs_no_verdict(tmp_path: Path, encoding: str, output: str) -> None:
    name = "日本 ▁ 🧨"
    host = Host(
        name=name,
        address="127.0.0.1",
        groups=("kafka",),
        kafka=KafkaNode(node_id=1, broker_port=1, controller_port=1),
    )
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(Fleet(hosts=(host,))))
    argv = ["-i", str(path), "kafka", "status", "-o", output]
    done = subprocess.run(
        [*_START, *argv], env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert b"KAFKA_UNREACHABLE" in done.stdout
    if output == "json":
        json.loads(done.stdout.decode("utf-8" if encoding == "ascii" else encoding))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_full_disk_is_named_in_every_character_set(fleet: str, encoding: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*_START, "-i", fleet, "kafka", "status"],
            env=os.environ | {"PYTHONIOENCODING": encoding},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        3,
        b"obsctl: standard output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_end_puts_back_what_is_half_done(tmp_path: Path, number: int) -> None:
    program = (
        "import signal, time\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # which nohup ignores
        "from obsctl.cli import main, program\n"
        "def work(words, chosen):\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        print('put back', flush=True)\n"
        "program._carried_out = work\n"
        "main.main([])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as p:
        assert p.stdout is not None
        assert p.stdout.readline() == "begun\n"
        p.send_signal(number)
        said, complaint = p.communicate(timeout=20)
    name = signal.Signals(number).name
    assert (p.returncode, said, complaint) == (128 + number, "put back\n", f"ended by {name}\n")


def test_ctrl_c_of_a_plugin_is_unknown_and_a_line(fleet: str) -> None:
    watch = [*_START, "-i", fleet, "kafka", "status", "--watch", "60", "-o", "nagios"]
    with subprocess.Popen(
        watch,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  a shell's background job ignores it
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until_idle(process.pid)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (3, "OBSCTL UNKNOWN - interrupted\n")


@pytest.mark.parametrize("without", [False, True])
def test_a_report_has_colours_for_a_terminal_that_wants_them(fleet: str, without: bool) -> None:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm-256color"}
    command = [*_START, "-i", fleet, "kafka", "status"]
    with subprocess.Popen(command, stdout=theirs, env=environment | ({"NO_COLOR": "1"} if without else {})):
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 65536)
            except OSError:  # Linux's way of an end of file
                break
    os.close(ours)
    assert b"CRITICAL" in said
    assert (b"\x1b[1;31m" in said) is not without


@pytest.mark.parametrize("output", ["table", "json", "nagios"])
def test_a_reader_that_has_gone_does_not_hide_the_verdict(fleet: str, output: str) -> None:
    with subprocess.Popen(
        [*_START, "-i", fleet, "kafka", "status", "-o", output], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (2, b"")


@pytest.mark.parametrize("argv", [("--help",), ("kafka", "-h"), ("explain",), ("explain", "LB_SKEW"), ("--version",)])
def test_a_reader_of_a_text_may_leave(argv: tuple[str, ...]) -> None:
    with subprocess.Popen([*_START, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (0, b"")


def test_a_watch_ends_when_its_reader_has_gone(fleet: str) -> None:
    watch = [*_START, "-i", fleet, "kafka", "status", "--watch", "0.1", "-o", "json"]
    with subprocess.Popen(watch, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 2


@pytest.mark.parametrize("argv", [("kafka", "status"), ("--help",), ("explain",)])
def test_an_output_that_cannot_be_written_is_said_and_is_not_ok(fleet: str, argv: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*_START, "-i", fleet, *argv], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (
        3,
        "obsctl: standard output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&- <&-", ">/dev/null 2>/dev/full", ">/dev/null 2>&-"])
@pytest.mark.parametrize(("argv", "code"), [(["kafka", "status"], 2), (["kafka", "frob"], 64), ([], 64)])
def test_streams_that_nobody_reads_take_nothing_from_the_exit_code(
    fleet: str, redirection: str, argv: list[str], code: int
) -> None:
    command = shlex.join([*_START, *(["-i", fleet, *argv] if argv else [])])
    done = subprocess.run(["sh", "-c", f"{command} {redirection}"], timeout=60, check=False)
    assert done.returncode == code


def test_ctrl_c_while_a_command_is_still_being_imported(fleet: str) -> None:
    interrupt = (
        "import sys\n"
        "class Early:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Early())\n"
        "from obsctl.cli.main import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", interrupt, "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_ctrl_c_while_a_command_waits(fleet: str) -> None:
    watch = [*_START, "-i", fleet, "kafka", "status", "--watch", "60", "-o", "json"]
    with subprocess.Popen(
        watch,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  a shell's background job ignores it
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until_idle(process.pid)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
    assert (process.returncode, complaint.strip()) == (130, "interrupted")


def test_a_path_that_the_system_refuses_is_a_sentence(tmp_path: Path) -> None:
    done = obsctl("-i", str(tmp_path / ("x" * 300)), "kafka", "status")
    assert done.returncode == 78
    assert "cannot be read: File name too long" in done.stderr


def test_a_directory_that_was_removed_under_the_shell_is_a_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from obsctl.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "kafka", "status"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 78
    assert "cannot be read: No such file or directory" in done.stderr
