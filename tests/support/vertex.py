"""Scripts for upstream.Upstream that play Vertex AI: a token endpoint that checks the assertion of a service account,
and Gemini behind the token that it gives.

    account = vertex.Account(directory)          # makes a key; account.document is the service account's JSON
    vertex.add(upstream, account, "gemini-3.8-flash")
    account.exchanges                            # assertions that were taken

The signature is checked by the openssl command, with nothing of the gateway's.
"""

import base64
import json
import pathlib
import subprocess
import time
import urllib.parse

import vendors

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN = "canary-vertex-token"
PATH = "/v1/projects/p-1/locations/global/publishers/google"


def unpad(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Account:
    EMAIL = "gateway@p-1.iam.gserviceaccount.com"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.exchanges, self.refused = [], []
        key = self.directory / "account.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key],
                       check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", self.directory / "public.pem"],
                       check=True, capture_output=True)
        self.private_key = key.read_text()
        self.document = self.directory / "account.json"
        self.document.write_text(json.dumps({"type": "service_account", "client_email": self.EMAIL,
                                             "private_key": self.private_key}))

    def check(self, request, audience):
        vendors.need(request.header("content-type") == "application/x-www-form-urlencoded", "content type")
        vendors.need(request.header("authorization") is None, "a credential beside the assertion")
        form = dict(urllib.parse.parse_qsl(request.body.decode(), strict_parsing=True))
        vendors.known(form, {"grant_type", "assertion"}, "form")
        vendors.need(form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer", "grant_type")
        head, claims, signature = form["assertion"].split(".")
        vendors.need(json.loads(unpad(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k-1"}, f"header: {unpad(head)}")
        said = json.loads(unpad(claims))
        now = time.time()
        vendors.need(said["iss"] == self.EMAIL and said["scope"] == SCOPE and said["aud"] == audience, f"{said}")
        vendors.need(abs(said["iat"] - now) < 60 and 0 < said["exp"] - said["iat"] <= 3600, f"times: {said}")
        (self.directory / "signature").write_bytes(unpad(signature))
        checked = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.directory / "public.pem", "-signature",
                                  self.directory / "signature"], input=f"{head}.{claims}".encode(),
                                 capture_output=True, check=False)
        vendors.need(checked.returncode == 0, "invalid_grant: Invalid JWT Signature.")
        self.exchanges.append(said)


def add(upstream, account, model):
    audience = upstream.origin + "/token"

    def token(exchange):
        try:
            account.check(exchange.request, audience)
        except (vendors.Wrong, KeyError, ValueError) as error:
            account.refused.append(str(error))
            return exchange.answer(400, {"error": "invalid_grant", "error_description": str(error)})
        return exchange.answer(body={"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})

    def gemini(exchange):
        request = exchange.request
        try:
            vendors.need(request.header("authorization") == f"Bearer {TOKEN}", "Request had invalid credentials.")
            vendors.need(request.header("x-goog-api-key") is None, "two credentials")
            call = request.target.rpartition(":")[2]
            vendors.need(request.target == f"{PATH}/models/{model}:{call}", f"no such path: {request.target}")
            body = vendors.check_gemini_body(json.loads(request.body), vendors.GEMINI_MEMBERS - {"store"})
        except (vendors.Wrong, KeyError, TypeError, ValueError) as error:
            account.refused.append(str(error))
            return exchange.answer(400, {"error": {"code": 400, "message": str(error), "status": "INVALID_ARGUMENT"}})
        return vendors.gemini_answer(exchange, body, model, call.startswith("stream"))

    upstream.add("token", token)
    for call in ("generateContent", "streamGenerateContent"):
        upstream.add(f"{model}:{call}", gemini)
