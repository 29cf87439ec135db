"""What sound comes to: a transcription by its seconds or its tokens, speech by its characters or its tokens, never
nothing, whatever an upstream tells."""

import io
import sqlite3
import unittest
import wave
from decimal import Decimal

from stage import Stage, wait_for  # first: it says where the others are
import client
from admin import Admin
from test_multipart import form

SECOND, AUDIO_IN, OUTPUT, CHARACTER = 11, 6, 4, 12  # of a receipt's quantities
MP3 = (b"\xff\xfb\x90\x64" + bytes(413)) * 115  # 417 bytes of 26.1 ms each: 3.004 s at 128 kbit/s
TOKENS = {"type": "tokens", "input_tokens": 120, "output_tokens": 30, "total_tokens": 150,
          "input_token_details": {"text_tokens": 20, "audio_tokens": 100}}


def wav(seconds, rate=8000):
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(2 * rate * seconds))
    return file.getvalue()


def told(usage):
    return lambda exchange: exchange.answer(body={"text": "Hello.", **({"usage": usage} if usage else {})})


def subtitles(exchange):
    return exchange.answer(body="1\n00:00 Hi\n", content_type="text/plain; charset=utf-8")


class Sound(unittest.TestCase):
    PRICES = {"by-second": {"second": "0.001"},
              "by-second-and-tokens": {"input": "1000", "output": "1000", "audio_in": "1000", "second": "0.001"},
              "by-second-tokens-free": {"input": "0", "second": "0.001"},
              "by-token": {"input": "1000", "output": "2000", "audio_in": "5000"},
              "by-text-token": {"input": "1000", "output": "2000"},
              "by-call": {"input": "0", "output": "0", "call": "0.01"},
              "by-output": {"output": "1"},
              "voice-by-character": {"character": "1000"},
              "voice-by-token": {"input": "1000", "audio_out": "2000"}}

    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(models={name: f"up/{name}-up" for name in cls.PRICES})
        cls.addClassCleanup(cls.stage.close)
        cls.up = cls.stage.upstream
        cls.admin = Admin(cls.stage.gateway)
        listed = cls.admin.post("/prices", {"name": "sound", "book": "sale", "currency": "USD", "prices": [
            {"model": name, "price": price} for name, price in cls.PRICES.items()]})
        assert listed.status == 201, listed.text

    def setUp(self):
        self.up.clear()
        self.hears(told(None))

    def hears(self, script):
        for path in ("transcriptions", "translations"):
            self.up.add(path, script)

    def customer(self, money):
        account = self.admin.post("/accounts", {"name": "c", "mode": "prepaid", "currency": "USD"}).json()["id"]
        order = self.admin.post("/orders", {"account": account, "amount": money, "currency": "USD"}).json()["id"]
        self.assertEqual(self.admin.post(f"/orders/{order}/pay").status, 200)
        return account, self.admin.post("/keys", {"name": "k", "account": account}).json()["key"]

    def receipt(self, account):
        rows = wait_for(lambda: self.admin.get(f"/ledger/receipts?account={account}").json()["data"],
                        what="the receipt")
        self.assertEqual(len(rows), 1)
        return rows[0]

    def ask(self, key, model, sound, more=(), path="/v1/audio/transcriptions"):
        body, headers = form([("model", model), ("file", sound, "a.wav", "audio/wav"), *more])
        return self.stage.call("POST", path, body, key, headers)

    def heard(self, model, sound, more=(), **ask):
        """(charge, estimated, quantities) of one transcription."""
        account, key = self.customer("100")
        answer = self.ask(key, model, sound, more, **ask)
        self.assertEqual(answer.status, 200, answer.text)
        receipt = self.receipt(account)
        return Decimal(receipt["charge"]), receipt["estimated"], receipt["quantities"]

    def test_nobody_tells_how_long_it_was(self):
        self.hears(subtitles)
        for path in ("/v1/audio/transcriptions", "/v1/audio/translations"):
            for shape in ("srt", "vtt", "text"):
                with self.subTest(path=path, shape=shape):
                    charge, estimated, quantities = self.heard(
                        "by-second", wav(10), [("response_format", shape)], path=path)
                    self.assertEqual((charge, estimated, quantities[SECOND]), (Decimal("0.01"), True, 10))
        self.hears(told(None))
        self.assertEqual(self.heard("by-second", MP3)[:2], (Decimal("0.004"), True))

    def test_what_is_told_counts(self):
        self.hears(told({"type": "duration", "seconds": 12.4}))
        charge, estimated, quantities = self.heard("by-second", wav(10))
        self.assertEqual((charge, estimated, quantities[SECOND]), (Decimal("0.013"), False, 13))

    def test_what_is_told_and_can_not_be_is_no_reason_to_take_all_the_money(self):
        for seconds in (-1, 1e9):
            self.hears(told({"type": "duration", "seconds": seconds}))
            self.assertEqual(self.heard("by-second", wav(10))[:2], (Decimal("0.01"), True))

    def test_what_can_not_be_read_is_estimated_by_its_bytes(self):
        noise = bytes(range(1, 251)) * 640  # 160 kB at 128 kbit/s
        charge, estimated, _ = self.heard("by-second", noise)
        self.assertEqual((charge, estimated), (Decimal("0.01"), True))
        # What follows a format that nobody can name is as long as it is.
        self.assertEqual(self.heard("by-second", b"")[0], Decimal("0.001"))

    def test_a_header_that_lies_makes_nothing_shorter(self):
        short = bytearray(wav(10))
        short[40:44] = (16000).to_bytes(4, "little")  # one second
        self.assertEqual(self.heard("by-second", bytes(short))[0], Decimal("0.01"))
        film = b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\0\0\x74moov\0\0\0\x6cmvhd" + bytes(12) + (1000).to_bytes(4, "big") \
            + (1000).to_bytes(4, "big") + bytes(80) + (2_000_008).to_bytes(4, "big") + b"mdat" + bytes(2_000_000)
        self.assertEqual(self.heard("by-second", film)[0], Decimal("0.011"))  # at 1,536 kbit/s

    def test_money_for_less_than_the_sound_is_refused_before_anybody_is_asked(self):
        for model, sound, enough, short in (
                ("by-second", wav(10), "0.011", "0.0109"),
                # 32 tokens a second of sound and 10 of text at most, beside those of the form.
                ("by-token", wav(10), "2.6", "2.0"),
                # 16 kbit/s at most, where it can't be read.
                ("by-second", bytes(range(1, 251)) * 64, "0.008", "0.0079")):
            with self.subTest(model=model, enough=enough):
                _, key = self.customer(short)
                answer = self.ask(key, model, sound)
                self.assertEqual((answer.status, answer.error["code"]), (402, "insufficient_quota"), answer.text)
                self.assertEqual(self.up.requests, [])
                _, key = self.customer(enough)
                self.assertEqual(self.ask(key, model, sound).status, 200)
                self.up.clear()

    def test_sound_that_the_upstream_fetches_is_held_for_too(self):
        for field in ("url", "file_url"):
            _, key = self.customer("3.6")
            answer = self.ask(key, "by-second", wav(1), [(field, "https://example.org/a.mp3")])
            self.assertEqual((answer.status, answer.error["code"]), (402, "insufficient_quota"), answer.text)
            self.assertEqual(self.heard("by-second", wav(1), [(field, "https://example.org/a.mp3")])[0],
                             Decimal("0.601"))
        body, headers = form([("model", "by-second"), ("file", "https://example.org/a.mp3")])
        _, key = self.customer("1")
        self.assertEqual(self.stage.call("POST", "/v1/audio/transcriptions", body, key, headers).status, 402)

    def test_by_tokens(self):
        # Of sound 10 a second, and 3 of what was said.
        charge, estimated, quantities = self.heard("by-token", wav(10))
        self.assertEqual((charge, estimated), (100 * Decimal("0.005") + 30 * Decimal("0.002"), True))
        self.assertEqual((quantities[AUDIO_IN], quantities[OUTPUT]), (100, 30))
        self.assertEqual(self.heard("by-text-token", wav(10))[0], Decimal("0.16"))
        self.hears(told(TOKENS))
        charge, estimated, _ = self.heard("by-token", wav(1))
        self.assertEqual((charge, estimated), (20 * Decimal("0.001") + 100 * Decimal("0.005")
                                               + 30 * Decimal("0.002"), False))

    def test_what_is_told_in_another_way_than_it_is_sold(self):
        self.hears(told(TOKENS))
        for model in ("by-second", "by-second-tokens-free", "by-second-and-tokens"):
            with self.subTest(model):
                # Once, and by the seconds.
                self.assertEqual(self.heard(model, wav(10))[:2], (Decimal("0.01"), True))
        self.assertEqual(self.heard("by-text-token", wav(1))[:2], (Decimal("0.18"), False))
        self.assertEqual(self.heard("by-call", wav(1))[0], Decimal("0.01"))
        self.hears(told({"type": "duration", "seconds": 20}))
        self.assertEqual(self.heard("by-token", wav(10))[:2],
                         (200 * Decimal("0.005") + 60 * Decimal("0.002"), True))

    def test_a_list_that_lacks_its_price_is_told_so(self):
        _, key = self.customer("100")
        answer = self.ask(key, "by-output", wav(1))
        self.assertEqual((answer.status, answer.error["code"]), (402, "model_unpriced"))
        self.assertIn("has no price for input,", answer.error["message"])
        self.assertEqual(self.up.requests, [])

    def spoken(self, model, text):
        self.up.add(f"{model}-up", lambda exchange: exchange.answer(body=b"sound", content_type="audio/mpeg"))
        account, key = self.customer("100")
        answer = self.stage.call("POST", "/v1/audio/speech", {"model": model, "input": text, "voice": "x"}, key)
        self.assertEqual((answer.status, answer.body), (200, b"sound"), answer.text)
        receipt = self.receipt(account)
        return Decimal(receipt["charge"]), receipt["estimated"], receipt["quantities"]

    def test_speech_is_never_for_nothing(self):
        charge, estimated, quantities = self.spoken("voice-by-character", "0123456789")
        self.assertEqual((charge, estimated, quantities[CHARACTER]), (Decimal("0.01"), False, 10))
        # 1.5 tokens of sound a character, and of text one of four.
        charge, estimated, _ = self.spoken("voice-by-token", "0123456789")
        self.assertEqual((charge, estimated), (15 * Decimal("0.002") + 3 * Decimal("0.001"), True))
        # A list of texts is none to us, and may be one to an upstream.
        self.assertEqual(self.spoken("voice-by-character", ["01234", "56789"])[0], Decimal("0.018"))


class Unmetered(unittest.TestCase):
    def test_what_the_provider_charges_is_counted_by_its_own_prices(self):
        with Stage() as stage:
            admin = Admin(stage.gateway)
            self.assertEqual(admin.post("/prices", {"name": "cost", "book": "purchase", "currency": "USD", "prices": [
                {"provider": "up", "model": "whisper-9", "price": {"second": "0.001"}}]}).status, 201)
            self.assertEqual(admin.post("/prices", {"name": "sale", "book": "sale", "currency": "USD", "prices": [
                {"model": "whisper-9", "price": Sound.PRICES["by-token"]}]}).status, 201)
            # Its report is of what is sold, and not of what it charges for.
            stage.upstream.add("transcriptions", told(TOKENS))
            account = admin.post("/accounts", {"name": "c", "currency": "USD"}).json()["id"]
            key = admin.post("/keys", {"name": "k", "account": account}).json()["key"]
            body, headers = form([("model", "up/whisper-9"), ("file", wav(10), "a.wav", "audio/wav")])
            self.assertEqual(client.call(stage.url, "POST", "/v1/audio/transcriptions", body, key, headers).status, 200)
            rows = wait_for(lambda: admin.get(f"/ledger/receipts?account={account}").json()["data"],
                            what="the receipt")
            self.assertEqual([(row["charge"], row["estimated"]) for row in rows], [("0.58", False)])
            with sqlite3.connect(stage.gateway.state / "switchyard.db", timeout=10) as database:
                costs = database.execute("SELECT amount, estimated FROM costs").fetchall()
            self.assertEqual(costs, [(10_000_000, 1)])


if __name__ == "__main__":
    unittest.main()
