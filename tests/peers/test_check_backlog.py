#!/usr/bin/env python3
"""The checker of backlogs can fail: one made-up case for each kind of defect, and for what is none."""
import copy
import json
import os
import tempfile
import unittest

from check_backlog import Check, value

BEGIN, SECONDS, POINTS, THINNED = 1_800_000_000_000_000, 40, 12, 10


def time(second):
    return f"2027-01-15T08:00:{second:02}.000Z"


def reading(second, seq=None):
    values = {f"regs/r{p}": value(0, second, p) for p in range(POINTS)}
    return {"t": second * 0.1, "topic": "gatewayd/g/twins/kept-0/stream", "retain": False,
            "payload": {"epoch": 1, "seq": seq or second + 100, "hist": True, "time": time(second), "values": values}}


def envelope(first, last):
    def summed(p):
        said = [value(0, second, p) for second in range(first, last + 1)]
        return {"count": len(said), "last": said[-1], "min": min(said), "max": max(said), "mean": sum(said) / len(said)}
    values = {f"regs/r{p}": summed(p) for p in range(POINTS)}
    return {"t": last * 0.1, "topic": "gatewayd/g/twins/kept-0/stream", "retain": False,
            "payload": {"epoch": 1, "seq": last + 100, "hist": True, "time": time(first), "envelope": {
                "first": first + 100, "last": last + 100, "thin": 1, "from": time(first), "until": time(last),
                "values": values}}}


def status():
    return {"t": 0, "topic": "gatewayd/g/status", "retain": False, "payload": {"online": True}}


def gap():
    return {"t": 0, "topic": "gatewayd/g/gaps", "retain": False,
            "payload": {"cause": "thinned", "first": 100, "last": 100 + THINNED}}


def received():
    """Two envelopes, then readings."""
    return [status(), gap(), envelope(0, 4), envelope(5, 9)] + [reading(s) for s in range(THINNED, SECONDS)]


class Cases(unittest.TestCase):
    def problems(self, messages, start=0):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "sink")
            with open(path, "w") as file:
                file.writelines(json.dumps(message) + "\n" for message in messages)
            case = {"gateway": "g", "begin": BEGIN, "seconds": SECONDS, "twins": 1, "points": POINTS,
                    "links": {"a": {"sink": path, "from": start}}}
            return Check(case).run()["kinds"]

    def expect(self, kind, messages, **more):
        kinds = self.problems(messages, **more)
        self.assertIn(kind, kinds)

    def changed(self, at, **keys):
        messages = copy.deepcopy(received())
        messages[at]["payload"].update(keys)
        return messages

    def test_all_is_well(self):
        self.assertEqual(self.problems(received()), {})
        self.assertEqual(self.problems(received()[3:], start=5), {"unsaid": 1}, "without the gap")
        self.assertEqual(self.problems([status(), gap()] + received()[3:], start=5), {})

    def test_lost(self):
        self.expect("lost", received()[:8] + received()[9:])
        self.expect("lost", received()[:2] + received()[3:])

    def test_what_had_been_delivered(self):
        self.expect("wrong", received(), start=5)

    def test_wrong_readings(self):
        values = {f"regs/r{p}": value(0, 11, p) for p in range(POINTS)}
        self.expect("wrong", self.changed(4, values=values))
        self.expect("wrong", self.changed(4, values={"regs/r0": value(0, 10, 0)}))
        self.expect("wrong", self.changed(4, time="2027-01-15T08:00:10.500Z"))
        self.expect("wrong", self.changed(4, hist=False))

    def test_wrong_envelopes(self):
        for key, wrong in (("count", 4), ("mean", 1.0), ("min", -1), ("max", 70000), ("last", 1), ("not_good", 1)):
            messages = copy.deepcopy(received())
            messages[2]["payload"]["envelope"]["values"]["regs/r0"][key] = wrong
            self.expect("wrong", messages)
        messages = copy.deepcopy(received())
        messages[2]["payload"]["envelope"]["until"] = time(3)
        self.expect("lost", messages)

    def test_disorder(self):
        m = received()
        self.expect("disorder", m[:6] + [m[7], m[6]] + m[8:])

    def test_a_repeat_is_no_defect_but_another_content_is(self):
        m = received()
        self.assertEqual(self.problems(m[:8] + [m[6], m[7]] + m[8:]), {})
        other = copy.deepcopy(m[6])
        other["payload"]["values"]["regs/r1"] = 1
        self.expect("wrong", m[:8] + [other] + m[8:])

    def test_thinned_after_it_was_sent(self):
        sent = [status(), gap()] + [reading(s) for s in range(8)]
        again = [envelope(0, 4), envelope(5, 9)] + [reading(s) for s in range(THINNED, SECONDS)]
        self.assertEqual(self.problems(sent + [status()] + again), {}, "a connection ended between them")
        self.expect("twice", sent + again)

    def test_unsaid(self):
        self.expect("unsaid", received()[:1] + received()[2:])


if __name__ == "__main__":
    unittest.main()
