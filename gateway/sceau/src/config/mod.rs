//! The configuration file: one TOML file, unknown keys refused with their line and a suggestion.

mod annuaire;
mod duration;
mod fhir;
mod health;
mod http;
mod inactive;
mod keys;
mod ldap;
mod mailboxes;
mod model;
mod opening;
mod partners;
mod publish_to;
mod refresh;
mod retention;
mod seal;
mod second;
mod sound;
mod trust;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

pub use annuaire::Annuaire;
pub use duration::{Size, Span};
pub use fhir::Fhir;
pub use health::Health;
pub use http::{Clients, Http, HttpLimits, Mount, Paths, Publisher};
pub use inactive::Inactive;
pub use keys::*;
pub use ldap::{Ldap, LdapAccount, LdapLimits, LdapListener};
pub use mailboxes::Mailboxes;
pub use model::*;
pub use opening::{Opening, UnknownKey};
pub use partners::{Cipher, Partner, Partners, Publish, Transport};
pub use publish_to::PublishTo;
pub use refresh::Refresh;
pub use retention::Retention;
pub use seal::{Follow, MixedStrength, Seal, StampAnchor, Timestamps};
pub use second::Second;
pub(crate) use sound::faults;
pub use trust::*;

/// Largest configuration file read.
const MAX_FILE: u64 = 1024 * 1024;

/// A configuration with the place it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// Folder that relative paths start from.
    pub folder: PathBuf,
}

/// One thing wrong with a configuration, told so that it can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file concerned.
    pub file: PathBuf,
    /// Line and column, when the fault has a place in the text (both from 1).
    pub place: Option<(usize, usize)>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// A fault of a file as a whole.
    pub fn of(file: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self { file: file.into(), place: None, what: what.into() }
    }
}

impl Loaded {
    /// Reads and parses the file. What it names is checked by [`crate::snapshot`].
    ///
    /// # Errors
    /// A [`Problem`] with line and column.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let text = read_text(path)?;
        let config = parse(path, &text)?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok(Self { config, folder })
    }

    /// A path of the file, made absolute.
    pub fn path(&self, relative: &Path) -> PathBuf {
        self.folder.join(relative)
    }

    /// Where the queue, trail and spool live.
    pub fn data(&self) -> PathBuf {
        self.path(&self.config.server.data)
    }
}

/// Reads a text file of bounded size.
pub(crate) fn read_text(path: &Path) -> Result<String, Problem> {
    String::from_utf8(read_bytes(path, MAX_FILE)?).map_err(|_| Problem::of(path, "the file is not UTF-8 text"))
}

/// Reads a file of bounded size.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    let length = fs::metadata(path).map_err(|e| Problem::of(path, format!("cannot be read: {e}")))?.len();
    if length > limit {
        return Err(Problem::of(path, format!("is {length} octets long; at most {limit} are read")));
    }
    fs::read(path).map_err(|e| Problem::of(path, format!("cannot be read: {e}")))
}

/// Parses the text of a configuration.
///
/// # Errors
/// A [`Problem`] with line, column and, for an unknown key, the nearest known one.
pub fn parse(path: &Path, text: &str) -> Result<Config, Problem> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| line_and_column(text, span.start));
        Problem { file: path.to_owned(), place, what: with_suggestion(error.message()) }
    })
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    (line, column)
}

/// Adds "did you mean" to serde's list of known keys.
fn with_suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (Some(unknown), true) = (quoted.next(), message.starts_with("unknown field")) else {
        return message.to_owned();
    };
    let nearest = quoted
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .filter(|(distance, known)| *distance <= known.chars().count().div_euclid(2).max(2))
        .min();
    match nearest {
        Some((_, known)) => format!("unknown key `{unknown}`: did you mean `{known}`? ({message})"),
        None => format!("unknown key `{unknown}` ({message})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
[operator]
name = "CH Exemple (test)"
help = "aide@ch-exemple.test"

[server]
hostname = "mss.ch-exemple.test"
data = "data"
certificate = "tls.pem"
key = "tls.key"
storage_key = "storage.key"

[trust]
list = "list.xml"
profile = { signer_cn = "TEST LISTE", signer_ou = "318751275100020" }
anchor = []
"#;

    #[test]
    fn a_minimal_file_is_enough_and_defaults_are_safe() {
        let config = parse(Path::new("sceau.toml"), MINIMAL).unwrap();
        assert_eq!(config.operator.environment, Environment::Production);
        assert_eq!(config.trust.grace.hours(), 24);
        assert!(config.listeners.is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_suggestion() {
        let text = format!("{MINIMAL}\n[limits]\nrecipient = 3\n");
        let problem = parse(Path::new("sceau.toml"), &text).unwrap_err();
        assert_eq!(problem.place, Some((19, 1)));
        assert!(
            problem.to_string().starts_with("sceau.toml:19:1: unknown key `recipient`: did you mean `recipients`?"),
            "{problem}"
        );
    }

    #[test]
    fn bad_values_name_their_line() {
        let text = MINIMAL.replace("mss.ch-exemple.test", "not a host");
        let problem = parse(Path::new("sceau.toml"), &text).unwrap_err();
        assert_eq!(problem.place.map(|(line, _)| line), Some(7));
        let text = format!("{MINIMAL}\n[delivery]\nlifetime = \"five days\"\n");
        assert!(parse(Path::new("sceau.toml"), &text).unwrap_err().what.contains("is not a duration"));
    }
}
