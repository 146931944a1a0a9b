"""The service with two more routes: reading a session, open to viewers and to wallets only, so that authentication is the only difference."""

import asyncio
import sys
from dataclasses import replace

import uvloop

from kit.http.routing import Access, handler_of
from onramp.bootstrap.app import make_app
from onramp.bootstrap.server import start_app, tune_garbage_collection
from onramp.config.loader import load
from onramp.sessions.routes import BASE, routes

CLOSED: dict[Access, str] = {"viewer": "/closed", "wallet": "/mine"}


async def serve(port: int) -> None:
    app = make_app(load(), workers=())
    read = next(route for route in routes(keyed=False) if (route.method, route.path) == ("GET", BASE + "/{id}"))
    for access, base in CLOSED.items():
        closed = replace(read, path=base + "/{id}", access=access, name="closed_" + access)
        app.router.add_route(closed.method, closed.path, handler_of(closed))
    await start_app(app, "127.0.0.1", port)
    tune_garbage_collection()  # as `onramp serve` does
    await asyncio.Event().wait()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(serve(int(sys.argv[1])))
