"""Who changed what: the page of admins and its call of the API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from obsctl.console.database import Pool
from obsctl.console.people import audit
from obsctl.console.people.roles import Role
from obsctl.console.web.guard import Admin
from obsctl.console.web.page import show_with_script

pages = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/v1")

#: Texts that the page's script puts together.
TEXTS = ("lost",)


class Asked(BaseModel):
    """Which changes; a mistyped parameter is an error."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=1000, description="changes at most")] = 100
    before: Annotated[int | None, Field(ge=1, lt=2**63, description="`next` of the page before")] = None


@pages.get("/audit")
async def audit_page(request: Request) -> Response:
    """Show the changes."""
    return await show_with_script(request, "audit", TEXTS, Role.ADMIN)


@api.get("/audit")
def changes(request: Request, _: Admin, asked: Annotated[Asked, Query()]) -> dict[str, Any]:
    """Return what people changed, newest first."""
    pool: Pool = request.app.state.pool
    found = pool.run(lambda cursor: audit.read(cursor, asked.limit, asked.before))
    return {
        "changes": [
            {
                "at": one.at.isoformat(),
                "actor": one.actor.name,
                "client_addr": one.actor.client_addr,
                "action": one.action,
                "object": one.object,
                "detail": one.detail,
            }
            for one in found
        ],
        "next": found[-1].id if len(found) == asked.limit else None,
    }
