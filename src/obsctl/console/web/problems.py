"""The API's errors: problem details (RFC 9457), with a stable ``code``."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from obsctl.console.kept import TOO_MANY, Answer

T = TypeVar("T")

MEDIA_TYPE = "application/problem+json"
#: The JSON schema of a problem.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable, for programs"},
        "detail": {"type": "string", "description": "for people"},
    },
}
#: Keeps the framework from adding its own error answers to the description; see :mod:`obsctl.console.web.described`.
DESCRIBED: dict[int | str, dict[str, Any]] = {"default": {"description": "problem details"}}


class ProblemError(Exception):
    """A request that cannot be answered.

    Attributes:
        code: stable, for programs.
        status: of HTTP.
        headers: of the answer.
        members: additional members of the problem.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.members = members

    @property
    def body(self) -> dict[str, Any]:
        """The problem as data."""
        return {
            "type": f"urn:obscraft:problem:{self.code}",
            "title": self.code.replace("-", " "),
            "status": self.status,
            "code": self.code,
            "detail": str(self),
            **self.members,
        }


def answer(problem: ProblemError) -> JSONResponse:
    """Return the problem as an answer."""
    return JSONResponse(problem.body, problem.status, problem.headers, media_type=MEDIA_TYPE)


def of_framework(error: HTTPException) -> ProblemError:
    """Return the problem for an error of the framework: an unknown path, or a method that a path does not have."""
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused")
    return ProblemError(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))


def of_parameters(error: RequestValidationError) -> ProblemError:
    """Return the problem for invalid parameters; it does not repeat their values."""
    wrong = [
        {"parameter": ".".join(str(part) for part in one["loc"][1:]), "detail": str(one["msg"])}
        for one in error.errors()
    ]
    first = wrong[0] if wrong else {"parameter": "", "detail": "unreadable"}
    return ProblemError(422, "invalid-parameter", f"{first['parameter']}: {first['detail']}", errors=wrong)


def given(answer: Answer[T], code: str) -> T:
    """Return the value of the latest answer, however old it is.

    Args:
        answer: the caller must also show its trouble, if any.
        code: of the problem.

    Raises:
        ProblemError: there was never an answer.
    """
    if answer.trouble == TOO_MANY and not answer.at:
        raise ProblemError(429, "busy", TOO_MANY.detail, headers={"retry-after": "2"})
    if answer.trouble is not None and not answer.at:
        raise ProblemError(503, code, answer.trouble.detail, hint=answer.trouble.hint)
    return cast("T", answer.value)
