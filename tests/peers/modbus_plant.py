#!/usr/bin/env python3
"""A plant of Modbus devices on pymodbus, and the truth about what they served.

    modbus_plant.py PLAN.json

The plan names the lines, the units on them and their points:

    {"log": "plant.jsonl",
     "lines": [{"name": "plc",  "tcp": 0, "units": [{"unit": 1, "points": [...]}]},
               {"name": "bus",  "pty": "ttyM", "missing": "silent", "units": [...]}]}

`tcp` is a port on 127.0.0.1, or on `"host"` (0 takes a free one); `pty` is the path that a master opens (socat
joins it to the path with `.far` that the plant opens); `udp` is a port for datagrams. `"framing": "rtu"` or
`"ascii"` says how frames look where that is not "rtu" on a pty and Modbus TCP elsewhere, and
`"tls": {"certificate": FILE, "key": FILE, "ca": FILE}` wraps `tcp` into TLS that asks for a certificate.
`"identity": {"0": "vendor", ..., "128": "serial number"}` is what every unit of the plant says by function 43/14.
A unit that is not listed is `silent`, or
answers exception 0B (`"missing": "0b"`) as a bridge does. A unit may have `"delay": SECONDS`, and
`"refuse": {"at": 190, "code": 3}`: whatever touches that register or bit is answered by that exception.

A point lies in the holding and the input registers alike, high word first unless "order" is "CDAB":

    {"at": 0, "type": "u32", "kind": "served"}              how often a read covered this point,
                                                            or "mean" + "rate" times that
    {"at": 2, "type": "u32", "kind": "clock"}               ms since the plant began
    {"at": 4, "type": "f32", "kind": "wave", "mean": 230, "swing": 3, "period": 7}
    {"at": 6, "type": "u32", "kind": "ramp", "value": 1200, "rate": 0.5}      grows by rate per second
    {"at": 8, "type": "u16", "kind": "set", "value": 50}    holds what was written last
    {"at": 20, "count": 80, "kind": "fill"}                 (unit * 1000 + address + served) mod 65536
    {"at": 0, "type": "text", "kind": "set", "value": "SIM-1", "count": 8}

Coils and discrete inputs 0..63: coils hold what was written, a discrete input is a bit of `served`.

Every request becomes one line of the log, with the time at which the answer was made
(CLOCK_MONOTONIC, s); a TCP line logs {"connected": BOOL} when one comes and goes; on a serial line every arrival and every departure of bytes is logged as well.
When all lines are served it prints one JSON line {"ready": {NAME: PORT or PATH}}. On SIGTERM it falls silent, and
ends when its last answers have had time to arrive: a pty that is closed drops what is in it.
"""
import asyncio
import json
import math
import os
import signal
import ssl
import struct
import subprocess
import sys
import time

from pymodbus import FramerType, pymodbus_apply_logging_config
from pymodbus.constants import ExcCodes
from pymodbus.pdu.device import ModbusControlBlock
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer, ModbusUdpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

REGISTERS = 8000
FORMATS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f", "u64": ">Q", "f64": ">d"}
BEGIN = time.monotonic()
LINGER = 0.5  # s
stop = asyncio.Event()


def words(point, value):
    """The registers that show a value."""
    if point["type"] == "text":
        data = value.encode().ljust(2 * point["count"], b"\0")[: 2 * point["count"]]
    elif point["type"][0] == "f":
        data = struct.pack(FORMATS[point["type"]], value)
    else:
        size = struct.calcsize(FORMATS[point["type"]])
        number = round(value)
        if point["type"][0] == "u":
            number %= 1 << (8 * size)
        data = struct.pack(FORMATS[point["type"]], number)
    registers = struct.unpack(f">{len(data) // 2}H", data)
    return registers[::-1] if point.get("order") == "CDAB" else registers


class Unit:
    """One device: its points, and how often they were served."""

    def __init__(self, line, plan, log):
        self.line, self.number, self.log = line, plan["unit"], log
        self.points = plan.get("points", [])
        self.delay = plan.get("delay", 0)
        self.refuse = plan.get("refuse")
        self.served = 0
        self.written = {}
        registers = [0] * REGISTERS
        for point in self.points:
            if point["kind"] == "set":
                put(registers, point["at"], words(point, point["value"]))
        registers = [SimData(0, values=registers, datatype=DataType.REGISTERS)]
        bits = lambda: [SimData(0, count=4, values=[0], datatype=DataType.BITS)]
        self.device = SimDevice(id=self.number, action=self.act,
                                simdata=(bits(), bits(), registers, list(registers)))

    async def act(self, function, start, address, count, registers, new):
        """Called by pymodbus at each request, before it reads or writes the registers."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if stop.is_set():
            return None
        now = time.monotonic()
        entry = {"t": round(now, 6), "line": self.line, "unit": self.number, "fc": function,
                 "at": address, "count": len(new) if new else count}
        if new is not None:
            entry["wrote"] = [int(value) for value in new]
            if function in (6, 16):
                self.written.update(enumerate(new, address))
        elif function in (3, 4):
            counts = [p for p in self.points if p["kind"] == "served"
                      and address <= p["at"] < address + count]
            if counts:
                self.served += 1
                entry["served"] = self.served
            entry["clock"] = self.refresh(registers, now)
        elif function == 2:
            for i in range(4):
                registers[i] = (self.served >> (16 * i)) & 0xFFFF
        if self.refuse and address <= self.refuse["at"] < address + entry["count"]:
            return ExcCodes(self.refuse["code"])
        if new is not None or function in (1, 2, 3, 4):
            self.log(entry)
        return None

    def refresh(self, registers, now):
        """Brings every point up to this moment, and returns the moment as the clock point shows it."""
        clock = int((now - BEGIN) * 1000)
        for point in self.points:
            kind, at = point["kind"], point["at"]
            if kind == "served":
                value = point.get("mean", 0) + point.get("rate", 1) * self.served
                put(registers, at, words(point, value))
            elif kind == "clock":
                put(registers, at, words(point, clock))
            elif kind == "wave":
                angle = 2 * math.pi * now / point["period"]
                put(registers, at, words(point, point["mean"] + point["swing"] * math.sin(angle)))
            elif kind == "ramp":
                put(registers, at, words(point, point["value"] + point["rate"] * (now - BEGIN)))
            elif kind == "fill":
                base = self.number * 1000 + self.served
                put(registers, at, [(base + at + i) & 0xFFFF for i in range(point["count"])])
        for at, value in self.written.items():
            registers[at] = value
        return clock


def put(registers, at, values):
    registers[at : at + len(values)] = values


def missing_units(known):
    """What a unit does that is not there: pymodbus would answer exception 4 in its name."""
    send = ServerRequestHandler.server_send

    def server_send(handler, pdu, address):
        if stop.is_set():
            return
        there, way = known[id(handler.server)]
        if pdu and pdu.dev_id not in there:
            if way == "silent":
                return
            pdu.exception_code = ExcCodes.GATEWAY_NO_RESPONSE
        send(handler, pdu, address)

    ServerRequestHandler.server_send = server_send


def trace(line, log):
    """Logs when bytes come and go on a serial line: the silence between them is judged by it."""
    def packet(sending, data):
        log({"t": round(time.monotonic(), 6), "line": line, "tx" if sending else "rx": data.hex()})
        return data
    return packet


def serve(line, devices, log, ready, joined):
    """The server of a line; it does not serve yet."""
    framer = {"rtu": FramerType.RTU, "ascii": FramerType.ASCII}.get(line.get("framing"))
    if "pty" in line:
        near, far = line["pty"], line["pty"] + ".far"
        joined.append(subprocess.Popen(
            ["socat", f"pty,raw,echo=0,link={near}", f"pty,raw,echo=0,link={far}"]))
        while not os.path.exists(far) or not os.path.exists(near):
            time.sleep(0.02)
        ready[line["name"]] = near
        return ModbusSerialServer(devices, framer=framer or FramerType.RTU, port=far, baudrate=19200,
                                  trace_packet=trace(line["name"], log))
    framer = framer or FramerType.SOCKET
    if "udp" in line:
        return ModbusUdpServer(devices, framer=framer, address=("127.0.0.1", line["udp"]))
    address = (line.get("host", "127.0.0.1"), line["tcp"])
    if "tls" in line:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(line["tls"]["certificate"], line["tls"]["key"])
        context.load_verify_locations(line["tls"]["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
        return ModbusTlsServer(devices, framer=framer, address=address, sslctx=context)
    def connected(now):
        log({"t": round(time.monotonic(), 6), "line": line["name"], "connected": now})
    return ModbusTcpServer(devices, framer=framer, address=address, trace_connect=connected)


async def main():
    with open(sys.argv[1]) as file:
        plan = json.load(file)
    out = open(plan["log"], "a", buffering=1)
    log = lambda entry: out.write(json.dumps(entry) + "\n")
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)

    pymodbus_apply_logging_config("CRITICAL")
    known, ready, joined, servers = {}, {}, [], []
    missing_units(known)
    for line in plan["lines"]:
        name = line["name"]
        units = [Unit(name, unit, log) for unit in line["units"]]
        for number, text in line.get("identity", {}).items():
            ModbusControlBlock().Identity[int(number)] = text
        server = serve(line, [unit.device for unit in units], log, ready, joined)
        known[id(server)] = ({unit.number for unit in units}, line.get("missing", "silent"))
        await server.serve_forever(background=True)
        if "tcp" in line:
            ready[name] = server.transport.sockets[0].getsockname()[1]
        elif "udp" in line:
            ready[name] = server.transport.get_extra_info("sockname")[1]
        servers.append(server)
    print(json.dumps({"ready": ready}), flush=True)
    await stop.wait()
    await asyncio.sleep(LINGER)
    for server in servers:
        await server.shutdown()
    for process in joined:
        process.terminate()
        process.wait()
    out.close()


if __name__ == "__main__":
    asyncio.run(main())
