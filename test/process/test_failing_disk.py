# SPDX-License-Identifier: Apache-2.0
"""Disks that fail under real processes on a real file system: strace lets system calls return errors."""
import signal
import subprocess
import unittest

from harness import ProcessTest, lashctl, wait_until

FLAGS = ["--election-timeout", "500", "--heartbeat-interval", "50"]


class FailingDisk(ProcessTest):
    def begin(self, *flags):
        self.running = self.cluster(flags=[*FLAGS, *flags])
        self.acknowledged = {}

    def put(self, endpoints, name):
        """Write a key; whether that was acknowledged."""
        done = lashctl(endpoints, "--command-timeout=5s", "put", name, f"value of {name}")
        if done.returncode == 0:
            self.acknowledged[name] = f"value of {name}"
        return done.returncode == 0

    def holds_all(self, replica):
        done = lashctl(replica.endpoint, "get", "--prefix", "k", "--print-value-only", "--consistency=s")
        return set(done.stdout.splitlines()) >= set(self.acknowledged.values())

    def test_a_leader_whose_sync_fails_stops_at_once_and_loses_nothing(self):
        self.begin("--io-uring=false")
        leader = self.running.wait_for_leader()
        others = [replica for replica in self.running.replicas if replica is not leader]
        for number in range(10):
            self.assertTrue(self.put(leader.endpoint, f"k{number}"))
        self.trace(leader, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO")
        number = 10

        def ended():
            nonlocal number
            number += 1
            self.put(leader.endpoint, f"k{number}")
            return not leader.running()
        wait_until(ended, 30, "the leader goes on although it cannot sync")
        self.assertEqual(leader.process.wait(), -signal.SIGABRT)
        self.assertIn("sync failed, the log is given up", leader.log_text())
        self.assertIn("stopping the process", leader.log_text())
        endpoints = ",".join(replica.endpoint for replica in others)
        wait_until(lambda: self.put(endpoints, "k-after"), 30, "the others do not go on")
        self.running.start(leader)
        self.running.wait_for_leader()
        for replica in self.running.replicas:
            wait_until(lambda replica=replica: self.holds_all(replica), 20, "something acknowledged is missing")

    def test_a_log_that_cannot_be_read_keeps_a_member_from_starting(self):
        """An error of the disk is no damage: nothing is changed, and what to do is said."""
        self.begin()
        replica = self.running.replicas[0]
        for number in range(10):
            self.assertTrue(self.put(self.running.endpoints, f"k{number}"))
        replica.stop()
        before = [path.read_bytes() for path in sorted((replica.directory / "log").glob("log-*"))]
        command = replica.command(self.running.replicas, *FLAGS)
        done = subprocess.run(["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=pread64", "-P",
                               str(replica.directory / "log" / "log-0000000000000001"),
                               "-e", "inject=pread64:error=EIO", *command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("input/output error", done.stderr)
        self.assertEqual(before, [path.read_bytes() for path in sorted((replica.directory / "log").glob("log-*"))])
        self.running.start(replica)
        self.running.wait_for_leader()
        wait_until(lambda: self.holds_all(replica), 20, "something acknowledged is missing")

    def trace(self, replica, *what):
        """Let strace do something to a running process's system calls."""
        # pylint: disable-next=consider-using-with
        tracer = subprocess.Popen(["strace", "-f", "-q", "-o", "/dev/null", "-p", str(replica.process.pid), *what],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(tracer.wait)
        self.addCleanup(tracer.terminate)

    def test_where_the_kernel_takes_no_more_writes_a_thread_makes_them(self):
        self.begin()
        leader = self.running.wait_for_leader()
        self.assertTrue(self.put(leader.endpoint, "k0"))
        self.trace(leader, "-e", "trace=io_uring_enter", "-e", "inject=io_uring_enter:error=EBUSY")
        number = 0

        def refused():
            nonlocal number
            number += 1
            self.assertTrue(self.put(leader.endpoint, f"k{number}"))
            return "small appends go through the system's cache from now on" in leader.log_text()
        wait_until(refused, 30, "the kernel goes on writing")
        self.assertTrue(self.put(leader.endpoint, "k-after"))
        leader.kill()
        self.running.start(leader)
        self.running.wait_for_leader()
        for replica in self.running.replicas:
            wait_until(lambda replica=replica: self.holds_all(replica), 20, "something acknowledged is missing")

    def test_without_the_kernels_help_a_thread_writes(self):
        self.begin()
        replica = self.running.replicas[0]
        replica.stop()
        command = ["strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=io_uring_setup", "-e",
                   "inject=io_uring_setup:error=EPERM", *replica.command(self.running.replicas, *FLAGS)]
        # pylint: disable-next=consider-using-with
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        wait_until(lambda: self.put(replica.endpoint, "k1"), 30, "it does not serve")
        wait_until(lambda: self.holds_all(replica), 20, "it does not hold what it acknowledged")
        process.terminate()
        self.assertIn("no io_uring: a thread writes the log", process.stderr.read())


if __name__ == "__main__":
    unittest.main(verbosity=2)
