//! `sceau pki show`: what is in a file of certificates or revocation lists.

use std::path::PathBuf;

use pki::{certificate::Certificate, crl::RevocationList};
use serde_json::json;

use super::describe;
use crate::{
    cli::{Exit, material},
    config::{Problem, read_bytes},
};

/// Largest file shown.
const MAX_FILE: u64 = 256 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Certificates or revocation lists, PEM or DER
    file: PathBuf,
}

pub(super) fn run(args: &Args, as_json: bool) -> Result<Exit, Problem> {
    let (certificates, lists) = read(args)?;
    if as_json {
        println!(
            "{}",
            json!({
                "certificates": certificates.iter().map(describe::certificate).collect::<Vec<_>>(),
                "crls": lists.iter().map(describe::list).collect::<Vec<_>>(),
            })
        );
        return Ok(Exit::Done);
    }
    for certificate in &certificates {
        println!("certificate");
        describe::print(&describe::certificate_lines(certificate));
    }
    for list in &lists {
        println!("revocation list");
        describe::print(&describe::list_lines(list));
    }
    Ok(Exit::Done)
}

fn read(args: &Args) -> Result<(Vec<Certificate>, Vec<RevocationList>), Problem> {
    let octets = read_bytes(&args.file, MAX_FILE)?;
    let wrong = |what: String| Problem::of(&args.file, what);
    let block = |label: &str| octets.windows(label.len()).any(|window| window == label.as_bytes());
    if !material::is_pem(&octets) {
        return match (Certificate::from_der(&octets), RevocationList::from_der(&octets)) {
            (Ok(certificate), _) => Ok((vec![certificate], Vec::new())),
            (_, Ok(list)) => Ok((Vec::new(), vec![list])),
            (Err(certificate), Err(list)) => Err(wrong(format!("{certificate}; {list}"))),
        };
    }
    let (mut certificates, mut lists) = (Vec::new(), Vec::new());
    if block("-----BEGIN CERTIFICATE-----") {
        certificates = Certificate::list_from_pem(&octets).map_err(|error| wrong(error.to_string()))?;
    }
    if block("-----BEGIN X509 CRL-----") {
        lists = RevocationList::list_from(&octets).map_err(|error| wrong(error.to_string()))?;
    }
    if certificates.is_empty() && lists.is_empty() {
        return Err(wrong("holds neither a certificate nor a revocation list".to_owned()));
    }
    Ok((certificates, lists))
}
