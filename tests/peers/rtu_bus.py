#!/usr/bin/env python3
"""A serial bus between one master and several slaves, whose answers suffer on the way.

    rtu_bus.py NEAR SIDE... [--faults P] [--timeout S] [--seed N]

NEAR is the path that the master opens. A SIDE is `pty:PATH` (made here for a slave to open) or `open:PATH`
(of a program that made it). The slaves hear the master and not each other, as on four wires.

A part P of the answers suffers one fault each, all kinds equally often; S is the master's timeout:

    slow     comes late but in time            edge     comes when the timeout ends, before or after
    late     comes after the timeout, and not later than 1.5 timeouts
    drop     never comes                       partial  only its beginning comes
    dup      comes twice                       garbage  comes after random bytes
    flip     comes with one bit flipped        split    comes byte by byte
    foreign  comes in the name of another unit with a right checksum; half of the time the true one follows

Twice a second it prints {"answers": N, "faults": {KIND: N}, "silence": US}: the shortest time between an answer on
the wire and the next request. The answer's time is taken before its bytes are written, so that a silence that is
too short is never hidden by this program's own delays. Ends on SIGTERM.
"""
import argparse
import asyncio
import json
import os
import random
import signal
import time

from faultproxy import side

KINDS = ["slow", "edge", "late", "drop", "partial", "dup", "garbage", "flip", "split", "foreign"]
UNITS = 5  # of the tests: 1 to 5


def checksum(data):
    """The CRC of the serial line specification, as two bytes."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


class Bus:
    def __init__(self, given):
        self.share, self.timeout = given.faults, given.timeout
        self.near, self.sides, self.bag = None, [], []
        self.answers, self.faults = 0, dict.fromkeys(KINDS, 0)
        self.answered, self.silence = None, None

    async def master(self):
        while True:
            data = await self.near.read(4096)
            if self.answered is not None:
                pause = (time.monotonic_ns() - self.answered) // 1000
                self.silence = min(pause, self.silence or pause)
                self.answered = None
            for slave in self.sides:
                slave.write(data)

    async def slave(self, side, tasks):
        heard = b""
        while True:
            heard += await side.read(4096)
            # A whole answer: only the checksum says where it ends.
            if len(heard) >= 5 and checksum(heard[:-2]) == heard[-2:]:
                tasks.create_task(self.pass_on(heard))
                heard = b""

    def put(self, data):
        self.answered = time.monotonic_ns()
        self.near.write(data)

    async def pass_on(self, data):
        self.answers += 1
        if random.random() >= self.share:
            self.put(data)
            return
        if not self.bag:
            self.bag = random.sample(KINDS, len(KINDS))
        kind = self.bag.pop()
        self.faults[kind] += 1
        await getattr(self, kind)(data)

    async def after(self, least, most, data):
        await asyncio.sleep(self.timeout * random.uniform(least, most))
        self.put(data)

    async def slow(self, data):
        await self.after(0.2, 0.7, data)

    async def edge(self, data):
        await self.after(0.8, 1.2, data)

    async def late(self, data):
        await self.after(1.2, 1.5, data)

    async def drop(self, data):
        pass

    async def partial(self, data):
        self.put(data[: random.randrange(1, len(data))])

    async def dup(self, data):
        self.put(data + data)

    async def garbage(self, data):
        self.put(random.randbytes(random.randrange(1, 20)) + data)

    async def flip(self, data):
        at = random.randrange(len(data))
        self.put(data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :])

    async def split(self, data):
        for byte in data:
            self.put(bytes([byte]))
            await asyncio.sleep(0.001)

    async def foreign(self, data):
        other = bytes([data[0] % UNITS + 1]) + data[1:-2]
        self.put(other + checksum(other))
        if random.random() < 0.5:
            await self.after(0.05, 0.2, data)

    async def tell(self):
        while True:
            counts = {"answers": self.answers, "faults": self.faults, "silence": self.silence}
            print(json.dumps(counts), flush=True)
            await asyncio.sleep(0.5)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("near")
    parser.add_argument("sides", nargs="+")
    parser.add_argument("--faults", type=float, default=0)
    parser.add_argument("--timeout", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random.seed(given.seed)
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, os._exit, 0)
    bus = Bus(given)
    bus.near, _ = await side("pty", given.near)
    for where in given.sides:
        reader, _ = await side(*where.split(":", 1))
        bus.sides.append(reader)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bus.master())
        for one in bus.sides:
            tasks.create_task(bus.slave(one, tasks))
        tasks.create_task(bus.tell())


if __name__ == "__main__":
    asyncio.run(main())
