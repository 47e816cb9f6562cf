"""Putting the parts together: which source feeds the runner, and where everything lies in a data directory."""

from collections.abc import Sequence

import msgspec

from analytics.data_directory import DataDirectory
from analytics.journal import Journal, JournalError
from analytics.lake import Lake
from analytics.runner import Runner
from analytics.runner_parts import RunnerConfig
from analytics.schemas import TABLES
from analytics.source import RecordSource
from deploy.connections import KafkaAccess
from devices.bulk import TopicDirectory
from devices.errors import TagtideError
from devices.events import OnEvent, ignore
from devices.site.model import Site
from ingest.edge_log import EdgeLog
from ingest.edge_source import EdgeLogSource

_LAKE_NOTE = "lake"
"""Name of the journal's note of the lake's tables: identifiers by table, as JSON."""

WRITER = "tagtide-jobs"
"""Name under which the jobs record their epochs in the lake."""


def open_runner(
    sites: Sequence[Site],
    data: DataDirectory,
    *,
    kafka: KafkaAccess | None = None,
    config: RunnerConfig | None = None,
    on_event: OnEvent = ignore,
    source: RecordSource | None = None,
) -> Runner:
    """Open everything that the jobs of a data directory need; whoever has the runner closes it.

    Args:
        sites: Sites to run.
        data: Where journal and lake are, and the edge log if there is no Kafka.
        kafka: Which Kafka to read; the edge log of `data` is read where absent.
        config: How epochs are cut.
        on_event: Told what happens.
        source: What to read instead of either; closed with the runner.

    Raises:
        JournalError: Another process runs these jobs, or the disk refuses.
        LakeError, EdgeLogError, ForwardError: These cannot be opened.
        TagtideError: The journal is not the one that belongs to the lake.
    """
    journal = Journal(data.journal)
    try:
        data.keep_sites(sites)
        lake = Lake(data.lake, writer=WRITER)
        _check_belong_together(journal, lake, data)
        source = source or open_source(sites, data, kafka, on_event)
    except BaseException:
        journal.close()
        raise
    return Runner(source=source, sites=sites, lake=lake, journal=journal, config=config, on_event=on_event)


def open_source(
    sites: Sequence[Site], data: DataDirectory, kafka: KafkaAccess | None, on_event: OnEvent
) -> RecordSource:
    """Open what the jobs read: Kafka, or the edge log."""
    if kafka is not None:
        from ingest.kafka_source import KafkaSource, KafkaSourceConfig

        return KafkaSource(KafkaSourceConfig.of(kafka.cluster()), on_event=on_event)
    return EdgeLogSource(EdgeLog.open(data.edge), TopicDirectory.of(sites))


def _check_belong_together(journal: Journal, lake: Lake, data: DataDirectory) -> None:
    """Refuse a journal that was removed or put back from a copy, and a lake that was removed or exchanged.

    The journal would number its epochs like some that the lake has already, which the lake takes for repeats: rows
    would be dropped in silence. An epoch is in the journal before any of it is in the lake, so the lake is never
    ahead. The other way round, a new lake would lack everything before the journal's checkpoint, in silence too. That
    cannot be told by epochs, since many an epoch lands nothing: so the journal notes which tables it belongs to.
    """
    planned = max((plan.epoch for plan in journal.planned_after(0)), default=0)
    committed = max(lake.committed_epoch(table) for table in TABLES)
    if committed > planned:
        raise TagtideError(
            f"the lake in {data.lake} holds epoch {committed}, but the journal {data.journal} ends at {planned}: "
            "it was removed, or is an older copy",
            hint="put the newest journal back, or give another --data and replay into that",
            code="journal_behind_lake",
        )
    found = lake.table_ids()
    try:
        known = msgspec.json.decode(journal.note(_LAKE_NOTE) or "{}", type=dict[str, str])
    except msgspec.DecodeError as error:
        raise JournalError(f"the journal {data.journal} is damaged: {error}", hint="put a copy of it back") from error
    if others := sorted(table for table, table_id in known.items() if found.get(table, table_id) != table_id):
        raise TagtideError(
            f"the lake in {data.lake} is not the one that the journal {data.journal} belongs to: "
            f"{', '.join(others)} was removed or exchanged",
            hint=f"put the lake back; or remove {data.journal.parent} too, and what the edge log holds is landed again",
            code="lake_of_another_journal",
        )
    if found.items() - known.items():
        journal.keep_note(_LAKE_NOTE, msgspec.json.encode(known | found).decode())
