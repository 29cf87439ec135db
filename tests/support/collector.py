"""An OpenTelemetry collector for tests: takes OTLP/HTTP in JSON and refuses whatever is not exactly that.

    with Collector() as collector:
        collector.url                       # the destination's url
        collector.spans, collector.logs     # what came, decoded; metrics in collector.points
        collector.faults                    # what was wrong with it; must stay empty
        collector.answer = lambda path: (503, {"Retry-After": "1"}, {})
"""

import http.server
import json
import re
import socket
import ssl
import threading

# Message -> member -> what it holds, from opentelemetry-proto 1.x; "*" is repeated, "!" is required by the tests.
MESSAGES = {
    "TracesData": {"resourceSpans": "*!ResourceSpans"},
    "ResourceSpans": {"resource": "!Resource", "scopeSpans": "*!ScopeSpans"},
    "ScopeSpans": {"scope": "!Scope", "spans": "*!Span"},
    "Span": {"traceId": "!hex32", "spanId": "!hex16", "parentSpanId": "hex16", "flags": "!uint32",
             "name": "!string", "kind": "!kind", "startTimeUnixNano": "!int64", "endTimeUnixNano": "!int64",
             "attributes": "*KeyValue", "status": "Status"},
    "Status": {"code": "code", "message": "string"},
    "LogsData": {"resourceLogs": "*!ResourceLogs"},
    "ResourceLogs": {"resource": "!Resource", "scopeLogs": "*!ScopeLogs"},
    "ScopeLogs": {"scope": "!Scope", "logRecords": "*!LogRecord"},
    "LogRecord": {"timeUnixNano": "!int64", "observedTimeUnixNano": "!int64", "severityNumber": "!severity",
                  "severityText": "string", "eventName": "!string", "body": "AnyValue", "attributes": "*KeyValue",
                  "flags": "uint32", "traceId": "!hex32", "spanId": "!hex16"},
    "MetricsData": {"resourceMetrics": "*!ResourceMetrics"},
    "ResourceMetrics": {"resource": "!Resource", "scopeMetrics": "*!ScopeMetrics"},
    "ScopeMetrics": {"scope": "!Scope", "metrics": "*!Metric"},
    "Metric": {"name": "!string", "unit": "!string", "description": "string", "sum": "Sum", "histogram": "Histogram"},
    "Sum": {"dataPoints": "*!NumberPoint", "aggregationTemporality": "!delta", "isMonotonic": "bool"},
    "NumberPoint": {"attributes": "*KeyValue", "startTimeUnixNano": "!int64", "timeUnixNano": "!int64",
                    "asInt": "!int64"},
    "Histogram": {"dataPoints": "*!HistogramPoint", "aggregationTemporality": "!delta"},
    "HistogramPoint": {"attributes": "*KeyValue", "startTimeUnixNano": "!int64", "timeUnixNano": "!int64",
                       "count": "!int64", "sum": "!double", "min": "double", "max": "double",
                       "bucketCounts": "*!int64", "explicitBounds": "*!double"},
    "Resource": {"attributes": "*!KeyValue"},
    "Scope": {"name": "!string"},
    "KeyValue": {"key": "!string", "value": "!AnyValue"},
    "AnyValue": {"stringValue": "string", "boolValue": "bool", "intValue": "int64", "doubleValue": "double",
                 "arrayValue": "ArrayValue"},
    "ArrayValue": {"values": "*AnyValue"},
}
PATHS = {"/v1/traces": "TracesData", "/v1/logs": "LogsData", "/v1/metrics": "MetricsData"}


def is_hex(digits):
    # All zeroes is no id.
    return lambda value: (isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{digits}}}", value) is not None
                          and set(value) != {"0"})


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


LEAVES = {
    "string": lambda value: isinstance(value, str) and value != "",
    "bool": lambda value: isinstance(value, bool),
    "double": lambda value: isinstance(value, float) or is_int(value),
    "uint32": lambda value: is_int(value) and 0 <= value < 1 << 32,
    "int64": lambda value: isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value) is not None,
    "hex32": is_hex(32), "hex16": is_hex(16),
    "kind": lambda value: is_int(value) and 1 <= value <= 5,
    "code": lambda value: is_int(value) and 0 <= value <= 2,
    "severity": lambda value: is_int(value) and 1 <= value <= 24,
    "delta": lambda value: value == 1,
}


def check(value, kind, place, faults):
    """Adds what is wrong with `value`, a message or a leaf."""
    if kind in LEAVES:
        if not LEAVES[kind](value):
            faults.append(f"{place}: {value!r} is no {kind}")
        return
    if not isinstance(value, dict):
        faults.append(f"{place}: {value!r} is no {kind}")
        return
    members = MESSAGES[kind]
    faults += [f"{place}: {kind} has no member {name}" for name in value if name not in members]
    for name, form in members.items():
        if name not in value:
            if "!" in form:
                faults.append(f"{place}: {name} is missing")
            continue
        below = form.lstrip("*!")
        if form[0] != "*":
            check(value[name], below, f"{place}.{name}", faults)
        elif not isinstance(value[name], list) or "!" in form and not value[name]:
            faults.append(f"{place}.{name}: {value[name]!r} is no list of {below}")
        else:
            for i, each in enumerate(value[name]):
                check(each, below, f"{place}.{name}[{i}]", faults)
    if kind == "AnyValue" and len(value) != 1:
        faults.append(f"{place}: {value!r} is not one value")
    if kind == "HistogramPoint" and not faults:
        counts = [int(each) for each in value["bucketCounts"]]
        if len(counts) != len(value["explicitBounds"]) + 1 or sum(counts) != int(value["count"]):
            faults.append(f"{place}: its buckets do not add up")


def attributes(message):
    """{"key": value} of what has attributes; a key that is there twice is an error."""
    found = {}
    for each in message.get("attributes", []):
        (form, value), = each["value"].items()
        if each["key"] in found:
            raise AssertionError(f"{each['key']} is there twice")
        found[each["key"]] = int(value) if form == "intValue" else value
    return found


class Collector:
    def __init__(self, pair=None, port=0):
        self.faults, self.bodies, self.headers = [], [], []
        self.spans, self.logs, self.metrics, self.resources = [], [], [], []
        self.answer = None  # path -> (status, headers, body), or None for 200
        self.stuck = threading.Event()  # set: nothing is answered until release
        self._release = threading.Event()
        self.connections = 0
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                collector.connections += 1

            def do_POST(self):
                collector._take(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            address_family = socket.AF_INET

            def handle_error(self, *_):
                pass  # a client that leaves, or refuses our certificate

        self._server = Server(("127.0.0.1", port), Handler)
        scheme = "http"
        if pair is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, handler):
        body = handler.rfile.read(int(handler.headers["content-length"]))
        with self._lock:
            self.headers.append(dict(handler.headers))
        if self.stuck.is_set():
            self._release.wait()
            handler.close_connection = True
            return
        answer = self.answer(handler.path) if self.answer else None
        status, headers, said = answer or (200, {}, {})
        if status == 200:
            with self._lock:
                self._read(handler, body)
        data = json.dumps(said).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(data)

    def _read(self, handler, body):
        kind = PATHS.get(handler.path)
        if kind is None or handler.headers["content-type"] != "application/json":
            self.faults.append(f"{handler.path}: {handler.headers['content-type']}")
            return
        try:
            document = json.loads(body)
        except ValueError as error:
            self.faults.append(f"{handler.path}: {error}")
            return
        faults = []
        check(document, kind, kind, faults)
        self.faults += faults
        self.bodies.append((handler.path, body.decode()))
        if faults:
            return
        (outer, resources), = document.items()
        scopes = outer.replace("resource", "scope")
        items, into = {"scopeSpans": ("spans", self.spans), "scopeLogs": ("logRecords", self.logs),
                       "scopeMetrics": ("metrics", self.metrics)}[scopes]
        for resource in resources:
            self.resources.append(attributes(resource["resource"]))
            for scope in resource[scopes]:
                into += scope[items]

    def total(self, metric):
        """What the points of a delta counter, or the counts of a histogram, add up to."""
        with self._lock:
            points = [point for each in self.metrics if each["name"] == metric
                      for point in (each.get("sum") or each.get("histogram"))["dataPoints"]]
        return sum(int(point.get("asInt") or point.get("count")) for point in points)
