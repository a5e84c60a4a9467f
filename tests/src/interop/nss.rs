//! NSS's `cmsutil`: the library under Thunderbird, in the release that the distribution ships.

use super::cast::{Identity, PASSWORD};
use super::{Cast, Cipher, Done, Peer, complaint};
use crate::process::{run, tool};

/// A certificate database of its own.
#[derive(Debug)]
pub struct Nss {
    database: String,
}

impl Nss {
    /// Imports root, certificates and keys.
    #[must_use]
    pub fn new(cast: &Cast) -> Self {
        let folder = cast.scratch.folder("nss", 0o700);
        let peer = Self { database: format!("sql:{}", folder.display()) };
        peer.run("certutil", &["-N", "--empty-password"], &[]).unwrap();
        let root = cast.root.to_str().unwrap();
        peer.run("certutil", &["-A", "-n", "root", "-t", "CT,C,C", "-i", root], &[]).unwrap();
        for identity in cast.pairs.iter().flat_map(|pair| [&pair.signer, &pair.reader]) {
            // What it cannot import shows in the matrix.
            let file = identity.pkcs12.to_str().unwrap();
            let _ = peer.run("pk12util", &["-i", file, "-W", PASSWORD, "-K", ""], &[]);
        }
        peer
    }

    fn run(&self, program: &str, arguments: &[&str], input: &[u8]) -> Done {
        // Without a file it takes standard input for text.
        let finished = run(tool(program).args(["-d", &self.database]).args(arguments), input);
        if finished.code == Some(0) { Ok(finished.output) } else { Err(complaint(&finished.errors)) }
    }

    fn with_file(&self, arguments: &[&str], content: &[u8]) -> Done {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::write(&input, content).unwrap();
        let mut all = arguments.to_vec();
        all.extend(["-i", input.to_str().unwrap(), "-o", output.to_str().unwrap()]);
        self.run("cmsutil", &all, &[])?;
        std::fs::read(output).map_err(|error| error.to_string())
    }

    fn nickname(identity: &Identity) -> &str {
        identity.address.split('@').next().unwrap_or_default()
    }
}

impl Peer for Nss {
    fn name(&self) -> &'static str {
        "cmsutil"
    }

    fn version(&self) -> String {
        let asked = run(tool("dpkg-query").args(["-W", "-f", "NSS ${Version}", "libnss3-tools"]), &[]);
        asked.text()
    }

    fn sign(&self, signer: &Identity, pss: bool, content: &[u8]) -> Done {
        if pss {
            return Err("no option to sign with PSS".into());
        }
        self.with_file(&["-S", "-N", Self::nickname(signer), "-H", "SHA256", "-G", "-Y", "NONE"], content)
    }

    fn encrypt(&self, reader: &Identity, cipher: Cipher, content: &[u8]) -> Done {
        if cipher == Cipher::Gcm {
            return Err("writes no authenticated encryption".into());
        }
        self.with_file(&["-E", "-r", &reader.address], content)
    }

    fn decrypt(&self, _: &Identity, cms: &[u8]) -> Done {
        self.with_file(&["-D"], cms)
    }

    fn verify(&self, signer: &Identity, cms: &[u8]) -> Done {
        let content = self.with_file(&["-D", "-u", "4"], cms)?;
        // Which signer it was, and that it is good, it tells only when asked for headers.
        let told = String::from_utf8_lossy(&self.with_file(&["-D", "-u", "4", "-h", "0", "-n"], cms)?).into_owned();
        let expected = signer.credentials.certificate.subject_name().entries_by_nid(openssl::nid::Nid::COMMONNAME);
        let name = expected.last().unwrap().data().to_string().unwrap();
        let good = told.contains("GoodSignature") && told.contains(&name);
        if good { Ok(content) } else { Err(format!("another signer: {}", complaint(&told))) }
    }
}
