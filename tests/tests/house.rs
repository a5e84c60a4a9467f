//! The house rules that a compiler cannot check: pages in `specs/` that name what exists, requirements
//! that name their tests, crates that depend on each other as the architecture says.

// Asserting is what tests do, in their helpers too.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::string_slice, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file under the workspace with this extension, without what builds and tools leave behind.
fn files(extension: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), extension, &mut found);
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

// ---- crates ----

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// Each of our crates: its folder and the names of its dependencies.
fn crates() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    files("toml")
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml"))
        .filter_map(|path| {
            let manifest: Manifest = toml::from_str(&text(&path)).unwrap();
            let folder = path.parent().unwrap().to_owned();
            Some((manifest.package?.name, (folder, manifest.dependencies.into_keys().collect())))
        })
        .collect()
}

/// The arrows of `specs/architecture.md`.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let page = text("specs/architecture.md");
    let block = page.split("```arrows\n").nth(1).expect("an arrows block").split("```").next().unwrap();
    block
        .lines()
        .map(|line| {
            let (from, to) = line.split_once(" -> ").unwrap_or_else(|| panic!("not an arrow: {line}"));
            (from.to_owned(), to.split(", ").map(str::to_owned).collect())
        })
        .collect()
}

fn reached(from: &str, arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(name) = next.pop() {
        for to in arrows.get(&name).into_iter().flatten() {
            if found.insert(to.clone()) {
                next.push(to.clone());
            }
        }
    }
    found
}

#[test]
fn crates_depend_on_each_other_as_the_arrows_say() {
    let (crates, arrows) = (crates(), arrows());
    for (name, (_, dependencies)) in &crates {
        let allowed = reached(name, &arrows);
        for dependency in dependencies.iter().filter(|dependency| crates.contains_key(*dependency)) {
            assert!(allowed.contains(dependency), "{name} depends on {dependency}, against specs/architecture.md");
        }
    }
    for (from, to) in &arrows {
        let (_, dependencies) = crates.get(from).unwrap_or_else(|| panic!("no crate {from}"));
        for to in to {
            assert!(dependencies.contains(to), "{from} -> {to} is drawn but not used");
        }
    }
}

#[test]
fn the_architecture_page_names_every_crate_and_only_what_exists() {
    let page = text("specs/architecture.md");
    for (name, (folder, _)) in crates() {
        let row = format!("| `{}/` | `{name}` |", shown(&folder));
        assert!(page.contains(&row), "specs/architecture.md has no row {row}");
    }
    for named in page.split('`').skip(1).step_by(2).filter(|named| named.contains('/')) {
        assert!(root().join(named).exists(), "specs/architecture.md names {named}, which does not exist");
    }
}

#[test]
fn every_crate_keeps_the_shared_lints() {
    for (name, (folder, _)) in crates() {
        let manifest = text(folder.join("Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} does not keep the workspace's lints");
    }
}

// ---- requirements ----

#[derive(Deserialize)]
struct Requirements {
    requirement: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    id: String,
    text: String,
    source: String,
    tests: Vec<String>,
}

fn requirements() -> Vec<Requirement> {
    toml::from_str::<Requirements>(&text("specs/requirements.toml")).unwrap().requirement
}

/// Every test function as `crate::function`.
fn test_functions() -> BTreeSet<String> {
    let crates = crates();
    let mut found = BTreeSet::new();
    for file in files("rs") {
        // The nearest folder with a manifest: pki/ident is inside pki.
        let owner = crates
            .iter()
            .filter(|(_, (folder, _))| file.starts_with(folder))
            .max_by_key(|(_, (folder, _))| folder.components().count());
        let Some((owner, _)) = owner else { continue };
        let mut marked = false;
        for line in text(&file).lines().map(str::trim) {
            if line.starts_with("#[") {
                marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            } else if let Some(function) = line.trim_start_matches("async ").strip_prefix("fn ") {
                if marked {
                    let end = function.find(['(', '<']).unwrap_or(function.len());
                    found.insert(format!("{owner}::{}", &function[..end]));
                }
                marked = false;
            } else if !line.is_empty() && !line.starts_with("//") {
                marked = false;
            }
        }
    }
    found
}

#[test]
fn requirements_are_whole_and_name_tests_that_exist() {
    let tests = test_functions();
    let mut ids = BTreeSet::new();
    for requirement in requirements() {
        let id = &requirement.id;
        assert!(ids.insert(id.clone()), "{id} stands twice in specs/requirements.toml");
        assert!(!requirement.text.is_empty() && !requirement.source.is_empty(), "{id} lacks a text or a source");
        for test in &requirement.tests {
            assert!(tests.contains(test), "{id} names the test {test}, which does not exist");
        }
    }
    assert!(tests.contains("tests::requirements_are_whole_and_name_tests_that_exist"), "tests are not found at all");
}

/// The families of ids, with the highest number where a family's letters also occur otherwise (A4 paper, P256).
const FAMILIES: &[(&str, u32)] = &[
    ("A", 24),
    ("ASK-", 99),
    ("BAL-", 99),
    ("CR", 99),
    ("DIR-", 99),
    ("DS", 99),
    ("ERR-", 99),
    ("H", 26),
    ("HDR-", 99),
    ("HT", 99),
    ("IN", 99),
    ("LP", 99),
    ("P", 7),
    ("PAT-", 99),
    ("PATH-", 99),
    ("PKI-", 99),
    ("QU", 99),
    ("RCP-", 99),
    ("REL-", 99),
    ("RP", 99),
    ("RS", 99),
    ("RX", 99),
    ("SM", 99),
    ("SUB-", 99),
    ("TL", 99),
    ("TRC-", 99),
    ("WEB", 99),
    ("WL-", 99),
];

/// The requirement ids that a comment or an assertion's text cites. `SM5a` cites SM5.
fn cited(line: &str) -> Vec<String> {
    line.split(|character: char| !character.is_ascii_alphanumeric() && character != '-')
        .filter_map(|word| {
            let digits = word.find(|character: char| character.is_ascii_digit())?;
            let (family, number) = word.split_at(digits);
            let number = number.trim_end_matches(|character: char| character.is_ascii_lowercase());
            let &(_, highest) = FAMILIES.iter().find(|(name, _)| *name == family)?;
            (number.len() <= 2 && !number.starts_with('0') && number.parse::<u32>().ok()? <= highest)
                .then(|| format!("{family}{number}"))
        })
        .collect()
}

#[test]
fn ids_cited_in_comments_have_an_entry() {
    let known: BTreeSet<String> = requirements().into_iter().map(|requirement| requirement.id).collect();
    let mut missing = BTreeMap::new();
    for file in files("rs") {
        for (number, line) in text(&file).lines().enumerate() {
            let Some((_, comment)) = line.split_once("//") else { continue };
            for id in cited(comment).into_iter().filter(|id| !known.contains(id)) {
                missing.entry(id).or_insert_with(|| format!("{}:{}", shown(&file), number.saturating_add(1)));
            }
        }
    }
    assert!(missing.is_empty(), "cited without an entry in specs/requirements.toml: {missing:?}");
}

#[test]
fn ids_are_recognised_in_running_text() {
    assert_eq!(cited("cut anywhere (SM3, SM5a), RFC 5652 §5; PKI-9: sets"), ["SM3", "SM5", "PKI-9"]);
    assert!(cited("P-256, P256, SHA-256, A128, AES-128, H264, IN, x509").is_empty());
}

// ---- pages ----

#[test]
fn decisions_have_their_form() {
    let mut numbers = BTreeSet::new();
    for path in files("md").into_iter().filter(|path| path.parent().unwrap().ends_with("specs/decisions")) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (number, slug) = name.split_at_checked(4).unwrap_or_else(|| panic!("{name}: no number"));
        assert!(number.parse::<u16>().is_ok() && slug.starts_with('-'), "{name}: not NNNN-title.md");
        assert!(numbers.insert(number.to_owned()), "{number} is the number of two decisions");
        let page = text(&path);
        assert!(page.starts_with(&format!("# {number}. ")), "{name} does not begin with its number");
        for part in ["\nStatus: ", "\n## Context\n", "\n## Choice\n", "\n## Price"] {
            assert!(page.contains(part), "{name} lacks {}", part.trim());
        }
        assert!(page.lines().count() <= 80, "{name} is longer than a page");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in files("md") {
        let folder = page.parent().unwrap();
        for link in text(&page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                assert!(folder.join(target).exists(), "{} links to {link}", shown(&page));
            }
        }
    }
}

/// Each row of the table of refusals names a test that exists.
#[test]
fn every_refusal_is_shown_by_a_test() {
    let known = test_functions();
    let known: BTreeSet<&str> = known.iter().filter_map(|name| name.rsplit("::").next()).collect();
    let table = text("specs/refusals.md");
    let named: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.trim_end_matches(" |").rsplit("| ").next())
        .map(|cell| cell.trim_matches('`'))
        .collect();
    assert!(named.len() > 60, "{} rows", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(missing.is_empty(), "no such test: {missing:?}");
}
