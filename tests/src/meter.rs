//! The device that the tests serve and read: every reading carries a number that no other has.

use std::fmt::Write;

use serde_json::{Value, json};

/// The points as the checker knows them.
#[must_use]
pub fn points() -> Value {
    json!({ "served": "test/served", "clock": "test/clock", "fill": "fill/r{address}" })
}

/// A unit of a plant's plan.
#[must_use]
pub fn unit(unit: u8) -> Value {
    json!({ "unit": unit, "points": [
        { "at": 0, "type": "u32", "kind": "served" },
        { "at": 2, "type": "u32", "kind": "clock" },
        { "at": 4, "type": "f32", "kind": "wave", "mean": 230, "swing": 3, "period": 7 },
        { "at": 10, "type": "u16", "kind": "set", "value": 500 },
        { "at": 20, "count": 80, "kind": "fill" },
    ] })
}

/// The device file of such a unit, with `fill` of its eighty filled registers as points.
#[must_use]
pub fn device(line: &str, unit: u8, interval: &str, fill: u16) -> String {
    let mut text = format!(
        "[modbus]\nline = \"{line}\"\nunit = {unit}\n\n[group.main]\ninterval = \"{interval}\"\n\n{}{}{}{}",
        point("test/served", "holding:0", "type = \"u32\"\nkind = \"telemetry\""),
        point("test/clock", "holding:2", "type = \"u32\"\nkind = \"telemetry\""),
        point("grid/voltage", "holding:4", "type = \"f32\"\nunit = \"V\"\nkind = \"telemetry\""),
        point(
            "control/setpoint",
            "holding:10",
            "scale = 0.1\nunit = \"Cel\"\nwritable = true\nwrite_range = [5.0, 95.0]"
        ),
    );
    for address in 20..20 + fill {
        let name = format!("fill/r{address}");
        text.push_str(&point(&name, &format!("holding:{address}"), "kind = \"telemetry\""));
    }
    text
}

fn point(name: &str, address: &str, keys: &str) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    writeln!(text, "[[point]]\nname = \"{name}\"\naddress = \"{address}\"\n{keys}\n").ok();
    text
}
