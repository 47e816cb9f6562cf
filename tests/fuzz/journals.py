"""Journal files: damaged ones are refused with what to do."""

import random
from pathlib import Path

from analytics.journal import EpochPlan, Journal, JournalError
from tests.fuzz.mutation import Mutator
from tests.fuzz.scratch import Scratch
from tests.fuzz.target import Outcome, hold


class JournalTarget:
    """The jobs' journal, a SQLite file."""

    name = "journal"
    reads = "journal files with bytes changed, cut off, or put together from parts"

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._mutate = Mutator([_journal_file(self._scratch.path / f"sample-{epochs}") for epochs in (0, 3, 200)])

    def make(self, rng: random.Random) -> bytes:
        """Return a journal's file with one to six places changed; sizes of 20 to 40 kB are kept as they are."""
        data = bytearray(rng.choice(self._mutate.samples))
        for _ in range(rng.choice([1, 2, 6])):
            kind = rng.randrange(4)
            if len(data) < 100:
                break
            at = rng.choice(
                [rng.randrange(100), rng.randrange(len(data)), 4096 * rng.randrange(len(data) // 4096 or 1)]
            )
            if kind == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[at : at + 4] = rng.choice(
                    [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", rng.randbytes(4)]
                )
            elif kind == 2:
                page = rng.randrange(len(data) // 4096 or 1) * 4096
                data[page : page + 4096] = data[-4096:]
            elif rng.random() < 0.3:
                del data[at:]
                data += bytes(8)
            else:
                data[at : at + 16] = rng.randbytes(16)
        return bytes(data)

    def check(self, data: bytes) -> Outcome:
        """Open the file and do with it what the runner does."""
        path = self._scratch.path / "journal.db"
        for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
            (path.parent / name).unlink(missing_ok=True)
        path.write_bytes(data)
        journal = None
        try:
            journal = Journal(path)
            checkpoint = journal.latest()
            plans = journal.planned_after(0 if checkpoint is None else checkpoint.plan.epoch)
            journal.note("lake")
            epoch = max((plan.epoch for plan in plans), default=0) + 1
            journal.plan(EpochPlan(epoch=epoch, position=b"p", through={"s": {"e": 9}}))
            journal.checkpoint(epoch, {"s": b"state"})
        except JournalError as error:
            hold(error.hint, "no hint")
            return Outcome(rejects=[error.code])
        finally:
            if journal is not None:
                journal.close()
        return Outcome(rows=1)

    def settle(self) -> None:
        """Nothing is about several files."""


def _journal_file(folder: Path) -> bytes:
    epochs = int(folder.name.rpartition("-")[2])
    journal = Journal(folder / "journal.db")
    for epoch in range(1, epochs + 1):
        journal.plan(EpochPlan(epoch=epoch, position=b"p%d" % epoch, through={"s": {"e": epoch}}))
    if epochs:
        journal.checkpoint(2, {"s": bytes(range(256)) * 40})
        journal.keep_note("lake", '{"reads":"x"}')
    journal.close()
    return (folder / "journal.db").read_bytes()
