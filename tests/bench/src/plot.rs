//! Figures as SVG: bars of the medians with whiskers from the least to the most, a panel for each unit, and lines
//! along a size. The background is drawn too, so that a dark page shows the plot as a light one does.

use std::fmt::Write as _;

use crate::figures::{Curve, Figure, Figures, short, spread};

const WIDTH: f64 = 920.0;
const LABELS: f64 = 400.0;
/// Room for the number behind the longest bar.
const NUMBERS: f64 = 90.0;
const ROW: f64 = 22.0;
const TITLE: f64 = 34.0;
const EDGE: f64 = 16.0;
const PANEL: f64 = 260.0;
const COLOURS: [&str; 6] = [
    "#2f6db3", "#c2571a", "#2e8b57", "#8a4fb0", "#b3892f", "#5a6472",
];
const INK: &str = "#1f2328";
const FAINT: &str = "#c8ced6";

/// The plot of a benchmark.
pub(crate) fn svg(figures: &Figures) -> String {
    let mut plot = Plot {
        body: String::new(),
        below: EDGE,
    };
    let mut units: Vec<&str> = Vec::new();
    for figure in &figures.figures {
        if !units.contains(&figure.unit.as_str()) {
            units.push(&figure.unit);
        }
    }
    for curve in &figures.curves {
        plot.curve(curve, figures);
    }
    for unit in units {
        let of_unit = figures.figures.iter().filter(|figure| figure.unit == unit);
        plot.bars(unit, &of_unit.collect::<Vec<_>>());
    }
    let (height, body) = (plot.below + EDGE, plot.body);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// A plot that grows downwards.
struct Plot {
    body: String,
    below: f64,
}

impl Plot {
    fn bars(&mut self, unit: &str, figures: &[&Figure]) {
        self.title(unit);
        let spreads = figures.iter().map(|figure| spread(&figure.rounds));
        let longest = spreads.clone().map(|(_, _, most)| most).fold(0.0, f64::max);
        let room = WIDTH - LABELS - NUMBERS - EDGE;
        let at = |value: f64| LABELS + value / longest.max(f64::MIN_POSITIVE) * room;
        for (figure, (median, least, most)) in figures.iter().zip(spreads) {
            let middle = self.below + ROW / 2.0;
            self.text((LABELS - 8.0, middle + 4.0), "end", &figure.name);
            let (x, width) = (LABELS, at(median) - LABELS);
            let y = middle - 7.0;
            self.push(&format!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"14\" fill=\"#8fb3dc\"/>"
            ));
            self.line((at(least), middle), (at(most), middle), INK);
            for end in [at(least), at(most)] {
                self.line((end, middle - 4.0), (end, middle + 4.0), INK);
            }
            self.text((at(most) + 8.0, middle + 4.0), "start", &short(median));
            self.below += ROW;
        }
        let top = self.below - ROW * figures.len() as f64;
        self.line((LABELS, top), (LABELS, self.below), INK);
        self.below += EDGE;
    }

    fn curve(&mut self, curve: &Curve, figures: &Figures) {
        let found = |name: &String| figures.figure(name).map(|figure| spread(&figure.rounds));
        let unit = curve
            .lines
            .iter()
            .flat_map(|line| &line.points)
            .find_map(|(_, name)| figures.figure(name))
            .map_or("", |figure| &figure.unit);
        self.title(&format!("{} ({unit})", curve.name));
        let sizes = || curve.lines.iter().flat_map(|line| &line.points);
        let smallest = sizes().map(|(size, _)| *size).fold(f64::MAX, f64::min);
        let largest = sizes().map(|(size, _)| *size).fold(0.0, f64::max);
        let spreads = sizes().filter_map(|(_, name)| found(name));
        let highest = spreads.map(|(_, _, most)| most).fold(0.0, f64::max);
        let highest = highest.max(f64::MIN_POSITIVE);
        let (left, right, top) = (80.0, WIDTH - 40.0, self.below);
        let decades = (largest / smallest).ln().max(f64::MIN_POSITIVE);
        let x = |size: f64| left + 20.0 + (size / smallest).ln() / decades * (right - left - 40.0);
        let y = |value: f64| top + PANEL * (1.0 - value / highest);
        for quarter in 0..=4 {
            let value = highest * f64::from(quarter) / 4.0;
            self.line((left, y(value)), (right, y(value)), FAINT);
            self.text((left - 8.0, y(value) + 4.0), "end", &short(value));
        }
        let mut told: Vec<f64> = sizes().map(|(size, _)| *size).collect();
        told.sort_by(f64::total_cmp);
        told.dedup();
        for size in told {
            let label = format!("{} {}", grouped(size), curve.across);
            self.text((x(size), top + PANEL + 18.0), "middle", &label);
        }
        for (line, colour) in curve.lines.iter().zip(COLOURS.into_iter().cycle()) {
            let points = line.points.iter();
            let points: Vec<_> = points
                .filter_map(|(size, name)| Some((x(*size), found(name)?)))
                .collect();
            for pair in points.windows(2) {
                self.line(
                    (pair[0].0, y(pair[0].1.0)),
                    (pair[1].0, y(pair[1].1.0)),
                    colour,
                );
            }
            for (x, (median, least, most)) in points {
                self.line((x, y(least)), (x, y(most)), colour);
                let y = y(median);
                self.push(&format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
                ));
            }
        }
        self.below += PANEL + 36.0;
        if curve.lines.len() > 1 {
            self.legend(curve, left);
        }
        self.below += EDGE;
    }

    fn legend(&mut self, curve: &Curve, left: f64) {
        for (line, colour) in curve.lines.iter().zip(COLOURS.into_iter().cycle()) {
            let y = self.below;
            self.push(&format!(
                "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
            ));
            self.text((left + 20.0, y + 10.0), "start", &line.name);
            self.below += ROW;
        }
    }

    fn title(&mut self, text: &str) {
        let (y, text) = (self.below + 18.0, escaped(text));
        self.push(&format!(
            "<text x=\"{EDGE}\" y=\"{y:.1}\" font-size=\"15\" font-weight=\"bold\">{text}</text>"
        ));
        self.below += TITLE;
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, text: &str) {
        let text = escaped(text);
        self.push(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
        self.push(&format!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        ));
    }

    fn push(&mut self, element: &str) {
        writeln!(self.body, "{element}").unwrap();
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
