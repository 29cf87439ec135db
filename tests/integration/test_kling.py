"""Video jobs of Kling behind the gateway: each request signed with a fresh token, a picture uploaded, the video fetched
from where the task says."""

import base64
import json
import unittest

from stage import GATEWAY_KEY, Stage  # first: it says where the others are
import vendors_signed
from gateway import wait_for
from vendors_signed import Kling

BOUNDARY = "boundary-of-the-test"
PICTURE = bytes(range(256)) * 5


def kling_provider(url, access_key=vendors_signed.KLING_ACCESS_KEY):
    return {"plugin": "kling", "base_url": url, "models": ["*"],
            "credentials": [{"key": "${KLING_SECRET}", "parts": {"access_key": access_key}}],
            "timeouts": {"connect": "1s", "first_byte": "2s", "between_bytes": "2s", "total": "10s"}}


def form(fields, picture=None):
    """A multipart body; the picture goes as input_reference."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]
    if picture is not None:
        parts.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="input_reference"; '
                     'filename="a.png"\r\nContent-Type: image/png\r\n\r\n'.encode() + picture + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


class KlingBehindTheGateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kling = Kling()
        cls.addClassCleanup(cls.kling.close)
        cls.apart = Kling(storage=cls.kling)  # its videos lie at another origin
        cls.addClassCleanup(cls.apart.close)
        cls.stage = Stage(providers={"kling": kling_provider(cls.kling.url),
                                     "stranger": kling_provider(cls.kling.url, "AKOTHER"),
                                     "apart": kling_provider(cls.apart.url),
                                     "named": {**kling_provider(cls.apart.url),
                                               "origins": [cls.kling.url]}},
                          env={"KLING_SECRET": vendors_signed.KLING_SECRET_KEY})
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.kling.clear()
        self.apart.clear()

    def create(self, body, **more):
        return self.stage.call("POST", "/v1/videos", body, **more)

    def get(self, video):
        answer = self.stage.call("GET", f"/v1/videos/{video}")
        self.assertEqual(answer.status, 200, (answer.text, self.kling.refused))
        return json.loads(answer.body)

    def wait_for_end(self, video):
        return wait_for(lambda: next((state for state in [self.get(video)]
                                      if state["status"] in ("completed", "failed")), None),
                        what="the end of the job")

    def test_a_video_is_made_and_fetched(self):
        answer = self.create({"model": "kling/kling-v2-6", "prompt": "The kite climbs \u263a",
                              "seconds": "5", "size": "1280x720", "negative_prompt": "rain"})
        self.assertEqual(answer.status, 200, (answer.text, self.kling.refused))
        video = json.loads(answer.body)
        self.assertEqual((video["object"], video["status"]), ("video", "queued"))
        self.assertEqual((video["seconds"], video["size"]), ("5", "1280x720"))
        sent = self.kling.requests[-1]
        self.assertEqual(sent.json(), {"model_name": "kling-v2-6", "prompt": "The kite climbs \u263a",
                                       "negative_prompt": "rain", "duration": "5", "aspect_ratio": "16:9"})
        early = self.stage.call("GET", f"/v1/videos/{video['id']}/content")
        self.assertGreaterEqual(early.status, 400)

        done = self.wait_for_end(video["id"])
        self.assertEqual((done["status"], done["progress"], done["id"]), ("completed", 100, video["id"]))
        content = self.stage.call("GET", f"/v1/videos/{video['id']}/content")
        self.assertEqual((content.status, content.header("content-type")), (200, "video/mp4"), content.text)
        self.assertEqual(content.body, vendors_signed.VIDEO)
        self.assertEqual(self.kling.refused, [])

    def test_a_picture_is_uploaded(self):
        answer = self.create(form({"model": "kling/kling-v2-6", "prompt": "It climbs"}, PICTURE),
                             headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        self.assertEqual(answer.status, 200, (answer.text, self.kling.refused))
        sent = self.kling.requests[-1]
        self.assertEqual(sent.path, "/v1/videos/image2video")
        self.assertEqual(base64.b64decode(sent.json()["image"]), PICTURE)
        self.assertEqual(self.wait_for_end(json.loads(answer.body)["id"])["status"], "completed")

    def test_a_video_elsewhere_is_fetched_from_public_addresses_or_named_origins(self):
        for provider, good in (("named", True), ("apart", False)):
            with self.subTest(provider):
                video = json.loads(self.create({"model": f"{provider}/kling-v2-6", "prompt": "x"}).body)
                self.assertEqual(self.wait_for_end(video["id"])["status"], "completed")
                content = self.stage.call("GET", f"/v1/videos/{video['id']}/content")
                self.assertEqual(content.status == 200, good, content.text[:300])
                self.assertEqual(content.body == vendors_signed.VIDEO, good)
                fetched = [request for request in self.kling.requests if request.path.startswith("/files/")]
                self.assertEqual(len(fetched), 1)
                self.assertNotIn("authorization", fetched[0].headers)

    def test_a_video_that_is_refused_later_fails(self):
        answer = self.create({"model": "kling/kling-v2-6", "prompt": "forbidden"})
        video = json.loads(answer.body)
        done = self.wait_for_end(video["id"])
        self.assertEqual(done["status"], "failed")
        self.assertEqual(done["error"]["message"], "risk control")
        content = self.stage.call("GET", f"/v1/videos/{video['id']}/content")
        self.assertGreaterEqual(content.status, 400)

    def test_refusals_have_their_class(self):
        for prompt, code, final in (("forbidden at once", "content_policy_violation", "client_error"),
                                    ("unpaid", "upstream_quota_exhausted", "upstream_error")):
            with self.subTest(prompt):
                answer = self.create({"model": "kling/kling-v2-6", "prompt": prompt})
                self.assertEqual(answer.error["code"], code, answer.text)
                self.assertEqual(self.stage.record(answer)["final_status"], final)
        answer = self.create({"model": "stranger/kling-v2-6", "prompt": "x"})
        self.assertEqual(answer.error["code"], "upstream_auth", answer.text)
        self.assertEqual(self.kling.refused, ["Authorization is invalid"])

    def test_no_secret_goes_anywhere(self):
        self.create({"model": "kling/kling-v2-6", "prompt": "x"})
        secret = vendors_signed.KLING_SECRET_KEY
        for request in self.kling.requests:
            self.assertNotIn(secret, str(request.headers) + request.body.decode(errors="replace"))
            self.assertNotIn(GATEWAY_KEY, str(request.headers))
        self.assertNotIn(secret, self.stage.gateway.log())


if __name__ == "__main__":
    unittest.main()
