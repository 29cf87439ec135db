"""TLS on both sides, proxies by CONNECT, names that do not resolve."""

import pathlib
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import unittest
import warnings

from stage import Stage, certificates, provider  # first: it says where the others are
import client
from gateway import wait_for
from upstream import Upstream


class Proxy:
    """A small proxy: CONNECT only. `answers` maps a host to a status that refuses it."""

    def __init__(self, status=200, cut=False):
        self.status, self.cut = status, cut
        self.heads = []
        self.routes = {}  # "host:port" -> ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(4096)
                if not more:
                    return
                head += more
            self.heads.append(head.decode())
            if self.cut:
                return
            if self.status != 200:
                connection.sendall(f"HTTP/1.1 {self.status} No\r\nContent-Length: 5\r\n\r\nsorry"
                                   .encode())
                return
            target = head.split(b" ")[1].decode()
            host, _, port = target.rpartition(":")
            where = self.routes.get(target, (host, int(port)))
            with socket.create_connection(where) as onward:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self._pump, args=(onward, connection), daemon=True)
                back.start()
                self._pump(connection, onward)
                back.join(10)

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def secure(upstream, **more):
    url = f"https://localhost:{upstream.port}/v1"
    return provider(url, tls={"ca_file": certificates().ca}, **more)


class UpstreamTls(unittest.TestCase):
    def test_good_and_bad_certificates(self):
        made = certificates()
        with Upstream(made.good) as good, Upstream(made.expired) as expired, \
                Upstream(made.wrong_name) as wrong, Upstream(made.unknown_ca) as unknown, \
                Upstream() as plain, \
                Stage(providers={
                    "good": secure(good), "expired": secure(expired), "wrong": secure(wrong),
                    "unknown": secure(unknown), "plain": secure(plain),
                    "untrusted": provider(f"https://localhost:{good.port}/v1"),
                    "by-address": provider(f"https://127.0.0.1:{good.port}/v1",
                                           tls={"ca_file": made.ca})}) as stage:
            for name in ("good", "by-address"):
                answer = stage.chat(f"{name}/good", stream=True)
                self.assertEqual(client.text_of(answer.events()), "Hello from the upstream.")
            for name in ("expired", "wrong", "unknown", "plain", "untrusted"):
                with self.subTest(name):
                    answer = stage.chat(f"{name}/good")
                    self.assertEqual((answer.status, answer.error["code"]),
                                     (502, "upstream_unreachable"), answer.text)
                    record = stage.record(answer)
                    self.assertEqual((record["status"], record["error_code"]),
                                     (502, "upstream_unreachable"))
            for upstream in (expired, wrong, unknown, plain):
                self.assertEqual(upstream.requests, [])  # no key was sent to any of them
            said = stage.record(stage.chat("expired/good"))["error_text"]
            self.assertIn("expired", said)

    def test_a_handshake_that_stalls(self):
        silent = socket.create_server(("127.0.0.1", 0))
        with silent, Stage(providers={"silent": provider(
                f"https://localhost:{silent.getsockname()[1]}/v1")}) as stage:
            answer = stage.chat("silent/m")
            self.assertEqual((answer.status, answer.error["code"]), (504, "upstream_timeout"))

    def test_faults_under_tls(self):
        with Upstream(certificates().good) as good, \
                Stage(providers={"good": secure(good)}) as stage:
            for script, code in (("cut-mid-body", "upstream_closed"),
                                 ("stall-mid-body", "upstream_timeout"),
                                 ("bad-chunk-size", "upstream_bad_answer")):
                with self.subTest(script):
                    self.assertEqual(stage.chat(f"good/{script}").error["code"], code)


class Listener(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.files = pathlib.Path(self.directory.name)
        self.install(certificates().good)
        self.trust = ssl.create_default_context(cafile=certificates().ca)

    def tearDown(self):
        self.directory.cleanup()

    def install(self, pair):
        for source, name in ((pair.key, "key.pem"), (pair.certificate, "certificate.pem")):
            fresh = self.files / f"{name}.new"
            shutil.copy(source, fresh)
            fresh.replace(self.files / name)

    def listen(self):
        return [{"address": "127.0.0.1:0",
                 "tls": {"certificate": str(self.files / "certificate.pem"),
                         "key": str(self.files / "key.pem")}}]

    def serial(self, url):
        with client.Connection(url, tls=self.trust) as connection:
            return connection.socket.getpeercert()["serialNumber"]

    def test_https(self):
        with Stage(listen=self.listen()) as stage:
            self.assertTrue(stage.url.startswith("https://"), stage.url)
            for stream in (False, True):
                answer = client.chat(stage.url, "up/good", stage.key, stream, tls=self.trust)
                self.assertEqual((answer.status, answer.clean), (200, True))
            with client.Connection(stage.url, tls=self.trust) as connection:
                self.assertIn(connection.socket.version(), ("TLSv1.2", "TLSv1.3"))
            old = ssl.create_default_context(cafile=certificates().ca)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            with self.assertRaises((ssl.SSLError, ConnectionError, OSError)):
                client.Connection(stage.url, tls=old)
            # Plain HTTP to it is no request.
            with client.Connection(stage.url.replace("https", "http")) as connection:
                connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertNotIn(b"200", connection.receive())
            self.assertEqual(client.call(stage.url, "GET", "/healthz", tls=self.trust).status, 200)

    def test_a_new_certificate_is_taken_up(self):
        with Stage(listen=self.listen()) as stage:
            first = self.serial(stage.url)
            held = client.Connection(stage.url, tls=self.trust)
            self.assertEqual(held.request("GET", "/healthz").status, 200)
            self.install(certificates().renewed)
            stage.gateway.signal(signal.SIGHUP)
            wait_for(lambda: self.serial(stage.url) != first, 15, "the new certificate")
            self.assertEqual(held.request("GET", "/healthz").status, 200)  # it goes on
            held.close()

            # A broken file is refused, and the last good one serves on.
            second = self.serial(stage.url)
            (self.files / "certificate.pem").write_text("-----BEGIN NONSENSE-----\n")
            stage.gateway.signal(signal.SIGHUP)
            wait_for(lambda: "certificate" in stage.gateway.log(), 15, "a word about it in the log")
            self.assertEqual(self.serial(stage.url), second)

    def test_a_changed_file_is_noticed_without_a_signal(self):
        with Stage(listen=self.listen()) as stage:
            first = self.serial(stage.url)
            self.install(certificates().renewed)
            wait_for(lambda: self.serial(stage.url) != first, 30, "the new certificate")


class Proxies(unittest.TestCase):
    def test_a_providers_proxy(self):
        with Proxy() as proxy, Upstream(certificates().good) as good:
            proxy.routes["upstream.invalid:443"] = ("127.0.0.1", good.port)
            # "localhost" is the name in the certificate; the proxy resolves it, the gateway does not.
            proxy.routes["localhost:8443"] = ("127.0.0.1", good.port)
            with Stage(providers={"proxied": provider(
                    "https://localhost:8443/v1", proxy=proxy.url,
                    tls={"ca_file": certificates().ca})}) as stage:
                answer = stage.chat("proxied/good")
                self.assertEqual(answer.status, 200, answer.text)
                self.assertTrue(proxy.heads[0].startswith("CONNECT localhost:8443 HTTP/1.1\r\n"))
                self.assertNotIn("sk-canary", "".join(proxy.heads))
                self.assertEqual(good.requests[0].header("host"), "localhost:8443")

    def test_the_environments_proxy(self):
        with Proxy() as proxy, Upstream(certificates().good) as good:
            proxy.routes["localhost:8443"] = ("127.0.0.1", good.port)
            tls = {"ca_file": certificates().ca}
            with Stage(providers={"proxied": provider("https://localhost:8443/v1", tls=tls),
                                  "direct": provider(f"https://127.0.0.1:{good.port}/v1", tls=tls),
                                  "never": provider(f"https://localhost:{good.port}/v1", tls=tls,
                                                    proxy="none")},
                       env={"HTTPS_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}) as stage:
                self.assertEqual(stage.chat("proxied/good").status, 200)
                self.assertEqual(len(proxy.heads), 1)
                self.assertEqual(stage.chat("direct/good").status, 200)
                self.assertEqual(stage.chat("never/good").status, 200)
                self.assertEqual(len(proxy.heads), 1)
                self.assertEqual(stage.chat("up/good").status, 200)  # http:// is not its business

    def test_a_proxy_with_a_password(self):
        """It comes by the environment: in the configuration it would be a secret in clear, and is refused."""
        with Proxy() as proxy, Upstream(certificates().good) as good:
            proxy.routes["localhost:8443"] = ("127.0.0.1", good.port)
            url = proxy.url.replace("http://", "http://user:pass%20word@")
            target = provider("https://localhost:8443/v1", tls={"ca_file": certificates().ca})
            with Stage(providers={"proxied": target}, env={"HTTPS_PROXY": url}) as stage:
                self.assertEqual(stage.chat("proxied/good").status, 200)
                self.assertIn("Basic dXNlcjpwYXNzIHdvcmQ=", proxy.heads[0])  # user:pass word
            with self.assertRaises(RuntimeError) as caught:
                Stage(providers={"proxied": {**target, "proxy": url}}).close()
            self.assertIn("/providers/proxied/proxy", str(caught.exception))
            self.assertNotIn("pass%20word", str(caught.exception))

    def test_proxies_that_fail(self):
        for name, proxy in (("refuses", Proxy(403)), ("wants a password", Proxy(407)),
                            ("is broken", Proxy(502)), ("cuts", Proxy(cut=True))):
            with self.subTest(name), proxy, Stage(providers={"proxied": provider(
                    "https://localhost:8443/v1", proxy=proxy.url)}) as stage:
                answer = stage.chat("proxied/good")
                self.assertEqual((answer.status, answer.error["code"]),
                                 (502, "upstream_unreachable"), answer.text)

    def test_names_that_do_not_resolve(self):
        with Stage(providers={"nowhere": provider("https://nowhere.invalid/v1")}) as stage:
            answer = stage.chat("nowhere/m")
            self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_unreachable"))
            self.assertIn("nowhere.invalid", stage.record(answer)["error_text"])


if __name__ == "__main__":
    unittest.main()
