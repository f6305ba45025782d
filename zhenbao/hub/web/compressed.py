"""Pages, styles and scripts go out compressed: a 12-lead ECG is a quarter of its size then.

What kits fetch is sealed and does not shrink, and pictures are compressed already: they pass as they are. A compressed
page that holds a secret could give it away to a stranger who makes a browser fetch it again and again with text of his
own; here he cannot: the session's cookie is ``SameSite=strict``, so that his page only ever gets the login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class Compressed(GZipMiddleware):
    """Compresses text of more than a packet."""

    def __init__(self, app: ASGIApp) -> None:
        kept = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/*", "image/*")
        super().__init__(app, minimum_size=1400, compresslevel=5, exclude_content_types=kept)
