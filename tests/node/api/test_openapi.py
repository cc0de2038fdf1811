"""openapi.json says what the node does: valid, whole, and true of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from node.api.admin import ROUTES as ADMIN_ROUTES
from node.api.app import ROUTES, public_app
from node.api.openapi import document
from tests.contracts.provenance.story import CASES, PALLET
from tests.node.api.fakes import Running

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = document(ROUTES, "node", "1")


async def test_every_route_is_described(site: Running) -> None:
    """What is served and what is described are the same."""
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in public_app(site.api).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    described = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert {pair for pair in served if pair[0] != "head"} == described
    async with site.client.get(site.url("/v1/openapi.json")) as answer:
        assert json.loads(await answer.text())["paths"].keys() == DOCUMENT["paths"].keys()


def test_references_and_names_hold() -> None:
    """Every $ref leads somewhere, operation ids are unique, path parameters are those of the path."""
    text = json.dumps(DOCUMENT)
    schemas = DOCUMENT["components"]["schemas"]
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in schemas
    operations = [item[method] for item in DOCUMENT["paths"].values() for method in item]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    for path, item in DOCUMENT["paths"].items():
        named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in item.values():
            places = [each for each in operation["parameters"] if each["in"] == "path"]
            assert {each["name"] for each in places} == named
            assert all(each["required"] for each in places)
            assert {"400", "500"} <= operation["responses"].keys()


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_schemas_are_schemas(name: str) -> None:
    """Each shape is a valid JSON schema of draft 2020-12, as OpenAPI 3.1 wants."""
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


CASE = quote(CASES[0])
READS = [
    "/v1/status", "/v1/blocks", "/v1/blocks/3", "/v1/blocks/0", "/v1/validators", "/v1/genesis",
    "/v1/organisations", "/v1/organisations/farm", "/v1/organisations/farm/keys",
    "/v1/organisations/farm/sites", "/v1/nodes", f"/v1/items?id={CASE}", f"/v1/items/history?id={CASE}",
    f"/v1/items/trace?id={CASE}", f"/v1/items/contents?id={quote(PALLET)}", "/epcis/events",
    "/v1/blocks/99", "/v1/items?id=x", "/epcis/events?x=1",
]  # fmt: skip


@pytest.mark.parametrize("path", READS)
async def test_answers_are_as_described(told: Running, path: str) -> None:
    """What the node answers fits the shape that is described for the route and status."""
    async with told.client.get(told.url(path)) as answer:
        found = json.loads(await answer.text())
        kind = answer.headers["Content-Type"].partition(";")[0]
        status = str(answer.status)
    route = path.partition("?")[0]
    template = next(
        each
        for each in sorted(DOCUMENT["paths"], key=lambda text: text.count("{"))
        if len(each.split("/")) == len(route.split("/"))
        and all(a == b or a.startswith("{") for a, b in zip(each.split("/"), route.split("/"), strict=True))
    )
    described = DOCUMENT["paths"][template]["get"]["responses"][status]["content"][kind]["schema"]
    check(found, described)


def check(found: Any, schema: dict[str, Any]) -> None:
    registry: Registry[Any] = Registry().with_resource(
        "urn:api", Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
    )
    schema = json.loads(json.dumps(schema).replace("#/components", "urn:api#/components"))
    jsonschema.Draft202012Validator(schema, registry=registry).validate(found)


def test_reference_names_every_route() -> None:
    """docs/reference/api.md has every route of both ports, and none besides."""
    page = (ROOT / "docs/reference/api.md").read_text("utf-8")
    documented = {
        (line.split("`")[1].split(" ")[0], line.split("`")[1].split(" ")[1])
        for line in page.splitlines()
        if line.startswith("| `")
    }
    served = {(route.method, route.path) for route in (*ROUTES, *ADMIN_ROUTES)}
    assert documented == served
