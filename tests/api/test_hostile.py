# runner: waits
"""Requests that are not quite HTTP, or more than one at once."""
import re
import socket
import threading
import time

import pytest

GET = "GET /livez HTTP/1.1\r\nHost: localhost\r\n"


def status_of(reply):
    match = re.match(rb"HTTP/1\.[01] (\d{3})", reply)
    return int(match.group(1)) if match else None


def statuses_of(reply):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", reply)]


def put_head(api, *headers):
    lines = ["PUT /api/v1/records/page/smuggled HTTP/1.1", "Host: localhost", "Content-Type: application/json",
             "Authorization: Bearer " + api.token("edit"), *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


SMUGGLED = b"DELETE /api/v1/records/page/victim HTTP/1.1\r\nHost: localhost\r\n\r\n"

FRAMINGS = {
    "length and encoding": (["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "encoding and length": (["Transfer-Encoding: chunked", "Content-Length: 4"], b"0\r\n\r\n"),
    "two lengths": (["Content-Length: 1", "Content-Length: 2"], b"12"),
    "two equal lengths": (["Content-Length: 1", "Content-Length: 1"], b"1"),
    "unknown encoding": (["Transfer-Encoding: xchunked"], b"1\r\n1\r\n0\r\n\r\n"),
    "two encodings": (["Transfer-Encoding: gzip, chunked"], b"1\r\n1\r\n0\r\n\r\n"),
    "two encoding headers": (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"1\r\n1\r\n0\r\n\r\n"),
    "space before the colon": (["Transfer-Encoding : chunked", "Content-Length: 1"], b"1"),
    "a length with a sign": (["Content-Length: +1"], b"1"),
    "a negative length": (["Content-Length: -1"], b"1"),
    "a length in hex": (["Content-Length: 0x1"], b"1"),
    "two lengths in one": (["Content-Length: 1, 1"], b"1"),
    "a huge length": (["Content-Length: 99999999999999999999999"], b"1"),
    "a bad chunk size": (["Transfer-Encoding: chunked"], b"zz\r\n1\r\n0\r\n\r\n"),
    "a huge chunk size": (["Transfer-Encoding: chunked"], b"FFFFFFFFFFFFFFFFFF\r\n1\r\n0\r\n\r\n"),
    "two hosts": (["Host: localhost", "Content-Length: 1"], b"1"),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_doubtful_framing_ends_the_connection(api, name):
    headers, body = FRAMINGS[name]
    reply, closed = api.raw(put_head(api, *headers) + body + SMUGGLED)
    assert closed, reply
    # libmicrohttpd writes the head of its own refusals of a Content-Length twice; what came behind is not answered.
    assert len(set(statuses_of(reply))) <= 1 and len(statuses_of(reply)) <= 2, reply
    assert status_of(reply) in (None, 400, 413, 501), reply
    if "chunk size" not in name:
        assert status_of(reply) is not None
    assert api.call("GET", "/api/v1/records/page/smuggled", scope="read").status == 404


def test_a_folded_header_does_not_hide_another(api):
    reply, closed = api.raw(put_head(api, "X-A: b", " Transfer-Encoding: chunked", "Content-Length: 1", "Connection: close") + b"1")
    assert closed and status_of(reply) in (200, 201, 400)
    if status_of(reply) != 400:
        assert api.call("GET", "/api/v1/records/page/smuggled", scope="read").body == b"1"
        api.call("DELETE", "/api/v1/records/page/smuggled", scope="edit")


@pytest.mark.parametrize("head", [
    "GET /" + "a" * 100_000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
    GET + "X: " + "a" * 100_000 + "\r\n\r\n",
    GET + "".join(f"X{number}: y\r\n" for number in range(10_000)) + "\r\n",
    GET + "Cookie: " + "a=b; " * 20_000 + "\r\n\r\n",
], ids=["target", "one header", "many headers", "cookies"])
def test_large_heads_are_refused(api, head):
    reply, closed = api.raw(head.encode())
    assert closed and status_of(reply) in (400, 413, 414, 431), reply[:200]


@pytest.mark.parametrize("head", [
    "GET /livez HTTP/1.1\r\n\r\n",
    "GET livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET http://localhost.evil.example/livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /livez HTTP/1.1 x\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET /livez HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "GET\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "GET /livez HTTP/1.0\r\n\r\n",
], ids=["no host", "no slash", "other host", "longer host", "star", "more words", "version 9", "only GET", "TLS", "1.0 no host"])
def test_bad_request_lines(api, head):
    reply, closed = api.raw(head.encode("latin-1"))
    assert closed and status_of(reply) in (None, 400, 405, 505), reply


def test_the_absolute_form_of_our_own_address_is_ours(api):
    reply, closed = api.raw(f"GET http://localhost:{api.port}/livez HTTP/1.1\r\nHost: localhost:{api.port}\r\nConnection: close\r\n\r\n".encode())
    assert closed and status_of(reply) == 200


def test_http_1_0(api):
    reply, closed = api.raw(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert closed and status_of(reply) == 200 and reply.endswith(b"ok\n")
    reply, closed = api.raw(b"PUT /api/v1/records/page/x HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n")
    assert closed and status_of(reply) == 400


def test_pipelined_requests_are_answered_in_order(api):
    for number in range(20):
        api.put("piped", str(number), f'"answer {number}"')
    token = api.token("edit")
    head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
    requests = ""
    for number in range(20):
        requests += f"GET /api/v1/records/piped/{number} HTTP/1.1\r\n{head}\r\n"
        requests += (f"PUT /api/v1/records/piped/new{number} HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
                     f"Content-Length: 1\r\n\r\n7")
    requests += f"GET /livez HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
    reply, closed = api.raw(requests.encode())
    assert closed
    assert statuses_of(reply) == [200, 201] * 20 + [200]
    assert re.findall(rb'"answer (\d+)"', reply) == [b"%d" % number for number in range(20)]
    assert re.findall(rb'"id":"new(\d+)"', reply) == [b"%d" % number for number in range(20)]


def test_half_closed_and_reset_peers(api):
    with api.socket() as peer:
        peer.sendall((GET + "\r\n").encode())
        peer.shutdown(socket.SHUT_WR)
        got = b""
        while chunk := peer.recv(4096):
            got += chunk
        assert status_of(got) == 200
    for _ in range(50):
        peer = api.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.sendall(put_head(api, "Content-Length: 1") + b"1")
        peer.close()  # with a reset, while the commit is on its way
    assert api.call("GET", "/livez").status == 200
    api.call("DELETE", "/api/v1/records/page/smuggled", scope="edit")


def test_a_body_that_ends_early_changes_nothing(api):
    with api.socket() as peer:
        peer.sendall(put_head(api, "Content-Length: 100") + b'{"half":')
        peer.shutdown(socket.SHUT_WR)
        peer.recv(4096)
    assert api.call("GET", "/api/v1/records/page/smuggled", scope="read").status == 404


def test_slow_headers_are_not_waited_for(api):
    with api.socket() as peer:
        started = time.monotonic()
        peer.settimeout(1)
        closed = False
        while not closed and time.monotonic() - started < 40:
            try:
                peer.sendall(b"G")
                closed = peer.recv(4096) == b""
            except TimeoutError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                closed = True
        took = time.monotonic() - started
        assert closed and 8 < took < 30, took


def test_idle_connections_do_not_shut_others_out(fresh):
    crowd = []
    try:
        for _ in range(600):
            try:
                crowd.append(fresh.socket())
            except OSError:
                break
        for _ in range(20):
            started = time.monotonic()
            assert fresh.call("GET", "/livez").status == 200
            assert time.monotonic() - started < 5
        assert fresh.local("GET", "/livez").status == 200
    finally:
        for peer in crowd:
            peer.close()


def test_many_at_once_get_their_own_answers(fresh):
    token = fresh.token("edit")
    wrong = []

    def work(worker):
        connection = fresh.connection()
        headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
        for number in range(60):
            text = f'"{worker} {number}"'.encode()
            connection.request("PUT", f"/api/v1/records/crowd/{worker}", text, headers)
            reply = connection.getresponse()
            body = reply.read()
            if reply.status not in (200, 201) or f'"id":"{worker}"'.encode() not in body:
                wrong.append((reply.status, body))
            connection.request("GET", f"/api/v1/records/crowd/{worker}", headers=headers)
            reply = connection.getresponse()
            body = reply.read()
            if reply.status != 200 or body != text:
                wrong.append((text, body))
        connection.close()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(fresh.call("GET", "/api/v1/records/crowd", scope="read").json()) == 24
