"""Files of the Hugging Face hub: an `hf://` address becomes a web address with the user's login."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from bitnet.data.errors import DataError
from bitnet.data.remote.web import WebTransport

_KINDS = {"datasets": "dataset", "spaces": "space", "models": "model"}
_ADDRESS = re.compile(
    r"hf://(?:(?P<kind>datasets|spaces|models)/)?(?P<repository>[^/@]+/[^/@]+)"
    r"(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?/(?P<path>.+)"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ADVICE = (
    "the repository, revision or file is not there, or asks for a login: request access on its "
    "page, then run `hf auth login` or set HF_TOKEN"
)


def hub_transport(location: str, timeout: float) -> WebTransport:
    """The way to a file named `hf://datasets/owner/name@revision/path`.

    Raises:
        DataError: the address is not of that form.
    """
    found = _ADDRESS.fullmatch(location)
    if found is None:
        raise DataError(f"{location}: is not of the form hf://datasets/OWNER/NAME@REVISION/PATH")
    from huggingface_hub import hf_hub_url  # slow to import

    revision = unquote(found["revision"] or "main")
    address = hf_hub_url(
        found["repository"],
        found["path"],
        repo_type=_KINDS[found["kind"] or "models"],
        revision=revision,
        endpoint=os.environ.get("HF_ENDPOINT") or None,
    )
    return WebTransport(
        location,
        timeout,
        address,
        _login(),
        immutable=_COMMIT.fullmatch(revision) is not None,
        advice=_ADVICE,
    )


def _login() -> dict[str, str]:
    """The header that carries the user's token, unless there is none or it is not to be sent."""
    from huggingface_hub import constants, get_token

    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}
