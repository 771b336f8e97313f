#!/usr/bin/env python3
"""Judges the gateway: what the plant served against what the subscribers got. Shares no code with it.

    check.py CASE.json

    {"gateway": "gw",
     "served": ["plant.jsonl"],                      logs of modbus_plant.py or libmodbus_slave
     "sinks": {"north": "north.jsonl"},              logs of sink.py, by link
     "twins": {"plc/1": "meter-1"},                  line/unit -> twin
     "points": {"served": "test/served", "clock": "test/clock", "fill": "fill/r{address}"},
                                                     or served by twin: {"point", "mean", "rate"}
     "kills": [123.4, 130.0],                        when the gateway was killed, CLOCK_MONOTONIC s
     "grace": 0.5}                                   what was served this long before a kill may be under way

Every served reading carries a number of its own (`served`) that no other reading of the unit has. So:

- lost: a number that was served, was not under way at a kill, and never arrived at a link;
- wrong: a message whose values are not those that were served together with its number;
- disorder: of one twin and class, a first arrival with a smaller (epoch, seq) than one before it, among
  what was live and among what was historical;
- a duplicate is a second arrival of an identity (gateway, epoch, seq); it must carry the same values;
- the links must agree: one that lacks an identity which another got, lost it. What carries no reading and is
  newer than all that a link got of the twin may be under way: figures and transitions go on when the plant is gone.

Prints one JSON object; exit status 0 only if nothing was lost, wrong or out of order.
"""
import json
import re
import sys

PROBLEMS = 20


def lines(path):
    with open(path) as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def class_of(message):
    """Order holds within a class: alarms may pass records, records may pass samples, which are readings and
    the figures of entanglement (those of a transition stand within its `lifecycle`)."""
    if "values" in message or "entanglement" in message:
        return "readings"
    if "event" in message or message.get("lifecycle", {}).get("to") == "out of sync":
        return "alarms"
    return "records"


class Check:
    def __init__(self, case):
        self.case = case
        self.problems = []
        self.kills = sorted(case.get("kills", []))
        self.grace = case.get("grace", 0.5)
        points = case["points"]
        self.served_point, self.clock_key = points["served"], points.get("clock")
        fill = points.get("fill")
        self.fill = re.compile(re.escape(fill).replace(r"\{address\}", r"(\d+)")) if fill else None
        self.units = {twin: int(place.rsplit("/", 1)[1]) for place, twin in case["twins"].items()}

    def problem(self, kind, words):
        self.problems.append(f"{kind}: {words}")

    def read_served(self):
        """twin -> served number -> (time, clock as served)"""
        truth = {twin: {} for twin in self.case["twins"].values()}
        for path in self.case["served"]:
            for entry in lines(path):
                twin = self.case["twins"].get(f"{entry.get('line')}/{entry.get('unit')}")
                if twin and "served" in entry:
                    truth[twin][entry["served"]] = (entry["t"], entry["clock"])
        return truth

    def near_kill(self, t):
        return any(kill - self.grace <= t <= kill + 0.1 for kill in self.kills)

    def read_sink(self, link, path, truth):
        """twin -> served number -> identity; checks values and order on the way."""
        got, seen, last, duplicates, historical, messages = {}, {}, {}, 0, 0, 0
        delays = []
        for entry in lines(path):
            parts = entry["topic"].split("/")
            if parts[-1] != "stream" or entry["retain"]:
                continue
            message = entry["payload"]
            twin = message["twin"]
            if twin not in truth:
                continue
            messages += 1
            if message["gateway"] != self.case["gateway"] or parts[-2] != twin:
                self.problem("wrong", f"{link}: {entry['topic']} tells of {message['gateway']}/{twin}")
            identity = (message["epoch"], message["seq"])
            values, kind = message.get("values", {}), class_of(message)
            if (twin, identity) in seen:
                duplicates += 1
                if seen[twin, identity] != values:
                    self.problem("wrong", f"{link}: {twin} {identity} came again with other values")
                continue
            seen[twin, identity] = values
            lane = "historical" if message.get("hist") else "live"
            historical += lane == "historical"
            before = last.get((twin, lane, kind))
            if before and identity <= before:
                self.problem("disorder", f"{link}: {twin} {lane} {kind} {identity} after {before}")
            last[twin, lane, kind] = max(identity, before or identity)
            number = self.number(twin, values)
            if number is None:
                continue  # a bad reading, or a group without the number
            self.judge_values(link, twin, number, values, truth[twin])
            got.setdefault(twin, {})
            if number in got[twin]:
                self.problem("wrong", f"{link}: {twin} reading {number} has two identities")
            got[twin][number] = identity
            if lane == "live" and number in truth[twin]:
                delays.append(entry["t"] - truth[twin][number][0])
        delays.sort()
        counts = {"messages": messages, "first": len(seen), "duplicates": duplicates,
                  "historical": historical}
        if delays:
            counts["live_delay_ms"] = {"p50": round(delays[len(delays) // 2] * 1e3, 2),
                                       "p99": round(delays[len(delays) * 99 // 100] * 1e3, 2)}
        return got, seen, counts

    def number(self, twin, values):
        """The number that the reading carries, if it has one."""
        how = self.served_point
        if isinstance(how, str):
            return values.get(how)
        value = values.get(how[twin]["point"])
        return None if value is None else round((value - how[twin]["mean"]) / how[twin]["rate"])

    def judge_values(self, link, twin, number, values, truth):
        if number not in truth:
            self.problem("wrong", f"{link}: {twin} reading {number} was never served")
            return
        clock = values.get(self.clock_key) if self.clock_key else None
        if clock is not None and clock != truth[number][1]:
            self.problem("wrong", f"{link}: {twin} reading {number} has clock {clock}, "
                                  f"served was {truth[number][1]}")
        for key, value in values.items():
            match = self.fill and self.fill.fullmatch(key)
            if match:
                right = (self.units[twin] * 1000 + int(match[1]) + number) % 65536
                if value != right:
                    self.problem("wrong", f"{link}: {twin} {key} is {value}, served was {right}")

    def run(self):
        truth = self.read_served()
        report = {"served": {twin: len(numbers) for twin, numbers in truth.items()}, "links": {}}
        identities = {}
        for link, path in self.case["sinks"].items():
            got, seen, counts = self.read_sink(link, path, truth)
            identities[link] = seen
            lost, under_way = 0, 0
            for twin, numbers in truth.items():
                for number, (t, _) in numbers.items():
                    if number in got.get(twin, {}):
                        continue
                    if self.near_kill(t):
                        under_way += 1
                        continue
                    lost += 1
                    self.problem("lost", f"{link}: {twin} reading {number}, served at {t:.3f}")
            report["links"][link] = {**counts, "lost": lost, "under_way_at_kills": under_way}
        everything = {identity: values for own in identities.values() for identity, values in own.items()}
        for link, own in identities.items():
            newest = {}
            for twin, identity in own:
                newest[twin] = max(newest.get(twin, identity), identity)
            missing = {(twin, identity) for twin, identity in everything.keys() - own.keys()
                       if everything[twin, identity] or identity <= newest.get(twin, identity)}
            report["links"][link]["missing_that_others_got"] = len(missing)
            for twin, identity in sorted(missing)[:PROBLEMS]:
                self.problem("lost", f"{link}: {twin} {identity}, which another link got")
        if not any(report["served"].values()):
            self.problem("nothing", "the plant served nothing")
        # Under way at a kill is at most the request on each line and what the writer was about to take.
        if self.kills:
            places = len({place.rsplit("/", 1)[0] for place in self.case["twins"]})
            report["kills"] = len(self.kills)
            for link, counts in report["links"].items():
                if counts["under_way_at_kills"] > 2 * places * len(self.kills):
                    self.problem("lost", f"{link}: {counts['under_way_at_kills']} readings were under "
                                         f"way at {len(self.kills)} kills of {places} lines")
        report["problems"] = len(self.problems)
        report["first_problems"] = self.problems[:PROBLEMS]
        return report


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        report = Check(json.load(file)).run()
    print(json.dumps(report, indent=1))
    sys.exit(1 if report["problems"] else 0)
