"""The simulated handheld: it hears most of what rests near its way, never what is dead, and says no place."""

import json
from pathlib import Path

from devices.site.file import load_site
from simulators.config import preset
from simulators.day import StoreDay
from simulators.handheld import HANDHELD
from simulators.site_toml import site_toml


def test_a_pass_hears_most_tags_that_work_and_none_that_are_dead(tmp_path: Path) -> None:
    day = StoreDay(preset("tiny", hours=0.5, handheld_passes=1, dead_tag_share=0.1, mean_read_interval_s=60.0))
    sent = [publication for publication in day if publication.topic == HANDHELD.mqtt_topic]
    heard = {read["epc"] for publication in sent for read in json.loads(publication.payload)["reads"]}
    there = set(day.truth_locations(day.config.start_us + 20 * 60 * 1_000_000))
    assert len(heard & there) > 0.6 * len(there)
    dead = {epc for epc, works in zip(day.goods.epc_hex, day.goods.readable.tolist(), strict=True) if not works}
    assert not heard & dead
    assert all("antenna" not in read for read in json.loads(sent[0].payload)["reads"])
    assert day.site.readers[-1].mobile
    (tmp_path / "site.toml").write_text(site_toml(day.site, comment="test"), "utf-8")
    assert load_site(tmp_path / "site.toml").readers[-1].mobile


def test_without_passes_there_is_no_handheld() -> None:
    assert not any(reader.mobile for reader in StoreDay(preset("tiny", hours=0.01)).site.readers)
