"""Content codings (RFC 9110, 8.4): bodies of requests that are compressed by gzip, and answers compressed for who asks.

Written here because Flask-Compress brings Brotli and Zstandard, compiled, and reads no compressed request. What is
secret in an answer is no guess of who asks with a key, so compression tells nobody anything (BREACH).
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO

from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from catalog.errors import InvalidInputError
from web import errors

#: Bytes of an answer from which on it is compressed: less fits into one packet anyway.
LEAST = 1400
#: zlib's: higher levels take longer than what they save takes to send.
LEVEL = 5
GZIP = ("gzip", "x-gzip")


class Unzipped(io.RawIOBase):
    """What a gzip stream holds, decompressed as it is read: never more at once than is asked for.

    Raises RequestEntityTooLarge beyond `most` bytes, InvalidInputError when it is no gzip, or is cut short.
    """

    def __init__(self, compressed: IO[bytes], most: int | None) -> None:
        self._file, self._left = gzip.GzipFile(fileobj=compressed, mode="rb"), most

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into a buffer."""
        try:
            count = self._file.readinto(buffer)
        except (OSError, EOFError, zlib.error) as error:  # BadGzipFile is an OSError
            raise InvalidInputError("body", "The body is no gzip, or it is cut short.") from error
        if self._left is not None:
            self._left -= count
            if self._left < 0:
                raise RequestEntityTooLarge
        return count


def unzip() -> Response | None:
    """Decompress the body as it is read; the limit of the route then counts what comes out."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding in ("identity", ""):
        return None
    if coding not in GZIP:
        detail = f"A body may be compressed by gzip, and not by {coding[:100]!r}."
        refused = errors.problem("unsupported_media_type", detail)
        refused.headers["Accept-Encoding"] = "gzip"
        return refused
    compressed = get_input_stream(request.environ)
    most = request.max_content_length
    if most is not None:
        request.max_content_length = most + 1  # at which Werkzeug would cut it off in silence
    request.environ["wsgi.input"] = Unzipped(compressed, most)
    request.environ["wsgi.input_terminated"] = True  # its end is known without a length
    request.environ.pop("CONTENT_LENGTH", None)
    return None


def zip_answer(response: Response) -> Response:
    """Compress JSON, where it is worth it and the client takes it. What has an ETag stays: that names its bytes."""
    if not response.is_json or response.direct_passthrough or "ETag" in response.headers:
        return response
    response.vary.add("Accept-Encoding")
    data = response.get_data()
    if len(data) >= LEAST and request.accept_encodings["gzip"] > 0 and "Content-Encoding" not in response.headers:
        response.set_data(gzip.compress(data, LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
