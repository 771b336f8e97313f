"""The demo's plant: the devices of etc/devices.d, as they would be found in a plant room.

Every reading of the point named `counted` carries a number of its own, so that it can be counted.
"""

DEAD = 4  # the unit of the bus that does not answer
UNITS = (1, 2, 3, 5)

# twin -> (line/unit, counted point, value of reading 0, step from one reading to the next)
COUNTED = {
    "pump-7": ("pump/1", "motor/power", 7.5, 0.125),
    "meter": ("bus-1/1", "power/total", 1000.0, 6.0),
    "flat-2": ("bus-1/2", "power/total", 230.5, 0.5),
    "flat-3": ("bus-1/3", "power/total", 410.0, 0.5),
    "flat-5": ("bus-1/5", "power/total", 95.0, 0.5),
}


def meter(unit):
    """An Eastron SDM72D-M: input registers, floats."""
    _, _, mean, rate = next(c for c in COUNTED.values() if c[0] == f"bus-1/{unit}")
    floats = [
        {"at": 52, "kind": "served", "mean": mean, "rate": rate},
        {"at": 1280, "kind": "wave", "mean": mean, "swing": 20, "period": 11},
        {"at": 1282, "kind": "wave", "mean": 0, "swing": 0, "period": 11},
        {"at": 72, "kind": "ramp", "value": 1200 + unit, "rate": 0.01},
        {"at": 74, "kind": "ramp", "value": 12, "rate": 0},
        {"at": 342, "kind": "ramp", "value": 1212 + unit, "rate": 0.01},
        {"at": 384, "kind": "ramp", "value": 100, "rate": 0.01},
        {"at": 388, "kind": "ramp", "value": 99, "rate": 0.01},
        {"at": 390, "kind": "ramp", "value": 1, "rate": 0},
    ]
    return {"unit": unit, "points": [{"type": "f32", **point} for point in floats]}


def pump():
    """The pump drive of pump.toml.example."""
    return {"unit": 1, "points": [
        {"at": 20, "type": "f32", "order": "CDAB", "kind": "served", "mean": 7.5, "rate": 0.125},
        {"at": 100, "type": "u16", "kind": "wave", "mean": 14500, "swing": 400, "period": 13},
        {"at": 110, "type": "u16", "kind": "set", "value": 2},
        {"at": 111, "type": "u16", "kind": "set", "value": 14500},
        {"at": 112, "type": "u16", "kind": "set", "value": 0},
        {"at": 200, "type": "u32", "kind": "ramp", "value": 8123, "rate": 0.0003},
        {"at": 300, "type": "text", "kind": "set", "value": "P-100-DEMO", "count": 8},
    ]}


def lines(pty):
    return [
        {"name": "pump", "tcp": 0, "units": [pump()]},
        {"name": "bus-1", "pty": pty, "units": [meter(unit) for unit in UNITS]},
    ]
