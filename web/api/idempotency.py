"""Requests that may be repeated: the header Idempotency-Key names one, and what it does is done once.

As draft-ietf-httpapi-idempotency-key-header describes it. A key names one request of one API key, for 24 hours; what is
done, and why no crash does it twice: catalog/storage/named_requests.py. An answer that is no success changed nothing,
and is not kept: the same request is tried again.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, wraps
from typing import Any, ParamSpec

from flask import Response, g, request

from catalog.errors import CatalogError, InvalidInputError, RequestBusyError
from catalog.storage import named_requests
from catalog.storage.named_requests import Answer, Known, Named
from web.context import catalog

P = ParamSpec("P")
#: Headers of an answer that are kept with it.
KEPT = ("Content-Type", "ETag", "Location")
#: Bytes of a file that are hashed at once.
CHUNK = 1 << 20
#: Requests that this process is at work at. Another process may be at work at the same one; it is done once anyway.
_IN_HAND: set[tuple[int, str]] = set()
_LOCK = threading.Lock()


def repeatable(again: Callable[..., Response]) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
    """Make a view do once what its request asks, however often that comes with the same Idempotency-Key.

    `again` answers where the change was made and no answer was kept, as after a crash: of what the use case has told
    (see named_requests), and of the view's arguments. Only its own transaction may change something in the view.
    """

    def make(view: Callable[P, Response]) -> Callable[P, Response]:
        @wraps(view)
        def once(*args: P.args, **kwargs: P.kwargs) -> Response:
            name = _name()
            if name is None:
                return view(*args, **kwargs)
            named = Named(g.key_id, name, _fingerprint())
            with _in_hand(named):
                return _once(named, partial(view, *args, **kwargs), partial(again, *args, **kwargs))

        return once

    return make


def _once(named: Named, view: Callable[[], Response], again: Callable[[Mapping[str, Any]], Response]) -> Response:
    database = catalog().database
    known = named_requests.find(database, named)
    if known is None:
        try:
            with named_requests.under_way(named):
                response = view()
        except CatalogError:
            known = named_requests.find(database, named)  # made by another attempt, or by this one in spite of it
            if known is None:
                raise
        else:
            if response.status_code >= 300:
                return response
            known = _finish(named, response)
            # Another attempt may have answered for this one, in the moment between its change and here.
            if known.attempt == named.attempt and known.answer == _answer(response):
                return response
    if known.answer is None:
        known = _finish(replace(named, attempt=known.attempt), again(known.told))
    return _replayed(known)


def _finish(named: Named, response: Response) -> Known:
    return named_requests.finish(catalog().database, named, _answer(response))


def _answer(response: Response) -> Answer:
    headers = {name: response.headers[name] for name in KEPT if name in response.headers}
    return Answer(response.status_code, headers, response.get_data(as_text=True))


def _replayed(known: Known) -> Response:
    if known.answer is None:
        raise RequestBusyError("This request is about to be answered.")
    response = Response(known.answer.body, known.answer.status, dict(known.answer.headers))
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _name() -> str | None:
    """The request's name: a string in quotes, as the draft has it, or without. Raises InvalidInputError."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    quoted = re.fullmatch(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', given.strip())
    name = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else given.strip()
    if not re.fullmatch(r"[ -~]{1,255}", name):
        raise InvalidInputError("Idempotency-Key", "An Idempotency-Key has 1 to 255 ASCII characters, as a UUID does.")
    return name


def _fingerprint() -> str:
    """A hash of what is asked. Of a form, its fields and files: its boundary is another one in each attempt."""
    told = hashlib.sha256()

    def add(*parts: str) -> None:
        for part in parts:
            told.update(f"{len(part)}:{part}".encode(errors="replace"))

    add(request.method, request.path, *(f"{name}={value}" for name, value in sorted(request.args.items(multi=True))))
    if request.mimetype != "multipart/form-data":
        add(request.mimetype)
        told.update(request.get_data())
        return told.hexdigest()
    for name, value in sorted(request.form.items(multi=True)):
        add(name, value)
    for name, file in request.files.items(multi=True):
        content = hashlib.sha256()
        while chunk := file.stream.read(CHUNK):
            content.update(chunk)
        file.stream.seek(0)
        add(name, file.filename or "", content.hexdigest())
    return told.hexdigest()


@contextmanager
def _in_hand(named: Named) -> Iterator[None]:
    """Raises RequestBusyError while this process is at work at the same request."""
    which = (named.key_id, named.name)
    with _LOCK:
        if which in _IN_HAND:
            raise RequestBusyError("A request of this Idempotency-Key is under way: wait for its answer.")
        _IN_HAND.add(which)
    try:
        yield
    finally:
        with _LOCK:
            _IN_HAND.discard(which)
