"""A page of HTML: one file that asks for nothing from anywhere, whatever names stand in it.

Templates escape every value, and what a terminal would not show is escaped before. The page's
Content-Security-Policy allows its own style and script, by their hashes, and nothing else.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from swaptrace import __version__
from swaptrace.errors import SwaptraceError, printable

if TYPE_CHECKING:
    from jinja2 import Environment

MISSING: Final = (
    "--format html is made with Jinja2, which is not installed; "
    "install it with: pip install 'swaptrace-mm[html]'"
)


def check_library() -> None:
    """Find out before the work whether a page can be made. Raises `SwaptraceError`."""
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise SwaptraceError(MISSING) from error


@cache
def environment() -> Environment:
    """The templates, which are part of the package. A name that a view lacks is an error."""
    check_library()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("swaptrace.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """Every text as `printable`; markup, which is no plain `str`, comes from the templates."""
    return printable(value) if type(value) is str else value


def render(template: str, **values: Any) -> str:
    """A page of its own from a template."""
    from markupsafe import Markup

    made = environment()
    style, script = (_text(made, name) for name in ("page.css", "page.js"))
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    fixed = {"style": Markup(style), "script": Markup(script), "policy": policy}
    return made.get_template(template).render(**fixed, version=__version__, **values)


def _text(made: Environment, name: str) -> str:
    """A file among the templates, without what only its readers need: indents and comments."""
    assert made.loader is not None
    lines = map(str.strip, made.loader.get_source(made, name)[0].splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _hash(text: str) -> str:
    """As a Content-Security-Policy names what stands within an element."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
