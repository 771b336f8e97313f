//! The past for people, and as CSV for spreadsheets.

use std::io;

use control::{Page, Row};
use serde_json::Value;

use super::paint::{Paint, Screen};

const COLUMNS: [&str; 17] = [
    "time", "epoch", "seq", "twin", "what", "point", "value", "unit", "quality", "cause", "count",
    "not_good", "min", "max", "mean", "until", "detail",
];

/// The heading of the CSV.
pub fn heading(screen: &mut Screen) -> io::Result<()> {
    screen.line(&COLUMNS.join(","))
}

/// One page, row by row.
pub fn page(screen: &mut Screen, page: &Page, csv: bool) -> io::Result<()> {
    for row in &page.rows {
        let line = if csv { record(row)? } else { words(screen, row) };
        screen.line(&line)?;
    }
    Ok(())
}

fn record(row: &Row) -> io::Result<String> {
    let number = |n: Option<f64>| n.map(|n| n.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let sum = row.summary.clone();
    let of = |get: fn(&control::Summary) -> Option<f64>| number(sum.as_ref().and_then(get));
    let count = |get: fn(&control::Summary) -> u64| sum.as_ref().map(|s| get(s).to_string());
    let fields = [
        text(&row.time),
        row.epoch.map(|n| n.to_string()).unwrap_or_default(),
        row.seq.map(|n| n.to_string()).unwrap_or_default(),
        text(&row.twin),
        row.what.clone(),
        text(&row.point),
        shown(row),
        text(&row.unit),
        text(&row.quality),
        text(&row.cause),
        count(|s| s.count).unwrap_or_default(),
        count(|s| s.not_good).unwrap_or_default(),
        of(|s| s.min),
        of(|s| s.max),
        of(|s| s.mean),
        sum.as_ref().and_then(|s| s.until.clone()).unwrap_or_default(),
        text(&row.detail),
    ];
    let mut out =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    out.write_record(&fields)?;
    let bytes = out.into_inner().map_err(|e| io::Error::other(e.to_string()))?;
    let line = String::from_utf8(bytes).map_err(io::Error::other)?;
    Ok(line.trim_end_matches('\n').to_owned())
}

fn shown(row: &Row) -> String {
    match (&row.text, &row.value) {
        (Some(text), _) => text.clone(),
        (None, Value::Null) => String::new(),
        (None, other) => other.to_string(),
    }
}

fn words(screen: &Screen, row: &Row) -> String {
    let when = row.time.clone().unwrap_or_else(|| "clock unset".into());
    let mut line = screen.paint(&when, Paint::Dim);
    let mut add = |text: &str| {
        line.push(' ');
        line.push_str(text);
    };
    row.seq.iter().for_each(|seq| add(&seq.to_string()));
    add(row.twin.as_deref().unwrap_or("gateway"));
    let Some(point) = &row.point else {
        add(&row.what);
        row.detail.iter().for_each(|detail| add(detail));
        return line;
    };
    add(point);
    let value = shown(row);
    add(if value.is_empty() { "-" } else { &value });
    row.unit.iter().for_each(|unit| add(unit));
    if let Some(quality) = row.quality.as_ref().filter(|quality| *quality != "good") {
        let cause = row.cause.as_ref().map(|c| format!(" ({c})")).unwrap_or_default();
        add(&screen.paint(&format!("{quality}{cause}"), Paint::of(quality)));
    }
    if row.what == "backfilled" {
        add(&row.what);
    }
    if let Some(sum) = &row.summary {
        let number =
            |name: &str, n: Option<f64>| n.map(|n| format!(" {name} {n}")).unwrap_or_default();
        let bad =
            if sum.not_good > 0 { format!(" ({} not good)", sum.not_good) } else { String::new() };
        let (min, max, mean) =
            (number("min", sum.min), number("max", sum.max), number("mean", sum.mean));
        let until = sum.until.as_ref().map(|t| format!(" to {t}")).unwrap_or_default();
        add(&format!("| {} of {}{bad}{min}{max}{mean}{until}", row.what, sum.count));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_record_has_a_field_for_each_column_and_quotes_what_needs_it() {
        let row = Row {
            time: Some("2026-11-23T10:00:00.000Z".into()),
            seq: Some(7),
            what: "event".into(),
            detail: Some("too \"hot\", 95 °C".into()),
            ..Row::default()
        };
        let line = record(&row).unwrap();
        assert_eq!(
            line,
            "2026-11-23T10:00:00.000Z,,7,,event,,,,,,,,,,,,\"too \"\"hot\"\", 95 °C\""
        );
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        assert_eq!(reader.records().next().unwrap().unwrap().len(), COLUMNS.len());
    }
}
