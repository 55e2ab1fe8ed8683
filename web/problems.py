"""The problems that a request may be answered: one registry of codes, each stable, with its status and what to do.

The `type` of a problem (RFC 9457) is the path of its page on this host: see problem_pages.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of problem. `means` and `do`: for people. `pages`: only the staff's pages answer it, never the API.

    `passes`: it is over soon, whatever its status.
    """

    status: int
    title: str
    means: str
    do: str
    pages: bool = False
    passes: bool = False

    @property
    def retry(self) -> bool:
        """Whether the same request may be sent again as it is, after the seconds that the answer names."""
        return self.passes or self.status in (429, 503)


_SMALLER = "Send a smaller picture: a till's photo needs no more than 640 by 480."
_LATER = "Repeat the request after `Retry-After` seconds. Tell the operator if it persists."
_OPERATOR = "Tell the operator: it stays so until somebody mends it."

#: Code -> what it is. In the order of their status.
KINDS: Mapping[str, Kind] = {
    "bad_request": Kind(
        400, "Not understood", "The request is no valid HTTP, or its host is none.", "Mend the program."
    ),
    "csrf": Kind(400, "Page too old", "The page was loaded too long ago.", "Load it again and repeat.", pages=True),
    "key_missing": Kind(
        401,
        "No key",
        "The request has no key.",
        "Send the header `Authorization: Bearer KEY`; staff make keys on the page Keys.",
    ),
    "key_unknown": Kind(401, "Wrong key", "The key is unknown, or was revoked.", "Ask the staff for a new key."),
    "key_expired": Kind(
        401,
        "Key expired",
        "The key is past its last day; or its secret was replaced, and the days of the old one are over.",
        "Ask the staff: they give the key more time, or its new secret.",
    ),
    "not_signed_in": Kind(401, "Not signed in", "The session is over.", "Sign in, then send it again.", pages=True),
    "scope_missing": Kind(
        403,
        "This key may not do that",
        "The key has not the scope that this needs: `detail` names both.",
        "Ask the staff for a key with that scope.",
    ),
    "not_allowed": Kind(
        403, "Not allowed", "The role of who is signed in does not include this.", "Ask an admin.", pages=True
    ),
    "not_found": Kind(
        404,
        "Not found",
        "There is no such path, or nothing of that name: `detail` says which.",
        "Check the path, and the SKU or id in it.",
    ),
    "link_gone": Kind(
        404, "Not found", "The link was used, replaced, or is too old.", "Ask for a new one.", pages=True
    ),
    "method_not_allowed": Kind(
        405, "No such method here", "The path has no such method.", "Use one that the header `Allow` names."
    ),
    "request_timeout": Kind(
        408,
        "Too slow",
        "The request came too slowly: header within 10 seconds, body within 25 and a second for each 4 KB.",
        "Send it again over a better connection, or a smaller picture.",
    ),
    "conflict": Kind(
        409,
        "Conflict",
        "Somebody else changed the same thing meanwhile.",
        "Read it again, and repeat the change on what is there now.",
    ),
    "sku_exists": Kind(
        409, "Conflict", "The SKU is in the catalog already.", "Use another SKU, or change the product that is there."
    ),
    "sku_alike": Kind(
        409,
        "Conflict",
        "The SKU differs from one in the catalog in capitals, width, blanks or invisible characters only: `detail` "
        "names that one.",
        "Use that SKU, or one that people can tell from it.",
    ),
    "barcode_taken": Kind(
        409, "Conflict", "Another product has the barcode: `detail` names its SKU.", "Find out whose barcode it is."
    ),
    "idempotency_busy": Kind(
        409,
        "Conflict",
        "A request of the same `Idempotency-Key` is under way.",
        "Repeat the request after `Retry-After` seconds: it is then answered as the first one.",
        passes=True,
    ),
    "feedback_given": Kind(
        409,
        "Conflict",
        "Something else was said of the answer before: `given` is what.",
        "Leave it at that; somebody who knows better corrects it: in the inbox, or by `catalog judge`.",
    ),
    "last_admin": Kind(409, "Conflict", "Nobody could manage people any more.", "Make another admin.", pages=True),
    "form_sent": Kind(409, "Conflict", "What the form makes was made already.", "Go on.", pages=True),
    "cursor_gone": Kind(
        410,
        "Gone",
        "What changed after the cursor is kept no more, or the cursor is of another database.",
        "Ask for the changes after `latest`, keep that cursor, read all products anew, and go on from the cursor.",
    ),
    "precondition_failed": Kind(
        412,
        "Changed meanwhile",
        "The product is no longer as `If-Match` says, or is there although `If-None-Match` says that it is not.",
        "Read it again, and repeat the change on what is there now.",
    ),
    "too_large": Kind(413, "Too large", "A photo has over 25 MB.", _SMALLER),
    "too_many_pixels": Kind(413, "Too large", "A photo has more pixels than its format may have.", _SMALLER),
    "request_entity_too_large": Kind(
        413,
        "Too large",
        "The body, or a field of the form, is over the limit of its path.",
        "Send fewer or smaller photos in one request.",
    ),
    "not_an_image": Kind(
        415,
        "No image",
        "The bytes are no JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF, whatever the file's name says.",
        "Send the photo as a JPEG.",
    ),
    "unsupported_media_type": Kind(
        415,
        "Other media type",
        "The body has a media type that this path does not take, or is compressed by something else than gzip.",
        "Send it with the `Content-Type` that the reference names, and with `Content-Encoding: gzip` or none.",
    ),
    "empty": Kind(422, "Not accepted", "A photo has no bytes.", "Send the photo's bytes."),
    "truncated": Kind(422, "Not accepted", "A photo is damaged or cut short.", "Take or send the photo again."),
    "too_small": Kind(422, "Not accepted", "A side of a photo is below 8 pixels.", "Send a larger photo."),
    "too_complex": Kind(
        422,
        "Not accepted",
        "A photo takes out of all proportion to decode: a JPEG of over 64 scans, tens of thousands of parts, over 5 "
        "seconds.",
        "Save the photo again as a plain JPEG.",
    ),
    "photo_questionable": Kind(
        422,
        "Not accepted",
        "`strict` was sent, and there are warnings about a photo: `photos` lists each with its `warnings`.",
        "Take the photos again, or send them without `strict`.",
    ),
    "invalid_input": Kind(
        422,
        "Not accepted",
        "A field is missing, unknown or invalid: `field` names the first, `errors` all of them.",
        "Correct the fields that are named.",
    ),
    "idempotency_mismatch": Kind(
        422,
        "Not accepted",
        "The `Idempotency-Key` was used for another request.",
        "Take a new key for each request, and the same one only to repeat it.",
    ),
    "too_many_requests": Kind(
        429,
        "Too many requests",
        "The key is over its limit, or somebody tries to sign in too often. The request was not begun.",
        "Repeat it after `Retry-After` seconds.",
    ),
    "request_header_fields_too_large": Kind(431, "Header too large", "The headers have over 256 KB.", "Send less."),
    "internal_server_error": Kind(
        500,
        "Unexpected error",
        "Something went wrong that should not: a fault of the catalog. It is in the log, by the request's id.",
        "Tell the operator `request_id`.",
    ),
    "not_implemented": Kind(
        501, "Not implemented", "A transfer coding other than `chunked`.", "Send the body plainly, or chunked."
    ),
    "overloaded": Kind(
        503,
        "Too busy",
        "More requests came than can be answered in time. This one was not begun.",
        "Repeat it after `Retry-After` seconds.",
    ),
    "database_unavailable": Kind(503, "Not available right now", "The database does not answer.", _LATER),
    "storage_error": Kind(503, "Not available right now", "Photos can't be stored or read: a full disk, say.", _LATER),
    "gallery_unavailable": Kind(503, "Not available right now", "The gallery does not answer.", _LATER),
    "gallery_full": Kind(503, "Not available right now", "The gallery's disk is full.", _LATER),
    "gallery_locked": Kind(503, "Not available right now", "Another process has the embedded gallery open.", _OPERATOR),
    "gallery_mismatch": Kind(
        503, "Not available right now", "The gallery is not that of the model that answers.", _OPERATOR
    ),
    "gallery_refilling": Kind(
        503,
        "Not available right now",
        "The gallery was lost, and is being filled again; until then no photo would be answered reliably.",
        "Repeat the request later: it may take minutes.",
    ),
    "gallery_error": Kind(503, "Not available right now", "The gallery failed.", _LATER),
    "offline_bundle_building": Kind(
        503,
        "Being built",
        "The archive for offline tills is being built, as the catalog has changed.",
        "Repeat the request after `Retry-After` seconds, until it is there.",
    ),
    "bad_configuration": Kind(503, "Not available right now", "The server is misconfigured.", _OPERATOR),
}

#: Names under which an operation may list several codes at once.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "photo_refused": (
        *("empty", "not_an_image", "truncated", "too_small", "too_complex", "too_large", "too_many_pixels"),
    ),
    "gallery_unavailable": tuple(code for code in KINDS if code.startswith("gallery_")),
}
#: What any operation may answer: it needs a key and the database, and the server may have no time for it.
ALWAYS = (
    *("bad_request", "key_missing", "key_unknown", "key_expired", "scope_missing", "request_timeout"),
    *("invalid_input", "request_entity_too_large", "unsupported_media_type", "too_many_requests", "overloaded"),
    "database_unavailable",
)
#: For a status of HTTP that no code stands for.
_OTHER = {4: "bad_request", 5: "internal_server_error"}


def code_of(status: int, name: str) -> str:
    """The code for an error of HTTP by its name ("Not Found"): one of KINDS, for one that is unknown by its status."""
    code = name.lower().replace(" ", "_")
    if code in KINDS:
        return code
    return next(
        (known for known, kind in KINDS.items() if kind.status == status), _OTHER.get(status // 100, "bad_request")
    )


def path_of(code: str) -> str:
    """The `type` of a problem: the path of its page. The same on each host, so programs may compare it."""
    return f"/problems/{code}" if code in KINDS else "about:blank"


def expanded(codes: Iterable[str]) -> list[str]:
    """Codes in the registry's order, groups by their members. Raises KeyError for one that is unknown."""
    found = {code for given in codes for code in GROUPS.get(given, (given,))}
    for code in found:
        KINDS[code]
    return [code for code in KINDS if code in found]
