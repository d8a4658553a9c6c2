"""A small server that speaks S3, on loopback: one bucket, conditional and multi-part puts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from loopback import Answer, Loopback, path_and_query

BUCKET = "bucket"
KEY_ID = "AKIALOOPBACK"
SECRET = "loopbackSECRETaccesskey"  # noqa: S105


@dataclass
class ObjectServer(Loopback):
    """Accepts requests signed with `KEY_ID`; the signature itself is not computed."""

    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    """Keys in the order in which they were written."""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        route, query = path_and_query(path)
        bucket, _, key = unquote(route).lstrip("/").partition("/")
        asked = parse_qs(query, keep_blank_values=True)
        if KEY_ID not in headers.get("authorization", ""):
            return _xml(403, "<Error><Code>AccessDenied</Code></Error>")
        promised = headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        if promised not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
            return _xml(400, "<Error><Code>XAmzContentSHA256Mismatch</Code></Error>")
        if bucket != BUCKET:
            return _xml(404, "<Error><Code>NoSuchBucket</Code></Error>")
        if method in ("GET", "HEAD"):
            return self._get(key, headers.get("range"))
        if method == "POST" and "uploads" in asked:
            name = f"upload-{len(self.uploads)}"
            self.uploads[name] = {}
            return _xml(
                200,
                f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>"
                f"<UploadId>{name}</UploadId></InitiateMultipartUploadResult>",
            )
        if method == "PUT" and "uploadId" in asked:
            self.uploads[asked["uploadId"][0]][int(asked["partNumber"][0])] = body
            return Answer(200, b"", {"ETag": _tag(body)})
        if method == "POST" and "uploadId" in asked:
            parts = self.uploads.pop(asked["uploadId"][0])
            whole = b"".join(parts[number] for number in sorted(parts))
            self._write(key, whole)
            return _xml(
                200,
                f"<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>"
                f"<ETag>{_tag(whole)}</ETag></CompleteMultipartUploadResult>",
            )
        assert method == "PUT", f"{method} {path}"
        return self._put(key, headers, body)

    def _get(self, key: str, expected: str | None) -> Answer:
        if key not in self.objects:
            return _xml(404, "<Error><Code>NoSuchKey</Code></Error>")
        data = self.objects[key]
        answer_headers = {"ETag": _tag(data), "Last-Modified": "Wed, 25 Nov 2026 12:00:00 GMT"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", expected or "")
        if asked is None:
            return Answer(200, data, answer_headers)
        start, end = int(asked[1]), int(asked[2] or len(data) - 1)
        if start >= len(data):
            return _xml(416, "<Error><Code>InvalidRange</Code></Error>")
        part = data[start : end + 1]
        answer_headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        return Answer(206, part, answer_headers)

    def _put(self, key: str, headers: dict[str, str], body: bytes) -> Answer:
        existing = self.objects.get(key)
        if headers.get("if-none-match") == "*" and existing is not None:
            return _xml(412, "<Error><Code>PreconditionFailed</Code></Error>")
        match = headers.get("if-match")
        if match is not None and (
            existing is None or match.strip('"') != _tag(existing).strip('"')
        ):
            return _xml(412, "<Error><Code>PreconditionFailed</Code></Error>")
        self._write(key, body)
        return Answer(200, b"", {"ETag": _tag(body)})

    def _write(self, key: str, body: bytes) -> None:
        self.objects[key] = body
        self.history.append(key)


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'  # noqa: S324


def _xml(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), {"Content-Type": "application/xml"})
