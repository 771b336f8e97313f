#!/usr/bin/env python3
"""Judges how a backlog was delivered of which the oldest part was thinned meanwhile. Shares no code with the gateway.

    check_backlog.py CASE.json

    {"gateway": "gw", "begin": 1800000000000000,    the first second, microseconds since 1970
     "seconds": 86400, "twins": 10, "points": 100,
     "links": {"start": {"sink": "start.jsonl", "from": 0}}}    what it had delivered before it was cut

Twin N (`kept-N`) said `(s * (7 + p) + N * 1009 + p * 31) % 60000` at its point `regs/rP` in second s.
Each such reading has to arrive at each link that had not delivered it: as it was, or within one envelope.

- lost: a second of a twin that is in no message, or one more than a link was due;
- wrong: a value that was not said, or an envelope that does not sum up just what was said between its times;
- disorder: of one twin, a first arrival with a smaller (epoch, seq) than one before it, which brings anything new;
- twice: a second that came as a reading and in an envelope, or in two envelopes, over one connection: only where a
  connection ended, an acknowledgement was lost. Connections are told apart by what the link publishes as its status;
- a message that comes again must be recognisable: same (epoch, seq, thin), same content;
- unsaid: an envelope whose commits no gap with the cause `thinned` names.

Prints one JSON object; exit status 0 only if nothing of this was found.
"""
import array
import json
import sys
from datetime import datetime, timedelta, timezone

PROBLEMS = 20
SAMPLED = 7  # of each message so many points are compared, others with each message


def value(twin, second, point):
    return (second * (7 + point) + twin * 1009 + point * 31) % 60000


EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def micros(text):
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH) // timedelta(microseconds=1)


class Check:
    def __init__(self, case):
        self.case = case
        self.problems = []
        self.count = {}
        self.turn = 0

    def problem(self, kind, words):
        self.count[kind] = self.count.get(kind, 0) + 1
        if len(self.problems) < PROBLEMS:
            self.problems.append(f"{kind}: {words}")

    def second(self, text):
        second, rest = divmod(micros(text) - self.case["begin"], 1_000_000)
        return second if rest == 0 else None

    def some_points(self):
        """A few points, others each time, the first and last always."""
        n = self.case["points"]
        self.turn += 1
        return {0, n - 1} | {(self.turn * 13 + i * 17) % n for i in range(SAMPLED)}

    def judge_reading(self, link, twin, second, values):
        if len(values) != self.case["points"]:
            self.problem("wrong", f"{link}: kept-{twin} second {second} has {len(values)} values")
        for point in self.some_points():
            if values.get(f"regs/r{point}") != value(twin, second, point):
                self.problem("wrong", f"{link}: kept-{twin} second {second} r{point} is {values.get(f'regs/r{point}')}")

    def judge_envelope(self, link, twin, first, last, values):
        n = last - first + 1
        if len(values) != self.case["points"]:
            self.problem("wrong", f"{link}: kept-{twin} envelope {first}-{last} has {len(values)} points")
        for point in self.some_points():
            said = [value(twin, second, point) for second in range(first, last + 1)]
            got = values.get(f"regs/r{point}", {})
            right = {"count": n, "last": said[-1], "min": min(said), "max": max(said)}
            wrong = [key for key in right if got.get(key) != right[key]]
            mean = got.get("mean")
            if wrong or got.get("not_good", 0) or mean is None or abs(mean - sum(said) / n) > 1e-6 * 60000:
                self.problem("wrong", f"{link}: kept-{twin} envelope {first}-{last} r{point} is {got}, said was {right}")

    def read(self, link, path, start):
        seconds, twins = self.case["seconds"], self.case["twins"]
        # By twin and second: over which connection it came last, 0 = it did not come.
        came = [array.array("H", bytes(2 * seconds)) for _ in range(twins)]
        connection = 1
        seen, last, counts = {}, {}, {"readings": 0, "envelopes": 0, "again": 0, "twice": 0}
        thinned, envelopes, first_at, last_at = [], [], None, None
        with open(path) as file:
            for line in file:
                if not line.endswith("\n"):
                    continue
                entry = json.loads(line)
                parts, message = entry["topic"].split("/"), entry["payload"]
                if parts[-1] == "status" and len(parts) == 3 and not entry["retain"] and message.get("online"):
                    connection += 1
                if parts[-1] == "gaps" and not entry["retain"] and message.get("cause") == "thinned":
                    thinned.append((message["first"], message["last"]))
                if parts[-1] != "stream" or entry["retain"] or not parts[-2].startswith("kept-"):
                    continue
                envelope = message.get("envelope")
                if envelope is None and "values" not in message:
                    continue
                twin = int(parts[-2][5:])
                identity = (message["epoch"], message["seq"], envelope["thin"] if envelope else 0)
                content = hash(json.dumps(envelope or message["values"], sort_keys=True))
                if (twin, identity) in seen:
                    counts["again"] += 1
                    if seen[twin, identity] != content:
                        self.problem("wrong", f"{link}: kept-{twin} {identity} came again with other content")
                    continue
                seen[twin, identity] = content
                if not message.get("hist"):
                    self.problem("wrong", f"{link}: kept-{twin} {identity} is not marked historical")
                first_at, last_at = first_at or entry["t"], entry["t"]
                if envelope:
                    counts["envelopes"] += 1
                    a, b = self.second(envelope["from"]), self.second(envelope["until"])
                    envelopes.append((envelope["first"], envelope["last"]))
                else:
                    counts["readings"] += 1
                    a = b = self.second(message["time"])
                if a is None or b is None or not 0 <= a <= b < seconds:
                    self.problem("wrong", f"{link}: kept-{twin} {identity} speaks of no second of the case")
                    continue
                if a < start:
                    self.problem("wrong", f"{link}: kept-{twin} second {a} had been delivered before the cut")
                new = not all(came[twin][a:b + 1])
                if new and twin in last and identity[:2] <= last[twin]:
                    self.problem("disorder", f"{link}: kept-{twin} {identity} after {last[twin]}")
                last[twin] = max(identity[:2], last.get(twin, identity[:2]))
                if envelope:
                    self.judge_envelope(link, twin, a, b, envelope["values"])
                else:
                    self.judge_reading(link, twin, a, message["values"])
                for second in range(a, b + 1):
                    if came[twin][second]:
                        counts["twice"] += 1
                        if came[twin][second] == connection:
                            self.problem("twice", f"{link}: kept-{twin} second {second}")
                    came[twin][second] = connection
        for twin in range(twins):
            for second in range(start, seconds):
                if not came[twin][second]:
                    self.problem("lost", f"{link}: kept-{twin} second {second}")
        for first, until in envelopes:
            if not any(a <= first and until <= b for a, b in thinned):
                self.problem("unsaid", f"{link}: commits {first} to {until} were thinned and no gap says so")
        counts["gaps"], counts["connections"] = len(thinned), connection
        if first_at is not None and last_at > first_at:
            counts["per_second"] = round(len(seen) / (last_at - first_at))
        return counts

    def run(self):
        links = {name: self.read(name, link["sink"], link["from"]) for name, link in self.case["links"].items()}
        return {"links": links, "problems": sum(self.count.values()), "kinds": self.count,
                "first_problems": self.problems}


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        report = Check(json.load(file)).run()
    print(json.dumps(report, indent=1))
    sys.exit(1 if report["problems"] else 0)
