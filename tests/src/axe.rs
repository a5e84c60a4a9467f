//! axe-core, the checker of accessibility that auditors use. It is MPL-2.0 and half a megabyte, so it is not in this
//! repository: npm fetches it where there is an npm and a registry, and its digest is compared. Without it the tests
//! have their own checks only, and say so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::Scratch;

const VERSION: &str = "4.14.1";
/// SHA-256 of `axe.min.js` in the package of that version.
const DIGEST: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";

/// The library's text, from `SCEAU_AXE`, from an earlier fetch, or from the registry.
#[must_use]
pub fn axe() -> Option<String> {
    let kept = kept();
    let given = std::env::var_os("SCEAU_AXE").map(PathBuf::from);
    let known = [given.as_deref(), Some(kept.as_path())].into_iter().flatten().find_map(genuine);
    known.or_else(|| {
        let text = fetched()?;
        // Two tests at once: the rename makes each see a whole file.
        let part = kept.with_extension(format!("{}", std::process::id()));
        let _ = std::fs::write(&part, &text).and_then(|()| std::fs::rename(&part, &kept));
        Some(text)
    })
}

/// Beside the test programs, so that `cargo clean` takes it away.
fn kept() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join(format!("axe-core-{VERSION}.min.js"))
}

fn genuine(path: &Path) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let digest: String = openssl::sha::sha256(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest == DIGEST { String::from_utf8(text).ok() } else { None }
}

fn fetched() -> Option<String> {
    let folder = Scratch::new("axe");
    let quiet = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("timeout");
        let done = command.arg("60").arg(program).args(arguments).current_dir(folder.path()).output();
        done.is_ok_and(|done| done.status.success())
    };
    let package = format!("axe-core-{VERSION}.tgz");
    let there = quiet("npm", &["pack", "--ignore-scripts", "--fetch-retries=1", &format!("axe-core@{VERSION}")])
        && quiet("tar", &["-xzf", &package, "package/axe.min.js"]);
    there.then(|| genuine(&folder.join("package/axe.min.js"))).flatten()
}
