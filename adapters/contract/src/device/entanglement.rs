//! `[entanglement]` of a device file: how closely the twin has to follow its asset.

use schemars::JsonSchema;
use serde::Deserialize;
use settings::{Diagnostic, Duration, Place};
use twin::{Measuring, Thresholds, Window};

/// How entanglement is measured, and what follows from it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
pub struct EntanglementKeys {
    /// The length of the sliding window over which it is measured; 1min if absent.
    pub window: Option<Duration>,
    /// How long after the device was asked its answer may be in the twin to be in time; 1s if absent.
    pub timeliness: Option<Duration>,
    /// From this value on the twin is shadowed again, 0 to 1; together with `leave`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub enter: Option<f64>,
    /// Below this value the twin is out of sync, 0 to 1; without it only silence makes it so.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub leave: Option<f64>,
    /// For how long it has to be good; 5s if absent.
    pub hold_in: Option<Duration>,
    /// For how long it has to be bad; 5s if absent.
    pub hold_out: Option<Duration>,
    /// "strong": commands are refused while the twin follows its asset less than closely; "any" if absent.
    pub commands: Option<CommandsWord>,
}

/// How close a twin has to be for commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommandsWord {
    /// However close it is.
    Any,
    /// In contact, shadowed, and as entangled as `enter` says.
    Strong,
}

crate::over!(EntanglementKeys: window, timeliness, enter, leave, hold_in, hold_out, commands);

/// How the twin is measured.
pub fn entanglement(
    keys: &EntanglementKeys,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Measuring {
    let default = Measuring::default();
    let micros = |key: Option<Duration>, or: i64| key.map_or(or, Duration::micros);
    let window = micros(keys.window, default.window);
    if !(10_000_000..=Window::LONGEST).contains(&window) {
        found.push(place.error("window", "a window is 10 s to 24 h long"));
    }
    let timeliness = micros(keys.timeliness, default.timeliness);
    if !(1_000..=window).contains(&timeliness) {
        let error = place.error("timeliness", "it is 1 ms or more, and no longer than the window");
        found.push(error);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a share needs no more digits")]
    let share = |key: f64| key as f32;
    let hold = |key: Option<Duration>| micros(key, 5_000_000);
    let thresholds = match (keys.enter, keys.leave) {
        (Some(enter), Some(leave)) => {
            if leave >= enter {
                let error = place.error("leave", "it is not below `enter`: the twin would flap");
                found.push(error.help("write for example enter = 0.9 and leave = 0.5"));
            }
            let (hold_in, hold_out) = (hold(keys.hold_in), hold(keys.hold_out));
            Some(Thresholds { enter: share(enter), leave: share(leave), hold_in, hold_out })
        }
        (None, None) => {
            for (key, said) in [("hold_in", keys.hold_in), ("hold_out", keys.hold_out)] {
                if said.is_some() {
                    let error = place.error(key, format!("without thresholds nothing has a {key}"));
                    found.push(error.help("add enter = 0.9 and leave = 0.5, or leave it out"));
                }
            }
            None
        }
        (Some(_), None) => {
            found.push(place.error("enter", "`enter` and `leave` belong together"));
            None
        }
        (None, Some(_)) => {
            found.push(place.error("leave", "`enter` and `leave` belong together"));
            None
        }
    };
    let strong = keys.commands == Some(CommandsWord::Strong);
    Measuring { window, timeliness, thresholds, strong }
}
