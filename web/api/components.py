"""The schemas of a description: each model once, in the form that generators of clients understand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from web.api import described_headers, examples, schemas
from web.api.operation import Operation, is_file

_REFERENCE = "#/components/schemas/{model}"
#: A file, as OpenAPI 3.0 said it: generators know `format`, and few of them the `contentMediaType` of 3.1.
BYTES = {"type": "string", "format": "binary"}


class _Described(GenerateJsonSchema):
    """No titles, which only repeat the names of fields; keys of a mapping that are all of one pattern."""

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        """By `patternProperties` alone, keys of another pattern would be allowed, with any value."""
        described = super().dict_schema(schema)
        for pattern, value in described.pop("patternProperties", {}).items():
            described["propertyNames"] = {**described.get("propertyNames", {}), "pattern": pattern}
            described["additionalProperties"] = value
        return described

    def field_title_should_be_set(self, schema: Any) -> bool:
        """None is set."""
        return False


class Components:
    """The schemas of all models that operations name."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        taken = {name for said in operations for name in said.bodies.values() if not is_file(name)}
        given = {name for said in operations for name in said.answers.values() if name and not is_file(name)}
        wanted: list[Any] = [(getattr(schemas, name), "validation") for name in sorted(taken)]
        wanted += [(getattr(schemas, name), "serialization") for name in sorted(given | {"Problem"})]
        self._references, definitions = models_json_schema(wanted, ref_template=_REFERENCE, schema_generator=_Described)
        self._schemas: dict[str, Any] = definitions["$defs"]

    def as_dict(self) -> dict[str, Any]:
        """The description's `components`."""
        return {
            "schemas": dict(sorted(self._schemas.items())),
            "headers": described_headers.components(),
            "parameters": {
                "RequestId": {
                    "name": "X-Request-Id",
                    "in": "header",
                    "description": "An id of your own for this request (letters, digits, . _ -, at most 64); any other "
                    "text is ignored.",
                    "schema": {"type": "string"},
                }
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key: staff make keys on the page Keys."}
            },
        }

    def reference(self, name: str, mode: JsonSchemaMode) -> dict[str, Any]:
        """A schema that refers to a model by name; that of bytes for a file."""
        return dict(BYTES) if is_file(name) else dict(self._references[getattr(schemas, name), mode])

    def example(self, name: str) -> Any:
        """An example of a model, None if there is none."""
        return None if is_file(name) else examples.EXAMPLES.get(name)

    def files(self, name: str) -> list[str]:
        """The fields of a form that are files."""
        fields: dict[str, Any] = self._schemas[name].get("properties", {})
        return [field for field, schema in fields.items() if BYTES.items() <= schema.get("items", schema).items()]

    def parameters(self, name: str, place: str) -> list[dict[str, Any]]:
        """The fields of a model as parameters in the address, or as headers; their own models become components."""
        if not name:
            return []
        kind: type[BaseModel] = getattr(schemas, name)
        schema = kind.model_json_schema(ref_template=_REFERENCE, schema_generator=_Described)
        self._schemas.update(schema.get("$defs", {}))
        for described in schema["properties"].values():
            if described.get("default") == "":  # generated clients would send it
                del described["default"]
        return [
            {
                "name": field,
                "in": place,
                "required": field in schema.get("required", ()),
                "description": described.pop("description", ""),
                "schema": described,
            }
            for field, described in schema["properties"].items()
        ]
