"""A listener's application: its routes behind a guard that the site's settings make."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from node.api.context import CLIENTS_MAX, Api
from node.api.guard import Buckets, Guard
from node.api.routes import Route, register


def application(
    api: Api, listener: str, routes: Sequence[Route[Api]], is_stopping: Callable[[], bool] = lambda: False
) -> web.Application:
    """The application of one listener; it refuses what comes while `is_stopping`."""
    settings = api.settings
    guard = Guard(
        listener,
        metrics=api.metrics,
        hosts=settings.hosts,
        buckets=Buckets(settings.requests_per_second, settings.requests_burst, CLIENTS_MAX, api.monotonic),
        requests_at_once_max=settings.requests_at_once_max,
        answer_seconds=settings.answer_seconds,
        monotonic=api.monotonic,
        streams=[route.path for route in routes if route.is_long],
        is_stopping=is_stopping,
    )
    app = guard.application()
    register(app, api, routes)
    return app
