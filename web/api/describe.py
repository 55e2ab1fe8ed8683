"""The API's OpenAPI description, made from its operations and the models that they name.

Imported at the first request for it: a restart need not wait for pydantic, and no till needs it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from web.api import OPERATIONS
from web.api.components import Components
from web.api.described_answers import answers
from web.api.operation import FILE, Operation, operation_of

#: What a converter of Flask's routes takes.
_PARAMETERS: dict[str, dict[str, Any]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
    "sku": {"type": "string", "minLength": 1, "maxLength": 64},
}
_ABOUT = """\
Tills recognize products by photo; an ERP keeps the catalog.

Every request needs the header `Authorization: Bearer KEY`; what a key may do is in its scopes, and each operation names
the one that it needs. Every answer has the header `X-Request-Id`. What can't be done is answered as a problem
(RFC 9457): let programs decide by its `code`. In forms, a boolean is `true`, `false`, `True`, `False`, `1` or `0`.
Fields that an operation does not know are refused, so that none is ignored by mistake. Answers may get more members:
let programs ignore those that they do not know."""


def description(app: Flask) -> dict[str, Any]:
    """OpenAPI 3.1 of the app's operations below /api/v1, in the order of OPERATIONS: a till's comes first."""
    operations = [(rule, said) for rule in app.url_map.iter_rules() if (said := operation_of(_view(app, rule)))]
    operations.sort(key=lambda operation: _place(_view(app, operation[0])))
    components = Components([said for _, said in operations])
    paths: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for rule, said in operations:
        tag, about = _tag(_view(app, rule))
        tags.setdefault(tag, about)
        path = re.sub(r"<(?:\w+(?:\(.*?\))?:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            described = _described(rule, said, _view(app, rule), components)
            paths.setdefault(path, {})[method.lower()] = {"tags": [tag], **described}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Product catalog",
            "version": "1",
            "summary": "Recognize products by photo, and keep the catalog that they are recognized from.",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The host that this description is of."}],
        "security": [{"key": []}],
        "tags": [{"name": tag, "description": about} for tag, about in tags.items()],
        "paths": paths,
        "components": components.as_dict(),
    }


def _view(app: Flask, rule: Rule) -> Any:
    return app.view_functions[rule.endpoint]


def _place(view: Any) -> int:
    """Where the group of a view stands; views of a test's own are the last."""
    names = [module.__name__ for module in OPERATIONS]
    return names.index(view.__module__) if view.__module__ in names else len(names)


def _tag(view: Any) -> tuple[str, str]:
    """The name and the description of the group that a view is in: its module."""
    module = sys.modules[view.__module__]
    name = module.__name__.rpartition(".")[2].replace("_", " ").capitalize()
    return name, " ".join((module.__doc__ or "").partition("\n\n")[0].split())


def _described(rule: Rule, said: Operation, view: Any, components: Components) -> dict[str, Any]:
    summary, _, rest = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    described: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "summary": " ".join(summary.split()).rstrip("."),
        "description": "\n\n".join(_text(rest or summary, said)),
        "security": [{"key": [said.scope]}],
        "x-scope": said.scope,
        "parameters": [
            *_path_parameters(rule),
            *components.parameters(said.query, "query"),
            *components.parameters(said.headers, "header"),
            {"$ref": "#/components/parameters/RequestId"},
        ],
        "responses": answers(said, components, takes_path="<" in rule.rule),
    }
    if said.deprecated:
        described["deprecated"] = True
    if said.bodies:
        content = {kind: _body(name, components) for kind, name in said.bodies.items()}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _text(rest: str, said: Operation) -> Iterator[str]:
    yield rest
    yield f"Needs a key with the scope `{said.scope}`."
    if said.deprecated:
        ends = f" It ends on {said.sunset.isoformat()}." if said.sunset else ""
        yield f"Deprecated since {said.deprecated.isoformat()}.{ends}"


def _body(name: str, components: Components) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": components.reference(name, "validation")}
    if example := components.example(name):
        body["example"] = example
    if name != FILE and (files := components.files(name)):
        body["encoding"] = {field: {"contentType": "image/*"} for field in files}
    return body


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    found = re.findall(r"<(?:(\w+)(?:\(.*?\))?:)?(\w+)>", rule.rule)
    return [
        {"name": name, "in": "path", "required": True, "schema": {**_PARAMETERS.get(kind, {"type": "string"})}}
        for kind, name in found
    ]
