//! The files of a run: the table in Markdown, everything in JSON, and plots.

use crate::measure::Figure;
use crate::report::{self, Limit, Section, number};
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, TextStyle, WHITE};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where and when a run was made, in words.
pub struct Circumstances {
    machine: String,
    seconds: u64,
    quick: bool,
}

impl Circumstances {
    /// Here and now.
    #[allow(clippy::disallowed_methods, reason = "a figure has a date")]
    pub fn new(quick: bool) -> Self {
        let file = |path| fs::read_to_string(path).unwrap_or_default();
        let information = file("/proc/cpuinfo");
        let processors = information
            .lines()
            .filter_map(|line| line.strip_prefix("model name"))
            .filter_map(|rest| Some(rest.split_once(':')?.1.trim()));
        let processors: Vec<_> = processors.collect();
        let kernel = file("/proc/sys/kernel/osrelease");
        let machine = format!(
            "{} × {}, Linux {}",
            processors.len(),
            processors.first().unwrap_or(&"unknown processor"),
            kernel.trim()
        );
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            machine,
            seconds: since.map_or(0, |since| since.as_secs()),
            quick,
        }
    }

    /// The day, as ISO 8601 has it.
    fn date(&self) -> String {
        // Howard Hinnant's civil_from_days.
        let days = (self.seconds / 86_400) as i64 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year + era * 400 + i64::from(month <= 2);
        format!("{year}-{month:02}-{day:02}")
    }

    fn text(&self) -> String {
        let quick = if self.quick { "; a quick run" } else { "" };
        format!("{}, {}{quick}.", self.machine, self.date())
    }
}

/// Writes `bench.md`, `bench.json` and an SVG for each row that has a plot.
///
/// # Errors
///
/// If the files cannot be written.
pub fn write(folder: &Path, about: &Circumstances, sections: &[Section]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("bench.md"), markdown(about, sections))?;
    let json = json(about, sections);
    fs::write(folder.join("bench.json"), format!("{json:#}\n"))?;
    for section in sections {
        if let Some(plot) = &section.plot {
            let file = folder.join(format!("{}.svg", plot.file));
            draw(&file, section, plot).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

/// Everything that a run has shown.
pub fn markdown(about: &Circumstances, sections: &[Section]) -> String {
    let mut out = format!(
        "# sealgram beside others\n\n{}\nOne process; items take turns round by round; medians; \
         five runs. Times are processor time.\n\n{}",
        about.text(),
        report::bars(sections)
    );
    for section in sections {
        out.push('\n');
        out.push_str(&report::details(section));
    }
    out
}

fn json(about: &Circumstances, sections: &[Section]) -> Value {
    let sections = sections.iter().map(|section| {
        let board = &section.board;
        let items = board.items.iter().map(|item| {
            let shown = board.metrics.iter().map(|metric| {
                let figure = figure(&board.value(item, metric));
                ((*metric).to_owned(), figure)
            });
            json!({ "name": item, "metrics": Value::Object(shown.collect()) })
        });
        let bars = section.bars.iter().map(|bar| {
            let (kind, limit) = match bar.limit {
                Limit::AtMost(most) => ("at most", Some(most)),
                Limit::AtLeast(least) => ("at least", Some(least)),
                Limit::None => ("none", None),
            };
            json!({
                "name": bar.name,
                "figure": figure(&bar.figure),
                "kind": kind,
                "bar": limit,
                "holds": bar.limit.holds(bar.figure.median),
            })
        });
        json!({
            "row": section.name,
            "title": section.title,
            "items": items.collect::<Vec<_>>(),
            "bars": bars.collect::<Vec<_>>(),
            "notes": section.notes,
        })
    });
    json!({
        "machine": about.machine,
        "date": about.date(),
        "quick": about.quick,
        "rows": sections.collect::<Vec<_>>(),
    })
}

fn figure(figure: &Figure) -> Value {
    json!({ "median": figure.median, "runs": figure.runs })
}

/// A bar for each of some items.
pub struct Plot {
    /// The file's name, without its extension.
    pub file: &'static str,
    /// What is drawn.
    pub metric: &'static str,
    /// Whether "more" or "less" of it is better.
    pub better: &'static str,
    /// Of which items, in this order; those that were not measured are left out.
    pub items: Vec<String>,
}

const WIDTH: u32 = 760;
const NAMES: i32 = 230;
const LINE: i32 = 26;
const HEAD: i32 = 44;
const OURS: RGBColor = RGBColor(31, 111, 139);
const FLOOR: RGBColor = RGBColor(160, 160, 160);
const THEIRS: RGBColor = RGBColor(214, 146, 74);
const INK: RGBColor = RGBColor(40, 40, 40);

type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn draw(file: &Path, section: &Section, plot: &Plot) -> Drawn {
    let board = &section.board;
    let items: Vec<_> = plot.items.iter().filter(|item| board.has(item)).collect();
    let values: Vec<f64> = items
        .iter()
        .map(|item| board.value(item, plot.metric).median)
        .collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    let height = HEAD + LINE * items.len() as i32 + 10;
    let area = SVGBackend::new(file, (WIDTH, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let style = |size: i32, anchor| {
        TextStyle::from(("sans-serif", size).into_font())
            .color(&INK)
            .pos(Pos::new(anchor, VPos::Center))
    };
    let (title, metric, better) = (&section.title, plot.metric, plot.better);
    let title = format!("{title}: {metric}, {better} is better");
    area.draw(&Text::new(title, (12, 20), style(18, HPos::Left)))?;
    for (place, (item, value)) in items.iter().zip(&values).enumerate() {
        let top = HEAD + LINE * place as i32;
        let middle = top + LINE / 2 - 2;
        let length = (value / most * f64::from(WIDTH as i32 - NAMES - 90)) as i32;
        let color = match item.as_str() {
            name if name.starts_with("sealgram") => OURS,
            name if name.starts_with("ring") || name.starts_with("raw") => FLOOR,
            _ => THEIRS,
        };
        let bar = [(NAMES, top), (NAMES + length.max(1), top + LINE - 6)];
        area.draw(&Rectangle::new(bar, color.filled()))?;
        let name = Text::new(item.as_str(), (NAMES - 8, middle), style(16, HPos::Right));
        area.draw(&name)?;
        let at = (NAMES + length + 6, middle);
        area.draw(&Text::new(number(*value), at, style(16, HPos::Left)))?;
    }
    area.present()?;
    Ok(())
}
