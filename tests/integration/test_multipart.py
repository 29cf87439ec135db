"""Uploads as forms, binary answers, and what is wrong with either, through the openai provider."""

import json
import threading
import unittest

from stage import Stage  # first: it says where the others are
import client
from gateway import wait_for

SOUND = bytes(range(256)) * 40


def form(fields, boundary="b0undary"):
    body = b""
    for name, value, *file in fields:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if file:
            body += f'; filename="{file[0]}"\r\nContent-Type: {file[1]}'.encode()
        body += b"\r\n\r\n" + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {
        "Content-Type": f"multipart/form-data; boundary={boundary}"}


def parse(request):
    """[(name, filename, type, value)] of a form, strictly."""
    kind, _, boundary = request.header("content-type").partition("; boundary=")
    assert kind == "multipart/form-data"
    assert request.header("content-length") == str(len(request.body))
    pieces = request.body.split(f"--{boundary}".encode())
    assert pieces[0] == b"" and pieces[-1] == b"--\r\n"
    found = []
    for piece in pieces[1:-1]:
        head, _, value = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        named = fields["content-disposition"].split("; ")
        assert named[0] == "form-data"
        pairs = dict(item.split("=", 1) for item in named[1:])
        found.append((json.loads(pairs["name"]), pairs.get("filename", "").strip('"') or None,
                      fields.get("content-type"), value.removesuffix(b"\r\n")))
    return found


class Multipart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(models={"hear": "up/whisper-9", "draw": "up/image-9", "say": "up/tts-9"})
        cls.addClassCleanup(cls.stage.close)
        cls.up = cls.stage.upstream

    def setUp(self):
        self.up.clear()

    def post(self, path, fields, **more):
        body, headers = form(fields)
        return self.stage.call("POST", path, body, headers=headers, **more)

    def test_a_transcription(self):
        self.up.add("transcriptions", lambda exchange: exchange.answer(
            body={"text": "Hello.", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45}}))
        answer = self.post("/v1/audio/transcriptions", [
            ("file", SOUND, 'a ".wav'.replace('"', '%22'), "audio/wav"), ("model", "hear"),
            ("temperature", "0.20"), ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"), ("chunking_strategy", "auto")])
        self.assertEqual((answer.status, answer.json()["text"]), (200, "Hello."), answer.text)
        request = self.up.requests[0]
        self.assertEqual((request.method, request.target), ("POST", "/v1/audio/transcriptions"))
        self.assertEqual(parse(request), [
            ("file", "a %22.wav", "audio/wav", SOUND), ("model", None, None, b"whisper-9"),
            ("temperature", None, None, b"0.20"), ("timestamp_granularities[]", None, None, b"word"),
            ("timestamp_granularities[]", None, None, b"segment"),
            ("chunking_strategy", None, None, b"auto")])
        record = self.stage.record(answer)
        self.assertEqual((record["model_used"], record["status"]), ("whisper-9", 200))

    def test_a_large_upload_and_a_text_answer(self):
        self.up.add("translations", lambda exchange: exchange.answer(
            body="1\n00:00 Hi\n", content_type="text/plain; charset=utf-8"))
        sound = SOUND * 300  # parsed on the pool
        answer = self.post("/v1/audio/translations", [
            ("model", "hear"), ("response_format", "srt"), ("file", sound, "a.mp3", "audio/mpeg")])
        self.assertEqual((answer.status, answer.header("content-type"), answer.text),
                         (200, "text/plain; charset=utf-8", "1\n00:00 Hi\n"))
        self.assertEqual(parse(self.up.requests[0])[2][3], sound)

    def test_image_edits_of_several_files(self):
        self.up.add("edits", lambda exchange: exchange.answer(
            body={"created": 1, "data": [{"b64_json": "QUFB"}]}))
        answer = self.post("/v1/images/edits", [
            ("model", "draw"), ("prompt", "A cat."), ("n", "2"), ("image[]", b"\x89PNG1", "1.png", "image/png"),
            ("image[]", b"\x89PNG2", "2.png", "image/png"), ("mask", b"m", "m.png", "image/png")])
        self.assertEqual((answer.status, answer.json()["data"][0]["b64_json"]), (200, "QUFB"), answer.text)
        self.assertEqual([(name, file) for name, file, _, _ in parse(self.up.requests[0])],
                         [("model", None), ("prompt", None), ("n", None), ("image[]", "1.png"),
                          ("image[]", "2.png"), ("mask", "m.png")])

    def test_images_from_text(self):
        self.up.add("image-9", lambda exchange: exchange.answer(body={"created": 1, "data": [{"url": "u"}]}))
        answer = self.stage.call("POST", "/v1/images/generations", {"model": "draw", "prompt": "A cat."})
        self.assertEqual((answer.status, answer.json()["data"]), (200, [{"url": "u"}]), answer.text)
        self.assertEqual(self.up.requests[-1].json(), {"model": "image-9", "prompt": "A cat."})

    def test_pictures_in_pieces(self):
        def pieces(exchange):
            exchange.start_stream()
            exchange.event({"type": "image_generation.partial_image", "b64_json": "QQ=="})
            exchange.event({"type": "image_generation.completed", "b64_json": "QUE="})
            exchange.last_chunk()
            return True
        self.up.add("image-9", pieces)
        answer = self.stage.call("POST", "/v1/images/generations",
                                 {"model": "draw", "prompt": "A cat.", "stream": True})
        self.assertEqual((answer.status, answer.header("content-type"), answer.clean),
                         (200, "text/event-stream", True), answer.text)
        self.assertEqual(answer.text.count("data: "), 2)
        self.assertNotIn("[DONE]", answer.text)

    def say(self, **more):
        return self.stage.call("POST", "/v1/audio/speech",
                               {"model": "say", "input": "Hello", "voice": "alloy"}, **more)

    def test_speech_is_relayed_as_it_comes(self):
        self.up.add("tts-9", lambda exchange: exchange.answer(body=SOUND, content_type="audio/mpeg"))
        answer = self.say()
        self.assertEqual((answer.status, answer.header("content-type"), answer.header("content-length"),
                          answer.body), (200, "audio/mpeg", str(len(SOUND)), SOUND))
        self.assertEqual(self.stage.record(answer)["status"], 200)

        def chunked(exchange):
            exchange.head(200, {"Content-Type": "audio/pcm", "Transfer-Encoding": "chunked"})
            for at in range(0, len(SOUND), 1000):
                piece = SOUND[at:at + 1000]
                exchange.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            exchange.send(b"0\r\n\r\n")
            return True
        self.up.add("tts-9", chunked)
        answer = self.say()
        self.assertEqual((answer.status, answer.header("content-type"), answer.clean, answer.body),
                         (200, "audio/pcm", True, SOUND))

    def test_speech_that_breaks_off_is_seen_to(self):
        for headers in ({"Content-Length": "9000"}, {"Transfer-Encoding": "chunked"}):
            def cut(exchange, headers=headers):
                exchange.head(200, {"Content-Type": "audio/mpeg", **headers})
                exchange.send(b"x" * 100 if "Content-Length" in headers else b"64\r\n" + b"x" * 100 + b"\r\n")
                return False
            self.up.add("tts-9", cut)
            answer = self.say()
            self.assertEqual((answer.status, answer.clean, answer.body), (200, False, b"x" * 100))

    def test_before_the_first_byte_another_target_takes_over(self):
        with Stage(models={"two": ["up/broken", "up/tts-9"]}) as stage:
            stage.upstream.add("broken", lambda exchange: exchange.head(
                200, {"Content-Type": "audio/wav", "Content-Length": "10"}))
            stage.upstream.add("tts-9", lambda exchange: exchange.answer(
                body=SOUND, content_type="audio/mpeg"))
            answer = stage.call("POST", "/v1/audio/speech", {"model": "two", "input": "Hi", "voice": "x"})
            self.assertEqual((answer.status, answer.header("content-type"), answer.body),
                             (200, "audio/mpeg", SOUND))

    def test_a_slow_listener_holds_the_upstream_back(self):
        flood = 64 * 1024 * 1024

        def speak(exchange):
            exchange.head(200, {"Content-Type": "audio/pcm", "Content-Length": str(flood)})
            for _ in range(flood // 65536):
                exchange.send(b"s" * 65536)
        self.up.add("tts-9", speak)
        with client.Connection(self.stage.url, receive_buffer=16384) as connection:
            connection.send_request("POST", "/v1/audio/speech",
                                    {"model": "say", "input": "Hello", "voice": "alloy"}, self.stage.key)
            wait_for(lambda: self.up.requests, what="the request")
            request = self.up.requests[0]
            wait_for(lambda: request.sent > 0, what="the first bytes")
            threading.Event().wait(0.5)
            self.assertLess(request.sent, flood // 2)
        wait_for(lambda: request.left.is_set() or request.done.is_set(), what="the upstream's end")

    def test_errors_of_the_upstream_pass(self):
        self.up.add("tts-9", lambda exchange: exchange.answer(400, {"error": {
            "message": "Unknown voice.", "type": "invalid_request_error", "param": "voice",
            "code": "invalid_value"}}))
        answer = self.say()
        self.assertEqual((answer.status, answer.error["param"]), (400, "voice"))

    def test_bad_forms(self):
        good, headers = form([("model", "hear"), ("file", SOUND, "a.wav", "audio/wav")])
        for body, content_type, status, words in (
                (good[:-10], headers["Content-Type"], 400, "part 2: it does not end"),
                (good, "multipart/form-data", 400, "names no boundary"),
                (b"{}", "multipart/form-data; boundary=b", 400, "does not begin with its boundary"),
                (b"{}", "application/json", 415, "multipart/form-data"),
                (form([("model", "hear"), ("model", "hear"), ("file", b"", "a", "b")])[0],
                 headers["Content-Type"], 400, "'model' occurs more than once"),
                (form([("model", "hear")])[0], headers["Content-Type"], 400, "'file'"),
                (form([("file", SOUND, "a.wav", "audio/wav")])[0], headers["Content-Type"], 400, "'model'"),
                (form([("model", b"\xff\xfe"), ("file", b"", "a", "b")])[0],
                 headers["Content-Type"], 400, "part 1 is not UTF-8")):
            with self.subTest(words):
                answer = self.stage.call("POST", "/v1/audio/transcriptions", body,
                                         headers={"Content-Type": content_type})
                self.assertEqual(answer.status, status, answer.text)
                self.assertIn(words, answer.error["message"])
        self.assertEqual(self.up.requests, [])

    def test_a_dialect_that_has_no_sound(self):
        with Stage(providers={"ds": {"plugin": "openai", "dialect": "deepseek", "models": ["*"],
                                     "base_url": self.up.url, "credentials": [{"key": "${TEST_UPSTREAM_KEY}"}]}}
                   ) as stage:
            answer = stage.call("POST", "/v1/audio/speech", {"model": "ds/x", "input": "Hi", "voice": "x"})
            self.assertEqual((answer.status, answer.error["code"]), (400, "not_offered"))


if __name__ == "__main__":
    unittest.main()
