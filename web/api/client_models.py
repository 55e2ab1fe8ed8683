"""`python -m web.api.client_models FILE`: the answers of `catalog.client` as dataclasses, made from the description.

The client can't import the pydantic models of this package, and would not wait for pydantic.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from web.api.describe import description
from web.api.reference import api_alone

_HEAD = '''"""What the API answers. Made by `python -m web.api.client_models catalog/client/models.py`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal
'''
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def models() -> str:
    """The module's source."""
    described = description(api_alone())
    schemas: Mapping[str, Any] = described["components"]["schemas"]
    answers = [answer for methods in described["paths"].values() for one in methods.values() for answer in _of(one)]
    wanted = _reached(answers, schemas)
    classes = [_dataclass(name, schema) for name, schema in schemas.items() if name in wanted]
    body = "\n".join(line for lines in classes for line in ["", "", *lines])
    head = _HEAD if "Any" in body else _HEAD.replace("Any, ", "")
    head = head if "dataclasses.field(" in body else head.replace("import dataclasses\n", "")
    return f"{head}{body}\n".replace("\n\n\n\n", "\n\n\n")


def _of(operation: Mapping[str, Any]) -> Iterator[Any]:
    for answer in operation["responses"].values():
        for content in answer.get("content", {}).values():
            yield content["schema"]


def _reached(node: Any, schemas: Mapping[str, Any]) -> set[str]:
    """Names of all schemas that a part of the description refers to, at any depth."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            reference = part.get("$ref")
            if isinstance(reference, str) and (name := reference.rpartition("/")[2]) not in found:
                found.add(name)
                waiting.append(schemas[name])
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return found


def _dataclass(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if "properties" not in schema:
        yield f"{name} = {_type(schema)}"
        return
    yield from ("@dataclass(frozen=True, kw_only=True)", f"class {name}:")
    said = " ".join(schema.get("description", name).split())
    if "\n" not in (one := f'    """{said}"""') and len(one) <= 120:
        yield from (one, "")
    else:
        first, *rest = textwrap.wrap(said, 110)
        yield from (f'    """{first}', *(f"    {line}" for line in rest), '    """', "")
    for field, described in schema["properties"].items():
        for line in textwrap.wrap(" ".join(described.get("description", "").split()), 113):
            yield f"    #: {line}"
        kind = _type(described)
        default = "" if field in schema.get("required", ()) else _default(described, kind)
        line = f"    {field}: {kind}{default}"
        yield line if len(line) <= 120 else _broken(line)


def _broken(line: str) -> str:
    """A field that may be one of many values, as ruff writes it: a line for each."""
    before, _, rest = line.partition("Literal[")
    values, _, after = rest.partition("]")
    return "\n".join([f"{before}Literal[", *(f"        {value}," for value in values.split(", ")), f"    ]{after}"])


def _default(schema: Mapping[str, Any], kind: str) -> str:
    if "None" in kind.split(" | "):
        return " = None"
    if kind.startswith("list["):
        return " = dataclasses.field(default_factory=list)"
    if kind.startswith("dict["):
        return " = dataclasses.field(default_factory=dict)"
    return f" = {schema['default']!r}" if "default" in schema else " = None"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema or "oneOf" in schema:
        return " | ".join(dict.fromkeys(_type(one) for one in schema.get("anyOf", schema.get("oneOf"))))
    if "const" in schema:
        return f"Literal[{_quoted(schema['const'])}]"
    if "enum" in schema:
        return f"Literal[{', '.join(_quoted(value) for value in schema['enum'])}]"
    kind = schema.get("type")
    if kind == "array" and "prefixItems" in schema:
        return f"tuple[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"dict[str, {_type(inner) if isinstance(inner, Mapping) else 'Any'}]"
    return _PLAIN.get(str(kind), "Any")


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def main() -> None:
    """Write the module."""
    Path(sys.argv[1]).write_text(models())


if __name__ == "__main__":
    main()
