# SPDX-License-Identifier: Apache-2.0
"""lashctl against servers that behave badly, and when it may turn to the next endpoint.

The servers here speak just enough HTTP/2 to misbehave on purpose: they count requests and answer each as they are told.
"""
import socket
import struct
import threading
import unittest

from harness import HOST, ProcessTest, lashctl

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
REFUSED_STREAM = 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(stream, fields, flags=END_HEADERS):
    """A header block of literals without indexing, which needs no compression."""
    block = b"".join(b"\x00" + bytes([len(text)]) + text if i == 0 else bytes([len(text)]) + text
                     for pair in fields for i, text in enumerate(text.encode() for text in pair))
    return frame(HEADERS, flags, stream, block)


def begin(stream):
    return headers(stream, [(":status", "200"), ("content-type", "application/grpc")])


def message(stream, payload=b""):
    return frame(DATA, 0, stream, b"\x00" + struct.pack(">I", len(payload)) + payload)


def end(stream, status, text=""):
    return headers(stream, [("grpc-status", str(status)), ("grpc-message", text)], END_HEADERS | END_STREAM)


# What to do with a request: a function from its stream to the bytes to send; None closes the connection.
def fine(stream):
    return begin(stream) + message(stream) + end(stream, 0)


def refuse(stream):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", REFUSED_STREAM))


def unavailable(stream):
    return begin(stream) + end(stream, 14, "etcdserver: no leader")


def hang_up(_):
    return None


def say_nothing(_):
    return b""


class Server:
    """Accepts connections one after another, and answers every request by `behaviour`."""

    def __init__(self, behaviour):
        self.behaviour = behaviour
        self.requests = 0
        self.listener = socket.create_server((HOST, 0))
        self.endpoint = f"{HOST}:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as reader:
                try:
                    self.serve(connection, reader)
                except OSError:
                    pass

    def serve(self, connection, reader):
        if reader.read(len(PREFACE)) != PREFACE:
            return
        connection.sendall(frame(SETTINGS, 0, 0))
        while head := reader.read(9):
            payload = reader.read(int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
            if kind == SETTINGS and not flags & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                connection.sendall(frame(PING, ACK, 0, payload))
            elif kind == DATA and flags & END_STREAM:
                self.requests += 1
                answer = self.behaviour(stream)
                if answer is None:
                    return
                connection.sendall(answer)


class Endpoints(ProcessTest):
    def run_against(self, behaviours, *arguments):
        servers = [self.enter(Server(behaviour)) for behaviour in behaviours]
        result = lashctl(",".join(server.endpoint for server in servers), *arguments)
        return result, [server.requests for server in servers]

    def test_a_write_that_was_sent_is_never_sent_to_another_endpoint(self):
        for behaviour in (hang_up, unavailable):
            result, requests = self.run_against([behaviour, fine], "put", "a", "1")
            self.assertEqual((result.returncode, result.stdout, requests), (1, "", [1, 0]), result.stderr)

    def test_a_write_that_a_server_refused_to_begin_goes_to_the_next(self):
        result, requests = self.run_against([refuse, fine], "put", "a", "1")
        self.assertEqual((result.returncode, result.stdout, requests), (0, "OK\n", [1, 1]), result.stderr)

    def test_a_read_goes_on_until_some_endpoint_serves(self):
        result, requests = self.run_against([hang_up, unavailable, refuse, fine], "get", "a")
        self.assertEqual((result.returncode, requests), (0, [1, 1, 1, 1]), result.stderr)

    def test_when_none_serves_the_last_reason_is_given(self):
        result, requests = self.run_against([hang_up, unavailable], "get", "a")
        self.assertEqual((result.returncode, result.stderr, requests), (1, "Error: etcdserver: no leader\n", [1, 1]))


class Answers(ProcessTest):
    def check(self, behaviour, error, *flags, verb=("get", "a")):
        server = self.enter(Server(behaviour))
        result = lashctl(server.endpoint, *flags, *verb)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertEqual(result.stderr, f"Error: {error}\n")

    def test_silence_ends_at_the_deadline(self):
        self.check(say_nothing, "context deadline exceeded", "--command-timeout=200ms")

    def test_a_server_that_accepts_and_says_nothing_ends_at_the_dial_timeout(self):
        with socket.create_server((HOST, 0)) as listener:
            endpoint = f"{HOST}:{listener.getsockname()[1]}"
            result = lashctl(endpoint, "--dial-timeout=200ms", "get", "a")
        self.assertEqual((result.returncode, result.stderr),
                         (1, f"Error: cannot connect to {endpoint}: the server does not answer\n"))

    def test_messages_are_percent_decoded(self):
        self.check(lambda stream: begin(stream) + end(stream, 3, "50%25 of%20it%0Z%"),
                   "rpc error: code = InvalidArgument desc = 50% of it%0Z%")

    def test_unknown_codes_are_shown_as_numbers(self):
        self.check(lambda stream: begin(stream) + end(stream, 77, "odd"), "rpc error: code = Code(77) desc = odd")
        self.check(lambda stream: begin(stream) + end(stream, "x", "odd"), "rpc error: code = Unknown desc = odd")

    def test_answers_that_are_no_whole_message_are_refused(self):
        incomplete = "rpc error: code = Internal desc = the server's answer is not a whole gRPC message"
        self.check(lambda stream: begin(stream) + end(stream, 0), incomplete)
        self.check(lambda stream: begin(stream) + frame(DATA, 0, stream, b"\x00\x00\x00\x00\x09abc") + end(stream, 0),
                   incomplete)
        self.check(lambda stream: begin(stream) + frame(DATA, 0, stream, b"\x01\x00\x00\x00\x00") + end(stream, 0),
                   incomplete)
        self.check(lambda stream: begin(stream) + message(stream) + message(stream) + end(stream, 0), incomplete)
        self.check(lambda stream: begin(stream) + message(stream, b"\xff\xff\xff") + end(stream, 0),
                   "rpc error: code = Internal desc = the server's answer cannot be decoded")

    def test_an_answer_without_a_grpc_status_names_the_http_status(self):
        self.check(lambda stream: headers(stream, [(":status", "404")], END_HEADERS | END_STREAM),
                   "the server answered without a gRPC status (HTTP status 404)")

    def test_a_connection_that_breaks_is_named(self):
        server = self.enter(Server(hang_up))
        result = lashctl(server.endpoint, "get", "a")
        self.assertEqual(result.stderr, f"Error: {server.endpoint}: the server closed the connection\n")

    def test_garbage_after_the_settings_ends_the_session(self):
        server = self.enter(Server(lambda _: b"\xff" * 100))
        result = lashctl(server.endpoint, "get", "a")
        self.assertEqual((result.returncode, result.stderr),
                         (1, f"Error: {server.endpoint}: the HTTP/2 session ended\n"))

    def test_going_away_without_having_begun_counts_as_refused(self):
        def go_away(_):
            return frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0))
        first, second = self.enter(Server(go_away)), self.enter(Server(fine))
        result = lashctl(f"{first.endpoint},{second.endpoint}", "put", "a", "1")
        self.assertEqual((result.returncode, result.stdout, second.requests), (0, "OK\n", 1), result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
