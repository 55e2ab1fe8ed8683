"""The API's OpenAPI description, made from its operations and the models that they name.

Imported at the first request for it: a restart need not wait for pydantic, and no till needs it.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from web.api import schemas
from web.api.operation import FILE, Operation, operation_of

_REFERENCE = "#/components/schemas/{model}"
_BYTES = {"type": "string", "format": "binary"}
#: What a converter of Flask's routes takes.
_PARAMETERS = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
    "sku": {"type": "string", "minLength": 1, "maxLength": 64},
}
#: Statuses of problems that any operation may answer.
_ALWAYS = (401, 403, 413, 415, 422, 429, 503)


def description(app: Flask) -> dict[str, Any]:
    """OpenAPI 3.1 of the app's operations below /api/v1."""
    rules = [(rule, said) for rule in app.url_map.iter_rules() if (said := operation_of(_view(app, rule)))]
    components = _Components([said for _, said in rules])
    paths: dict[str, Any] = {}
    for rule, said in rules:
        path = re.sub(r"<(?:\w+(?:\(.*?\))?:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _described(rule, said, _view(app, rule), components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Product catalog", "version": "v1"},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _view(app: Flask, rule: Rule) -> Any:
    return app.view_functions[rule.endpoint]


class _Components:
    """The schemas of all models that operations name: each once."""

    def __init__(self, operations: list[Operation]) -> None:
        taken = {name for said in operations for name in said.bodies.values()} - {FILE}
        given = {name for said in operations for name in said.answers.values()} - {FILE, ""} | {"Problem"}
        wanted: list[Any] = [(getattr(schemas, name), "validation") for name in sorted(taken)]
        wanted += [(getattr(schemas, name), "serialization") for name in sorted(given)]
        self._references, definitions = models_json_schema(wanted, ref_template=_REFERENCE)
        self.schemas: dict[str, Any] = definitions["$defs"]

    def reference(self, name: str, mode: Any) -> dict[str, Any]:
        """A schema that refers to a model by name; that of bytes for FILE."""
        return dict(_BYTES) if name == FILE else self._references[getattr(schemas, name), mode]


def _described(rule: Rule, said: Operation, view: Any, components: _Components) -> dict[str, Any]:
    summary, _, rest = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
    parameters = [*_path_parameters(rule), *_parameters(said.query, "query"), *_parameters(said.headers, "header")]
    described: dict[str, Any] = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "summary": summary.rstrip("."),
        "description": rest or summary,
        "parameters": parameters,
        "responses": {str(status): _answer(name, components) for status, name in said.answers.items()},
    }
    problem = {"application/problem+json": {"schema": components.reference("Problem", "serialization")}}
    for status in _ALWAYS:
        described["responses"][str(status)] = {"description": "A problem.", "content": problem}
    if said.bodies:
        content = {kind: {"schema": components.reference(name, "validation")} for kind, name in said.bodies.items()}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(name: str, components: _Components) -> dict[str, Any]:
    if not name:
        return {"description": "Done."}
    kind = "application/octet-stream" if name == FILE else "application/json"
    return {"description": "The answer.", "content": {kind: {"schema": components.reference(name, "serialization")}}}


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    found = re.findall(r"<(?:(\w+)(?:\(.*?\))?:)?(\w+)>", rule.rule)
    return [
        {"name": name, "in": "path", "required": True, "schema": _PARAMETERS.get(kind, {"type": "string"})}
        for kind, name in found
    ]


def _parameters(model: str, place: str) -> list[dict[str, Any]]:
    """The fields of a model as parameters in the address, or as headers."""
    if not model:
        return []
    kind: type[BaseModel] = getattr(schemas, model)
    schema = kind.model_json_schema()
    return [
        {
            "name": name,
            "in": place,
            "required": name in schema.get("required", ()),
            "description": field.pop("description", ""),
            "schema": field,
        }
        for name, field in schema["properties"].items()
    ]
