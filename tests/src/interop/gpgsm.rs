//! GnuPG's `gpgsm`: a container layer and primitives of its own (libksba, libgcrypt).

use std::path::PathBuf;
use std::process::Command;

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::PointConversionForm;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};

use super::cast::Identity;
use super::{Cast, Cipher, Done, Peer, complaint};
use crate::process::{run, tool};

/// `gpgsm` with a home of its own, whose agent ends with this value.
#[derive(Debug)]
pub struct Gpgsm {
    home: PathBuf,
}

impl Gpgsm {
    /// Imports root, certificates and keys.
    #[must_use]
    pub fn new(cast: &Cast) -> Self {
        let peer = Self { home: cast.scratch.folder("gnupg", 0o700) };
        let put = |name: &str, text: String| std::fs::write(peer.home.join(name), text).unwrap();
        put("gpg-agent.conf", "allow-loopback-pinentry\n".to_owned());
        put("gpgsm.conf", "disable-crl-checks\ndisable-dirmngr\n".to_owned());
        let sha1 = cast.root_certificate().digest(MessageDigest::sha1()).unwrap();
        let sha1: String = sha1.iter().map(|octet| format!("{octet:02X}")).collect();
        put("trustlist.txt", format!("{sha1} S relax\n"));
        let import = |file: &PathBuf| drop(peer.run(&["--import", file.to_str().unwrap()], &[]));
        import(&cast.root);
        for identity in cast.pairs.iter().flat_map(|pair| [&pair.signer, &pair.reader]) {
            import(&identity.files.certificate);
            peer.lay(identity);
        }
        peer
    }

    /// Lays a key where the agent looks for it. Its PKCS#12 reader, the usual way, ends with a segmentation fault
    /// on keys on curves, and now and then passes over an RSA key.
    fn lay(&self, identity: &Identity) {
        let Some(key) = expression(&identity.credentials.key) else { return };
        let colons = self.run(&["--with-keygrip", "--with-colons", "-k", &identity.address], &[]).unwrap();
        let colons = String::from_utf8_lossy(&colons).into_owned();
        let grip = colons.lines().find_map(|line| line.strip_prefix("grp:")).expect("a keygrip").trim_matches(':');
        let folder = self.home.join("private-keys-v1.d");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{grip}.key")), format!("Key: (private-key {key})\n")).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = tool("gpgsm");
        command.env("GNUPGHOME", &self.home).args(["--batch", "--pinentry-mode", "loopback", "--yes"]);
        command
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Done {
        let finished = run(self.command().args(arguments), input);
        if finished.code == Some(0) { Ok(finished.output) } else { Err(complaint(&finished.errors)) }
    }

    /// With the content as a file.
    fn with_file(&self, arguments: &[&str], content: &[u8]) -> Done {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        self.run(&[arguments, &[file.path().to_str().unwrap()]].concat(), &[])
    }
}

/// A private key as libgcrypt writes it; `None` for kinds that this release does not have.
fn expression(key: &PKey<Private>) -> Option<String> {
    // A first octet with its first bit set would make the number negative.
    let hex = |number: &BigNumRef| {
        let octets = number.to_vec();
        let sign = if octets.first().is_some_and(|first| *first >= 0x80) { "00" } else { "" };
        octets.iter().fold(sign.to_owned(), |text, octet| text + &format!("{octet:02X}"))
    };
    let mut context = BigNumContext::new().unwrap();
    if let Ok(key) = key.rsa() {
        // The smaller prime comes first, and u is its inverse.
        let (p, q) = (key.p().unwrap(), key.q().unwrap());
        let (p, q) = if p < q { (p, q) } else { (q, p) };
        let mut u = BigNum::new().unwrap();
        u.mod_inverse(p, q, &mut context).unwrap();
        let [n, e, d, p, q, u] = [key.n(), key.e(), key.d(), p, q, &u].map(hex);
        return Some(format!("(rsa (n #{n}#)(e #{e}#)(d #{d}#)(p #{p}#)(q #{q}#)(u #{u}#))"));
    }
    let key = key.ec_key().ok()?;
    // An uncompressed point begins with 04, so that its octets are those of a positive number.
    let point = key.public_key().to_bytes(key.group(), PointConversionForm::UNCOMPRESSED, &mut context).unwrap();
    let point = hex(&BigNum::from_slice(&point).unwrap());
    let (size, scalar) = (key.group().degree(), hex(key.private_key()));
    Some(format!("(ecc (curve \"NIST P-{size}\")(q #{point}#)(d #{scalar}#))"))
}

impl Drop for Gpgsm {
    fn drop(&mut self) {
        let _ = run(tool("gpgconf").arg("--homedir").arg(&self.home).args(["--kill", "all"]), &[]);
    }
}

impl Peer for Gpgsm {
    fn name(&self) -> &'static str {
        "gpgsm"
    }

    fn version(&self) -> String {
        let text = self.run(&["--version"], &[]).unwrap();
        String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
    }

    fn sign(&self, signer: &Identity, pss: bool, content: &[u8]) -> Done {
        if pss {
            return Err("no option to sign with PSS".into());
        }
        let long = signer.credentials.key.ec_key().is_ok_and(|key| key.group().degree() > 256);
        let digest = if long { "SHA384" } else { "SHA256" };
        self.with_file(&["--local-user", &signer.address, "--digest-algo", digest, "--sign"], content)
    }

    fn encrypt(&self, reader: &Identity, cipher: Cipher, content: &[u8]) -> Done {
        if cipher == Cipher::Gcm {
            return Err("writes no authenticated encryption".into());
        }
        self.with_file(&["--recipient", &reader.address, "--cipher-algo", "AES256", "--encrypt"], content)
    }

    fn decrypt(&self, _: &Identity, cms: &[u8]) -> Done {
        self.with_file(&["--decrypt"], cms)
    }

    fn verify(&self, signer: &Identity, cms: &[u8]) -> Done {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::write(&input, cms).unwrap();
        let files = ["--output", output.to_str().unwrap(), "--verify", input.to_str().unwrap()];
        let finished = run(self.command().args(["--status-fd", "1"]).args(files), &[]);
        let sha1 = signer.credentials.certificate.digest(MessageDigest::sha1()).unwrap();
        let sha1: String = sha1.iter().map(|octet| format!("{octet:02X}")).collect();
        let said = finished.text();
        let valid = said.contains(&format!("VALIDSIG {sha1}")) && said.contains("TRUST_FULLY");
        if finished.code == Some(0) && valid {
            std::fs::read(output).map_err(|error| error.to_string())
        } else {
            Err(complaint(&finished.errors))
        }
    }
}
