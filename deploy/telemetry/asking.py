"""Asking another process's HTTP endpoint for its health."""

import urllib.error
import urllib.request

import msgspec

from deploy.telemetry.address import HttpAddress
from deploy.telemetry.health import Health
from devices.errors import TagtideError

_TIMEOUT_S = 5.0
_ANSWER_BYTES_MAX = 2**20


class HealthError(TagtideError):
    """A daemon's endpoint does not answer, or not as ours does."""

    code = "health_unknown"


def ask_health(address: HttpAddress, path: str) -> Health:
    """Ask `/healthz` or `/readyz`.

    Raises:
        HealthError: Nobody answers there, or lets us in, or it is not a Tagtide.
    """
    request = urllib.request.Request(f"{address}{path}")  # noqa: S310 - always http, see `HttpAddress`
    if address.token is not None:
        request.add_header("Authorization", f"Bearer {address.token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has nothing to do with it
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            body = answer.read(_ANSWER_BYTES_MAX)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 401:
                raise HealthError(
                    f"{address} refuses us: it wants the token that the daemon was started with",
                    hint="--http-token-file FILE, or the environment's TAGTIDE_HTTP_TOKEN",
                ) from error
            body = error.read(_ANSWER_BYTES_MAX)
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise HealthError(
            f"nobody answers at {address}: {reason}", hint="is the daemon running, with --http on this address?"
        ) from error
    try:
        return msgspec.json.decode(body, type=Health)
    except msgspec.MsgspecError as error:
        raise HealthError(f"what answers at {address} is not a Tagtide", hint="check --http HOST:PORT") from error
