//! Units of measure as UCUM writes them: whether a text is a unit, and which one was meant.
//!
//! A closed list of atoms and prefixes of UCUM (case sensitive), not all of it: clinical units are left out. UCUM has
//! no var; reactive power is `V.A{reactive}`.

use settings::nearest;

/// Why a text is no unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It has no characters.
    #[error("a unit must not be empty; leave it out where there is none")]
    Empty,
    /// This part of it is not known.
    #[error("{0:?} is no UCUM unit")]
    Unknown(String),
    /// It is longer than a unit.
    #[error("a unit has at most {MAX} characters")]
    Long,
}

const MAX: usize = 64;

/// Atoms that take prefixes.
const METRIC: &[&str] = &[
    "m", "s", "g", "K", "cd", "C", "rad", "mol", "sr", "Hz", "N", "Pa", "J", "W", "A", "V", "F",
    "Ohm", "S", "Wb", "Cel", "T", "H", "lm", "lx", "Bq", "Gy", "Sv", "l", "L", "ar", "t", "bar",
    "u", "eV", "pc", "cal", "kat", "bit", "By", "Bd", "P", "St", "G", "Mx", "Ci", "B", "Np",
    "B[V]", "B[W]", "gf", "m[H2O]", "m[Hg]",
];

/// Atoms that take none.
const PLAIN: &[&str] = &[
    "%", "[ppth]", "[ppm]", "[ppb]", "[pH]", "min", "h", "d", "a", "wk", "mo", "deg", "'", "''",
    "gon", "[degF]", "[in_i]", "[ft_i]", "[yd_i]", "[mi_i]", "[nmi_i]", "[kn_i]", "[gal_us]",
    "[lb_av]", "[oz_av]", "[psi]", "[HP]", "[Btu]", "[acr_us]", "[cft_i]", "[cin_i]", "[sft_i]",
    "atm", "att", "[g]", "[c]", "[bbl_us]", "[ft_us]", "circ",
];

const PREFIXES: &[&str] = &[
    "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a", "z",
    "y", "Ki", "Mi", "Gi", "Ti",
];

/// What people write for what UCUM calls otherwise.
const MEANT: &[(&str, &str)] = &[
    ("°C", "Cel"),
    ("℃", "Cel"),
    ("degC", "Cel"),
    ("C°", "Cel"),
    ("Celsius", "Cel"),
    ("celsius", "Cel"),
    ("deg C", "Cel"),
    ("°F", "[degF]"),
    ("degF", "[degF]"),
    ("°", "deg"),
    ("kWh", "kW.h"),
    ("Wh", "W.h"),
    ("MWh", "MW.h"),
    ("kVAh", "kV.A.h"),
    ("VAh", "V.A.h"),
    ("Ah", "A.h"),
    ("VA", "V.A"),
    ("kVA", "kV.A"),
    ("var", "V.A{reactive}"),
    ("VAr", "V.A{reactive}"),
    ("VAR", "V.A{reactive}"),
    ("kvar", "kV.A{reactive}"),
    ("kVAr", "kV.A{reactive}"),
    ("kVAR", "kV.A{reactive}"),
    ("varh", "V.A.h{reactive}"),
    ("VArh", "V.A.h{reactive}"),
    ("kvarh", "kV.A.h{reactive}"),
    ("kVArh", "kV.A.h{reactive}"),
    ("rpm", "1/min"),
    ("RPM", "1/min"),
    ("ppm", "[ppm]"),
    ("ppb", "[ppb]"),
    ("psi", "[psi]"),
    ("m³", "m3"),
    ("m³/h", "m3/h"),
    ("m^3", "m3"),
    ("m²", "m2"),
    ("µm", "um"),
    ("µA", "uA"),
    ("Ω", "Ohm"),
    ("ohm", "Ohm"),
    ("sec", "s"),
    ("hour", "h"),
    ("day", "d"),
    ("inch", "[in_i]"),
    ("ft", "[ft_i]"),
    ("lb", "[lb_av]"),
    ("percent", "%"),
    ("%RH", "%"),
    ("pH", "[pH]"),
    ("hp", "[HP]"),
    ("byte", "By"),
    ("bits", "bit"),
    ("volt", "V"),
    ("amp", "A"),
    ("watt", "W"),
    ("l/min", "L/min"),
    ("kelvin", "K"),
    ("litre", "L"),
    ("µS/cm", "uS/cm"),
];

/// Whether `text` is a unit of UCUM: `"kW.h"`, `"m3/h"`, `"10*-3"`, `"{turns}/min"`.
///
/// # Errors
/// Which part of it is not known.
pub fn check(text: &str) -> Result<(), UnitError> {
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    if text.len() > MAX {
        return Err(UnitError::Long);
    }
    // A leading slash is UCUM's short form of `1/`.
    let rest = text.strip_prefix('/').unwrap_or(text);
    for part in split(rest) {
        component(part).ok_or_else(|| UnitError::Unknown(part.to_owned()))?;
    }
    Ok(())
}

/// The unit that was probably meant.
#[must_use]
pub fn suggest(text: &str) -> Option<String> {
    if let Some((_, code)) = MEANT.iter().find(|(written, _)| *written == text) {
        return Some((*code).to_owned());
    }
    let mut known: Vec<String> = METRIC.iter().chain(PLAIN).map(|a| (*a).to_owned()).collect();
    for prefix in ["k", "M", "m", "u"] {
        known.extend(
            ["W", "V", "A", "Pa", "m", "g", "Hz", "L", "bar", "s"].map(|a| format!("{prefix}{a}")),
        );
    }
    nearest(text, known.iter().map(String::as_str)).map(str::to_owned)
}

/// The parts between `.` and `/`, brackets and annotations kept whole.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '.' | '/' if depth == 0 => {
                parts.push(text.get(start..at).unwrap_or(""));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or(""));
    parts
}

/// One part: an atom with prefix, exponent and annotation, a whole number, or a power of ten.
fn component(part: &str) -> Option<()> {
    let unit = match part.find('{') {
        Some(at) => {
            let (unit, note) = part.split_at(at);
            let inner = note.strip_prefix('{')?.strip_suffix('}')?;
            let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}');
            if !inner.chars().all(plain) {
                return None;
            }
            if unit.is_empty() {
                return Some(());
            }
            unit
        }
        None => part,
    };
    if unit.is_empty() {
        return None;
    }
    if unit.chars().all(|c| c.is_ascii_digit()) {
        return Some(());
    }
    for ten in ["10*", "10^"] {
        if let Some(power) = unit.strip_prefix(ten) {
            return (power.is_empty() || exponent(power)).then_some(());
        }
    }
    if atom(unit) {
        return Some(());
    }
    let digits = unit.find(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))?;
    let (name, power) = unit.split_at(digits);
    (atom(name) && exponent(power)).then_some(())
}

fn exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn atom(name: &str) -> bool {
    PLAIN.contains(&name)
        || METRIC.contains(&name)
        || PREFIXES.iter().any(|p| name.strip_prefix(p).is_some_and(|rest| METRIC.contains(&rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_in_use() {
        for unit in [
            "V",
            "mA",
            "kW.h",
            "Cel",
            "%",
            "m3/h",
            "1/min",
            "/min",
            "kV.A.h{reactive}",
            "V.A",
            "L/min",
            "uS/cm",
            "W/m2",
            "Hz",
            "10*3",
            "10*-6.m",
            "{turns}/min",
            "[degF]",
            "kPa",
            "m/s2",
            "[ppm]",
            "dB[W]",
            "bar{gauge}",
            "s-1",
            "g/L",
        ] {
            assert_eq!(check(unit), Ok(()), "{unit}");
        }
    }

    #[test]
    fn what_is_no_unit() {
        for unit in
            ["", "°C", "kWh", "volts", "kk", "V.", "m3//h", "V{", "m333", "k%", "V V", "V{ü}"]
        {
            assert!(check(unit).is_err(), "{unit}");
        }
        assert!(check(&"m".repeat(65)).is_err());
    }

    #[test]
    fn what_was_meant_is_a_unit() {
        for (_, code) in MEANT {
            assert_eq!(check(code), Ok(()), "{code}");
        }
        assert_eq!(suggest("kWh").as_deref(), Some("kW.h"));
        assert_eq!(suggest("cel").as_deref(), Some("Cel"));
    }
}
