//! PKCS#11 tokens: SoftHSM2, and a hand on its plug (`pki/tests/unplug.c`).

use std::path::{Path, PathBuf};

use crate::place::Scratch;
use crate::process::{run, tool};

/// SoftHSM2 itself.
pub const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A token with a user PIN.
#[derive(Debug)]
pub struct SoftToken {
    folder: Scratch,
    label: String,
    pin: String,
}

impl SoftToken {
    /// A new token with this label and PIN.
    #[must_use]
    #[track_caller]
    pub fn new(label: &str, pin: &str) -> Self {
        let folder = Scratch::new("token");
        let tokens = folder.folder("tokens", 0o700);
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        folder.write("softhsm2.conf", text);
        folder.folder("plug", 0o700);
        let token = Self { folder, label: label.to_owned(), pin: pin.to_owned() };
        let _ = token.softhsm(&["--init-token", "--free", "--label", label, "--so-pin", "314159", "--pin", pin]);
        let module = token.module();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../pki/tests/unplug.c");
        let out = module.to_str().unwrap();
        let _ = run(tool("cc").args(["-shared", "-fPIC", "-o", out, source, "-ldl"]), b"").success();
        token
    }

    fn softhsm(&self, arguments: &[&str]) -> Vec<u8> {
        run(tool("softhsm2-util").args(arguments).env("SOFTHSM2_CONF", self.configuration()), b"").success()
    }

    /// SoftHSM2's configuration file (`SOFTHSM2_CONF`).
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    /// The module that can be unplugged.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        self.folder.join("unplug.so")
    }

    /// Moves a private key from a PEM file onto the token: the file is gone afterwards.
    #[track_caller]
    pub fn take(&self, key: &Path, object: &str, id: &str) {
        let file = key.to_str().unwrap();
        let _ = self.softhsm(&[
            "--import",
            file,
            "--token",
            &self.label,
            "--pin",
            &self.pin,
            "--label",
            object,
            "--id",
            id,
        ]);
        std::fs::remove_file(key).unwrap();
    }

    /// Makes a key pair on the token with `pkcs11-tool`: `rsa:2048`, `EC:prime256v1`, `EC:edwards25519`.
    #[track_caller]
    pub fn generate(&self, kind: &str, object: &str, id: &str) {
        let login = ["--module", SOFTHSM, "--token-label", &self.label, "--login", "--pin", &self.pin];
        let make = ["--keypairgen", "--key-type", kind, "--label", object, "--id", id, "--usage-derive"];
        let mut command = tool("pkcs11-tool");
        let _ = run(command.args(login).args(make).env("SOFTHSM2_CONF", self.configuration()), b"").success();
    }

    /// A `pkcs11:` URI of a key on it.
    #[must_use]
    pub fn uri(&self, object: &str) -> String {
        format!("pkcs11:token={};object={object};type=private", self.label)
    }

    /// The environment of a process that uses it.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [("SOFTHSM2_CONF", text(self.configuration())), ("UNPLUG", text(self.folder.join("plug")))]
    }

    /// The `[[token]]` section for a configuration; the PIN comes from this file.
    #[must_use]
    pub fn section(&self, pin: &Path) -> String {
        let (label, module) = (&self.label, self.module());
        format!(
            "[[token]]\nlabel = \"{label}\"\nmodule = \"{}\"\npin = {{ file = \"{}\" }}\nsessions = 2\n",
            module.display(),
            pin.display()
        )
    }

    /// Pulls it out.
    pub fn unplug(&self) {
        self.folder.write("plug/away", "");
    }

    /// Puts it back.
    pub fn plug(&self) {
        std::fs::remove_file(self.folder.join("plug/away")).unwrap();
    }

    /// What the token answered to each login so far.
    #[must_use]
    pub fn logins(&self) -> Vec<String> {
        let said = std::fs::read_to_string(self.folder.join("plug/logins")).unwrap_or_default();
        said.lines().map(str::to_owned).collect()
    }
}
