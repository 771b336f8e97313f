#!/usr/bin/env python3
"""A SunSpec device on Modbus TCP: pymodbus serves a map that the SunSpec Alliance's own library lays out.

    sunspec_device.py PLAN.json

    {"port": 0, "base": 40000, "log": "device.jsonl",
     "maps": [[{"ID": 1, "Mn": "Acme"}, {"ID": 103, "W_SF": -1, "W": 43210}], ...]}

A model's points are its own registers' numbers, before any scale factor; what is not given is "not implemented". The
first map is served; at each SIGUSR1 the next one takes its place (it must not be longer). Before the map there are
zeros, behind it every request is refused. When it serves it prints {"ready": PORT}; each read becomes a line of the
log. Ends on SIGTERM.
"""
import asyncio
import json
import signal
import struct
import sys

import sunspec2.device
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

END = struct.pack(">HH", 0xFFFF, 0)


def model(points):
    """The registers of a model, number and length first."""
    made = sunspec2.device.Model(points["ID"], data=points)
    return made.get_mb()


def registers(models):
    data = b"SunS" + b"".join(model(points) for points in models) + END
    return list(struct.unpack(f">{len(data) // 2}H", data))


async def main(plan):
    maps = [registers(models) for models in plan["maps"]]
    base, shown, log = plan["base"], 0, open(plan["log"], "a", buffering=1)

    def turn():
        nonlocal shown
        shown = min(shown + 1, len(maps) - 1)

    async def act(function, start, address, count, current, new):
        current[base - start: base - start + len(maps[shown])] = maps[shown]
        log.write(json.dumps({"fc": function, "at": address, "count": count}) + "\n")
        return None

    bits = lambda: [SimData(0, count=4, values=[0], datatype=DataType.BITS)]
    simulated = lambda: [SimData(0, values=[0] * base + maps[0], datatype=DataType.REGISTERS)]
    device = SimDevice(id=1, action=act, simdata=(bits(), bits(), simulated(), simulated()))
    server = ModbusTcpServer(device, address=("127.0.0.1", plan["port"]))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    print(json.dumps({"ready": port}), flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, turn)
    await stop.wait()
    await server.shutdown()


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        asyncio.run(main(json.load(file)))
