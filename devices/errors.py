"""The project's error tree, and what to do about each branch.

```
TagtideError
|- DecodeError         one payload, or one tag in it, is not what its profile promises   QUARANTINE
|  `- EpcError         an EPC's bits break the GS1 Tag Data Standard                      QUARANTINE
|- SiteFileError       a site file has problems; carries every one of them                HALT
|- CaptureError        a capture cannot be opened or is of another format                 HALT
|- EdgeLogError        the edge log cannot be written or is not ours                      RETRY or HALT
|- ForwardError        Kafka refused or did not answer                                    RETRY
|- LakeError           a lake table cannot be read or committed                           RETRY or HALT
|- QuestionError       a SQL question is unknown or does not run                          HALT
`- UsageError          a command line that cannot work                                    HALT
```

Subclasses of the packages live in those packages, below the classes named here. Every error has a stable
`code` that is fit for a metric label or a reject's `reason_code`, and may carry a `hint`: the next thing to do.
"""

from enum import StrEnum


class Recovery(StrEnum):
    """What a caller does next."""

    RETRY = "retry"
    """The same input may succeed later: back off, leave it unacknowledged."""
    QUARANTINE = "quarantine"
    """This input never will: keep it as a reject, then go on."""
    HALT = "halt"
    """A person has to act, or our own state is in doubt: stop and say so."""


class TagtideError(Exception):
    """Base of every error that Tagtide raises on purpose."""

    code: str = "tagtide_error"
    """Stable name of the kind of error, in snake case."""
    recovery: Recovery = Recovery.HALT
    """What to do next."""

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if code is not None:
            self.code = code


class DecodeError(TagtideError):
    """A payload, or one observation in it, cannot be decoded."""

    code = "decode_failed"
    recovery = Recovery.QUARANTINE


class EpcError(DecodeError):
    """An EPC's bits, URI or element string break the Tag Data Standard."""

    code = "epc_invalid"


class CaptureError(TagtideError):
    """A capture cannot be opened or is of another format."""

    code = "capture_unreadable"


class EdgeLogError(TagtideError):
    """The edge log cannot be opened, read or written."""

    code = "edge_log_failed"


class ForwardError(TagtideError):
    """Kafka refused records or did not answer."""

    code = "kafka_unavailable"
    recovery = Recovery.RETRY


class LakeError(TagtideError):
    """A lake table cannot be read or committed."""

    code = "lake_failed"


class QuestionError(TagtideError):
    """A SQL question is unknown or does not run."""

    code = "question_failed"


class UsageError(TagtideError):
    """A command line that cannot work."""

    code = "usage"


class SiteFileError(TagtideError):
    """A site file has problems.

    Attributes:
        problems: Every problem found, each one line that names the place and the mend.
    """

    code = "site_file_invalid"

    def __init__(self, path: str, problems: list[str]) -> None:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{path}: {count}\n{listed}", hint=f"mend these, then run: tagtide site check {path}")
        self.problems = problems
