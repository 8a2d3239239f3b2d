"""Which transport reaches an address."""

from __future__ import annotations

from bitnet.data.remote.hub_files import hub_transport
from bitnet.data.remote.objects import ObjectTransport, refuse_unknown_scheme
from bitnet.data.remote.spec import NetworkSpec
from bitnet.data.remote.transport import Transport, scheme_of
from bitnet.data.remote.web import WebTransport


def transport_to(location: str, network: NetworkSpec) -> Transport:
    """The way to a file.

    Raises:
        DataError: nothing knows the scheme of the address, or a package for it is missing.
    """
    scheme = scheme_of(location)
    if scheme in ("http", "https"):
        return WebTransport(location, network.timeout_seconds)
    if scheme == "hf":
        return hub_transport(location, network.timeout_seconds)
    refuse_unknown_scheme(location)
    return ObjectTransport(location)
