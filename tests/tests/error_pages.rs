//! Every stable code in the sources has its page, and every page its code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The numbers in `Code(…)`, also in patterns such as `Code(200 | 202)`.
fn codes_in(text: &str) -> BTreeSet<u16> {
    let mut codes = BTreeSet::new();
    for part in text.split("Code(").skip(1) {
        let inside = part.split(')').next().unwrap_or_default();
        codes.extend(
            inside
                .split('|')
                .filter_map(|number| number.trim().parse::<u16>().ok()),
        );
    }
    codes
}

fn pages() -> BTreeSet<u16> {
    fs::read_dir(root().join("docs/errors"))
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("GK")?.strip_suffix(".md")?.parse().ok()
        })
        .collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let mut files = Vec::new();
    sources(&root().join("proto/src"), &mut files);
    for service in fs::read_dir(root().join("services")).unwrap() {
        sources(&service.unwrap().path().join("src"), &mut files);
    }
    let codes: BTreeSet<u16> = files
        .iter()
        .flat_map(|file| codes_in(&fs::read_to_string(file).unwrap()))
        .collect();
    let pages = pages();
    assert!(codes.len() > 30, "the search finds codes at all");
    let without_page: Vec<_> = codes.difference(&pages).collect();
    let without_code: Vec<_> = pages.difference(&codes).collect();
    assert!(
        without_page.is_empty(),
        "codes without a page in docs/errors: {without_page:?}"
    );
    assert!(
        without_code.is_empty(),
        "pages of codes that nothing uses: {without_code:?}"
    );
}

#[test]
fn every_page_begins_with_its_code_and_says_what_to_do() {
    for code in pages() {
        let text = fs::read_to_string(root().join(format!("docs/errors/GK{code:04}.md"))).unwrap();
        assert!(
            text.starts_with(&format!("# GK{code:04}: ")),
            "GK{code:04} begins with its title"
        );
        for part in ["What happened", "What was kept", "What to do"] {
            let lower = text.to_lowercase();
            assert!(
                lower.contains(&part.to_lowercase()),
                "GK{code:04} says '{part}'"
            );
        }
    }
}
