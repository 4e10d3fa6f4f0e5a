"""The dashboard: static pages that use nothing but the public interface."""

from flask import Blueprint, Response, send_from_directory

from api.docs import STATIC
from api.scopes import needs

blueprint = Blueprint("dashboard", __name__)

#: Nothing from outside, nothing inline, no text that becomes markup or code.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    "script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


@blueprint.get("/")
@needs("any")
def dashboard() -> Response:
    """The page that holds all others; which one is shown stands behind the # of its address."""
    response = send_from_directory(STATIC, "dashboard/index.html")
    response.headers.update(HEADERS)
    return response
