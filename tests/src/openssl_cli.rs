//! OpenSSL's command line as judge: it opens what we sealed and makes what we open, with code that
//! is not ours.

use std::path::Path;

use crate::certs::CredentialFiles;
use crate::place::Scratch;
use crate::process::{Finished, run, tool};

/// Runs `openssl` with these arguments on this input.
#[must_use]
pub fn openssl(arguments: &[&str], input: &[u8]) -> Finished {
    run(tool("openssl").args(arguments), input)
}

/// Opens an S/MIME message or, with `form` DER, a bare container, with one recipient's key.
#[must_use]
pub fn cms_decrypt(form: &str, sealed: &[u8], recipient: &CredentialFiles) -> Finished {
    let (certificate, key) = (path(&recipient.certificate), path(&recipient.key));
    openssl(&["cms", "-decrypt", "-binary", "-inform", form, "-recip", &certificate, "-inkey", &key], sealed)
}

/// Verifies a signature against one root, for mail; the signed content is the output.
#[must_use]
pub fn cms_verify(form: &str, signed: &[u8], roots: &Path) -> Finished {
    openssl(
        &["cms", "-verify", "-binary", "-inform", form, "-CAfile", &path(roots), "-no-CApath", "-purpose", "any"],
        signed,
    )
}

/// Encrypts for certificates; `cipher` as in `-aes-256-gcm`, `more` for key options.
#[must_use]
pub fn cms_encrypt(form: &str, content: &[u8], cipher: &str, more: &[&str], to: &[&Path]) -> Finished {
    let to: Vec<String> = to.iter().map(|certificate| path(certificate)).collect();
    let mut arguments = vec!["cms", "-encrypt", "-binary", "-outform", form, cipher];
    arguments.extend(more);
    // With key options each certificate is named by -recip, else by position; -recip serves both.
    for certificate in &to {
        arguments.extend(["-recip", certificate]);
    }
    openssl(&arguments, content)
}

/// Signs with the content inside (opaque).
#[must_use]
pub fn cms_sign(form: &str, content: &[u8], signer: &CredentialFiles, more: &[&str]) -> Finished {
    let (certificate, key) = (path(&signer.certificate), path(&signer.key));
    let mut arguments =
        vec!["cms", "-sign", "-binary", "-nodetach", "-outform", form, "-signer", &certificate, "-inkey", &key];
    arguments.extend(more);
    openssl(&arguments, content)
}

/// The structure of a DER value, one line an element.
#[must_use]
pub fn asn1parse(der: &[u8]) -> String {
    openssl(&["asn1parse", "-inform", "DER"], der).text()
}

/// A `PKCS#12` file of these credentials.
#[must_use]
pub fn pkcs12(scratch: &Scratch, from: &CredentialFiles, password: &str) -> Vec<u8> {
    let (certificate, key) = (path(&from.certificate), path(&from.key));
    let file = path(&scratch.join("export.p12"));
    let password = format!("pass:{password}");
    let export = ["pkcs12", "-export", "-in", &certificate, "-inkey", &key, "-out", &file, "-passout", &password];
    let _ = openssl(&export, b"").success();
    std::fs::read(file).unwrap()
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::{Authority, Use};

    #[test]
    fn signs_encrypts_opens_and_verifies() {
        let scratch = Scratch::new("openssl");
        let authority = Authority::new("Test root");
        let roots = authority.write(&scratch, "root");
        let writer = authority.issue("Writer", &Use::Mail("writer@a.test")).write(&scratch, "writer");
        let reader = authority.issue("Reader", &Use::Mail("reader@b.test")).write(&scratch, "reader");
        let other = authority.issue("Other", &Use::Mail("other@b.test")).write(&scratch, "other");

        let signed = cms_sign("DER", b"Text\r\n", &writer, &[]).success();
        let sealed = cms_encrypt("DER", &signed, "-aes-256-gcm", &[], &[&reader.certificate]).success();
        assert!(asn1parse(&sealed).contains("authEnvelopedData"), "{}", asn1parse(&sealed));
        assert_ne!(cms_decrypt("DER", &sealed, &other).code, Some(0));
        let opened = cms_decrypt("DER", &sealed, &reader).success();
        assert_eq!(cms_verify("DER", &opened, &roots).success(), b"Text\r\n");

        let stranger = Authority::new("Another root").write(&scratch, "stranger");
        assert_ne!(cms_verify("DER", &opened, &stranger).code, Some(0));
    }
}
