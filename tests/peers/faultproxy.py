#!/usr/bin/env python3
"""A proxy between a client and a TCP server, or a master and a slave on two ptys, that misbehaves on demand.

    faultproxy.py --control PORT SIDE_A SIDE_B [--seed N]

A side is `listen:PORT`, `connect:PORT` (both on 127.0.0.1; 0 takes a free port), `pty:PATH` (made here,
PATH links to it) or `open:PATH`. When it is ready it prints {"ready": PORT or PATH, "control": PORT}.

The control port takes one JSON object a line and answers with the state and the counts:

    {"way": "open"}      everything passes (at the beginning)
    {"way": "silent"}    nothing passes and nothing is closed, as when a cable is pulled
    {"way": "mute"}      A's bytes reach B, B's answers are swallowed
    {"way": "refuse"}    connections are closed at once, those there are and those that come
    {"cut": true}        closes the connections there are
    {"delay": S, "jitter": S, "drop": P, "corrupt": P, "garbage": P, "partial": P, "dup": P, "split": true}
                         faults of what B says, per piece: seconds and probabilities

A connection that saw silence or muteness is never healed: its bytes are lost. Opening cuts it.
Ends on SIGTERM.
"""
import argparse
import asyncio
import json
import os
import random
import signal
import tty

state = {"way": "open", "delay": 0, "jitter": 0, "drop": 0, "corrupt": 0, "garbage": 0, "partial": 0,
         "dup": 0, "split": False}
counts = {"connections": 0, "pieces": 0, "swallowed": 0, "drop": 0, "corrupt": 0, "garbage": 0,
          "partial": 0, "dup": 0}
alive = []


class Tty:
    """A terminal with the looks of a stream."""

    def __init__(self, fd):
        self.fd, self.queue = fd, asyncio.Queue()
        asyncio.get_running_loop().add_reader(fd, self.arrived)

    def arrived(self):
        try:
            self.queue.put_nowait(os.read(self.fd, 4096))
        except OSError:
            pass  # nobody has the other end open

    async def read(self, _size):
        return await self.queue.get()

    def write(self, data):
        os.write(self.fd, data)

    async def drain(self):
        pass

    def close(self):
        pass


def make_pty(path):
    master, slave = os.openpty()  # the slave stays open here, so that the master never sees an end
    tty.setraw(slave)
    tty.setraw(master)
    os.set_blocking(master, False)
    if os.path.islink(path):
        os.unlink(path)
    os.symlink(os.ttyname(slave), path)
    return master


def hit(chance, name):
    if chance and random.random() < chance:
        counts[name] += 1
        return True
    return False


async def misbehave(data, writer):
    """Passes on a piece of what B says, with the faults that are set."""
    if hit(state["drop"], "drop"):
        return
    if state["delay"] or state["jitter"]:
        await asyncio.sleep(state["delay"] + random.random() * state["jitter"])
    if hit(state["corrupt"], "corrupt"):
        at = random.randrange(len(data))
        data = data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]
    if hit(state["garbage"], "garbage"):
        data = random.randbytes(random.randrange(1, 20)) + data
    if hit(state["partial"], "partial"):
        data = data[: random.randrange(len(data))]
    if hit(state["dup"], "dup"):
        data = data + data
    for piece in [bytes([b]) for b in data] if state["split"] else [data]:
        writer.write(piece)
        await writer.drain()
        if state["split"]:
            await asyncio.sleep(0.002)


async def pump(link, reader, writer, answers):
    try:
        while data := await reader.read(65536):
            counts["pieces"] += 1
            if state["way"] == "silent" or (state["way"] == "mute" and answers):
                counts["swallowed"] += 1
                link["broken"] = True
            elif answers:
                await misbehave(data, writer)
            else:
                writer.write(data)
                await writer.drain()
    except OSError:
        pass
    while state["way"] in ("silent", "mute"):
        link["broken"] = True  # the end of a connection is swallowed like everything else
        await asyncio.sleep(0.02)


async def join(a, b):
    counts["connections"] += 1
    link = {"sides": (a, b), "broken": False}
    pumps = [asyncio.create_task(pump(link, a[0], b[1], False)),
             asyncio.create_task(pump(link, b[0], a[1], True))]
    link["pumps"] = pumps
    alive.append(link)
    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    for one in pumps:
        one.cancel()
    alive.remove(link)
    a[1].close()
    b[1].close()


def cut(only_broken=False):
    for link in alive:
        if link["broken"] or not only_broken:
            for _, writer in link["sides"]:
                if not isinstance(writer, Tty):
                    writer.close()
                    for one in link["pumps"]:
                        one.cancel()


async def side(kind, where):
    if kind == "connect":
        return await asyncio.open_connection("127.0.0.1", int(where))
    fd = make_pty(where) if kind == "pty" else os.open(where, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    end = Tty(fd)
    return end, end


async def control(reader, writer):
    while line := await reader.readline():
        wish = json.loads(line)
        if wish.pop("cut", False) or wish.get("way") == "refuse":
            cut()
        if wish.get("way") == "open":
            cut(only_broken=True)
        state.update(wish)
        writer.write((json.dumps({**state, "counts": counts}) + "\n").encode())
        await writer.drain()
    writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--control", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random.seed(given.seed)
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    (kind_a, where_a), (kind_b, where_b) = given.a.split(":", 1), given.b.split(":", 1)
    controls = await asyncio.start_server(control, "127.0.0.1", given.control)
    control_port = controls.sockets[0].getsockname()[1]

    async def came(reader, writer):
        if state["way"] == "refuse":
            writer.close()
            return
        while state["way"] in ("silent", "mute"):
            await asyncio.sleep(0.02)  # the handshake succeeds and then nobody answers
        try:
            other = await side(kind_b, where_b)
        except OSError:
            writer.close()
            return
        await join((reader, writer), other)

    if kind_a == "listen":
        server = await asyncio.start_server(came, "127.0.0.1", int(where_a))
        ready, task = server.sockets[0].getsockname()[1], None
    else:
        ready, near, far = where_a, await side(kind_a, where_a), await side(kind_b, where_b)
        task = asyncio.create_task(join(near, far))
    print(json.dumps({"ready": ready, "control": control_port}), flush=True)
    await stop.wait()
    os._exit(0)  # connections that are being held need no farewell


if __name__ == "__main__":
    asyncio.run(main())
