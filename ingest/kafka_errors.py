"""Errors of the Kafka side of ingest, below the classes of `devices.errors`.

```
DecodeError
|- KafkaRecordError          a record on one of our topics is not what its headers promise     QUARANTINE
`- KafkaRecordVersionError   a record was written by a newer Tagtide                           HALT
ForwardError                 Kafka does not answer, or did not take records                    RETRY
|- KafkaRefusedError         Kafka does not let us in, or we do not trust it                   RETRY
|- KafkaTopicsError          the topics do not have the same number of partitions              HALT
`- KafkaPositionError        a position token is not one of ours, or of other topics           HALT
UsageError
`- KafkaConfigError          a file of Kafka settings that cannot be used                      HALT
```
"""

from devices.errors import DecodeError, ForwardError, Recovery, UsageError


class KafkaRecordError(DecodeError):
    """A Kafka record cannot be decoded."""

    code = "kafka_record_invalid"


class KafkaRecordVersionError(DecodeError):
    """A Kafka record was written by a newer version: skipping it would lose data, so somebody has to upgrade."""

    code = "kafka_record_version_unknown"
    recovery = Recovery.HALT


class KafkaRefusedError(ForwardError):
    """Kafka does not let us in, or we do not trust it; tried again, since it may be mended on the other side."""

    code = "kafka_refused"


class KafkaTopicsError(ForwardError):
    """The topics of a cluster cannot carry chunks: they differ in their number of partitions, or may not be made."""

    code = "kafka_topics_unusable"
    recovery = Recovery.HALT


class KafkaPositionError(ForwardError):
    """A position token is damaged, or belongs to topics with another number of partitions."""

    code = "kafka_position_invalid"
    recovery = Recovery.HALT


class KafkaConfigError(UsageError):
    """A file of Kafka settings cannot be used."""

    code = "kafka_config_invalid"
