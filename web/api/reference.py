"""`python -m web.api.reference FILE`: the reference page of the docs, made from the description and the problems."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from web import problems
from web.api.blueprint import blueprint
from web.api.describe import description
from web.api.described_headers import ALWAYS
from web.skus import SkuConverter


def reference() -> str:
    """The page, in Markdown."""
    described = description(api_alone())
    schemas: dict[str, Any] = described["components"]["schemas"]
    lines = [*_head(described), *_operations(described), "## Models", ""]
    for name, schema in schemas.items():
        lines += _model(name, schema)
    return "\n".join([*lines, *_problems()]) + "\n"


def api_alone() -> Flask:
    """An app with the API alone: no catalog need be open to describe it."""
    app = Flask("web")
    app.url_map.converters["sku"] = SkuConverter
    app.register_blueprint(blueprint)
    return app


def _head(described: Mapping[str, Any]) -> Iterator[str]:
    yield "# The POS API: reference"
    yield ""
    yield "Made from the code by `python -m web.api.reference docs/api-reference.md`; the server answers the same at"
    yield "`/docs` and, for generators of clients, at `/openapi/v1.json`. The guide: [the POS API](api.md)."
    yield ""
    yield described["info"]["description"]
    yield ""


def _operations(described: Mapping[str, Any]) -> Iterator[str]:
    for tag in described["tags"]:
        yield from ("## " + tag["name"], "", tag["description"], "")
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(path, method, operation)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {method.upper()} {path}", "", f"**{operation['summary']}** (`{operation['operationId']}`)", "")
    yield from (operation["description"], "")
    parameters = [given for given in operation["parameters"] if "$ref" not in given]  # that all have
    if parameters:
        yield from ("| parameter | in | type | |", "|---|---|---|---|")
        for given in parameters:
            said = _cell(given.get("description", ""))
            yield f"| `{given['name']}` | {given['in']} | {_type(given['schema'])} | {said} |"
        yield ""
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"- takes `{kind}`: {_type(body['schema'])}"
    for status, answer in operation["responses"].items():
        for kind, body in answer.get("content", {}).items():
            if kind != "application/problem+json":
                yield f"- answers `{status}`, `{kind}`: {_type(body['schema'])}{_headers(answer)}"
        if "content" not in answer:
            yield f"- answers `{status}`, without a body{_headers(answer)}"
    codes = [code for code in problems.KINDS if any(f"`{code}`: " in each["description"] for each in _bad(operation))]
    yield f"- problems: {', '.join(f'`{code}`' for code in codes)}"
    yield ""


def _headers(answer: Mapping[str, Any]) -> str:
    """Those that not every answer has."""
    names = [f"`{name}`" for name in answer["headers"] if name not in ALWAYS]
    return f"; headers {', '.join(names)}" if names else ""


def _bad(operation: Mapping[str, Any]) -> list[Any]:
    return [each for each in operation["responses"].values() if "application/problem+json" in each.get("content", {})]


def _model(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "", " ".join(schema.get("description", "").split()), "")
    if "properties" not in schema:
        yield from (_type(schema), "")
        return
    yield from ("| field | type | |", "|---|---|---|")
    for field, described in schema["properties"].items():
        wanted = "" if field in schema.get("required", ()) else ", optional"
        yield f"| `{field}` | {_type(described)}{wanted} | {_cell(described.get('description', ''))} |"
    yield ""


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_type(one) for one in schema.get("anyOf", schema.get("oneOf")))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        items = schema.get("items")
        several = _type(items) if items else ", ".join(_type(one) for one in schema.get("prefixItems", ()))
        return f"list of {several}{_limits(schema)}"
    if schema.get("format") == "binary":
        return "file"
    return f"{schema.get('format', kind)}{_limits(schema)}"


def _limits(schema: Mapping[str, Any]) -> str:
    said = [f"`{schema['pattern']}`"] if "pattern" in schema else []
    for least, most in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum")):
        if least in schema or most in schema:
            low = schema.get(least, 0)
            said.append(f"{low} to {schema[most]}" if most in schema else f"at least {low}")
    return f" ({', '.join(said)})" if said else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _problems() -> Iterator[str]:
    yield "## Problems"
    yield ""
    yield "What is answered in place of what was asked for: `application/problem+json` (RFC 9457). `type` is the path"
    yield "of the problem's page on the server, `/problems/CODE`."
    yield ""
    yield "| status | code | what it means | what to do |"
    yield "|---|---|---|---|"
    for code, kind in problems.KINDS.items():
        means = f"The staff's pages only: {kind.means[0].lower()}{kind.means[1:]}" if kind.pages else kind.means
        yield f"| {kind.status} | `{code}` | {means} | {kind.do} |"


def main() -> None:
    """Write the page."""
    Path(sys.argv[1]).write_text(reference())


if __name__ == "__main__":
    main()
