"""A day in the simulated store: everything wired together, streamed as publications in the order of their arrival.

One slice of virtual time after the other: the world moves on, readers read, devices write payloads, the network
delays them, faults strike. Nothing but one slice, the state of the world and the truth is held in memory.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from devices.publication import Publication
from devices.site.model import Site
from simulators.book import Book
from simulators.config import SLICE_US, DayConfig
from simulators.faults import FaultyNetwork, clock_offset
from simulators.goods import draw_goods
from simulators.handheld import HANDHELD, Handheld, count_with_handheld
from simulators.plan import FLOOR_SHARE, build_plan
from simulators.publishers.feeds import Feeds
from simulators.publishers.readers import (
    REPORT_INTERVAL_US,
    ImpinjPublisher,
    ReaderPublisher,
    TagtidePublisher,
    ZebraPublisher,
)
from simulators.publishers.sensors import Climate, Scales
from simulators.publishers.sent import Sent
from simulators.radio import Radio
from simulators.shoppers import arrivals, returners
from simulators.staff import (
    announce,
    associate,
    count_by_hand,
    delivery,
    draw_opening_book,
    lay_out_neighbour,
    lay_out_opening_stock,
    transfer_out,
    trolley,
)
from simulators.streams import random_stream
from simulators.truth import OFF_SITE
from simulators.world import SECOND_US, World

HANDHELD_INTERVAL_US = 30 * 60 * SECOND_US
"""Time from the start of one counting pass to the next."""
NETWORK_FLOOR_US = 800
"""Shortest way from a device to the bridge, microseconds."""


class StoreDay:
    """One day: iterate over it once for its publications, and ask it for the truth at any time on the way."""

    def __init__(self, config: DayConfig) -> None:
        self.config = config
        """What was asked for."""
        self.plan = build_plan(
            site_id=config.site_id,
            name=config.name,
            zones=config.zones,
            antennas=config.antennas,
            items=config.items,
            timezone=config.timezone,
            width_m=config.width_m,
            depth_m=config.depth_m,
            shape=config.shape,
        )
        """The store."""
        if config.handheld_passes:
            site = dataclasses.replace(self.plan.site, readers=(*self.plan.site.readers, HANDHELD))
            self.plan = dataclasses.replace(self.plan, site=site)
        self.goods = draw_goods(
            self.plan.products,
            items=config.items,
            deliveries=config.deliveries,
            delivered_items=round(config.items * config.delivered_share) if config.deliveries else 0,
            neighbour_items=config.neighbour_items,
            dead_tag_share=config.dead_tag_share,
            carton_units=config.packing.carton_units,
            rng=random_stream(config.seed, "goods"),
        )
        """Every unit of the day."""
        world_rng = random_stream(config.seed, "world")
        opening = draw_opening_book(self.goods.opening.tolist(), config.staff, world_rng)
        book = Book([product.gtin for product in self.plan.products], opening, config.start_us)
        self.world = World(
            plan=self.plan,
            goods=self.goods,
            book=book,
            start_us=config.start_us,
            end_us=config.end_us,
            rng=world_rng,
        )
        """The true state, as far as the day has gone."""
        self.radio = Radio(
            plan=self.plan,
            goods=self.goods,
            law=config.radio,
            propagation=config.propagation,
            rng=random_stream(config.seed, "radio"),
        )
        """Readers and tags."""
        self.reads = 0
        """Reads on the air so far."""
        self._wire_devices()
        self._open_store()

    @property
    def site(self) -> Site:
        """The site."""
        return self.plan.site

    @property
    def now_us(self) -> int:
        """How far the day has gone."""
        return self.world.now_us

    # --- publications ------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Publication]:
        for batch in self.slices():
            yield from batch

    def slices(self) -> Iterator[list[Publication]]:
        """Yield the publications of one slice of virtual time after the other, in order of their receive times."""
        waiting = self._carry([sent for reader in self._readers for sent in reader.start(self.config.start_us)])
        start_us, dwells = self.config.start_us, 0
        while start_us < self.config.end_us:
            end_us = start_us + SLICE_US
            sent, dwells = self._run(start_us, end_us, dwells)
            waiting += self._carry(sent)
            waiting.sort(key=_received)
            due = [publication for publication in waiting if publication.received_us < end_us]
            waiting = waiting[len(due) :]
            yield self._network.carry(due, end_us)
            start_us = end_us
        waiting += self._carry(self._last_reports())
        waiting.sort(key=_received)
        yield self._network.carry(waiting, self.config.end_us + 86_400 * SECOND_US)

    def _run(self, start_us: int, end_us: int, dwells: int) -> tuple[list[Sent], int]:
        """Let the world, the radio and the scales run over a slice."""
        sent: list[Sent] = []
        window_us = round(self.radio.window_dwells * self.config.radio.dwell_s * SECOND_US)
        for at_us in range(start_us, end_us, window_us):
            self.world.advance(at_us)
            self._move_tags(at_us + window_us // 2)
            dwells = self.radio.run(dwells, at_us)
            if at_us % SECOND_US < window_us:
                sent += self._scales.weigh(self.world, at_us)
        sent += self._climate.measure(start_us)
        self.world.advance(end_us - 1)
        sent += self._feeds.publish(self.world.book.drain())
        sent += self._handheld.drain()
        reads = self.radio.collect()
        self.reads += len(reads)
        for number, reader in enumerate(self._readers):
            sent += reader.publish(reads, np.flatnonzero(reads.reader == number), end_us)
        return sent, dwells

    def _last_reports(self) -> list[Sent]:
        """Let readers that report in intervals finish the one that the day's end fell into."""
        nothing, no_rows = self.radio.collect(), np.empty(0, dtype=np.int64)
        until_us = self.config.end_us + REPORT_INTERVAL_US
        return [sent for reader in self._readers for sent in reader.publish(nothing, no_rows, until_us)]

    def _move_tags(self, at_us: int) -> None:
        """Tell the radio about tags that were moved: touched ones in a new posture, carried ones at their place."""
        world, tags = self.world, self.radio.tags
        touched = world.drain_touched()
        if touched:
            gone = [item for item in touched if item not in world.resting and item not in world.carriers]
            here = [item for item in touched if item in world.resting or item in world.carriers]
            tags.remove(gone)
            places = [
                world.carriers[item].position(at_us) if item in world.carriers else world.resting[item] for item in here
            ]
            tags.place(
                here, [x for x, _ in places], [y for _, y in places], carried=[item in world.carriers for item in here]
            )
        if len(world.carriers) > len(touched):
            posed = set(touched)
            carried = [place for place in world.carried(at_us) if place[0] not in posed]
            tags.move([c[0] for c in carried], [c[1] for c in carried], [c[2] for c in carried])

    def _carry(self, sent: list[Sent]) -> list[Publication]:
        """Delay publications on their way; those of one topic stay in order."""
        sent.sort(key=_sent)
        delays = NETWORK_FLOOR_US + (2_500.0 * self._network_rng.lognormal(0.0, 0.7, len(sent))).astype(np.int64)
        last, carried = self._last_received, []
        for (sent_us, topic, payload, retained), delay in zip(sent, delays.tolist(), strict=True):
            received_us = max(sent_us + delay, last.get(topic, 0))
            last[topic] = received_us
            carried.append(Publication(topic=topic, payload=payload, received_us=received_us, retained=retained))
        return carried

    # --- setting up --------------------------------------------------------------------------------------------

    def _wire_devices(self) -> None:
        config = self.config
        rng = random_stream(config.seed, "devices")
        self._readers: list[ReaderPublisher] = []
        first, impinj = 0, 0
        for reader in self.site.readers:
            if reader.mobile:
                continue
            offset = clock_offset(
                config.faults, reader.id, start_us=config.start_us, base_us=int(rng.normal(0.0, 15_000))
            )
            phase_us = int(rng.integers(0, SECOND_US))
            match reader.profile:
                case "impinj":
                    self._readers.append(
                        ImpinjPublisher(
                            reader,
                            epcs=self.goods.epc_hex,
                            first_antenna=first,
                            all_fields=impinj % 2 == 1,
                            clock_offset=offset,
                            rng=random_stream(config.seed, f"reader {reader.id}"),
                        )
                    )
                    impinj += 1
                case "zebra":
                    self._readers.append(
                        ZebraPublisher(
                            reader,
                            epcs=self.goods.epc_hex,
                            first_antenna=first,
                            clock_offset=offset,
                            phase_us=phase_us,
                            first_event=int(rng.integers(1_000, 90_000)),
                        )
                    )
                case _:
                    self._readers.append(
                        TagtidePublisher(
                            reader,
                            epcs=self.goods.epc_hex,
                            first_antenna=first,
                            clock_offset=offset,
                            phase_us=phase_us,
                        )
                    )
            first += len(reader.antennas)
        self._scales = Scales(self.site.shelves, random_stream(config.seed, "scales"))
        self._climate = Climate(self.site.sensors, config.start_us, random_stream(config.seed, "climate"))
        self._handheld = Handheld(self.goods, random_stream(config.seed, "handheld"))
        self._feeds = Feeds(self.site.feeds, random_stream(config.seed, "feeds"))
        self._network_rng = random_stream(config.seed, "network")
        self._last_received: dict[str, int] = {}
        self._network = FaultyNetwork(
            faults=config.faults,
            site=self.site,
            start_us=config.start_us,
            rng=random_stream(config.seed, "faults"),
        )

    def _open_store(self) -> None:
        """Lay the opening stock out, tune the tags' persistence to the read interval, and let people in."""
        config, world = self.config, self.world
        lay_out_opening_stock(world, FLOOR_SHARE)
        lay_out_neighbour(world, random_stream(config.seed, "neighbour"))
        self._move_tags(config.start_us)
        self.radio.set_persistence(self.radio.persistence_for_interval(config.mean_read_interval_s))
        world.book.post_stock(config.start_us + SECOND_US)
        length_us = config.end_us - config.start_us
        close_us = config.end_us - min(20 * 60 * SECOND_US, length_us // 10)
        world.spawn(arrivals(world, config.shoppers, close_us), config.start_us)
        world.spawn(returners(world, config.shoppers, close_us), config.start_us)
        for _ in range(config.staff.associates):
            world.spawn(associate(world, config.staff), config.start_us)
        for _ in range(config.staff.trolleys):
            world.spawn(trolley(world, config.staff), config.start_us)
        for number in range(config.deliveries):
            at_us = config.start_us + round(length_us * (0.1 + 0.7 * number / config.deliveries))
            world.spawn(announce(world, config.staff, number), config.start_us + 2 * SECOND_US)
            world.spawn(delivery(world, config.staff, config.packing, number), at_us)
        for number in range(config.staff.counts_per_day):
            share = (number + 0.7) / config.staff.counts_per_day
            world.spawn(count_by_hand(world, config.staff), config.start_us + round(length_us * share))
        for number in range(config.handheld_passes):
            at_us = config.start_us + length_us // 2 + number * HANDHELD_INTERVAL_US
            world.spawn(count_with_handheld(world, self._handheld), at_us)
        for number in range(config.transfers):
            share = (number + 0.5) / config.transfers
            world.spawn(transfer_out(world), config.start_us + round(length_us * share))

    # --- the truth ---------------------------------------------------------------------------------------------

    def truth_locations(self, at_us: int) -> dict[str, str]:
        """Return the zone of every readable item on site, by EPC, at a time that the day has reached."""
        zones, truth = self.site.zones, self.world.truth
        found = {}
        for item, epc in enumerate(self.goods.epc_hex):
            if self.goods.readable[item]:
                zone = truth.zone_at(item, at_us)
                if zone != OFF_SITE:
                    found[epc] = zones[zone].id
        return found

    def truth_counts(self, at_us: int) -> dict[str, int]:
        """Return the units on site by GTIN, tagged or not, at a time that the day has reached."""
        counts = {product.gtin: 0 for product in self.plan.products}
        for item, product in enumerate(self.world.product):
            if product >= 0 and self.world.truth.zone_at(item, at_us) != OFF_SITE:
                counts[self.plan.products[product].gtin] += 1
        return counts

    def book(self, at_us: int) -> dict[str, int]:
        """Return the book stock by GTIN at a time that the day has reached."""
        return self.world.book.stock(at_us)

    def fault_records(self) -> list[dict[str, object]]:
        """Return what the faults have done so far."""
        return self._network.records()


def _received(publication: Publication) -> int:
    return publication.received_us


def _sent(sent: Sent) -> int:
    return sent.sent_us
