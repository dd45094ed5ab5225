//! What a row shows, and how it is printed.

use crate::measure::{Board, Figure};
use crate::output::Plot;
use std::fmt::Write as _;

/// One row of the bench: what was measured, and the bars that it is held against.
pub struct Section {
    /// What `--only` calls it.
    pub name: &'static str,
    /// What it is.
    pub title: String,
    /// The figures.
    pub board: Board,
    /// The ratios that matter.
    pub bars: Vec<Bar>,
    /// What is not like for like.
    pub notes: Vec<&'static str>,
    /// What is drawn, if anything is.
    pub plot: Option<Plot>,
}

/// A figure and its bar.
pub struct Bar {
    /// What is measured.
    pub name: String,
    /// Our own absolute figure, with its unit.
    pub ours: Option<(f64, &'static str)>,
    /// What is held against the bar: a ratio, in most rows.
    pub figure: Figure,
    /// The bar.
    pub limit: Limit,
}

/// Where the bar is.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// Less is better.
    AtMost(f64),
    /// More is better.
    AtLeast(f64),
    /// Shown for comparison.
    None,
}

impl Limit {
    /// Whether a figure is on the right side; `None` without a bar.
    pub fn holds(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(figure <= most),
            Self::AtLeast(least) => Some(figure >= least),
            Self::None => None,
        }
    }

    /// As it is written in the table.
    pub fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {}", number(most)),
            Self::AtLeast(least) => format!("≥ {}", number(least)),
            Self::None => "–".into(),
        }
    }
}

/// An item, another, and the metric by which they are compared.
pub type Compared<'a> = (&'a str, &'a str, &'static str);

impl Bar {
    /// One item in proportion to another.
    pub fn ratio(name: String, board: &Board, compared: Compared<'_>, limit: Limit) -> Self {
        let (ours, other, metric) = compared;
        Self {
            name,
            ours: Some((board.value(ours, metric).median, metric)),
            figure: board.ratio(ours, other, metric),
            limit,
        }
    }

    fn cells(&self) -> [String; 6] {
        let ours = self
            .ours
            .map(|(value, unit)| format!("{} {unit}", number(value)));
        let holds = self.limit.holds(self.figure.median);
        let runs: Vec<_> = self.figure.runs.iter().map(|run| number(*run)).collect();
        [
            self.name.clone(),
            ours.unwrap_or_default(),
            number(self.figure.median),
            self.limit.text(),
            holds
                .map_or("–", |holds| if holds { "yes" } else { "**no**" })
                .into(),
            runs.join(" "),
        ]
    }
}

/// Three significant digits or so, with a space between thousands.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A Markdown table.
fn table(out: &mut String, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let _ = writeln!(out, "| {} |", head.join(" | "));
    let _ = writeln!(out, "|{}", " --- |".repeat(head.len()));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}

/// The table of bars.
pub fn bars<'a>(sections: impl IntoIterator<Item = &'a Section>) -> String {
    let mut out = String::new();
    let head = ["measure", "sealgram", "ratio", "bar", "holds", "five runs"];
    let rows = sections
        .into_iter()
        .flat_map(|section| &section.bars)
        .map(|bar| bar.cells().to_vec());
    table(&mut out, &head, rows);
    out
}

/// Everything that a row has measured.
pub fn details(section: &Section) -> String {
    let board = &section.board;
    let mut out = format!("### {}\n\n", section.title);
    let mut head = vec![""];
    head.extend(&board.metrics);
    let rows = board.items.iter().map(|item| {
        let values = board.metrics.iter();
        let values = values.map(|metric| number(board.value(item, metric).median));
        [item.clone()].into_iter().chain(values).collect()
    });
    table(&mut out, &head, rows);
    for note in &section.notes {
        let _ = write!(out, "\n{note}");
    }
    out.push('\n');
    out
}
