//! Alarms of twins for people.

use std::io;

use control::TwinAlarm;

use super::paint::{Paint, Screen};
use super::table::{Cell, Table, time};

/// All that stand, or what became of some.
pub fn alarms(screen: &mut Screen, alarms: &[TwinAlarm]) -> io::Result<()> {
    if alarms.is_empty() {
        return screen.line("No alarm stands. All that are watched for: gatewayctl alarms --all");
    }
    let mut table = Table::new(&["ALARM", "STATE", "SEVERITY", "FOR", "WHAT"], &[2, 3]);
    for alarm in alarms {
        table.row(vec![
            Cell::painted(format!("{}/{}", alarm.twin, alarm.alarm), Paint::Bold),
            Cell::painted(state(alarm), paint(alarm)),
            alarm.severity.to_string().into(),
            alarm.for_ms.map(time).unwrap_or_default().into(),
            alarm.text.clone().into(),
        ]);
    }
    table.show(screen)
}

/// One that stands, below its twin.
pub fn standing(screen: &mut Screen, alarm: &TwinAlarm) -> io::Result<()> {
    let lasts = alarm.for_ms.map(|ms| format!(" for {}", time(ms))).unwrap_or_default();
    let text = format!("  ! {}  {}{lasts}: {}", alarm.alarm, state(alarm), alarm.text);
    screen.line(&screen.paint(&text, paint(alarm)))
}

fn state(alarm: &TwinAlarm) -> String {
    let present = alarm.state();
    match (alarm.shelved, &alarm.shelved_until) {
        (false, _) => present.to_owned(),
        (true, Some(until)) => format!("{present}, shelved until {until}"),
        (true, None) => format!("{present}, shelved"),
    }
}

fn paint(alarm: &TwinAlarm) -> Paint {
    match (alarm.active, alarm.acknowledged, alarm.shelved) {
        (_, _, true) | (false, true, _) => Paint::Dim,
        (true, false, _) => Paint::Bad,
        _ => Paint::Warn,
    }
}
