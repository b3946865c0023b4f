"""The OpenAPI document (version 3.1) of the `OPERATIONS`, made of the very records they take."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from chatroom import __version__
from chatroom.asking import QUERY
from chatroom.events import Limits
from chatroom.rest.operations import OPERATIONS, Operation
from chatroom.rest.records import Problem
from chatroom.rest.refusals import status

PATH: dict[str, dict[str, Any]] = {
    "room": {
        "description": "The name of a room.",
        "schema": {"type": "string", "minLength": 1},
        "example": "tea",
    },
    "id": {
        "description": "The id of a message.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 2**53},
        "example": 1,
    },
    "emoji": {
        "description": "An emoji.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 16},
        "example": "🍵",
    },
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The nonce: done once, however often it is asked for with the same token.",
    "schema": {"type": "string", "pattern": '^("[!#-~]{1,64}"|[!#-~]{1,64})$'},
}
LINE = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"
TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "Who you are: the `token` of `POST /users`, or of any `init`.",
}


@cache
def document(limits: Limits) -> dict[str, Any]:
    """Return the document of a server with these *limits*."""
    kinds = {Problem} | {
        kind
        for operation in OPERATIONS
        for kind in (operation.query, operation.body, operation.answer)
        if kind is not None
    }
    order = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(order, ref_template="#/components/schemas/{name}")
    say, correction = schemas["Say"]["properties"], schemas["Correction"]["properties"]
    say["message"]["maxLength"] = correction["message"]["maxLength"] = limits.message
    say["type"]["enum"] = [*limits.types]
    correction["type"]["enum"] = [*limits.types, None]
    # Not that of `Say`: with a token it does not count, whatever it is.
    for record in ("NewUser", "Rename"):
        schemas[record]["properties"]["name"]["maxLength"] = limits.name
    schemas["NewTopic"]["properties"]["topic"] |= {"maxLength": limits.topic, "pattern": LINE}
    schemas["WhatFor"]["properties"]["query"]["maxLength"] = QUERY
    paths: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method.lower()] = _described(operation, schemas)
    for operation in OPERATIONS:
        if operation.query is not None:
            schemas.pop(operation.query.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chat room",
            "version": __version__,
            "description": "The rooms by plain requests. All that is said here is heard at all doors.",
        },
        "paths": dict(paths),
        "components": {"schemas": schemas, "securitySchemes": {"token": TOKEN}},
    }


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    summary, _, more = inspect.cleandoc(operation.does.__doc__ or "").partition("\n\n")
    names = re.findall(r"\{(\w+)\}", operation.path)
    parameters = [{"name": name, "in": "path", "required": True, **PATH[name]} for name in names]
    if operation.query is not None:
        query = schemas[operation.query.__name__]
        parameters += [
            {"name": name, "in": "query", "required": name in query["required"], "schema": schema}
            for name, schema in query["properties"].items()
        ]
    if operation.once:
        parameters.append(KEY)
    described: dict[str, Any] = {
        "operationId": operation.does.__name__,
        "summary": summary,
        "parameters": parameters,
        "responses": _responses(operation),
        "security": [{"token": []}] if operation.token else [{}, {"token": []}],
    }
    if more:
        described["description"] = more
    if operation.body is not None:
        described["requestBody"] = {
            "required": bool(schemas[operation.body.__name__]["required"]),
            "content": _json(operation.body),
        }
    return described


def _responses(operation: Operation) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "It is done.", "content": _json(operation.answer)}
    if operation.status == 201:
        done["headers"] = {"Location": {"schema": {"type": "string"}}}
    found: dict[str, Any] = {str(operation.status): done}
    codes: defaultdict[int, list[str]] = defaultdict(list)
    for code in sorted(operation.codes):
        codes[status(code)].append(code)
    for number, some in sorted(codes.items()):
        schema = {
            "allOf": [{"$ref": "#/components/schemas/Problem"}],
            "properties": {"code": {"enum": some}},
        }
        found[str(number)] = {
            "description": HTTPStatus(number).phrase,
            "content": {"application/json": {"schema": schema}},
        }
    return found


def _json(kind: Any) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}
