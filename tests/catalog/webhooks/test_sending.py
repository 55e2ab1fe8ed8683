"""What an address that somebody has typed may reach, and what is shown of its answer."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from catalog.errors import InvalidInputError
from catalog.webhooks import send, sending
from catalog.webhooks.sending import KEPT, checked_url
from tests.support.receivers import Receiver


def test_a_message_arrives_as_it_was_sent(receiver: Receiver) -> None:
    sent = send(receiver.url, {"webhook-id": "m"}, b'{"x":1}', private=True)
    assert (sent.ok, sent.status) == (True, 204)
    (message,) = receiver.came
    assert (message.id, message.body, message.headers["content-type"]) == ("m", b'{"x":1}', "application/json")
    assert message.headers["host"] == receiver.url.split("/")[2]


def test_a_name_is_looked_up_once_and_told_to_the_receiver(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def note(host: str, *rest: object, **more: object):
        asked.append(host)
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", note)
    port = receiver.url.split(":")[2]
    with monkeypatch.context() as only:
        only.setattr(socket, "has_ipv6", False)
        sent = send(f"http://localhost:{port}", {"webhook-id": "m"}, b"", private=True)
    if sent.status is None:
        pytest.skip("localhost is ::1 first on this machine, where the receiver does not listen")
    assert receiver.came[0].headers["host"] == f"localhost:{port.partition('/')[0]}"
    assert [host for host in asked if host == "localhost"] == ["localhost"], "else it might be another address by then"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_private_addresses_need_the_operators_leave(receiver: Receiver, host: str) -> None:
    port = receiver.url.split(":")[2]
    sent = send(f"http://{host}:{port}", {}, b"", private=False)
    assert (sent.ok, sent.status) == (False, None)
    assert receiver.came == []
    assert "CATALOG_WEBHOOK_PRIVATE=on" in sent.said


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fd00::1]"])
def test_networks_that_are_private(host: str) -> None:
    assert "private network" in send(f"http://{host}/", {}, b"", private=False).said


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "224.0.0.1", "0.0.0.0", "255.255.255.255", "[::]"])
def test_what_is_no_server_is_never_reached(host: str) -> None:
    sent = send(f"http://{host}/", {}, b"", private=True)
    assert sent.status is None and "no address of a server" in sent.said


def test_no_redirect_is_followed(receiver: Receiver) -> None:
    receiver.status, receiver.answer_headers = 302, {"Location": f"{receiver.url}/elsewhere"}
    sent = send(receiver.url, {"webhook-id": "m"}, b"", private=True)
    assert (sent.ok, sent.status, len(receiver.came)) == (False, 302, 1)


def test_little_of_an_answer_is_shown(receiver: Receiver) -> None:
    receiver.status, receiver.answer = 500, b"secret\r\n\x00\x1b[31m" + b"x" * 1_000_000
    said = send(receiver.url, {"webhook-id": "m"}, b"", private=True).said
    assert said.startswith("secret") and len(said) <= KEPT and said.isprintable()


def test_what_does_not_answer_is_told(receiver: Receiver) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "refused" in send(f"http://127.0.0.1:{port}/", {}, b"", private=True).said
    assert send("http://nowhere.invalid/", {}, b"", private=True).status is None


def test_a_receiver_may_ask_to_be_left_alone(receiver: Receiver) -> None:
    receiver.status, receiver.answer_headers = 503, {"Retry-After": "120"}
    assert send(receiver.url, {"webhook-id": "m"}, b"", private=True).wait == 120
    receiver.answer_headers = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert send(receiver.url, {"webhook-id": "m"}, b"", private=True).wait == 0


@pytest.mark.parametrize("begins", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["headers", "body"])
def test_one_that_answers_a_byte_at_a_time_is_not_listened_to_for_long(
    begins: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ALL", 1.0)
    listened: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):  # it hangs up
                connection.sendall(begins)
                for number in range(KEPT - 1):
                    listened.append(number)
                    connection.sendall(b"x")
                    time.sleep(0.1)

        thread = threading.Thread(target=dribble)
        thread.start()
        sent = send(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"", private=True)
        thread.join()
    assert len(listened) < KEPT - 1, "it would have been listened to until the end"
    assert (sent.status, sent.ok) == ((200, True) if begins.endswith(b"\n") else (None, False))


def test_https_is_verified_by_the_name_and_not_by_the_address(tmp_path: Path) -> None:
    """A certificate that nobody has signed is refused; the name was asked for all the same."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-keyout", str(key), "-out", str(certificate), "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    named: list[str | None] = []
    context.sni_callback = lambda connection, name, context: named.append(name)  # type: ignore[assignment]
    with socket.create_server(("localhost", 0), family=socket.getaddrinfo("localhost", 0)[0][0]) as server:
        server.settimeout(20)

        def answer() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):  # the client hangs up
                context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=answer)
        thread.start()
        sent = send(f"https://localhost:{server.getsockname()[1]}/", {}, b"", private=True)
        thread.join()
    assert sent.status is None and "certificate" in sent.said.lower()
    assert named == ["localhost"]


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "ftp://a/", "file:///etc/passwd", "http://", "http:///x", "//a/b", "http://u:p@a/", "http://u@a/"),
        *("http://a/#x", "http://a:0/", "http://a:99999/", "http://a b/", "http://ä/", "http://a/\nb", "http://[::1"),
        *("http://a/\x00", "https://" + "a" * 600, "javascript:alert(1)"),
    ],
)
def test_addresses_that_can_not_be(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        checked_url(url)
    assert caught.value.field == "url"


def test_addresses_that_can() -> None:
    for url in ("https://erp.example/hooks?shop=1", "http://10.0.0.4:8080", "http://[fd00::1]:80/x"):
        assert checked_url(f" {url} ") == url
