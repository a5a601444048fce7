"""A stand-in for an object store that speaks S3: it verifies each request's signature by itself, keeps objects and uploads in
memory, and has faults on demand."""

import collections
import datetime
import hashlib
import hmac
import http.server
import re
import threading
import urllib.parse

KEY_ID, SECRET, REGION = "AKIDTEST", "se/cr+et=of the tests".replace(" ", "-"), "eu-test-1"


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def fault_of(request, body):
    """Why its signature is none of KEY_ID's; or None. By AWS' description, without a look at the C."""
    given = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request,\s*SignedHeaders=([a-z0-9;-]+),\s*"
                         r"Signature=([0-9a-f]{64})", request.headers.get("Authorization", ""))
    if not given:
        return "AccessDenied"
    key_id, day, region, names, signature = given.groups()
    at = request.headers["x-amz-date"]
    if key_id != KEY_ID or region != REGION:
        return "InvalidAccessKeyId"
    now = datetime.datetime.now(datetime.timezone.utc)
    sent = datetime.datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if not at.startswith(day) or abs((now - sent).total_seconds()) > 900:
        return "RequestTimeTooSkewed"
    if request.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names.split(";")):
        return "AccessDenied"
    url = urllib.parse.urlsplit(request.path)
    pairs = sorted((urllib.parse.quote(name, safe="-_.~"), urllib.parse.quote(value, safe="-_.~"))
                   for name, value in urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    canonical = "\n".join([
        request.command, urllib.parse.quote(urllib.parse.unquote(url.path), safe="/-_.~"), "&".join(f"{n}={v}" for n, v in pairs),
        *(f"{name}:{' '.join(request.headers[name].split())}" for name in names.split(";")), "", names,
        request.headers["x-amz-content-sha256"]])
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = mac(key, part)
    text = "\n".join(["AWS4-HMAC-SHA256", at, f"{day}/{region}/s3/aws4_request", hashlib.sha256(canonical.encode()).hexdigest()])
    return None if hmac.compare_digest(mac(key, text).hex(), signature) else "SignatureDoesNotMatch"


class ObjectStore:
    """objects: {path: bytes}. fail(n, code): the next n requests answer so; code 0: the connection is cut.
    hold: set by a test; requests for parts from that number on wait until it is None."""

    def __init__(self):
        self.objects, self.uploads = {}, {}
        self.requests = []        # (method, path with query, status)
        self.failing = collections.deque()
        self.completing = collections.deque()  # errors in an answer 200
        self.dead_from_part = None
        self.held = threading.Event()
        self.release = threading.Event()
        self.hold_part = None
        store = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                store.answer(self, body)

            do_PUT = do_POST = do_DELETE = do_GET = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/bucket/line"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()

    def fail(self, times, status):
        self.failing.extend([status] * times)

    def settings(self, **more):
        return {"EXPORT_URL": self.url, "EXPORT_REGION": REGION, "EXPORT_ACCESS_KEY_ID": KEY_ID, "EXPORT_SECRET_ACCESS_KEY": SECRET,
                **more}

    def answer(self, request, body):
        status, answer, headers = self.work(request, body)
        self.requests.append((request.command, request.path, status))
        if status == 0:
            request.close_connection = True
            return
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer.encode())

    def work(self, request, body):
        if self.failing:
            status = self.failing.popleft()
            return status, f"<Error><Code>Asked{status}</Code></Error>", {}
        if fault := fault_of(request, body):
            return 403, f"<Error><Code>{fault}</Code></Error>", {}
        url = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if request.command == "PUT" and not query:
            self.objects[url.path] = body
            return 200, "", {"ETag": etag}
        if request.command == "POST" and "uploads" in query:
            id = f"up load/{len(self.uploads)}+"
            self.uploads[id] = {"path": url.path, "parts": {}}
            return 200, f"<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>", {}
        upload = self.uploads.get(query.get("uploadId"))
        if not upload or upload["path"] != url.path:
            return 404, "<Error><Code>NoSuchUpload</Code></Error>", {}
        if request.command == "PUT":
            return self.take_part(upload, int(query["partNumber"]), body, etag)
        if request.command == "DELETE":
            del self.uploads[query["uploadId"]]
            return 204, "", {}
        return self.complete(query["uploadId"], upload, body.decode())

    def take_part(self, upload, number, body, etag):
        if self.hold_part == number:
            self.held.set()
            self.release.wait()
        if self.dead_from_part and number >= self.dead_from_part:
            self.fail(1000, 0)
            return 0, "", {}
        upload["parts"][number] = (etag, body)
        return 200, "", {"ETag": etag}

    def complete(self, id, upload, text):
        if self.completing:
            return 200, f"<Error><Code>{self.completing.popleft()}</Code></Error>", {}
        told = re.findall(r"<Part><PartNumber>(\d+)</PartNumber><ETag>([^<]+)</ETag></Part>", text)
        parts = sorted(upload["parts"].items())
        if [(int(number), etag) for number, etag in told] != [(number, etag) for number, (etag, _) in parts]:
            return 400, "<Error><Code>InvalidPart</Code></Error>", {}
        if any(len(body) < 5 * 1024 * 1024 for _, (_, body) in parts[:-1]):
            return 400, "<Error><Code>EntityTooSmall</Code></Error>", {}
        self.objects[upload["path"]] = b"".join(body for _, (_, body) in parts)
        del self.uploads[id]
        return 200, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>", {}
