"""`--http` and `--http-token-file` of a command, turned into what it is monitored by."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from deploy.telemetry.address import http_address
from deploy.telemetry.monitoring import Monitoring, monitoring
from devices.errors import UsageError


def served(
    http: str | None, token_file: Path | None, expected: Sequence[str], tell: Callable[[str], None]
) -> AbstractContextManager[Monitoring]:
    """Serve what a command and its children report, as its command line says.

    Args:
        http: Value of `--http`.
        token_file: Value of `--http-token-file`.
        expected: The processes of the command that report.
        tell: Told in one line where it serves.

    Raises:
        HttpAddressError: The address cannot be had, or needs a token.
        UsageError: There is a token file and no address.
    """
    if http is None and token_file is not None:
        raise UsageError("--http-token-file has no meaning without --http", hint="add --http HOST:PORT")
    return monitoring(None if http is None else http_address(http, token_file), expected, tell)
