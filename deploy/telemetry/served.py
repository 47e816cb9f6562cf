"""`--http` and `--http-token-file` of a command, turned into what it is monitored by."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from deploy.telemetry.address import http_address
from deploy.telemetry.monitoring import Monitoring, monitoring
from devices.errors import UsageError
from devices.events import OnEvent


def served(
    http: str | None, token_file: Path | None, expected: Sequence[str], on_event: OnEvent
) -> AbstractContextManager[Monitoring]:
    """Serve what a command and its children report, as its command line says.

    Args:
        http: Value of `--http`.
        token_file: Value of `--http-token-file`.
        expected: The processes of the command that report.
        on_event: Told where it serves.

    Raises:
        HttpAddressError: The address cannot be had, or needs a token.
        UsageError: There is a token file and no address.
    """
    if http is None and token_file is not None:
        raise UsageError("--http-token-file has no meaning without --http", hint="add --http HOST:PORT")
    return monitoring(None if http is None else http_address(http, token_file), expected, on_event)
