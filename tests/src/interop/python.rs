//! Python's `cryptography` as Debian ships it: quick to script, and it only writes.

use super::cast::Identity;
use super::{Cast, Cipher, Done, Peer, complaint};
use crate::process::{run, tool};

/// Says version, signs.
const PROGRAM: &str = r"
import sys, cryptography
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7
if sys.argv[1] == 'version':
    print('cryptography', cryptography.__version__)
elif sys.argv[1] == 'sign':
    certificate = x509.load_pem_x509_certificate(open(sys.argv[2], 'rb').read())
    key = serialization.load_pem_private_key(open(sys.argv[3], 'rb').read(), None)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(sys.stdin.buffer.read()).add_signer(certificate, key, hashes.SHA256())
    sys.stdout.buffer.write(builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary]))
else:
    getattr(pkcs7, sys.argv[1])
";

/// The interpreter and library of the distribution.
#[derive(Debug)]
pub struct Python;

impl Python {
    /// It needs nothing of the cast: everything is on the command line.
    #[must_use]
    pub fn new(_: &Cast) -> Self {
        Self
    }

    fn run(arguments: &[&str], input: &[u8]) -> Done {
        let finished = run(tool("/usr/bin/python3").args(["-W", "ignore", "-c", PROGRAM]).args(arguments), input);
        let last = finished.errors.lines().last().unwrap_or_default().to_owned();
        if finished.code == Some(0) { Ok(finished.output) } else { Err(complaint(&last)) }
    }
}

impl Peer for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn version(&self) -> String {
        String::from_utf8_lossy(&Self::run(&["version"], &[]).unwrap()).trim().to_owned()
    }

    fn sign(&self, signer: &Identity, pss: bool, content: &[u8]) -> Done {
        if pss {
            return Err("this release signs without PSS".into());
        }
        let (certificate, key) = (signer.files.certificate.to_str().unwrap(), signer.files.key.to_str().unwrap());
        Self::run(&["sign", certificate, key], content)
    }

    fn encrypt(&self, _: &Identity, _: Cipher, content: &[u8]) -> Done {
        Self::run(&["PKCS7EnvelopeBuilder"], content)
    }

    fn decrypt(&self, _: &Identity, cms: &[u8]) -> Done {
        Self::run(&["pkcs7_decrypt_der"], cms)
    }

    fn verify(&self, _: &Identity, cms: &[u8]) -> Done {
        Self::run(&["pkcs7_verify_der"], cms)
    }
}
