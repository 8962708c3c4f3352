# SPDX-License-Identifier: Apache-2.0
"""lashctl against etcdctl: the same commands, each client on a real etcd of its own, must end and print the same.

Only what two clusters cannot have in common is made equal: ids, ports and times. Where lashctl means to differ (errors about
flags are one line, further endpoints are tried at once) a test of its own says how.
"""
import json
import os
import re
import subprocess
import tempfile
import unittest

from harness import BUILD, Etcd, Ports, ProcessTest, etcdctl, lashctl

SESSION = [
    (["put", "a", "1"], None),
    (["put", "a", "2", "--prev-kv"], None),
    (["put", "a", "2", "--prev-kv", "-w", "json"], None),
    (["put", "a", "3", "-w", "fields", "--prev-kv"], None),
    (["put", "a", "3", "-w=json"], None),
    (["put", "a", "3", "-wjson"], None),
    (["put", "a", "3", "--prev-kv=false"], None),
    (["put", "a", "3", "--prev-kv=t"], None),
    (["put"], None),
    (["put", "stdin"], "some\nlines\n"),
    (["put", "stdin"], ""),
    (["put", "stdin", "--ignore-value"], None),
    (["put", "nothing", "--ignore-value"], None),
    (["put", "stdin", "x", "--ignore-value"], None),
    (["put", "nothing", "x", "--ignore-lease"], None),
    (["put", "a", "x", "--lease", "1234"], None),
    (["put", "a", "x", "--lease", "1", "--ignore-lease"], None),
    (["put", "", "x"], None),
    (["put", "--", "-x", "-y"], None),
    (["get", "--", "-x"], None),
    (["put", "quote", "b\x01\"\\ <>&\n\t\u00e9"], None),
    (["get", "quote", "-w", "fields"], None),
    (["get", "quote", "--hex"], None),
    (["--hex", "get", "quote"], None),
    (["get", "quote", "-w", "json"], None),
    (["put", "p/1", "c"], None),
    (["put", "p/2", "a"], None),
    (["put", "p/3", "b"], None),
    (["put", "p/1", "d"], None),
    (["get"], None),
    (["get", "a"], None),
    (["get", ""], None),
    (["get", "nothing"], None),
    (["get", "nothing", "-w", "json"], None),
    (["get", "a", "-w", "json"], None),
    (["get", "a", "-w", "fields"], None),
    (["get", "a", "-w", "table"], None),
    (["get", "a", "-w", "bad"], None),
    (["get", "a", "--keys-only"], None),
    (["get", "a", "--print-value-only"], None),
    (["get", "a", "--print-value-only", "--keys-only"], None),
    (["get", "a", "--print-value-only", "-w", "json"], None),
    (["get", "--prefix", ""], None),
    (["get", "--from-key", ""], None),
    (["get", "--from-key", "p/2"], None),
    (["get", "--prefix", "p/"], None),
    (["get", "p/", "p/3"], None),
    (["get", "--prefix", "p/", "--limit", "2", "-w", "json"], None),
    (["get", "--prefix", "p/", "--limit", "-1"], None),
    (["get", "--prefix", "p/", "--limit", "0x2"], None),
    (["get", "--prefix", "p/", "--order", "DESCEND"], None),
    (["get", "--prefix", "p/", "--order", "descend"], None),
    (["get", "--prefix", "p/", "--order", "x"], None),
    (["get", "--prefix", "p/", "--sort-by", "VALUE"], None),
    (["get", "--prefix", "p/", "--sort-by", "VERSION", "--order", "DESCEND"], None),
    (["get", "--prefix", "p/", "--sort-by", "MODIFY"], None),
    (["get", "--prefix", "p/", "--sort-by", "CREATE", "--order", "ASCEND"], None),
    (["get", "--prefix", "p/", "--sort-by", "x"], None),
    (["get", "--prefix", "p/", "--sort-by", "value", "--keys-only"], None),
    (["get", "a", "--consistency=x"], None),
    (["get", "a", "--consistency=s"], None),
    (["get", "a", "--rev=3", "-w", "json"], None),
    (["get", "a", "--rev=999"], None),
    (["get", "a", "b", "--prefix"], None),
    (["get", "a", "--prefix", "--from-key"], None),
    (["txn"], 'val("a") = "1"\n\nput k v1\n\nput k v2\n\n'),
    (["txn"], 'val("k") = "v2"\nver("k") = "1"\n\nput k v1 --prev-kv\nget k\n\nput k v3\n\n'),
    (["txn", "-w", "json"], '\nput k v1\nget k\ndel nothing\n\n\n'),
    (["txn", "-w", "fields"], '\nput k v1 --prev-kv\nget k\ndel nothing\n\n\n'),
    (["txn", "-w", "table"], '\nget k\n\n\n'),
    (["txn"], 'mod("k") > "0"\ncreate("k") != "1"\nlease("k") = 0\n\nget k\n\n\n'),
    (["txn"], 'm("k") > "0"\nc("k") != "1"\nversion("k") < "99"\nvalue("k") = "v1"\n\nget k\n\nget a\n\n'),
    (["txn"], 'ver("z") = "0"\nval("z") = "\\x00\\x61\\u00e9\\n\\141"\n\nget z\n\nput z 1\n\n'),
    (["txn"], '\nput "a b" "c\\\\nd \\"e\\" \\t"\nget "a b"\n\n\n'),
    (["txn"], '\nget p/ --prefix --limit 2 --order DESCEND --sort-by KEY\nget p/1 --keys-only\n\n\n'),
    (["txn"], '\nput k 1\nput k 2\n\n\n'),
    (["txn"], '\nput k\n\n\n'),
    (["txn"], '\nnope k\n\n\n'),
    (["txn"], '\n\nput k v1\n'),
    (["txn"], ''),
    (["txn"], '\n\n\n'),
    (["txn", "-i"], '\nget k\n\n\n'),
    (["txn", "x"], '\n\n\n'),
    (["txn"], 'mod("k") > "x"\n\n\n\n'),
    (["txn"], 'nope("k") > "0"\n\n\n\n'),
    (["txn"], 'mod k\n\n\n\n'),
    (["del"], None),
    (["del", "nothing"], None),
    (["del", "a", "--prev-kv"], None),
    (["del", "--prefix", "p/", "--prev-kv", "-w", "json"], None),
    (["del", "k", "-w", "fields", "--prev-kv"], None),
    (["del", "a", "b", "--prefix"], None),
    (["del", "a", "--prefix", "--from-key"], None),
    (["del", "q", "--from-key"], None),
    (["compaction"], None),
    (["compaction", "x"], None),
    (["compaction", "9999"], None),
    (["compaction", "3"], None),
    (["compaction", "3"], None),
    (["compaction", "5", "--physical"], None),
    (["get", "a", "--rev", "2"], None),
    (["endpoint", "status"], None),
    (["endpoint", "status", "-w", "table"], None),
    (["endpoint", "status", "-w", "json"], None),
    (["endpoint", "status", "-w", "fields"], None),
    (["endpoint", "status", "--cluster"], None),
    (["endpoint", "health", "-w", "table"], None),
    (["endpoint", "health", "-w", "json"], None),
    (["member", "list"], None),
    (["member", "list", "-w", "table"], None),
    (["member", "list", "-w", "json"], None),
    (["member", "list", "-w", "fields"], None),
]

# Where etcdctl's error names a Go function or quotes what it half parsed, only the beginning need be the same.
BEGINNING_OF_ERROR = {"compaction x": "Error: ", 'mod("k") > "x"': "Error: ", 'nope("k") > "0"': "Error: malformed comparison: nope",
                      "mod k": "Error: malformed comparison: mod k", "lease(": "Error: malformed comparison: lease"}

# Columns of tables change their width with ids and sizes; times and sizes vary from run to run.
EQUAL_MAKERS = [
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b[0-9a-f]{15,16}\b"), "ID"),
    (re.compile(r"\b\d{16,20}\b"), "NUMBER"),
    (re.compile(r"[\d.]+(ms|µs|s)\b"), "TIME"),
    (re.compile(r"\b\d+ [kM]?B\b"), "SIZE"),
    (re.compile(r'("dbSize(InUse)?":|"DBSize" : )\d+'), r"\1SIZE"),
    (re.compile(r"[ ]+"), " "),
    (re.compile(r"-{2,}"), "--"),
]


def comparable(text, tables):
    for pattern, replacement in EQUAL_MAKERS if tables else EQUAL_MAKERS[:-2]:
        text = pattern.sub(replacement, text)
    return text


def errors_of(result):
    """stderr without the log lines that etcdctl's library writes in between."""
    return "".join(line for line in result.stderr.splitlines(keepends=True) if not line.startswith("{"))


class SameAsEtcdctl(ProcessTest):
    def test_a_session_of_both_clients_reads_the_same(self):
        oracles = [self.enter(Etcd()), self.enter(Etcd())]
        for arguments, stdin in SESSION:
            with self.subTest(arguments=arguments, stdin=stdin):
                theirs = etcdctl(oracles[0].endpoints, *arguments, stdin=stdin)
                ours = lashctl(oracles[1].endpoints, *arguments, stdin=stdin)
                tables = "table" in arguments
                self.assertEqual(comparable(ours.stdout, tables), comparable(theirs.stdout, tables))
                text = " ".join(arguments) + " " + (stdin or "")
                beginning = next((b for part, b in BEGINNING_OF_ERROR.items() if part in text), None)
                if beginning and theirs.returncode:
                    self.assertTrue(errors_of(ours).startswith(beginning), errors_of(ours))
                    self.assertTrue(errors_of(theirs).startswith(beginning), errors_of(theirs))
                else:
                    self.assertEqual(comparable(errors_of(ours), False), comparable(errors_of(theirs), False))
                self.assertEqual(ours.returncode, theirs.returncode)


class ByItself(ProcessTest):
    @classmethod
    def setUpClass(cls):
        cls.etcd = Etcd()
        cls.addClassCleanup(cls.etcd.close)
        cls.etcd.__enter__()

    def check(self, arguments, code, stdout=None, stderr=None, stdin=None, endpoints=None):
        result = lashctl(endpoints or self.etcd.endpoints, *arguments, stdin=stdin)
        self.assertEqual(result.returncode, code, result.stderr)
        if stdout is not None:
            self.assertEqual(result.stdout, stdout)
        if stderr is not None:
            self.assertEqual(result.stderr, stderr)
        return result

    def test_flags_may_stand_before_the_verb(self):
        self.check(["-w", "simple", "--command-timeout=3s", "put", "before", "1"], 0, "OK\n")
        self.check(["--hex=false", "--print-value-only", "get", "before"], 0, "1\n")

    def test_the_environment_gives_defaults_and_flags_override_them(self):
        self.check(["put", "env", "1"], 0)
        command = [str(BUILD / "lashctl"), "get", "env"]
        environment = {**os.environ, "LASHCTL_ENDPOINTS": self.etcd.endpoints, "LASHCTL_WRITE_OUT": "json"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        self.assertEqual(json.loads(result.stdout)["count"], 1)
        result = subprocess.run(command + ["-w", "simple"], env=environment, capture_output=True, text=True, check=True)
        self.assertEqual(result.stdout, "env\n1\n")

    def test_wrong_flags_verbs_and_arguments_are_one_clear_line(self):
        self.check(["get", "--nope", "a"], 1, "", "Error: unknown flag: --nope (see 'lashctl get --help')\n")
        self.check(["get", "a", "--rev"], 1, "", "Error: flag needs an argument: --rev\n")
        self.check(["get", "a", "--rev", "x"], 1, "",
                   'Error: invalid argument "x" for "--rev" flag: expected a number\n')
        self.check(["put", "a", "b", "--prev-kv=maybe"], 1, "",
                   'Error: invalid argument "maybe" for "--prev-kv" flag: expected true or false\n')
        self.check(["get", "a", "--command-timeout", "1"], 1, "",
                   'Error: invalid argument "1" for "--command-timeout" flag: expected a time such as 5s or 300ms\n')
        self.check(["nope"], 1, "", "Error: unknown command \"nope\" for \"lashctl\" (see 'lashctl help')\n")
        self.check(["endpoint", "nope"], 1, "",
                   "Error: unknown command \"endpoint nope\" for \"lashctl\" (see 'lashctl help')\n")
        self.check(["put", "a", "b", "c"], 128, "",
                   "Error: put command needs 1 argument and input from stdin or 2 arguments\n")
        self.check(["get", "a", "b", "c"], 128, "",
                   "Error: get command needs one argument as key and an optional argument as range_end\n")
        self.check(["del", "a", "--range"], 128, "", "Error: del command with `--range` needs a key and a range_end\n")
        self.check(["txn"], 3, "", "Error: invalid txn request: put \"k v\n", stdin='\nput "k v\n\n\n')
        self.check(["txn"], 3, "", 'Error: malformed comparison: mod("k") ~ "0" (expected one of = != < >)\n',
                   stdin='mod("k") ~ "0"\n\n\n\n')

    def test_a_format_that_does_not_fit_is_refused_before_anything_is_changed(self):
        refusal = "Error: table not supported as output format\n"
        self.check(["put", "unformatted", "1", "-w", "table"], 4, "", refusal)
        self.check(["txn", "-w", "table"], 4, "", refusal, stdin="\nput unformatted 1\n\n\n")
        self.check(["get", "unformatted", "--count-only"], 0, "0\n")

    def test_help_names_every_option(self):
        for arguments in (["help"], ["--help"], []):
            self.assertIn("compaction", self.check(arguments, 0).stdout)
        self.assertIn("--min-mod-rev", self.check(["help", "get"], 0).stdout)
        self.assertEqual(self.check(["help", "get"], 0).stdout, self.check(["get", "--help"], 0).stdout)
        self.assertIn("--cluster", self.check(["endpoint", "status", "-h"], 0).stdout)
        self.assertIn("endpoint health", self.check(["endpoint"], 0).stdout)
        self.assertIn("lashctl version: ", self.check(["version"], 0).stdout)

    def test_newer_options_of_get_count_and_filter(self):
        for number in range(4):
            self.check(["put", f"count/{number}", "x"], 0)
        self.check(["get", "count/", "--prefix", "--count-only"], 0, "4\n")
        kvs = json.loads(self.check(["get", "count/", "--prefix", "-w", "json"], 0).stdout)["kvs"]
        second, third = kvs[1]["mod_revision"], kvs[2]["mod_revision"]
        self.check(["get", "count/", "--prefix", "--keys-only", f"--min-mod-rev={second}", f"--max-mod-rev={third}"], 0,
                   "count/1\n\ncount/2\n\n")
        self.check(["get", "count/", "--prefix", "--keys-only", f"--min-create-rev={third}"], 0,
                   "count/2\n\ncount/3\n\n")
        self.check(["get", "count/", "--prefix", "--keys-only", f"--max-create-rev={second}"], 0,
                   "count/0\n\ncount/1\n\n")

    def test_the_next_endpoint_serves_when_one_refuses_connections(self):
        dead = f"127.0.0.1:{self.enter(Ports(1))[0]}"
        self.check(["put", "failover", "1"], 0, "OK\n", endpoints=f"{dead},{self.etcd.endpoints}")
        self.check(["get", "failover"], 0, "failover\n1\n", endpoints=f"http://{dead},http://{self.etcd.endpoints}")
        self.check(["get", "a"], 1, "", f"Error: cannot connect to {dead}: Connection refused\n", endpoints=dead)
        result = self.check(["endpoint", "status"], 1, endpoints=f"{dead},{self.etcd.endpoints}")
        self.assertIn(f"Failed to get the status of endpoint {dead}", result.stderr)
        self.assertTrue(result.stdout.startswith(self.etcd.endpoints))
        result = self.check(["endpoint", "health"], 1, endpoints=f"{dead},{self.etcd.endpoints}")
        self.assertIn(f"{dead} is unhealthy", result.stderr)
        self.assertIn(f"{self.etcd.endpoints} is healthy", result.stdout)

    def test_a_server_that_does_not_speak_http2_is_named(self):
        script = ("import http.server; s = http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler);"
                  "print(s.server_port, flush=True); s.serve_forever()")
        with subprocess.Popen(["python3", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as server:
            self.addCleanup(server.kill)
            endpoint = f"127.0.0.1:{server.stdout.readline().strip()}"
            result = lashctl(endpoint, "get", "a")
            server.kill()
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, f"Error: cannot connect to {endpoint}: no HTTP/2 server answers there\n")

    def test_wrong_endpoints_are_named(self):
        for endpoint in ("https://127.0.0.1:1", "127.0.0.1:port", "[::1", "http://127.0.0.1:1/path", ":2379"):
            with self.subTest(endpoint=endpoint):
                result = self.check(["get", "a"], 1, "", endpoints=endpoint)
                self.assertTrue(result.stderr.startswith(f"Error: cannot connect to {endpoint}: "), result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)

    def test_large_values_go_both_ways(self):
        value = "0123456789abcdef" * 64 * 1024
        with tempfile.TemporaryFile("w+") as file:
            file.write(value)
            file.seek(0)
            subprocess.run([str(BUILD / "lashctl"), "--endpoints", self.etcd.endpoints, "put", "large"], stdin=file,
                           capture_output=True, check=True)
        self.check(["get", "large", "--print-value-only"], 0, value + "\n")
        self.check(["put", "large"], 1, "", "Error: etcdserver: request is too large\n", stdin=value + value[:600000])

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([str(BUILD / "lashctl"), "--endpoints", self.etcd.endpoints, "member", "list"],
                                    stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (6, "Error: cannot write the output\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
