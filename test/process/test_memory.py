# SPDX-License-Identifier: Apache-2.0
"""A member that has worked hard and rests is small again, whatever lies on its disk."""
import pathlib
import unittest

from harness import Cluster, ProcessTest, lashctl, wait_until

BOUND_MIB = 48  # it is 20 to 25, and 10 before any data comes
BUSY_MIB = 16  # of data that is written at least, on the slowest machine
REST_SECONDS = 15
VALUE = 4096


def status_mib(replica, name):
    for line in pathlib.Path(f"/proc/{replica.process.pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) >> 10
    raise AssertionError(f"no {name}")


class Memory(ProcessTest):
    def test_members_at_rest_let_go_of_what_they_read_and_wrote(self):
        cluster = self.enter(Cluster())
        while max(status_mib(one, "VmHWM") for one in cluster.replicas) < BOUND_MIB + BUSY_MIB:
            done = lashctl(cluster.endpoints, "bench", "put", "--clients", "64", "--value", str(VALUE), "--keys", "4096", "--duration",
                           "2s")
            self.assertEqual(done.returncode, 0, done.stderr)
        for replica in cluster.replicas:
            wait_until(lambda one=replica: status_mib(one, "VmRSS") <= BOUND_MIB, REST_SECONDS,
                       f"{replica.name} at rest takes less than {BOUND_MIB} MiB")


if __name__ == "__main__":
    unittest.main(verbosity=2)
