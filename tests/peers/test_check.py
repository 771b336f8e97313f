#!/usr/bin/env python3
"""The checker can fail: one made-up case for each kind of defect, and for what is none."""
import copy
import json
import os
import tempfile
import unittest

from check import Check

MANY = 50


def served():
    return [{"t": i * 0.1, "line": "plc", "unit": 1, "fc": 3, "at": 0, "count": 10, "served": i,
             "clock": i * 100} for i in range(1, MANY + 1)]


def received():
    return [{"t": i * 0.1 + 0.01, "topic": "g/twins/m/stream", "retain": False,
             "payload": {"gateway": "g", "twin": "m", "epoch": 1, "seq": i * 3,
                         "values": {"t/s": i, "t/c": i * 100, "f/r20": 1020 + i}}}
            for i in range(1, MANY + 1)]


class Cases(unittest.TestCase):
    def problems(self, messages, kills=(), others=None):
        with tempfile.TemporaryDirectory() as folder:
            def write(name, entries):
                path = os.path.join(folder, name)
                with open(path, "w") as file:
                    file.writelines(json.dumps(entry) + "\n" for entry in entries)
                return path
            sinks = {"a": write("a", messages)}
            if others is not None:
                sinks["b"] = write("b", others)
            case = {"gateway": "g", "served": [write("plant", served())], "sinks": sinks,
                    "twins": {"plc/1": "m"}, "kills": list(kills), "grace": 0.15,
                    "points": {"served": "t/s", "clock": "t/c", "fill": "f/r{address}"}}
            return Check(case).run()["first_problems"]

    def expect(self, word, messages, **more):
        problems = self.problems(messages, **more)
        self.assertTrue(any(problem.startswith(word) for problem in problems), problems)

    def test_all_is_well(self):
        self.assertEqual(self.problems(received()), [])

    def test_a_duplicate_is_no_defect(self):
        m = received()
        self.assertEqual(self.problems(m[:6] + [m[3]] + m[6:]), [])

    def test_a_duplicate_with_other_values_is(self):
        m = received()
        other = copy.deepcopy(m[3])
        other["payload"]["values"]["t/c"] = 7
        self.expect("wrong", m[:6] + [other] + m[6:])

    def test_lost(self):
        m = received()
        self.expect("lost", m[:5] + m[6:])

    def test_under_way_at_a_kill_is_not_lost(self):
        m = received()
        self.assertEqual(self.problems(m[:5] + m[6:], kills=[0.65]), [])
        self.expect("lost", m[:5] + m[6:], kills=[2.0])

    def test_what_another_link_got_is_lost_even_at_a_kill(self):
        m = received()
        self.expect("lost", m[:5] + m[6:], kills=[0.65], others=m)

    def test_disorder(self):
        m = received()
        self.expect("disorder", m[:5] + [m[6], m[5]] + m[7:])

    def test_a_backlog_after_what_is_live_is_no_disorder(self):
        m = received()
        for entry in m[10:20]:
            entry["payload"]["hist"] = True
        self.assertEqual(self.problems(m[:10] + m[20:] + m[10:20]), [])

    def figures(self, seq, **more):
        return {"t": 1.0, "topic": "g/twins/m/stream", "retain": False,
                "payload": {"gateway": "g", "twin": "m", "epoch": 1, "seq": seq, **more}}

    def test_figures_of_entanglement_keep_their_place_among_readings(self):
        m, figures = received(), self.figures(16, entanglement={"product": 1.0})
        self.assertEqual(self.problems(m[:5] + [figures] + m[5:]), [])
        self.expect("disorder", m[:6] + [figures] + m[6:])

    def test_links_agree_on_what_carries_no_reading_up_to_the_newest_that_they_got(self):
        m, end = received(), MANY * 3
        newer, within = (self.figures(seq, entanglement={}) for seq in (end + 1, end - 1))
        self.assertEqual(self.problems(m, others=m + [newer]), [])
        self.expect("lost", m, others=m[:-1] + [within] + m[-1:])
        self.expect("lost", m + [self.figures(end + 2, entanglement={})], others=m + [newer])
        self.expect("lost", m[:-1], others=m)

    def test_a_transition_may_pass_readings(self):
        m = received()
        transition = self.figures(16, lifecycle={"to": "shadowed", "entanglement": [1.0, 1.0, 1.0]})
        self.assertEqual(self.problems(m[:3] + [transition] + m[3:]), [])

    def test_wrong_values(self):
        for key in ("t/c", "f/r20"):
            m = received()
            m[4]["payload"]["values"][key] = 1
            self.expect("wrong", m)

    def test_two_identities_of_one_reading(self):
        m = received()
        again = copy.deepcopy(m[4])
        again["payload"]["seq"] = 9999
        self.expect("wrong", m + [again])

    def test_nothing_at_all(self):
        self.expect("lost", [])


if __name__ == "__main__":
    unittest.main()
