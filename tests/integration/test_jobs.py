"""Videos: begun at one provider, asked after, fetched and removed there, over restarts, by their own key alone."""

import json
import threading
import unittest

from stage import TIMEOUTS, Stage, fixture_plugins  # first: it says where the others are
import client
from gateway import wait_for
from upstream import Upstream

OTHER_KEY = "sy-other-gateway-0123456789abcdefghijklmnopqrstu"
FILM = bytes(range(256)) * 4000


class Jobs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.up, cls.second = Upstream(), Upstream()
        cls.addClassCleanup(cls.up.close)
        cls.addClassCleanup(cls.second.close)

        def fx(upstream, key):
            return {"plugin": "fixture", "models": ["*"], "base_url": upstream.url, "timeouts": TIMEOUTS,
                    "credentials": [{"key": "${TEST_UPSTREAM_KEY}", "name": "first"},
                                    {"key": "${" + key + "}", "name": "second"}]}
        cls.stage = Stage(
            plugins=fixture_plugins(cls),
            keys=[{"name": "test", "key": "${TEST_GATEWAY_KEY}"}, {"name": "other", "key": "${OTHER}"}],
            env={"OTHER": OTHER_KEY, "SECOND": "canary-second"},
            providers={"fx": fx(cls.up, "SECOND"), "fb": fx(cls.second, "SECOND")},
            models={"film": ["fx/film-1", "fb/film-1"]})
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.up.clear()
        self.second.clear()

    def answers(self, upstream, name, job, status=200):
        def answer(exchange):
            if status != 200:
                return exchange.answer(status, {"error": "no"})
            return exchange.answer(body={"id": "up-7", "job": job})
        upstream.add(name, answer)

    def create(self, body=None, **more):
        return self.stage.call("POST", "/v1/videos", {"model": "film", "prompt": "A cat.", "seconds": "4",
                                                      "size": "720x1280", **(body or {})}, **more)

    def begin(self, job=None):
        self.answers(self.up, "film", job or {"status": "queued"})
        answer = self.create()
        self.assertEqual(answer.status, 200, answer.text)
        return answer.json()

    def get(self, path, method="GET", **more):
        return self.stage.call(method, path, **more)

    def test_a_life(self):
        video = self.begin()
        self.assertEqual({key: video[key] for key in ("object", "status", "model", "progress", "seconds",
                                                      "size", "error")},
                         {"object": "video", "status": "queued", "model": "film", "progress": 0,
                          "seconds": "4", "size": "720x1280", "error": None})
        self.assertRegex(video["id"], "^video_[0-9a-f]{32}$")
        path = f"/v1/videos/{video['id']}"

        self.answers(self.up, "up-7", {"status": "in_progress", "progress": 40})
        self.assertEqual(self.get(path).json() | {"created_at": 0},
                         video | {"status": "in_progress", "progress": 40, "created_at": 0})
        self.assertEqual(self.up.requests[-1].target, "/v1/jobs/up-7")

        self.answers(self.up, "up-7", {"status": "completed", "expires_at": 99999999999})
        done = self.get(path).json()
        self.assertEqual((done["status"], done["progress"], done["seconds"]), ("completed", 100, "4"))
        self.assertGreaterEqual(done["completed_at"], done["created_at"])
        self.up.clear()
        self.assertEqual(self.get(path).json(), done)
        self.assertEqual(self.up.requests, [])  # nothing more happens to it: nobody is asked

        self.up.add("content", lambda exchange: exchange.answer(body=FILM, content_type="video/mp4"))
        film = self.get(path + "/content?variant=video")
        self.assertEqual((film.status, film.header("content-type"), film.clean, film.body),
                         (200, "video/mp4", True, FILM))
        record = self.stage.record(film)
        self.assertEqual((record["status"], record["provider"], record["model_used"]),
                         (200, "fx", "film-1"))

        gone = self.get(path, "DELETE")
        self.assertEqual(gone.json(), {"id": video["id"], "object": "video.deleted", "deleted": True})
        self.assertEqual((self.up.requests[-1].method, self.up.requests[-1].target),
                         ("DELETE", "/v1/jobs/up-7"))
        self.check_missing(path)

    def check_missing(self, path, **more):
        answer = self.get(path, **more)
        self.assertEqual((answer.status, answer.error["code"], answer.error["type"]),
                         (404, "video_not_found", "invalid_request_error"))

    def test_another_key_sees_nothing(self):
        video = self.begin()
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/content")):
            self.check_missing(f"/v1/videos/{video['id']}{path}", method=method, key=OTHER_KEY)
        self.check_missing("/v1/videos/video_unknown")
        listed = self.get("/v1/videos", key=OTHER_KEY).json()
        self.assertEqual(listed, {"object": "list", "data": [], "first_id": None, "last_id": None,
                                  "has_more": False})
        self.assertEqual(self.get("/v1/videos/video_1", key="sy-wrong").status, 401)
        self.assertEqual(len(self.up.requests), 1)

    def test_pages(self):
        ids = [self.begin()["id"] for _ in range(3)]
        page = self.get("/v1/videos?limit=2").json()
        self.assertEqual([video["id"] for video in page["data"]], [ids[2], ids[1]])
        self.assertEqual((page["first_id"], page["last_id"], page["has_more"]), (ids[2], ids[1], True))
        page = self.get(f"/v1/videos?limit=1&after={ids[1]}").json()
        self.assertEqual([video["id"] for video in page["data"]], [ids[0]])
        self.assertEqual(self.get("/v1/videos?limit=0").error["param"], "limit")

    def test_it_outlives_a_restart_and_keeps_its_provider_and_credential(self):
        # The first provider refuses, so the job is the second one's.
        self.answers(self.up, "film", None, 429)
        self.answers(self.second, "film", {"status": "queued"})
        answer = self.create()
        self.assertEqual(answer.status, 200, answer.text)
        path = f"/v1/videos/{answer.json()['id']}"
        key = self.second.requests[0].header("authorization")
        config = json.loads(json.dumps(self.stage.config))
        config["models"]["film"] = "fx/film-1"  # a new job would go elsewhere, and with another key
        config["providers"]["fb"]["credentials"].reverse()
        self.addCleanup(self.restart, self.stage.config)
        self.restart(config)
        self.second.clear()
        self.answers(self.second, "up-7", {"status": "in_progress"})
        self.assertEqual(self.get(path).json()["status"], "in_progress")
        self.assertEqual(self.second.requests[0].header("authorization"), key)
        del config["providers"]["fb"]
        self.restart(config)
        answer = self.get(path)
        self.assertEqual((answer.status, answer.error["code"]), (503, "provider_gone"))

    def restart(self, config):
        gateway = self.stage.gateway
        gateway.stop()
        gateway.write_config(config)
        gateway.start()
        self.stage.url = gateway.url
        gateway.key = self.stage.key

    def test_a_job_is_not_begun_twice(self):
        def accept_and_cut(exchange):
            return exchange.reset()
        self.up.add("film", accept_and_cut)
        self.answers(self.second, "film", {"status": "queued"})
        answer = self.create()
        self.assertEqual((answer.status, answer.error["code"]), (502, "upstream_closed"))
        self.assertEqual((len(self.up.requests), len(self.second.requests)), (1, 0))
        self.answers(self.up, "film", None, 500)
        self.assertEqual(self.create().status, 502)
        self.assertEqual((len(self.up.requests), len(self.second.requests)), (2, 0))

    def test_a_client_that_left_finds_its_job_in_the_list(self):
        asked, go_on = threading.Event(), threading.Event()

        def slow(exchange):
            asked.set()
            go_on.wait(10)
            return exchange.answer(body={"id": "up-7", "job": {"status": "queued", "seconds": "77"}})
        self.up.add("film", slow)
        with client.Connection(self.stage.url) as connection:
            connection.send_request("POST", "/v1/videos", {"model": "film", "prompt": "x"}, self.stage.key,
                                    {"X-Request-Id": "left-a-job"})
            self.assertTrue(asked.wait(10))
        # The gateway has seen it go once the watch on an idle client has had its turn.
        go_on.set()
        wait_for(lambda: any(video.get("seconds") == "77"
                             for video in self.get("/v1/videos").json()["data"]), what="the job")

    def test_a_picture_to_begin_with(self):
        self.answers(self.up, "film", {"status": "queued"})
        body = b"".join(b"--B\r\nContent-Disposition: form-data; name=" + field + b"\r\n" for field in (
            b'"model"\r\n\r\nfilm', b'"prompt"\r\n\r\nA cat.', b'"seconds"\r\n\r\n8',
            b'"input_reference"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG'))
        answer = self.stage.call("POST", "/v1/videos", body + b"--B--\r\n",
                                 headers={"Content-Type": "multipart/form-data; boundary=B"})
        self.assertEqual((answer.status, answer.json().get("seconds")), (200, "8"), answer.text)
        self.assertEqual(self.up.requests[0].json(), {
            "model": "film", "prompt": "A cat.", "seconds": "8", "input_reference": {"$blob": 1}})

    def test_refusals(self):
        self.assertEqual(self.create({"model": "unknown"}).status, 404)
        answer = self.stage.call("POST", "/v1/videos", {"model": "film"})
        self.assertEqual((answer.status, answer.error["param"]), (400, "prompt"))
        answer = self.get("/v1/videos", "PUT")
        self.assertEqual((answer.status, answer.header("allow")), (405, "GET, POST"))
        self.answers(self.up, "film", "no object")
        self.assertEqual(self.create().error["code"], "plugin_error")


if __name__ == "__main__":
    unittest.main()
