//! `openssl cms`: the same primitives as ours, none of our container code.

use super::cast::Identity;
use super::{Cipher, Done, Peer, complaint};
use crate::openssl_cli::openssl;
use crate::process::Finished;

/// OpenSSL's command line.
#[derive(Debug)]
pub struct OpenSsl {
    root: String,
}

impl OpenSsl {
    /// With the matrix's root.
    #[must_use]
    pub fn new(cast: &super::Cast) -> Self {
        Self { root: cast.root.to_str().unwrap().to_owned() }
    }
}

fn done(finished: Finished) -> Done {
    if finished.code == Some(0) { Ok(finished.output) } else { Err(complaint(&finished.errors)) }
}

fn pair(identity: &Identity) -> (&str, &str) {
    (identity.files.certificate.to_str().unwrap(), identity.files.key.to_str().unwrap())
}

impl Peer for OpenSsl {
    fn name(&self) -> &'static str {
        "openssl"
    }

    fn version(&self) -> String {
        openssl(&["version"], &[]).text().trim().to_owned()
    }

    fn sign(&self, signer: &Identity, pss: bool, content: &[u8]) -> Done {
        let (certificate, key) = pair(signer);
        let edwards = signer.credentials.key.id() == openssl::pkey::Id::ED25519;
        let mut arguments = vec!["cms", "-sign", "-binary", "-nodetach", "-outform", "DER"];
        arguments.extend(["-signer", certificate, "-inkey", key]);
        // RFC 8419 §3.1: SHA-512 goes with Ed25519.
        arguments.extend(["-md", if edwards { "sha512" } else { "sha256" }]);
        if pss {
            arguments.extend(["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"]);
        }
        done(openssl(&arguments, content))
    }

    fn encrypt(&self, reader: &Identity, cipher: Cipher, content: &[u8]) -> Done {
        let (certificate, _) = pair(reader);
        let cipher = if cipher == Cipher::Gcm { "-aes-256-gcm" } else { "-aes-256-cbc" };
        let mut arguments = vec!["cms", "-encrypt", "-binary", "-outform", "DER", cipher, "-recip", certificate];
        match reader.credentials.key.id() {
            openssl::pkey::Id::RSA => {
                arguments.extend(["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"]);
                arguments.extend(["-keyopt", "rsa_mgf1_md:sha256"]);
            }
            openssl::pkey::Id::EC => arguments.extend(["-keyopt", "ecdh_kdf_md:sha256"]),
            _ => {}
        }
        done(openssl(&arguments, content))
    }

    fn decrypt(&self, reader: &Identity, cms: &[u8]) -> Done {
        let (certificate, key) = pair(reader);
        let arguments = ["cms", "-decrypt", "-binary", "-inform", "DER", "-recip", certificate, "-inkey", key];
        done(openssl(&arguments, cms))
    }

    fn verify(&self, signer: &Identity, cms: &[u8]) -> Done {
        let out = tempfile::NamedTempFile::new().unwrap();
        let who = out.path().to_str().unwrap();
        let arguments = ["cms", "-verify", "-binary", "-inform", "DER", "-CAfile", &self.root, "-no-CApath"];
        let found = done(openssl(&[&arguments[..], &["-purpose", "smimesign", "-signer", who]].concat(), cms))?;
        let signed = openssl::x509::X509::from_pem(&std::fs::read(who).unwrap()).map_err(|error| error.to_string())?;
        if signed == signer.credentials.certificate { Ok(found) } else { Err("another signer".into()) }
    }
}
