//! NIST's Public Key Interoperability Test Suite: 249 verdicts that an RFC 5280 verifier has to reach.
//!
//! Certificates, revocation lists and verdicts come with the dev-dependency `pkix-path`, the signed
//! messages lie beside this crate (`tests/pkits/README.md` says where both are from).

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::place::Scratch;

/// The moment at which everything is judged, 2022-05-01: the data live from 2010 to 2030.
pub const AT: i64 = 1_651_363_200;
/// How many verdicts there are. Fewer would mean that some were skipped.
pub const VERDICTS: usize = 249;
/// How many signed messages there are.
pub const MESSAGES: usize = 224;
/// The verdicts that we miss: an end entity below an authority whose DSA key leaves its parameters
/// out, to be inherited from its issuer's. Nobody issues DSA keys any more; specs/decisions/0014.
pub const MISSED: [&str; 1] = ["4.1.5 Valid DSA Parameter Inheritance Test5"];
/// The same for messages: another one is itself signed with DSA and SHA-1, which no mail may be (H6).
pub const MISSED_MESSAGES: [&str; 2] =
    ["4.1.4 Valid DSA Signatures Test4", "4.1.5 Valid DSA Parameter Inheritance Test5"];

/// One verdict: a path, its lists, the inputs of RFC 5280 §6.1.1, the answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Vector {
    /// Number and title.
    pub name: String,
    /// Certificate files, anchor first.
    pub cert_path: Vec<String>,
    /// Revocation list files.
    #[serde(rename = "CRLPath")]
    pub crl_path: Vec<String>,
    /// The verdict.
    pub should_validate: bool,
    initial_policy_set: Vec<String>,
    initial_policy_mapping_inhibit: bool,
    initial_explicit_policy: bool,
    initial_any_policy_inhibit: bool,
}

/// Inputs of RFC 5280 §6.1.1 about policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// Accepted policies, dotted; empty is any.
    pub accepted: Vec<String>,
    /// A path without one is invalid.
    pub explicit: bool,
    /// Mappings are not followed.
    pub inhibit_mapping: bool,
    /// anyPolicy counts for nothing.
    pub inhibit_any: bool,
}

/// The suite on disk.
#[derive(Debug)]
pub struct Suite {
    folder: PathBuf,
    /// All verdicts.
    pub vectors: Vec<Vector>,
}

impl Suite {
    /// Finds the suite where cargo put the dependency that ships it.
    #[must_use]
    pub fn load() -> Self {
        let folder = package_folder("pkix-path").join("tests/pkits");
        let text = std::fs::read(folder.join("vectors.json")).expect("the verdicts of PKITS");
        let vectors: Vec<Vector> = serde_json::from_slice(&text).expect("verdicts in their known form");
        assert_eq!(vectors.len(), VERDICTS, "none may be skipped");
        Self { folder, vectors }
    }

    /// The octets of a certificate.
    #[must_use]
    pub fn certificate(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.certificate_file(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Where a certificate lies.
    #[must_use]
    pub fn certificate_file(&self, file: &str) -> PathBuf {
        self.folder.join("certs").join(file)
    }

    /// The octets of a revocation list.
    #[must_use]
    pub fn list(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.list_file(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Where a revocation list lies.
    #[must_use]
    pub fn list_file(&self, file: &str) -> PathBuf {
        self.folder.join("crls").join(file)
    }

    /// Every file of a kind: `certs` or `crls`.
    #[must_use]
    pub fn all(&self, kind: &str) -> Vec<Vec<u8>> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.folder.join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }
}

impl Vector {
    /// The inputs about policies, with the suite's names for identifiers resolved.
    #[must_use]
    pub fn policies(&self) -> Policies {
        let accepted = self.initial_policy_set.iter().filter(|name| *name != "anyPolicy").map(|name| {
            // PKITS §3.1: the test policies are numbered under NIST's arc.
            let number = name.strip_prefix("NIST-test-policy-").unwrap_or_else(|| panic!("{name}: unknown policy"));
            format!("2.16.840.1.101.3.2.1.48.{number}")
        });
        Policies {
            accepted: accepted.collect(),
            explicit: self.initial_explicit_policy,
            inhibit_mapping: self.initial_policy_mapping_inhibit,
            inhibit_any: self.initial_any_policy_inhibit,
        }
    }

    /// The options of `sceau pki verify` and `sceau open` that say the same.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let policies = self.policies();
        let mut options = Vec::new();
        if !policies.accepted.is_empty() {
            options.push("--policy".to_owned());
            options.extend(policies.accepted);
        }
        for (set, option) in [
            (policies.explicit, "--require-explicit-policy"),
            (policies.inhibit_mapping, "--inhibit-policy-mapping"),
            (policies.inhibit_any, "--inhibit-any-policy"),
        ] {
            if set {
                options.push(option.to_owned());
            }
        }
        options
    }

    /// The files of the path: anchor, those between, and the certificate asked about.
    #[must_use]
    pub fn path(&self) -> (&str, &[String], &str) {
        match self.cert_path.as_slice() {
            [anchor, between @ .., leaf] => (anchor, between, leaf),
            _ => panic!("{}: no path", self.name),
        }
    }

    /// Letters and digits of the title without its number and without the letter of a part: what the
    /// message of this verdict is called.
    fn title(&self) -> String {
        let title = self.name.split_once(' ').map_or(self.name.as_str(), |(_, title)| title);
        title.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    }
}

/// What came out: every verdict by name, and which of them are wrong.
#[derive(Debug, Default)]
pub struct Score {
    right: usize,
    wrong: Vec<String>,
}

impl Score {
    /// Counts one verdict.
    pub fn count(&mut self, vector: &Vector, said: &str, valid: bool) {
        if valid == vector.should_validate {
            self.right += 1;
        } else {
            println!("wrong: {}: {said}", vector.name);
            self.wrong.push(vector.name.clone());
        }
    }

    /// Prints the score and insists on the exact list of misses.
    #[track_caller]
    pub fn conclude(mut self, through: &str, missed: &[&str]) {
        let all = self.right + self.wrong.len();
        report(&format!("PKITS {through}: {} of {all} verdicts right", self.right));
        self.wrong.sort();
        assert_eq!(all, VERDICTS, "none skipped");
        assert_eq!(self.wrong, missed, "any change fails, also an improvement");
    }
}

/// Prints a figure, also at the end of `tests/run`.
pub fn report(line: &str) {
    println!("{line}");
    if let Some(file) = std::env::var_os("SCEAU_TESTS_SCORES") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// The signed messages, by the title of their verdict.
#[derive(Debug)]
pub struct Messages {
    _place: Scratch,
    by_title: BTreeMap<String, PathBuf>,
}

impl Messages {
    /// Unpacks them.
    #[must_use]
    pub fn unpack() -> Self {
        let place = Scratch::new("pkits");
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("pkits/messages.tar.xz");
        let status = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(place.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "{} cannot be unpacked", archive.display());
        let by_title: BTreeMap<String, PathBuf> = std::fs::read_dir(place.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (title_of(&path), path))
            .collect();
        assert_eq!(by_title.len(), MESSAGES, "none may be missing");
        Self { _place: place, by_title }
    }

    /// The message of a verdict. Parts of one test (4.8.1 has four) share one.
    #[must_use]
    pub fn of(&self, vector: &Vector) -> (&str, Vec<u8>) {
        let title = vector.title();
        let (name, file) = self
            .by_title
            .iter()
            .filter(|(name, _)| title.starts_with(name.as_str()))
            .max_by_key(|(name, _)| name.len())
            .unwrap_or_else(|| panic!("{}: no message", vector.name));
        (name, std::fs::read(file).unwrap())
    }
}

fn title_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap().to_string_lossy().to_lowercase();
    stem.strip_prefix("signed").unwrap_or(&stem).to_owned()
}

/// The folder into which cargo unpacked a dependency.
fn package_folder(name: &str) -> PathBuf {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        manifest_path: PathBuf,
    }
    let cargo = |arguments: &[&str]| {
        let command = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = command.expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    // Without a platform cargo asks for what others need, which building never brought here.
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo says its platform");
    let text = cargo(&["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host]);
    let metadata: Metadata = serde_json::from_str(&text).expect("cargo's own JSON");
    let package = metadata.packages.into_iter().find(|package| package.name == name);
    package.unwrap_or_else(|| panic!("{name} is no dependency")).manifest_path.parent().unwrap().to_owned()
}
