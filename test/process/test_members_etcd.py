# SPDX-License-Identifier: Apache-2.0
"""A cluster's members change by the same commands: etcdctl on a real etcd, etcdctl on lashd, and lashctl on lashd must print the same.

What differs between any two clusters (ids, ports) is named by whose it is. Where lashd means to differ from the etcd 3.4 at hand, the
step is left out: there an update of a learner makes it a voter by mistake, and a format that does not fit is noticed after the change.
"""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BUILD, ETCD, HOST, Ports, ProcessTest, etcdctl, lashctl, wait_until

SECONDS = 30
MEMBERS = 3


class Group:
    """Up to three members of one program, asked by one client."""

    def __init__(self, program, client):
        self.program, self.client = program, client
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lash-members-"))
        self.ports = Ports(2 * MEMBERS)
        self.processes = {}
        self.names = {}  # of ids

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.ports.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def client_of(self, number):
        return f"{HOST}:{self.ports.numbers[2 * number - 2]}"

    def peer_of(self, number):
        return f"http://{HOST}:{self.ports.numbers[2 * number - 1]}"

    def start(self, number, *known):
        """Start a member that knows itself and `known`."""
        client = f"http://{self.client_of(number)}"
        cluster = ",".join(f"n{one}={self.peer_of(one)}" for one in (number, *known))
        with open(self.directory / f"log{number}", "ab") as log:
            # pylint: disable-next=consider-using-with
            self.processes[number] = subprocess.Popen(
                [self.program, "--name", f"n{number}", "--data-dir", str(self.directory / f"n{number}"),
                 "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls",
                 self.peer_of(number), "--initial-advertise-peer-urls", self.peer_of(number), "--initial-cluster", cluster,
                 "--initial-cluster-state", "existing" if known else "new"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def run(self, command, at=1):
        """Run a command, in which {peer 2} and {id 2} are what they are here."""
        words = [re.sub(r"\{peer (\d)\}", lambda match: self.peer_of(int(match[1])),
                        re.sub(r"\{id (\d)\}", lambda match: self.id_of(int(match[1])), word))
                 for word in re.findall(r"(?:\{[^}]*\}|[^ {])+", command)]
        return self.client(self.client_of(at), *words)

    def listed(self):
        return json.loads(self.run("member list -w json").stdout)["members"]

    def learn(self):
        """Which members have which ids."""
        for member in self.listed():
            for number in range(1, MEMBERS + 1):
                if member["peerURLs"] == [self.peer_of(number)]:
                    self.names[member["ID"]] = f"id {number}"

    def id_of(self, number):
        self.learn()
        return next(format(identifier, "x") for identifier, name in reversed(self.names.items()) if name == f"id {number}")

    def equalised(self, text):
        """The text with ids, ports and their order made equal."""
        try:
            return json.dumps(self.equalised_json(json.loads(text)), sort_keys=True)
        except ValueError:
            pass
        for identifier, name in self.names.items():
            text = re.sub(rf" *\b({identifier:x}|{identifier})\b", f" <{name}>", text)
        for number in range(1, MEMBERS + 1):
            text = text.replace(self.peer_of(number), f"<peer {number}>").replace(self.client_of(number), f"<client {number}>")
        text = re.sub(r"(cluster|\"ClusterID\" :|\"MemberID\" :|\"RaftTerm\" :) +\w+", r"\1 N", text)
        text = re.sub(r'(?<=INITIAL_CLUSTER=").*(?=")', lambda match: ",".join(sorted(match[0].split(","))), text)
        text = re.sub(r"[-+]{3,}| +\|", "|", text)
        text = re.sub(r'("RaftTerm" : N\n)', r"\1\n", text)  # what follows is about the first member
        separator = "\n\n" if '"ID" :' in text else "\n"
        return sorted(part for part in text.split(separator) if part)

    def equalised_json(self, answer):
        answer["header"] = sorted(answer["header"])
        for member in answer.get("members", []) + [answer.get("member", {})]:
            if "ID" in member:
                member["ID"] = self.names.get(member["ID"], "?")
            for urls in "peerURLs", "clientURLs":
                member[urls] = [self.equalised(url) for url in member.get(urls, [])]
        answer.get("members", []).sort(key=lambda member: member["ID"])
        return answer


class MembersAsInEtcd(ProcessTest):
    def setUp(self):
        self.groups = [Group(ETCD, etcdctl), Group(str(BUILD / "lashd"), etcdctl), Group(str(BUILD / "lashd"), lashctl)]
        for group in self.groups:
            self.addCleanup(group.close)
            group.start(1)
        for group in self.groups:
            wait_until(lambda: group.run("put key value").returncode == 0, SECONDS, "no answer")
            wait_until(lambda: group.listed()[0].get("clientURLs"), SECONDS, "not published")

    def same(self, command, at=1, fails=None):
        """The command ends and prints the same everywhere; with `fails`, as an error of this text."""
        seen = []
        for group in self.groups:
            done = group.run(command, at)
            group.learn()
            errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
            seen.append((done.returncode, group.equalised(done.stdout), errors and group.equalised(errors[-1])))
        with self.subTest(command=command, at=at):
            self.assertEqual(seen[1], seen[0], "lashd asked by etcdctl")
            self.assertEqual(seen[2], seen[0], "lashd asked by lashctl")
            if fails:
                self.assertIn(fails, "".join(seen[0][2]))
            else:
                self.assertEqual(seen[0][0], 0, seen[0])

    def at_last(self, command):
        """The command works everywhere, at some time."""
        for group in self.groups:
            wait_until(lambda: group.run(command).returncode == 0, SECONDS, command)

    def start(self, number, *known):
        for group in self.groups:
            group.start(number, *known)
        for group in self.groups:
            wait_until(lambda: len([member for member in group.listed() if member.get("clientURLs")]) == 1 + len(known),
                       SECONDS, f"n{number} is not started")

    def test_arguments_that_are_none(self):
        for command, fails in (
                ("member add", "name not provided"), ("member add x", "peer urls not provided"),
                ("member add x y --peer-urls={peer 2}", "too many arguments"),
                ("member add x http://a:1", "too many arguments, did you mean --peer-urls=http://a:1"),
                ("member add x --peer-urls=foo", "URL scheme must be"),
                ("member add x --peer-urls=http://1.2.3.4", "host:port"),
                ("member add x --peer-urls=http://127.0.0.1:4380/path", "must not contain a path"),
                ("member add x --peer-urls={peer 2},foo", "URL scheme must be"),
                ("member remove", "ID is not provided"), ("member remove a b", "ID is not provided"),
                ("member remove zz", "invalid syntax"), ("member remove 11112222333344445", "value out of range"),
                ("member remove 0x11", "invalid syntax"), ("member promote", "ID is not provided"),
                ("member promote -- -1", "invalid syntax"), ("member update", "ID is not provided"),
                ("member update 1", "peer urls not provided"), ("member update zzz --peer-urls=x", "invalid syntax"),
                ("member update 1 --peer-urls=foo", "URL scheme must be")):
            self.same(command, fails=fails)

    def test_members_come_and_go(self):
        self.same("member list")
        self.same("member remove {id 1}", fails="not enough started members")
        self.same("member remove abc", fails="member not found")
        self.same("member promote {id 1}", fails="can only promote a learner member")
        self.same("member promote abc", fails="member not found")
        self.same("member update abc --peer-urls {peer 2}", fails="member not found")
        self.same("member add n2 --peer-urls {peer 1}", fails="Peer URLs already exists")
        self.same("member add n2 --peer-urls {peer 2} --learner")
        for shape in "simple", "table", "json", "fields":
            self.same(f"member list -w {shape}")
        self.same("member add n3 --peer-urls {peer 3} --learner", fails="too many learner members")
        self.same("member update {id 2} --peer-urls {peer 1}", fails="Peer URLs already exists")
        self.same("member promote {id 2}", fails="in sync with leader")
        self.start(2, 1)
        self.same("member list")
        for command in ("get key", "put key x", "del key", "compaction 1", "member list", "member remove abc",
                        "member promote abc", "member add n3 --peer-urls {peer 3}"):
            self.same(command, at=2, fails="rpc not supported for learner")
        self.same("get key --consistency s", at=2)
        self.at_last("member promote {id 2}")
        self.same("member promote {id 2}", fails="can only promote a learner member")
        self.same("get key", at=2)
        self.same("member update {id 2} --peer-urls {peer 2}")
        self.same("member update {id 2} --peer-urls {peer 2} -w json")
        self.at_last("member add n3 --peer-urls {peer 3}")  # once the connection is five seconds old
        self.same("member list -w json")
        self.same("member add n4 --peer-urls http://127.0.0.1:9", fails="not enough started members")
        self.same("member add n4 --peer-urls http://127.0.0.1:9 --learner", fails="unhealthy cluster")
        self.same("member remove {id 2}", fails="not enough started members")
        self.same("member remove {id 3} -w json")
        self.same("member remove {id 2}")
        self.same("member remove {id 2}", fails="member not found")
        for group in self.groups:
            group.processes[2].wait(timeout=SECONDS)
        self.same("member list")
        self.same("put key again")


if __name__ == "__main__":
    unittest.main(verbosity=2)
