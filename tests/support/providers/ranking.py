"""Jina and Voyage: embeddings and rerank."""

from providers.family import Vendor, Wrong, known, need
from stage import UPSTREAM_KEY


class Ranking(Vendor):
    prefix = "/v1"

    def __init__(self):
        self.bodies = []
        super().__init__()
        self.url += self.prefix

    def answer(self, request, handler):
        try:
            need(request.header_values("authorization") == [f"Bearer {UPSTREAM_KEY}"], "no such key")
            body = request.json()
            self.bodies.append(body)
            task = {self.prefix + "/rerank": self.rerank, self.prefix + "/embeddings": self.embed}.get(request.target)
            need(task, f"no such path: {request.target}")
            handler.whole(*task(body))
        except Wrong as wrong:
            self.refused.append(str(wrong))
            handler.whole(400, {"detail": str(wrong)})

    @staticmethod
    def ranked(documents, n):
        """The longest first."""
        order = sorted(range(len(documents)), key=lambda index: -len(documents[index]))
        return [(index, round(1 - 0.1 * place, 2)) for place, index in enumerate(order)][:n]


class Jina(Ranking):
    def rerank(self, body):
        known(body, {"model", "query", "documents", "top_n", "return_documents"}, "body")
        need(body["query"] != "limit", "never here")
        texts = [document if isinstance(document, str) else document["text"] for document in body["documents"]]
        results = [{"index": index, "relevance_score": score,
                    **({"document": {"text": texts[index]}} if body.get("return_documents", True) else {})}
                   for index, score in self.ranked(texts, body.get("top_n"))]
        return 200, {"model": body["model"], "object": "list", "usage": {"total_tokens": 14}, "results": results}

    def embed(self, body):
        known(body, {"model", "input", "embedding_type", "dimensions", "task", "normalized", "truncate"}, "body")
        need(body.get("task") in (None, "retrieval.query", "retrieval.passage"), "task")
        return 200, {"model": body["model"], "object": "list", "usage": {"total_tokens": 3, "prompt_tokens": 3},
                     "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]}


class Voyage(Ranking):
    def rerank(self, body):
        known(body, {"model", "query", "documents", "top_k", "return_documents", "truncation"}, "body")
        need(all(isinstance(document, str) for document in body["documents"]), "documents: strings")
        results = [{"index": index, "relevance_score": score,
                    **({"document": body["documents"][index]} if body.get("return_documents") else {})}
                   for index, score in self.ranked(body["documents"], body.get("top_k"))]
        return 200, {"object": "list", "data": results, "model": body["model"], "usage": {"total_tokens": 14}}

    def embed(self, body):
        known(body, {"model", "input", "encoding_format", "output_dimension", "input_type", "truncation"}, "body")
        need(body.get("encoding_format") in (None, "base64"),
             "Value 'float' provided for argument 'encoding_format' is invalid")
        return 200, {"object": "list", "model": body["model"], "usage": {"total_tokens": 3},
                     "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]}
