//! Embeds the pages of `docs/errors/`, so that the `type` of a problem resolves on the host that sent it.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

#[allow(
    clippy::print_stdout,
    reason = "this is how a build script talks to cargo"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let crate_folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let folder = crate_folder.join("../../docs/errors").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder)? {
        paths.push(entry?.path());
    }
    paths.sort();

    let mut table = String::from("&[\n");
    for path in paths {
        let code = code_of(&path).ok_or_else(|| {
            format!(
                "{}: pages of errors are named after their code: GK0203.md",
                path.display()
            )
        })?;
        writeln!(table, "    ({code:?}, include_str!({path:?})),")?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("pages.rs"), table)?;
    Ok(())
}

fn code_of(path: &Path) -> Option<&str> {
    let code = path.file_name()?.to_str()?.strip_suffix(".md")?;
    let digits = code.strip_prefix("GK")?;
    (digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
}
