# SPDX-License-Identifier: Apache-2.0
"""What the tests on real processes share: clusters of lashd on free ports in a temporary directory, and etcd beside them."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
# pylint: disable-next=wrong-import-position
from replica import BUILD, HOST, ROOT, Replica, wait_for_leader, wait_until  # noqa: E402

ETCD = shutil.which("etcd") or str(ROOT / "build/tools/usr/bin/etcd")  # where tools/setup.sh unpacks it
ETCDCTL = shutil.which("etcdctl")


class Ports:
    """Ports that nobody listens on. Until they are closed, sockets that do not listen hold them: nobody else is given them, and
    a server can take one, again and again, because both sides allow to share it (SO_REUSEADDR)."""

    def __init__(self, count):
        self.sockets = [socket.socket() for _ in range(count)]
        for one in self.sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((HOST, 0))
        self.numbers = [one.getsockname()[1] for one in self.sockets]

    def __enter__(self):
        return self.numbers

    def __exit__(self, *_):
        self.close()

    def close(self):
        for one in self.sockets:
            one.close()


class Cluster:
    """A few lashd with data in a directory that goes when the cluster is closed."""

    def __init__(self, size=3, flags=(), prefix="n"):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lash-process-"))
        self.flags = list(flags)
        self.ports = Ports(2 * size)
        ports = self.ports.numbers
        self.replicas = [Replica(f"{prefix}{i + 1}", ports[2 * i], ports[2 * i + 1], self.directory / f"{prefix}{i + 1}",
                                 self.directory / f"{prefix}{i + 1}.log") for i in range(size)]

    def __enter__(self):
        for replica in self.replicas:
            self.start(replica)
        try:
            self.wait_for_leader()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, replica):
        replica.start(self.replicas, *self.flags)

    def wait_for_leader(self):
        return wait_for_leader([replica for replica in self.replicas if replica.running()])

    def close(self):
        for replica in self.replicas:
            if replica.running():
                replica.kill()
        self.ports.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def endpoints(self):
        return ",".join(replica.endpoint for replica in self.replicas)


class Etcd:
    """A real etcd with one member, the oracle."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lash-oracle-"))
        self.ports = Ports(2)
        client, peer = self.ports.numbers
        self.endpoints = f"{HOST}:{client}"
        url, peer_url = f"http://{self.endpoints}", f"http://{HOST}:{peer}"
        with open(self.directory / "log", "wb") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(
                [ETCD, "--name", "n1", "--data-dir", str(self.directory / "data"), "--listen-client-urls", url,
                 "--advertise-client-urls", url, "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls",
                 peer_url, "--initial-cluster", f"n1={peer_url}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self):
        try:
            wait_until(lambda: etcdctl(self.endpoints, "get", "x").returncode == 0, 30, "etcd does not answer")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.ports.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def run_client(program, endpoints, arguments, stdin):
    return subprocess.run([program, "--endpoints", endpoints, *arguments], input=stdin,
                          stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
                          timeout=60, check=False, env={**os.environ, "ETCDCTL_API": "3"})


def etcdctl(endpoints, *arguments, stdin=None):
    """Run Debian's etcdctl; the finished process with its texts."""
    return run_client(ETCDCTL, endpoints, arguments, stdin)


def lashctl(endpoints, *arguments, stdin=None):
    """Run build/lashctl likewise."""
    return run_client(str(BUILD / "lashctl"), endpoints, arguments, stdin)


class ProcessTest(unittest.TestCase):
    """A test with clusters that end with it."""

    def enter(self, context):
        entered = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return entered

    def cluster(self, size=3, flags=(), prefix="n"):
        return self.enter(Cluster(size, flags, prefix))
