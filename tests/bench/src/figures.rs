//! What was measured: a figure is the median of its rounds, a ratio that of the rounds' ratios.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use crate::plot;

/// Something measured once in each round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What.
    pub(crate) name: String,
    /// In which unit.
    pub(crate) unit: String,
    /// Round by round.
    pub(crate) rounds: Vec<f64>,
}

/// One figure against another, in the same rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ratio {
    /// What against what.
    pub(crate) name: String,
    /// What is wanted.
    pub(crate) goal: Goal,
    /// Round by round.
    pub(crate) rounds: Vec<f64>,
}

/// What is wanted of a ratio or a figure.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// At least.
    Least(f64),
    /// At most.
    Most(f64),
}

/// Figures along a size, to be drawn as lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// What is drawn.
    pub(crate) name: String,
    /// Of what the size is, such as `events`.
    pub(crate) across: String,
    /// The lines.
    pub(crate) lines: Vec<Line>,
}

/// One line: sizes, and the names of the figures there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// What the line is of.
    pub(crate) name: String,
    /// In the order of the sizes.
    pub(crate) points: Vec<(f64, String)>,
}

/// The figures of one benchmark.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// The benchmark.
    pub(crate) name: String,
    /// Figures.
    pub(crate) figures: Vec<Figure>,
    /// Ratios, and figures that have a goal of their own.
    pub(crate) ratios: Vec<Ratio>,
    /// Lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) curves: Vec<Curve>,
}

impl Figures {
    pub(crate) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Adds what a round measured.
    pub(crate) fn add(&mut self, name: &str, unit: &str, value: f64) {
        eprintln!("  {name}: {value:.1} {unit}");
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.rounds.push(value),
            None => self.figures.push(Figure {
                name: name.to_owned(),
                unit: unit.to_owned(),
                rounds: vec![value],
            }),
        }
    }

    /// A figure by its name.
    pub(crate) fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    /// Compares two figures, round by round.
    pub(crate) fn compare(&mut self, one: &str, other: &str, goal: Goal) {
        let ratios = self.rounds(one).into_iter().zip(self.rounds(other));
        self.ratios.push(Ratio {
            name: format!("{one} / {other}"),
            goal,
            rounds: ratios.map(|(one, other)| one / other).collect(),
        });
    }

    /// Compares the medians of two figures that were not measured equally often.
    pub(crate) fn compare_medians(&mut self, one: &str, other: &str, goal: Goal) {
        let median = |name: &str| spread(&self.rounds(name)).0;
        self.ratios.push(Ratio {
            name: format!("{one} / {other}, medians"),
            goal,
            rounds: vec![median(one) / median(other)],
        });
    }

    /// Holds a figure against a goal.
    pub(crate) fn want(&mut self, name: &str, goal: Goal) {
        let unit = self.figure(name).map_or("", |figure| &figure.unit);
        self.ratios.push(Ratio {
            name: format!("{name}, {unit}"),
            goal,
            rounds: self.rounds(name),
        });
    }

    /// Draws figures as a line, beside those of the curve's other lines.
    pub(crate) fn draw(&mut self, curve: &str, across: &str, line: &str, points: &[(f64, String)]) {
        let line = Line {
            name: line.to_owned(),
            points: points.to_vec(),
        };
        match self.curves.iter_mut().find(|found| found.name == curve) {
            Some(curve) => curve.lines.push(line),
            None => self.curves.push(Curve {
                name: curve.to_owned(),
                across: across.to_owned(),
                lines: vec![line],
            }),
        }
    }

    fn rounds(&self, name: &str) -> Vec<f64> {
        self.figure(name)
            .map(|figure| figure.rounds.clone())
            .unwrap_or_default()
    }

    /// Writes them as JSON, and as a page with a plot.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let text = serde_json::to_string_pretty(self).unwrap();
        std::fs::write(folder.join(format!("{}.json", self.name)), text + "\n").unwrap();
        self.write_page(folder);
    }

    fn write_page(&self, folder: &Path) {
        let name = &self.name;
        std::fs::write(folder.join(format!("{name}.svg")), plot::svg(self)).unwrap();
        let page = format!(
            "# {name}\n\nWritten by `tests/bench/run {name}`; each round is in [{name}.json]({name}.json).\n\n{self}\n\
             ![The medians, with the least and the most of the rounds]({name}.svg)\n"
        );
        std::fs::write(folder.join(format!("{name}.md")), page).unwrap();
    }

    /// Writes page and plot again of all figures in a folder.
    pub(crate) fn write_pages(folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let text = std::fs::read_to_string(&path).unwrap();
                let figures: Self = serde_json::from_str(&text).unwrap();
                figures.write_page(folder);
            }
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | median | least | most | unit | rounds |")?;
        writeln!(f, "|---|---:|---:|---:|---|---:|")?;
        for Figure { name, unit, rounds } in &self.figures {
            let (median, least, most) = spread(rounds);
            writeln!(
                f,
                "| {name} | {} | {} | {} | {unit} | {} |",
                short(median),
                short(least),
                short(most),
                rounds.len()
            )?;
        }
        if self.ratios.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n| ratio | median | least | most | goal | met |")?;
        writeln!(f, "|---|---:|---:|---:|---|---|")?;
        for Ratio { name, goal, rounds } in &self.ratios {
            let (median, least, most) = spread(rounds);
            let (goal, met) = match *goal {
                Goal::Least(goal) => (format!("at least {goal}"), median >= goal),
                Goal::Most(goal) => (format!("at most {goal}"), median <= goal),
            };
            let met = if met { "yes" } else { "no" };
            writeln!(
                f,
                "| {name} | {median:.2} | {least:.2} | {most:.2} | {goal} | {met} |"
            )?;
        }
        Ok(())
    }
}

/// Median, least and most.
pub(crate) fn spread(rounds: &[f64]) -> (f64, f64, f64) {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (
        at(sorted.len() / 2),
        at(0),
        at(sorted.len().saturating_sub(1)),
    )
}

/// A number with as many digits as a reader needs.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        big if big >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
