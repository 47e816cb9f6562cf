"""Errors of the ingest package, below the classes of `devices.errors`.

```
EdgeLogError
|- EdgeLogUnavailableError   full disk, read-only, locked by another process for too long    RETRY
|- EdgeLogInUseError         another bridge or replay writes this edge log                   HALT
|- EdgeLogForeignError       not an edge log, damaged, or of a version we do not know        HALT
`- EdgeLogPositionError      a position of another edge log, or one whose rows are gone      HALT
UsageError
|- MqttUrlError              a broker address that cannot work                               HALT
`- MqttSecurityError         a certificate, key or password that cannot be used              HALT
BrokerError                  the broker is out of reach, or refuses us                       RETRY
BrokerJournalError           what the broker's plugin wrote cannot be read or removed        RETRY
```
"""

from devices.errors import EdgeLogError, Recovery, TagtideError, UsageError


class EdgeLogUnavailableError(EdgeLogError):
    """The edge log cannot be read or written now: a full or read-only disk, or a lock held for too long."""

    code = "edge_log_unavailable"
    recovery = Recovery.RETRY


class EdgeLogInUseError(EdgeLogError):
    """Another process writes this edge log: there is one writer at a time."""

    code = "edge_log_in_use"


class EdgeLogForeignError(EdgeLogError):
    """The file is not an edge log, is damaged, or was written by a version that we do not know."""

    code = "edge_log_foreign"


class EdgeLogPositionError(EdgeLogError):
    """A position belongs to another edge log, or the rows behind it are gone."""

    code = "edge_log_position"


class MqttUrlError(UsageError):
    """A broker address that cannot work."""

    code = "mqtt_url_invalid"


class MqttSecurityError(UsageError):
    """A certificate, key or password cannot be used, as far as that is known without the broker."""

    code = "mqtt_security_invalid"


class BrokerError(TagtideError):
    """The MQTT broker is out of reach, or refuses us."""

    code = "broker_unavailable"
    recovery = Recovery.RETRY


class BrokerJournalError(TagtideError):
    """What the broker's journal plugin wrote cannot be read or removed."""

    code = "broker_journal_unusable"
    recovery = Recovery.RETRY
