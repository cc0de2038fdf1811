"""openapi.json, written from the route table and the models: nothing in it is maintained by hand.

Source: OpenAPI 3.1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from node.api.models import Problem
from node.api.parameters import Parameter
from node.api.problems import MEDIA_TYPE, XML_MEDIA_TYPE
from node.api.routes import Answer, Body, Route

VERSION: Final = "3.1.0"
_REFERENCE: Final = "#/components/schemas/{model}"
_EVERYWHERE: Final = (400, 421, 429, 500, 503)  # what any route may answer


def document(routes: Sequence[Route[Any]], title: str, release: str) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    models = sorted(
        {answer.model for route in routes for answer in route.answers if answer.model} | {Problem},
        key=lambda model: model.__name__,
    )
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": VERSION,
        "info": {
            "title": title,
            "version": release,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"site": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": [_parameter(parameter) for parameter in route.parameters],
        "responses": _responses(route),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "description": f"{route.body.description} At most {route.body.bytes_max} bytes.",
            "content": {name: {"schema": _body_schema(name, route.body)} for name in route.body.media_types},
        }
    if route.scope is not None:
        operation["security"] = [{"site": []}]
    return operation


def _operation_id(route: Route[Any]) -> str:
    words = [word for word in route.path.replace("{", "by_").replace("}", "").split("/") if word]
    return "_".join([route.method.lower(), *words]).replace(".", "_")


def _parameter(parameter: Parameter[Any]) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _responses(route: Route[Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer in route.answers:
        told = responses.setdefault(str(answer.status), {"description": answer.description})
        if told["description"] != answer.description:
            told["description"] += f" {answer.description}"
        schema = _schema(answer)
        if schema is not None:
            content = told.setdefault("content", {}).setdefault(answer.media_type, {})
            content["schema"] = {"anyOf": [content["schema"], schema]} if "schema" in content else schema
    statuses = {*_EVERYWHERE, *route.errors, *((401, 403) if route.scope else ())}
    if route.method == "GET" and not route.is_long:
        responses["304"] = {"description": "The client has this answer already (`If-None-Match`)."}
    in_xml = {XML_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
    others = in_xml if route.path.startswith("/epcis") else {}
    for status in sorted(statuses):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": _reference(Problem)}, **others},
        }
    return responses


def _body_schema(media_type: str, body: Body) -> dict[str, Any]:
    """The schema of a body; XML has none that JSON Schema could say."""
    return {"type": "string", "format": "binary"} if media_type.endswith("/xml") else dict(body.schema)


def _schema(answer: Answer) -> dict[str, Any] | None:
    if answer.model is not None:
        return _reference(answer.model)
    if answer.schema is not None:
        return dict(answer.schema)
    if answer.media_type != "application/json":
        return {"type": "string", "format": "binary"}
    return None


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}
