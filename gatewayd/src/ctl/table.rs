//! Aligned tables.

use std::io;

use super::paint::{Paint, Screen};

/// A text in a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    paint: Paint,
}

/// Rows of texts, each column as wide as its widest text.
#[derive(Debug)]
pub struct Table {
    head: &'static [&'static str],
    right: &'static [usize],
    rows: Vec<Vec<Cell>>,
}

impl Cell {
    /// A text in this colour.
    pub fn painted(text: impl Into<String>, paint: Paint) -> Self {
        Self { text: text.into(), paint }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), paint: Paint::Plain }
    }
}

impl Table {
    /// An empty table with this heading; the columns in `right` are aligned to the right.
    pub fn new(head: &'static [&'static str], right: &'static [usize]) -> Self {
        Self { head, right, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes it.
    pub fn show(&self, screen: &mut Screen) -> io::Result<()> {
        let head: Vec<Cell> = self.head.iter().map(|h| Cell::painted(*h, Paint::Bold)).collect();
        let widths: Vec<usize> = (0..self.head.len())
            .map(|i| {
                let of = |row: &Vec<Cell>| row.get(i).map_or(0, |cell| cell.text.chars().count());
                self.rows.iter().map(of).chain([of(&head)]).max().unwrap_or(0)
            })
            .collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            screen.line(&self.line(row, &widths, screen))?;
        }
        Ok(())
    }

    fn line(&self, row: &[Cell], widths: &[usize], screen: &Screen) -> String {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
            let blank = " ".repeat(width.saturating_sub(cell.text.chars().count()));
            let text = screen.paint(&cell.text, cell.paint);
            if i > 0 {
                line.push_str("  ");
            }
            if self.right.contains(&i) {
                line.push_str(&blank);
                line.push_str(&text);
            } else {
                line.push_str(&text);
                line.push_str(&blank);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A time for people: `340 ms`, `12 s`, `3 min`, `5 h`, `2 d`.
pub fn time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let mut table = Table::new(&["POINT", "VALUE", "UNIT"], &[1]);
        table.row(vec!["grid/power".into(), "7".into(), "W".into()]);
        table.row(vec!["t".into(), "-21.5".into(), "Cel".into()]);
        let paper = Paper::default();
        table.show(&mut Screen::plain(paper.clone())).unwrap();
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text,
            "POINT       VALUE  UNIT\n\
             grid/power      7  W\n\
             t           -21.5  Cel\n"
        );
    }

    #[test]
    fn times_are_short() {
        let shown: Vec<_> = [340, 1_234, 12_900, 130_000, 7_300_000, 200_000_000].map(time).into();
        assert_eq!(shown, ["340 ms", "1.2 s", "12 s", "2 min", "2 h", "2 d"]);
    }
}
