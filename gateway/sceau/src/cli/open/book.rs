//! A certificate book in a folder: each file is a certificate, its name says whose.

use std::path::Path;

use ident::{Address, Domain};
use pki::{
    book::{Book, BookEntry, BookOwner, BookUse},
    certificate::Certificate,
    name::Attribute,
};

use crate::{cli::material, config::Problem};

/// Reads the folder. The owner is the file's name when that is an address or a domain; else the
/// mailboxes that the certificate names, or the domain that is its common name. That is no belief in
/// the certificate: who put the file into the folder vouches for it.
pub(super) fn read(folder: &Path) -> Result<Book, Problem> {
    let mut entries = Vec::new();
    for file in material::certificate_files(folder)? {
        let (certificate, _) = material::leaf(&file)?;
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let (name, usage) = split(stem);
        let owners = owner(name).map_or_else(|| own_claims(&certificate), |owner| vec![owner]);
        if owners.is_empty() {
            let what = "name the file after the domain or the address that it signs for, as in ch-exemple.test.pem";
            return Err(Problem::of(file, what));
        }
        entries.extend(owners.into_iter().map(|owner| BookEntry {
            owner,
            usage,
            certificate: certificate.clone(),
            provenance: file.display().to_string(),
        }));
    }
    Ok(Book::new(entries))
}

/// The name without its last word `signs` or `reads`; without one, the certificate signs.
fn split(stem: &str) -> (&str, BookUse) {
    for separator in ['-', '.', '_'] {
        for (word, usage) in [("signs", BookUse::Signs), ("reads", BookUse::Reads)] {
            if let Some(name) = stem.strip_suffix(word).and_then(|rest| rest.strip_suffix(separator)) {
                return (name, usage);
            }
        }
    }
    (stem, BookUse::Signs)
}

fn owner(name: &str) -> Option<BookOwner> {
    match name.contains('@') {
        true => Address::parse(name).ok().map(BookOwner::Address),
        false => Domain::parse(name).ok().map(BookOwner::Domain),
    }
}

fn own_claims(certificate: &Certificate) -> Vec<BookOwner> {
    if !certificate.emails().is_empty() {
        return certificate.emails().iter().cloned().map(BookOwner::Address).collect();
    }
    certificate.subject().single(Attribute::CommonName).and_then(owner).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_say_whose_and_what_for() {
        let domain = |name| Some(BookOwner::Domain(Domain::parse(name).unwrap()));
        for (stem, expected, usage) in [
            ("ch-exemple.test", domain("ch-exemple.test"), BookUse::Signs),
            ("ch-exemple.test-signs", domain("ch-exemple.test"), BookUse::Signs),
            ("ch-exemple.test.reads", domain("ch-exemple.test"), BookUse::Reads),
            ("ch-a-signs", None, BookUse::Signs),
            ("a@b.test", Some(BookOwner::Address(Address::parse("a@b.test").unwrap())), BookUse::Signs),
        ] {
            let (name, found) = split(stem);
            assert_eq!((owner(name), found), (expected, usage), "{stem}");
        }
    }
}
