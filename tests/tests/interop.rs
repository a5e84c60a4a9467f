//! The interoperability matrix: who reads what Sceau seals, and what Sceau makes of what others seal.
//!
//! Each cell is asserted: `ok` means that the inner message came out, signed by whom it should be (and, on our
//! side, that `sceau open` accepts it, decrypted, with a valid signature bound to its From); `cannot` carries the
//! peer's own words, which are asserted too, so that a peer that learns something is noticed. The matrix with the
//! peers' versions is printed and kept as `interop-matrix.txt` beside the built program.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::{fmt::Write as _, sync::Arc};

use ident::{Address, Clock as _, SystemClock};
use mail::{Inside, Limits, Profile, SealRequest};
use pki::{
    certificate::Certificate,
    cms::RsaTransport,
    keys::{FileKey, Preferring, SignatureScheme, SigningKey as _},
};
use tests::gateway::{binary, sceau};
use tests::interop::{
    BouncyCastle, Cast, Form, Gpgsm, Nss, OpenSsl, Peer, Python,
    cast::{Keys, Pair},
    made_by, opened_by,
};
use tests::pkits::report;

/// One way to use one kind of key.
struct Row {
    name: &'static str,
    keys: Keys,
    pss: bool,
    /// How keys are wrapped for RSA; none: as the profile does.
    transport: Option<RsaTransport>,
    forms: &'static [Form],
}

const ALL: &[Form] = &[Form::GatewayBinary, Form::Gateway, Form::Client, Form::SignedOnly];

const fn row(name: &'static str, keys: Keys) -> Row {
    Row { name, keys, pss: false, transport: None, forms: ALL }
}

const ROWS: &[Row] = &[
    row("RSA-2048", Keys::Rsa2048),
    Row { pss: true, ..row("RSA-2048 PSS", Keys::Rsa2048) },
    Row { transport: Some(RsaTransport::OaepSha256), forms: &[Form::Client], ..row("RSA-2048 OAEP", Keys::Rsa2048) },
    row("RSA-3072", Keys::Rsa3072),
    row("P-256", Keys::P256),
    row("P-384", Keys::P384),
    row("Ed25519/X25519", Keys::Edwards),
];

/// What a peer cannot do, in its own words: peer, direction, rows and forms (empty: every), words. The first that
/// fits counts.
const CANNOT: &[(&str, &str, &str, &str, &str)] = &[
    // Debian's gpgsm takes authenticated-enveloped data apart and then has no room for the nonce; OpenSSL's and
    // BouncyCastle's fail there in the same way. It knows no OAEP, and in this release no agreement of keys on
    // curves: theirs fail too.
    ("gpgsm", ">", "", "gateway binary|gateway", "error getting IV: Buffer too short"),
    ("gpgsm", "<", "RSA-2048 PSS", "", "no option to sign with PSS"),
    ("gpgsm", "<", "Ed25519/X25519", "", "No secret key"),
    ("gpgsm", "<", "", "gateway binary|gateway", "writes no authenticated encryption"),
    ("gpgsm", ">", "RSA-2048 OAEP|Ed25519/X25519", "client", "error getting encrypted session key"),
    ("gpgsm", ">", "P-256|P-384", "client", "decrypting session key failed: Invalid session key"),
    ("gpgsm", "<", "P-256|P-384", "client", "Wrong key usage"),
    ("gpgsm", ">", "Ed25519/X25519", "signed-only", "invalid signature: Internal error"),
    // This release of NSS knows neither authenticated-enveloped data, nor OAEP, nor agreement of keys.
    ("cmsutil", ">", "", "gateway binary|gateway", "SEC_ERROR_UNRECOGNIZED_OID"),
    ("cmsutil", "<", "RSA-2048 PSS", "", "no option to sign with PSS"),
    ("cmsutil", "<", "Ed25519/X25519", "", "the corresponding cert for key \"signe.edwards\" does not exist"),
    ("cmsutil", "<", "", "gateway binary|gateway", "writes no authenticated encryption"),
    ("cmsutil", ">", "RSA-2048 OAEP", "client", "SEC_ERROR_UNSUPPORTED_KEYALG"),
    ("cmsutil", ">", "P-256|P-384|Ed25519/X25519", "client", "SEC_ERROR_BAD_DER"),
    ("cmsutil", "<", "P-256|P-384", "client", "SEC_ERROR_INVALID_ALGORITHM"),
    ("cmsutil", ">", "Ed25519/X25519", "signed-only", "SEC_ERROR_PKCS7_BAD_SIGNATURE"),
    // OpenSSL 3.0's CMS code predates RFC 8418 and RFC 8419 (decision 0003: ours shares none of it).
    ("openssl", ">", "Ed25519/X25519", "gateway binary|gateway|client", "no matching recipient"),
    ("openssl", ">", "Ed25519/X25519", "signed-only", "invalid digest"),
    ("openssl", "<", "Ed25519/X25519", "", "invalid digest"),
    // Debian's release of Python's library only signs.
    ("python", ">", "", "gateway binary|gateway|client", "has no attribute 'pkcs7_decrypt_der'"),
    ("python", ">", "", "signed-only", "has no attribute 'pkcs7_verify_der'"),
    ("python", "<", "RSA-2048 PSS", "", "this release signs without PSS"),
    ("python", "<", "Ed25519/X25519", "", "Only RSA & EC keys are supported"),
    ("python", "<", "", "gateway binary|gateway|client", "has no attribute 'PKCS7EnvelopeBuilder'"),
];

const BODY: &str = "Bonjour, compte rendu fictif.\r\n";

fn sealed(row: &Row, pair: &Pair, form: Form) -> Vec<u8> {
    let certificate = |x509: &openssl::x509::X509Ref| Certificate::from_openssl(x509).unwrap();
    let signer = &pair.signer.credentials;
    let signer = Arc::new(FileKey::new(signer.key.clone(), certificate(&signer.certificate), Vec::new()).unwrap());
    let scheme = if row.pss { SignatureScheme::RsaPssSha256 } else { signer.schemes()[0] };
    let reader = certificate(&pair.reader.credentials.certificate);
    let message = format!(
        "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: <{}>\r\nTo: <{}>\r\nSubject: essai\r\nMessage-ID: <interop@ch-exemple.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n{BODY}",
        pair.signer.address, pair.reader.address
    )
    .into_bytes();
    let request = SealRequest {
        message: &message,
        recipients: &[Address::parse(&pair.reader.address).unwrap()],
        signer: &Preferring::new(signer, scheme).unwrap(),
        to: if form == Form::SignedOnly { &[] } else { &[&reader] },
        profile: match form {
            Form::Gateway | Form::GatewayBinary => Profile::Gateway,
            Form::Client => Profile::Client,
            Form::SignedOnly => Profile::SignedOnly,
        },
        inside: if form == Form::GatewayBinary { Inside::Binary } else { Inside::Base64 },
        at: SystemClock.now(),
        assurance: None,
        extra: &[],
        authserv_id: "localhost",
        subject: mail::DEFAULT_SUBJECT,
        limits: &Limits::default(),
    };
    mail::seal_with(&request, row.transport.unwrap_or(request.profile.rsa_transport())).unwrap().bytes
}

/// Ours, read by the peer.
fn outwards(peer: &dyn Peer, row: &Row, pair: &Pair, form: Form) -> Result<(), String> {
    let content = opened_by(peer, pair, form, &sealed(row, pair, form))?;
    let text = String::from_utf8_lossy(&content).replace("\r\n", "\n");
    let whole = text.contains("Subject: essai\n") && text.ends_with(&BODY.replace("\r\n", "\n"));
    assert!(whole, "{} reads something else: {text}", peer.name());
    Ok(())
}

/// The peer's, judged by `sceau open`.
fn inwards(peer: &dyn Peer, cast: &Cast, row: &Row, pair: &Pair, form: Form) -> Result<(), String> {
    let content = format!("Content-Type: text/plain\r\n\r\n{BODY}");
    let mail = made_by(peer, pair, form, row.pss, content.as_bytes())?;
    let file = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let reader = &pair.reader.files;
    let report = cast.scratch.join("report.json");
    let (certificate, key, root, report) =
        (file(&reader.certificate), file(&reader.key), file(&cast.root), file(&report));
    let arguments = [
        "open",
        "--cert",
        &certificate,
        "--key",
        &key,
        "--anchors",
        &root,
        "--from",
        &pair.signer.address,
        "--report",
        &report,
    ];
    let opened = sceau(&arguments, &mail);
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    if opened.code != Some(0) {
        let codes = told["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap());
        let words = told["reasons"][0]["text"]["en"].as_str().unwrap_or_default();
        return Err(format!("we refuse: {}: {words}", codes.collect::<Vec<_>>().join(", ")));
    }
    assert_eq!((&told["verdict"], &told["signature"]), (&"accept".into(), &"valid".into()), "{told}");
    assert_eq!((&told["decrypted"], &told["from_bound"]), (&(form != Form::SignedOnly).into(), &true.into()), "{told}");
    assert!(opened.text().ends_with(BODY), "{}: {}", peer.name(), opened.text());
    Ok(())
}

/// What is known of a cell: nothing, or the words with which it fails.
fn known(peer: &str, direction: &str, row: &str, form: &str) -> Option<&'static str> {
    let fits = |pattern: &str, value: &str| pattern.is_empty() || pattern.split('|').any(|one| one == value);
    CANNOT
        .iter()
        .find(|(p, d, r, f, _)| fits(p, peer) && fits(d, direction) && fits(r, row) && fits(f, form))
        .map(|(.., words)| *words)
}

#[test]
fn interoperability_matrix() {
    let cast = Cast::new(&[Keys::Rsa2048, Keys::Rsa3072, Keys::P256, Keys::P384, Keys::Edwards]);
    let peers: [Box<dyn Peer>; 5] = [
        Box::new(OpenSsl::new(&cast)),
        Box::new(Gpgsm::new(&cast)),
        Box::new(Nss::new(&cast)),
        Box::new(BouncyCastle::new(&cast)),
        Box::new(Python::new(&cast)),
    ];
    let mut table = String::from("Sceau seals and the peer opens (>), the peer seals and Sceau opens (<)\n\n");
    for peer in &peers {
        writeln!(table, "{:<14}{}", peer.name(), peer.version()).unwrap();
    }
    write!(table, "\n{:<30}", "").unwrap();
    for peer in &peers {
        write!(table, "{:<16}", peer.name()).unwrap();
    }
    table.push('\n');
    let (mut notes, mut wrong, mut good, mut all): (Vec<String>, Vec<String>, usize, usize) = Default::default();
    for row in ROWS {
        let pair = cast.pairs.iter().find(|pair| pair.keys == row.keys).unwrap();
        for form in row.forms {
            write!(table, "{:<30}", format!("{} {}", row.name, form.name())).unwrap();
            for peer in &peers {
                let mut cell = String::new();
                for (direction, found) in [
                    (">", outwards(&**peer, row, pair, *form)),
                    // How it wraps keys for RSA is the peer's own choice: once is enough.
                    (
                        "<",
                        if row.transport.is_some() {
                            Err("as above".into())
                        } else {
                            inwards(&**peer, &cast, row, pair, *form)
                        },
                    ),
                ] {
                    if found.as_ref().is_err_and(|why| why == "as above") {
                        cell += " <-";
                        continue;
                    }
                    all += 1;
                    let known = known(peer.name(), direction, row.name, form.name());
                    let place = format!("{} {direction} {} {}", peer.name(), row.name, form.name());
                    match (&found, known) {
                        (Ok(()), None) => good += 1,
                        (Err(why), Some(words)) if why.contains(words) => {}
                        (Ok(()), Some(words)) => wrong.push(format!("{place}: works, and \"{words}\" was expected")),
                        (Err(why), _) => wrong.push(format!("{place}: {why}")),
                    }
                    let shown = match &found {
                        Ok(()) => "ok".to_owned(),
                        Err(why) => {
                            let note = format!("{}: {}", peer.name(), known.unwrap_or(why));
                            let at = notes.iter().position(|one| *one == note).unwrap_or_else(|| {
                                notes.push(note);
                                notes.len() - 1
                            });
                            format!("[{}]", at + 1)
                        }
                    };
                    write!(cell, " {direction}{shown}").unwrap();
                }
                write!(table, "{:<16}", cell.trim_start()).unwrap();
            }
            table.push('\n');
        }
    }
    table.push_str("\ncannot, in the peers' words:\n");
    for (number, note) in notes.iter().enumerate() {
        writeln!(table, "[{}] {note}", number + 1).unwrap();
    }
    println!("{table}");
    std::fs::write(binary().with_file_name("interop-matrix.txt"), &table).unwrap();
    report(&format!("Interoperability: {good} of {all} cells ok, {} where a peer cannot", all - good));
    assert!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
    assert_eq!((good, all), (122, 245), "cells");
}
