"""Multipart forms of clients that write the names of files in a code page, as some programs on Windows do.

Werkzeug drops the whole form, without an error, when a part's header is not UTF-8. The name of a file is for messages
only, so its unreadable characters are replaced instead. Nor need a file have a name at all, if its part has the media
type of one.
"""

from __future__ import annotations

from typing import IO, Any

from flask import Flask, Request
from werkzeug import formparser
from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

#: Bytes that are read at once.
CHUNK = 64 * 1024


class LenientDecoder(MultipartDecoder):
    """Reads headers of any encoding."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(bytes(data).decode("utf-8", "replace").encode())


class LenientParser(formparser.MultiPartParser):
    """Werkzeug's parser, with LenientDecoder, which it offers no place for."""

    def parse(
        self, stream: IO[bytes], boundary: bytes, content_length: int | None
    ) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Fields and files. Raises ValueError for a body that is no such form, RequestEntityTooLarge."""
        opened: list[IO[bytes]] = []
        try:
            return self._parse(stream, boundary, content_length, opened)
        except BaseException:
            for file in opened:  # none is left open, or on the disk
                file.close()
            raise

    def _parse(
        self, stream: IO[bytes], boundary: bytes, content_length: int | None, opened: list[IO[bytes]]
    ) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        decoder = LenientDecoder(
            boundary, max_form_memory_size=self.max_form_memory_size, max_parts=self.max_form_parts
        )
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        part: Field | File | None = None
        text, file = bytearray(), None
        ended = False
        while not ended:
            chunk = stream.read(CHUNK)
            decoder.receive_data(chunk or None)
            while not isinstance(event := decoder.next_event(), (Epilogue, NeedData)):
                if isinstance(event, Field) and _is_file(event.headers):
                    event = File(event.name, event.name, event.headers)
                if isinstance(event, File):
                    part, file = event, self.start_file_streaming(event, content_length)
                    opened.append(file)
                elif isinstance(event, Field):
                    part, text = event, bytearray()
                elif isinstance(event, Data) and isinstance(part, File) and file is not None:
                    file.write(event.data)
                    if not event.more_data:
                        file.seek(0)
                        files.append((part.name, FileStorage(file, part.filename, part.name, headers=part.headers)))
                elif isinstance(event, Data) and isinstance(part, Field):
                    text += event.data
                    if self.max_form_memory_size is not None and len(text) > self.max_form_memory_size:
                        raise RequestEntityTooLarge
                    if not event.more_data:
                        fields.append((part.name, text.decode(self.get_part_charset(part.headers), "replace")))
            ended = isinstance(event, Epilogue) or not chunk
        return self.cls(fields), self.cls(files)


def _is_file(headers: Headers) -> bool:
    """Whether a part without a file name is a file all the same: some programs name only the type of what they send."""
    return headers.get("Content-Type", "").lower().startswith(("image/", "application/octet-stream"))


class LenientFormParser(formparser.FormDataParser):
    """Forms by LenientParser."""

    def _parse_multipart(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str]
    ) -> Any:
        boundary = options.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("a multipart form without a boundary")
        parser = LenientParser(
            self.stream_factory, self.max_form_memory_size, cls=self.cls, max_form_parts=self.max_form_parts
        )
        return stream, *parser.parse(stream, boundary, content_length)


class LenientRequest(Request):
    """A request whose forms may have such names."""

    form_data_parser_class = LenientFormParser


def init_app(app: Flask) -> None:
    """Read the forms of this app's requests so."""
    app.request_class = LenientRequest
