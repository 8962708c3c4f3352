# SPDX-License-Identifier: Apache-2.0
"""Bad input on real processes: each gets one clear error, nothing is lost, nothing crashes, and the cluster serves on."""
import os
import random
import socket
import subprocess
import unittest

from harness import HOST, ProcessTest, lashctl, wait_until
from replica import BUILD, READY, Replica

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
FLAG_SECONDS = 20
SECTOR = 512


def send_and_read(port, data, half_close=True):
    """Send bytes on a new connection; what comes back until the other side closes."""
    with socket.create_connection((HOST, port), timeout=15) as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while True:
                chunk = connection.recv(65536)
                if not chunk:
                    return received
                received += chunk
        except TimeoutError:
            raise  # it was not closed
        except OSError:
            return b""  # closed before all was sent


def http_get(port, path, extra=b""):
    return send_and_read(port, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + extra + b"\r\n",
                         half_close=False)


class BadInput(ProcessTest):
    """What comes from outside and cannot be right."""

    def assert_serves(self, cluster, key, value):
        """All run still, a write is taken, and the value is read from each."""
        for replica in cluster.replicas:
            self.assertTrue(replica.running(), f"{replica.name} has ended:\n{replica.log_tail()}")
        done = lashctl(cluster.endpoints, "put", key, value)
        self.assertEqual(done.returncode, 0, done.stderr)
        for replica in cluster.replicas:
            self.assertEqual(lashctl(replica.endpoint, "get", key, "--print-value-only").stdout, value + "\n")

    def garbage(self):
        seed = int(os.environ.get("LASH_SEED", random.SystemRandom().randrange(2**32)))
        print(f"the same garbage again: LASH_SEED={seed}", flush=True)
        generator = random.Random(seed)
        for size in (1, 2, 7, 31, 32, 33, 64, 100, 1000, 65536, 300000):
            yield generator.randbytes(size)
        yield b"\0" * 4096
        yield b"\xff" * 4096

    def test_garbage_on_the_peer_port_closes_that_connection(self):
        cluster = self.cluster()
        for data in self.garbage():
            for replica in cluster.replicas:
                send_and_read(replica.peer_port, data)
        for magic in (b"LASH", b"LPKT", b"LASH" + b"\0" * 60, b"LPKT" + b"\xff" * 60):
            send_and_read(cluster.replicas[0].peer_port, magic)
        self.assert_serves(cluster, "after", "garbage on the peer port")

    def test_garbage_on_the_client_port_closes_that_connection(self):
        cluster = self.cluster(size=1)
        port = cluster.replicas[0].client_port
        for data in self.garbage():
            send_and_read(port, data)
            send_and_read(port, HTTP2_PREFACE + data)
            send_and_read(port, HTTP2_PREFACE + SETTINGS + data)
            send_and_read(port, b"GET " + data + b"\r\n\r\n")
        for end in range(1, len(HTTP2_PREFACE) + len(SETTINGS)):
            send_and_read(port, (HTTP2_PREFACE + SETTINGS)[:end])
        send_and_read(port, b"GET /health HTTP/1.1\r\n" + b"x: " + b"y" * 1000000 + b"\r\n\r\n")
        send_and_read(port, b"POST /v3/kv/range HTTP/1.1\r\ncontent-length: 99999999999999\r\n\r\n")
        self.assertIn(b'"health":"true"', http_get(port, b"/health"))
        self.assertIn(b'"etcdserver"', http_get(port, b"/version"))
        self.assertIn(b" 404 ", http_get(port, b"/nothing"))
        self.assert_serves(cluster, "after", "garbage on the client port")

    def test_a_request_over_the_limit_is_refused_and_changes_nothing(self):
        cluster = self.cluster()
        before = lashctl(cluster.endpoints, "get", "big", "-w", "json").stdout
        for size in (1600 * 1024, 3 * 1024 * 1024):
            done = lashctl(cluster.endpoints, "put", "big", stdin="v" * size)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("larg", done.stderr)
        self.assertEqual(lashctl(cluster.endpoints, "get", "big", "--print-value-only").stdout, "")
        self.assertNotEqual(before, "")
        self.assert_serves(cluster, "after", "a request over the limit")

    def test_a_node_of_another_cluster_is_refused_by_both_sides(self):
        cluster = self.cluster()
        first = cluster.replicas[0]
        # the same addresses under another token are another cluster: it dials n1 and n2, and is not let in
        stranger = Replica("n3", cluster.replicas[2].client_port, cluster.replicas[2].peer_port,
                           cluster.directory / "stranger", cluster.directory / "stranger.log")
        cluster.replicas[2].kill()
        stranger.start(cluster.replicas, "--initial-cluster-token", "another")
        self.addCleanup(lambda: stranger.running() and stranger.kill())
        wait_until(lambda: "cluster" in stranger.log_text() and "refuse" in stranger.log_text(), 20,
                   "the stranger does not say that it is refused")
        wait_until(lambda: "cluster" in first.log_text() and "refuse" in first.log_text(), 20,
                   "n1 does not say that it refused")
        self.assertNotIn(READY, stranger.log_text())
        stranger.kill()
        cluster.start(cluster.replicas[2])
        cluster.wait_for_leader()
        self.assert_serves(cluster, "after", "a stranger")

    # ---- A start that cannot be ----------------------------------------------------------------------

    def start_fails(self, replica, cluster, *flags):
        """Start it; it must end by itself with 1; the last line of its log."""
        replica.start(cluster.replicas, *flags)
        self.addCleanup(lambda: replica.running() and replica.kill())
        status = replica.process.wait(timeout=FLAG_SECONDS)
        self.assertEqual(status, 1, replica.log_tail())
        return replica.log_text().splitlines()[-1]

    def double(self, replica, **changes):
        fields = {"name": replica.name, "client_port": replica.client_port, "peer_port": replica.peer_port,
                  "directory": replica.directory, "log": replica.log.with_suffix(".second")}
        return Replica(**{**fields, **changes})

    def test_a_data_directory_in_use(self):
        cluster = self.cluster(size=1)
        line = self.start_fails(self.double(cluster.replicas[0]), cluster)
        self.assertIn("in use", line)
        self.assertIn(str(cluster.replicas[0].directory), line)
        self.assert_serves(cluster, "after", "a second process")

    def test_ports_in_use(self):
        cluster = self.cluster(size=1)
        line = self.start_fails(self.double(cluster.replicas[0], directory=cluster.directory / "other"), cluster)
        self.assertIn("another process uses it", line)
        self.assertIn(f"port {cluster.replicas[0].client_port}", line)
        self.assert_serves(cluster, "after", "a second process")

    def test_with_data_another_description_of_the_cluster_does_not_count(self):
        cluster = self.cluster(size=1)
        replica = cluster.replicas[0]
        self.assert_serves(cluster, "before", "another token")
        self.assertEqual(replica.stop(), 0)
        replica.start(cluster.replicas, "--initial-cluster-token", "another", "--initial-cluster", "n9=http://127.0.0.1:9")
        cluster.wait_for_leader()
        self.assertEqual(lashctl(cluster.endpoints, "get", "before", "--print-value-only").stdout, "another token\n")
        self.assert_serves(cluster, "after", "another token")

    def test_a_corrupt_log_of_a_lone_member_stops_it(self):
        """Where there are peers it is repaired from them: test_repair.py."""
        cluster = self.cluster(size=1)
        for i in range(20):
            self.assertEqual(lashctl(cluster.endpoints, "put", f"k{i}", f"v{i}" * 50).returncode, 0)
        victim = cluster.replicas[0]
        self.assertEqual(victim.stop(), 0)
        segment = sorted((victim.directory / "log").glob("log-*"))[0]
        image = segment.read_bytes()
        damaged = image.find(b"v10v10v10")
        self.assertGreater(damaged, 0)
        with open(segment, "r+b") as file:
            file.seek(damaged)
            file.write(b"X")
        cluster.start(victim)
        self.assertEqual(victim.process.wait(timeout=FLAG_SECONDS), 1)
        tail = victim.log_tail()
        self.assertIn("damaged", tail)
        self.assertIn(segment.name, tail)
        dump = subprocess.run([str(BUILD / "lashctl"), "log", "dump", str(victim.directory / "log")], capture_output=True,
                              text=True, timeout=FLAG_SECONDS, check=False)
        self.assertNotEqual(dump.returncode, 0)
        self.assertIn(segment.name, dump.stdout + dump.stderr)
        # the damage was in one place only: with the byte put back everything is there again
        with open(segment, "r+b") as file:
            file.seek(damaged)
            file.write(image[damaged:damaged + 1])
        cluster.start(victim)
        cluster.wait_for_leader()
        for i in range(20):
            self.assertEqual(lashctl(cluster.endpoints, "get", f"k{i}", "--print-value-only").stdout, f"v{i}" * 50 + "\n")
        self.assert_serves(cluster, "after", "a repaired log")

    def test_garbage_behind_the_last_append_is_no_part_of_the_log(self):
        cluster = self.cluster(size=1)
        replica = cluster.replicas[0]
        self.assertEqual(lashctl(cluster.endpoints, "put", "kept", "value").returncode, 0)
        replica.kill()
        segment = sorted((replica.directory / "log").glob("log-*"))[-1]
        with open(segment, "r+b") as file:
            data = file.read()
            file.seek((len(data.rstrip(b"\0")) + SECTOR - 1) // SECTOR * SECTOR)  # where the next append would begin
            file.write(random.Random(1).randbytes(500))
        cluster.start(replica)
        cluster.wait_for_leader()
        self.assertEqual(lashctl(cluster.endpoints, "get", "kept", "--print-value-only").stdout, "value\n")
        self.assert_serves(cluster, "after", "garbage behind the log")


class BadFlags(unittest.TestCase):
    """Unknown or contradictory flags: one clear line and exit 2."""

    CASES = [
        (["--frobnicate"], "frobnicate"), (["--name"], "name"), (["extra"], "extra"),
        (["--heartbeat-interval", "x"], "heartbeat-interval"), (["--heartbeat-interval", "0"], "heartbeat-interval"),
        (["--heartbeat-interval", "500", "--election-timeout", "1000"], "election-timeout"),
        (["--listen-client-urls", "localhost:2379"], "listen-client-urls"),
        (["--listen-client-urls", "https://127.0.0.1:2379", "--advertise-client-urls",
          "http://127.0.0.1:2379"], "https"), (["--listen-peer-urls", "http://127.0.0.1"], "http://HOST:PORT"),
        (["--initial-cluster", "a=http://127.0.0.1:1,b=http://127.0.0.1:1"], "initial-cluster"),
        (["--name", "c", "--initial-cluster", "a=http://127.0.0.1:1"], "initial-cluster"),
        (["--name", "a", "--initial-cluster", "a=http://127.0.0.1:1", "--initial-advertise-peer-urls",
          "http://127.0.0.1:2"], "initial-advertise-peer-urls"),
        (["--initial-cluster-state", "maybe"], "initial-cluster-state"), (["--log-level", "loud"], "log-level"),
    ]

    def test_each_gives_one_line_and_exit_2(self):
        for flags, word in self.CASES:
            with self.subTest(flags=flags):
                done = subprocess.run([str(BUILD / "lashd"), *flags], capture_output=True, text=True, timeout=FLAG_SECONDS,
                                      check=False, stdin=subprocess.DEVNULL)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertIn(word, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_environment_variables_count_and_flags_win(self):
        def run(environment, *flags):
            return subprocess.run([str(BUILD / "lashd"), *flags], capture_output=True, text=True, timeout=FLAG_SECONDS,
                                  check=False, stdin=subprocess.DEVNULL, env={**os.environ, **environment})
        bad = run({"LASH_LOG_LEVEL": "loud"})
        self.assertEqual(bad.returncode, 2)
        self.assertIn("LOG_LEVEL", bad.stderr.upper().replace("-", "_"))
        overridden = run({"LASH_LOG_LEVEL": "loud"}, "--log-level", "info", "--election-timeout", "1")
        self.assertEqual(overridden.returncode, 2)
        self.assertIn("election-timeout", overridden.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
