//! What was measured: a figure is the median of its rounds, a ratio that of the rounds' ratios.

use std::{fmt, path::Path};

use serde::Serialize;

/// Something measured once in each round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What.
    pub(crate) name: String,
    /// In which unit.
    pub(crate) unit: &'static str,
    /// Round by round.
    pub(crate) rounds: Vec<f64>,
}

/// One figure against another, in the same rounds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    /// What against what.
    pub(crate) name: String,
    /// What is wanted.
    pub(crate) goal: Goal,
    /// Round by round.
    pub(crate) rounds: Vec<f64>,
}

/// What is wanted of a ratio.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// At least.
    Least(f64),
    /// At most.
    Most(f64),
}

/// The figures of one benchmark.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// The benchmark.
    pub(crate) name: String,
    /// Figures.
    pub(crate) figures: Vec<Figure>,
    /// Ratios.
    pub(crate) ratios: Vec<Ratio>,
}

impl Figures {
    pub(crate) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Adds what a round measured.
    pub(crate) fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        eprintln!("  {name}: {value:.1} {unit}");
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.rounds.push(value),
            None => self.figures.push(Figure {
                name: name.to_owned(),
                unit,
                rounds: vec![value],
            }),
        }
    }

    /// Compares two figures, round by round.
    pub(crate) fn compare(&mut self, one: &str, other: &str, goal: Goal) {
        let rounds = |name: &str| {
            let found = self.figures.iter().find(|figure| figure.name == name);
            found
                .map(|figure| figure.rounds.clone())
                .unwrap_or_default()
        };
        let ratios = rounds(one).into_iter().zip(rounds(other));
        self.ratios.push(Ratio {
            name: format!("{one} / {other}"),
            goal,
            rounds: ratios.map(|(one, other)| one / other).collect(),
        });
    }

    /// Writes them as JSON.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let text = serde_json::to_string_pretty(self).unwrap();
        std::fs::write(folder.join(format!("{}.json", self.name)), text + "\n").unwrap();
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.name)?;
        writeln!(f, "| figure | median | least | most | unit |")?;
        writeln!(f, "|---|---:|---:|---:|---|")?;
        for Figure { name, unit, rounds } in &self.figures {
            let (median, least, most) = spread(rounds);
            writeln!(
                f,
                "| {name} | {} | {} | {} | {unit} |",
                short(median),
                short(least),
                short(most)
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

fn short(value: f64) -> String {
    match value.abs() {
        big if big >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
