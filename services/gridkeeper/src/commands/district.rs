//! `gridkeeper district`: checks, generates and derives the folders of districts.

use std::path::PathBuf;

use gridkeeper_district::{
    AreaKind, District, Source,
    generate::{GenerateInput, generate},
};

use crate::{
    error::Error,
    import::{self, Mapping},
    terminal,
};

/// What to do with a district's folder.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read and check a folder, and say what is in it.
    Check {
        /// The district's folder.
        folder: PathBuf,
    },
    /// Make the synthetic grids that the folder's district.toml asks for.
    Generate {
        /// The district's folder.
        folder: PathBuf,
    },
    /// Make a folder without polygons from the areas and categories that a history names.
    Derive {
        /// The mapping of the history's columns.
        #[arg(long)]
        map: PathBuf,
        /// The history.
        file: PathBuf,
        /// The folder to write.
        #[arg(long)]
        out: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Check { folder } => terminal::answer(summary(&District::load(folder)?)),
        Command::Generate { folder } => {
            let input = GenerateInput::from_source(&Source::read(&folder)?)?;
            generate(&input)?.write(&folder)?;
            terminal::answer(summary(&District::load(folder)?))
        }
        Command::Derive { map, file, out } => {
            let derived = import::derive(&Mapping::read(&map)?, &file)?;
            derived.source.write(&out)?;
            for (row, reason) in &derived.left_out {
                terminal::progress(format!("row {row} left out: {reason}"));
            }
            let (rows, left_out) = (derived.rows, derived.left_out.len());
            terminal::progress(format!("{rows} rows read, {left_out} left out"));
            terminal::answer(summary(&District::load(out)?))
        }
    }
}

/// A district in a line: `510402 东区: 9 streets, 1 town, 60 communities, 519 grids`.
pub(super) fn summary(district: &District) -> String {
    let count = |kind| district.areas().filter(|area| area.kind() == kind).count();
    let words = [
        (AreaKind::Street, "street", "streets"),
        (AreaKind::Town, "town", "towns"),
        (AreaKind::Township, "township", "townships"),
        (AreaKind::Community, "community", "communities"),
        (AreaKind::Village, "village", "villages"),
        (AreaKind::Grid, "grid", "grids"),
    ];
    let parts: Vec<_> = words
        .into_iter()
        .filter_map(|(kind, one, many)| match count(kind) {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {many}")),
        })
        .collect();
    let map = match district.polygons_are_synthetic() {
        Some(true) => "; grids are synthetic",
        Some(false) => "",
        None => "; no polygons: reports carry grid codes",
    };
    format!(
        "{} {}: {}{map}",
        district.code(),
        district.name(),
        parts.join(", ")
    )
}
