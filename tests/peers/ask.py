#!/usr/bin/env python3
"""Asks a Modbus server over TCP, with pymodbus: ask.py PORT socket|rtu|ascii UNIT FIRST COUNT [UNIT FIRST COUNT ...]

Prints one JSON value for each question: the holding registers, {"exception": code}, or null for silence.
"""
import json
import sys

from pymodbus import FramerType, ModbusException
from pymodbus.client import ModbusTcpClient


def main() -> None:
    port, framer, *questions = sys.argv[1:]
    client = ModbusTcpClient("127.0.0.1", port=int(port), framer=FramerType(framer), timeout=1, retries=0)
    for at in range(0, len(questions), 3):
        unit, first, count = map(int, questions[at : at + 3])
        if not client.connect():
            sys.exit(f"nobody listens at port {port}")
        try:
            answer = client.read_holding_registers(first, count=count, device_id=unit)
        except ModbusException:
            # It closes the connection after a timeout.
            print("null", flush=True)
            continue
        print(json.dumps({"exception": answer.exception_code} if answer.isError() else answer.registers), flush=True)
    client.close()


if __name__ == "__main__":
    main()
