"""What launchers leave in the environment, and who listens at a port."""

from __future__ import annotations

import socket
import sys

import pytest

from nnunet_doctor.probes import distributed

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:733C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0
   1: 0100007F:733D 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1 0
"""
TABLE6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:733E 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Return a root with tables of sockets: 29500 and 29502 are listened at, 29501 is in use by a connection."""
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/tcp").write_text(TABLE, encoding="ascii")
    (tmp_path / "proc/net/tcp6").write_text(TABLE6, encoding="ascii")
    return tmp_path


@pytest.mark.parametrize(
    ("port", "expected"), [("29500", True), ("29501", False), ("29502", True), ("29503", False), ("auto", None)]
)
def test_port(tables, port, expected):
    """A port is taken when a process listens at it, by either version of IP."""
    assert distributed._is_taken(port, tables) is expected


def test_no_tables(tmp_path, monkeypatch):
    """Where the tables cannot be read, nobody is known to listen."""
    monkeypatch.setattr(sys, "platform", "linux")

    assert distributed._is_taken("29500", tmp_path) is False


def test_other_systems(tables, monkeypatch):
    """Training on several GPUs exists on Linux only; elsewhere nothing is read."""
    monkeypatch.setattr(sys, "platform", "win32")

    assert distributed._is_taken("29500", tables) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_this_machine(context_of):
    """A socket that listens is found in the real table, and is not when it is closed."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = str(server.getsockname()[1])
        taken = distributed.look(context_of({"MASTER_PORT": port})).values
    free = distributed.look(context_of({"MASTER_PORT": port})).values

    assert (taken["training.master_port"], taken["training.master_port_taken"]) == (port, True)
    assert free["training.master_port_taken"] is False


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WORLD_SIZE": "4", "RANK": "0", "MASTER_PORT": "23456"}, None),
        ({"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, 2),
        ({"TORCHELASTIC_RUN_ID": "none"}, None),
        ({"OMPI_COMM_WORLD_SIZE": "8"}, 8),
        ({"OMPI_COMM_WORLD_SIZE": "many"}, None),
    ],
)
def test_copies(context_of, environ, expected):
    """torchrun and mpirun tell how many copies they start; operators of clusters set WORLD_SIZE for one, too."""
    assert distributed.look(context_of(environ)).values["training.copies"] == expected
