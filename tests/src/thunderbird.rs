//! A real Thunderbird on a screen that nobody sees (Xvfb): what a mail program of the trusted space's users makes of
//! our mail, read from its own state.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::dovecot::PASSWORD;
use crate::marionette::Marionette;
use crate::place::Scratch;
use crate::process::{Running, run, tool};

/// How long it may take to start, with its first profile, on a machine that does much else.
const START: Duration = Duration::from_secs(240);

/// Nothing leaves the machine, nothing asks, nothing is looked up.
const QUIET: &[(&str, &str)] = &[
    ("app.normandy.enabled", "false"),
    ("app.update.enabled", "false"),
    ("app.donation.eoy.version.viewed", "999"),
    ("datareporting.healthreport.uploadEnabled", "false"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("extensions.update.enabled", "false"),
    ("mail.provider.suppress_dialog_on_startup", "true"),
    ("mail.rights.version", "1"),
    ("mail.shell.checkDefaultClient", "false"),
    ("mail.spotlight.firstRunDone", "true"),
    ("mail.winsearch.firstRunDone", "true"),
    ("mailnews.start_page.enabled", "false"),
    ("network.dns.disabled", "true"),
    ("security.OCSP.enabled", "0"),
    ("toolkit.telemetry.enabled", "false"),
    ("marionette.port", "0"),
];

/// A profile to be: its certificates, keys and account.
#[derive(Debug)]
pub struct Profile {
    home: Scratch,
    preferences: String,
}

impl Profile {
    /// An empty one.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let profile = Self { home: Scratch::new("thunderbird"), preferences: String::new() };
        profile.home.folder("profile", 0o700);
        profile.nss("certutil", &["-N", "--empty-password"]);
        QUIET.iter().fold(profile, |profile, (name, value)| profile.preference(name, value))
    }

    /// Sets a preference; `value` as it is written in `user.js`.
    #[must_use]
    pub fn preference(mut self, name: &str, value: &str) -> Self {
        let _ = writeln!(self.preferences, "user_pref(\"{name}\", {value});");
        self
    }

    /// Trusts this authority (PEM) for mail and for nothing else; an issuing one is known, and trusted through its root.
    #[must_use]
    #[track_caller]
    pub fn authority(self, certificate: &Path, root: bool) -> Self {
        let (file, trust) = (certificate.to_str().unwrap(), if root { ",C," } else { ",," });
        let name = certificate.file_stem().unwrap().to_str().unwrap();
        self.nss("certutil", &["-A", "-n", name, "-t", trust, "-i", file]);
        self
    }

    /// Holds this key (PKCS#12).
    #[must_use]
    #[track_caller]
    pub fn key(self, pkcs12: &Path, password: &str) -> Self {
        self.nss("pk12util", &["-i", pkcs12.to_str().unwrap(), "-W", password, "-K", ""]);
        self
    }

    /// Reads this mailbox by IMAP, on loopback without TLS.
    #[must_use]
    pub fn account(self, address: &str, imap: SocketAddr) -> Self {
        let text = |value: &str| format!("\"{value}\"");
        let all = [
            ("mail.accountmanager.accounts", text("account1")),
            ("mail.accountmanager.defaultaccount", text("account1")),
            ("mail.account.account1.server", text("server1")),
            ("mail.account.account1.identities", text("id1")),
            ("mail.identity.id1.useremail", text(address)),
            ("mail.identity.id1.valid", "true".to_owned()),
            ("mail.server.server1.type", text("imap")),
            ("mail.server.server1.hostname", text(&imap.ip().to_string())),
            ("mail.server.server1.port", imap.port().to_string()),
            ("mail.server.server1.userName", text(address)),
            ("mail.server.server1.name", text(address)),
            ("mail.server.server1.socketType", "0".to_owned()),
            ("mail.server.server1.authMethod", "3".to_owned()),
            // The password is handed over once it runs: until then it must not ask for one.
            ("mail.server.server1.login_at_startup", "false".to_owned()),
            ("mail.server.server1.check_new_mail", "false".to_owned()),
            ("mail.server.server1.offline_download", "false".to_owned()),
        ];
        all.iter().fold(self, |profile, (name, value)| profile.preference(name, value))
    }

    fn folder(&self) -> PathBuf {
        self.home.join("profile")
    }

    #[track_caller]
    fn nss(&self, program: &str, arguments: &[&str]) {
        let database = format!("sql:{}", self.folder().display());
        let _ = run(tool(program).args(["-d", &database]).args(arguments), &[]).success();
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::new()
    }
}

/// What it shows of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its verdict on the encryption: `ok`, `notok`, or none where it sees none.
    pub encrypted: Option<String>,
    /// Its verdict on the signature: `ok`, `mismatch`, …; none where it shows none.
    pub signed: Option<String>,
    /// The number behind that verdict (`nsICMSMessageErrors`).
    pub signature: i64,
    /// CN of who signed.
    pub signer: Option<String>,
    /// The subject in its header pane.
    pub subject: String,
    /// The text in its message pane; empty where it shows a page of its own instead.
    pub text: String,
}

/// A running Thunderbird.
#[derive(Debug)]
pub struct Thunderbird {
    session: Marionette,
    process: Running,
    // After the program, whose screen and home they are.
    _screen: Running,
    _profile: Profile,
}

impl Thunderbird {
    /// Starts it and waits until it can be talked to.
    #[must_use]
    #[track_caller]
    pub fn start(profile: Profile) -> Self {
        std::fs::write(profile.folder().join("user.js"), &profile.preferences).unwrap();
        // It takes the first free display and says which when it is ready; nothing else comes through.
        let screen = Running::start("Xvfb", "sh", |command| {
            let line = "exec Xvfb -screen 0 1280x900x24 -nolisten tcp -noreset -displayfd 3 3>&1 >/dev/null 2>&1";
            command.args(["-c", line]);
        });
        let display = format!(":{}", screen.wait_for_line(&[""]).trim());
        let home = profile.home.path();
        let process = Running::start("Thunderbird", "thunderbird", |command| {
            command.args(["--no-remote", "--marionette", "--remote-allow-system-access", "--profile"]);
            command.arg(profile.folder()).env("HOME", home).env("DISPLAY", &display);
            command.env_remove("WAYLAND_DISPLAY").env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
            for (name, value) in [
                ("LC_ALL", "C.UTF-8"),
                ("MOZ_CRASHREPORTER_DISABLE", "1"),
                // Containers without user name spaces have no room for its sandbox.
                ("MOZ_DISABLE_CONTENT_SANDBOX", "1"),
                ("NO_AT_BRIDGE", "1"),
            ] {
                command.env(name, value);
            }
        });
        let said = process.wait_for_line_within(&["Marionette", "Listening on port"], START);
        let port = said.rsplit(' ').next().and_then(|port| port.parse().ok());
        let session = Marionette::connect(port.unwrap_or_else(|| panic!("no port: {said}")));
        Self { session, process, _screen: screen, _profile: profile }
    }

    /// Opens the message with this Message-ID as soon as it is in the mailbox, and says what it shows when all of it
    /// has been decrypted and verified.
    #[must_use]
    #[track_caller]
    pub fn open(&mut self, message_id: &str) -> Shown {
        let shown = self.session.script(OPEN, &[json!(message_id), json!(PASSWORD)]);
        let text = |name: &str| shown[name].as_str().map(str::to_owned);
        Shown {
            encrypted: text("encrypted"),
            signed: text("signed"),
            signature: shown["signature"].as_i64().unwrap(),
            signer: text("signer"),
            subject: text("subject").unwrap_or_default(),
            text: text("text").unwrap_or_default(),
        }
    }

    /// Runs a script in its main window, as [`Marionette::script`] does.
    #[track_caller]
    pub fn script(&mut self, script: &str, args: &[Value]) -> Value {
        self.session.script(script, args)
    }

    /// Its window as a PNG picture.
    #[must_use]
    #[track_caller]
    pub fn screenshot(&mut self) -> Vec<u8> {
        self.session.screenshot()
    }
}

impl Drop for Thunderbird {
    /// At once: there is nothing to save.
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// Looks until the message is there; what follows waits on the program's own notifications only: a window that was
/// loaded, a message that was shown, S/MIME that has been worked off.
const OPEN: &str = include_str!("thunderbird/open.js");
