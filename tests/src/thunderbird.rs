//! A real Thunderbird on a screen that nobody sees (Xvfb): what a mail program of the trusted space's users makes of
//! our mail, read from its own state.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::X509;
use serde_json::{Value, json};

use crate::dovecot::PASSWORD;
use crate::marionette::Marionette;
use crate::mint::Minted;
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

    /// Trusts this authority (PEM) for servers.
    #[must_use]
    #[track_caller]
    pub fn authority_of_servers(self, certificate: &Path) -> Self {
        let file = certificate.to_str().unwrap();
        self.nss("certutil", &["-A", "-n", "servers", "-t", "C,,", "-i", file]);
        self
    }

    /// Has this address book, in which it completes what is typed: a directory over LDAP under TLS, whose certificate
    /// bears that host's name.
    #[must_use]
    pub fn address_book(self, name: &str, host: &str, at: SocketAddr, base: &str) -> Self {
        let all = [
            ("ldap_2.servers.book.dirType", "0".to_owned()),
            ("ldap_2.servers.book.description", text(name)),
            // A URL without a scope would mean its base alone.
            ("ldap_2.servers.book.uri", text(&format!("ldaps://{host}:{}/{base}??sub?(objectclass=*)", at.port()))),
            ("ldap_2.servers.book.maxHits", "100".to_owned()),
            ("ldap_2.autoComplete.useDirectory", "true".to_owned()),
            ("ldap_2.autoComplete.directoryServer", text("ldap_2.servers.book")),
            // Names are not looked up: every host is that one.
            ("network.dns.forceResolve", text(&at.ip().to_string())),
            // Nobody activates windows on a screen without a window manager.
            ("focusmanager.testmode", "true".to_owned()),
        ];
        all.iter().fold(self, |profile, (name, value)| profile.preference(name, value))
    }

    /// Hands its messages over to this SMTP server, without TLS, and keeps no copy.
    #[must_use]
    pub fn sends_through(self, smtp: SocketAddr) -> Self {
        let all = [
            ("mail.smtpservers", text("smtp1")),
            ("mail.smtp.defaultserver", text("smtp1")),
            ("mail.smtpserver.smtp1.hostname", text(&smtp.ip().to_string())),
            ("mail.smtpserver.smtp1.port", smtp.port().to_string()),
            ("mail.smtpserver.smtp1.try_ssl", "0".to_owned()),
            ("mail.smtpserver.smtp1.authMethod", "1".to_owned()),
            ("mail.identity.id1.smtpServer", text("smtp1")),
            ("mail.identity.id1.fcc", "false".to_owned()),
        ];
        all.iter().fold(self, |profile, (name, value)| profile.preference(name, value))
    }

    /// Holds this key, in the form that the distribution's `pk12util` reads.
    #[must_use]
    #[track_caller]
    pub fn minted_key(self, minted: &Minted) -> Self {
        let read = |path| std::fs::read(path).unwrap();
        let key = PKey::private_key_from_pem(&read(&minted.key)).unwrap();
        let certificate = X509::from_pem(&read(&minted.certificate)).unwrap();
        let mut pkcs12 = Pkcs12::builder();
        pkcs12.name("lit").pkey(&key).cert(&certificate);
        let old = Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC;
        pkcs12.key_algorithm(old).cert_algorithm(old).mac_md(MessageDigest::sha1());
        let file = minted.certificate.with_extension("p12");
        std::fs::write(&file, pkcs12.build2(PASSWORD).unwrap().to_der().unwrap()).unwrap();
        self.nss("pk12util", &["-i", file.to_str().unwrap(), "-W", PASSWORD, "-K", ""]);
        self
    }

    /// Reads this mailbox by IMAP, on loopback without TLS.
    #[must_use]
    pub fn account(self, address: &str, imap: SocketAddr) -> Self {
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

/// What came of typing into "To:".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// What was offered after each key.
    pub offered: Vec<Vec<String>>,
    /// Whom the message is written to now.
    pub to: Vec<String>,
}

/// A card of an address book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// As it is shown.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
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

    /// Types into "To:" of its window for writing, key by key, each answered before the next, and takes from the list
    /// whom `wanted` names, if he is there.
    #[must_use]
    #[track_caller]
    pub fn write_to(&mut self, typed: &str, wanted: &str) -> Typed {
        let out = self.waiting(WRITE_TO, &[json!(typed), json!(wanted)]);
        Typed { offered: out["offered"].as_array().unwrap().iter().map(texts).collect(), to: texts(&out["to"]) }
    }

    /// Has the open message encrypted, for its own user with the key of this address, and sends it. Says of whom it had
    /// a certificate before it looked for more, and of whom it has none in the end: then nothing was sent.
    #[must_use]
    #[track_caller]
    pub fn send_encrypted(&mut self, own: &str, subject: &str, text: &str) -> (Vec<String>, Vec<String>) {
        let out = self.waiting(SEND_ENCRYPTED, &[json!(own), json!(subject), json!(text)]);
        (texts(&out["before"]), texts(&out["missing"]))
    }

    /// Searches in the address book of this name, in the tab for address books.
    #[must_use]
    #[track_caller]
    pub fn find(&mut self, book: &str, wanted: &str) -> Vec<Card> {
        let cards = self.waiting(FIND, &[json!(book), json!(wanted)]);
        let card = |card: &Value| Card {
            name: card["name"].as_str().unwrap().to_owned(),
            addresses: texts(&card["addresses"]),
        };
        cards.as_array().unwrap().iter().map(card).collect()
    }

    /// Its window of this kind (`mail:3pane`, `msgcompose`) as a PNG picture.
    #[must_use]
    #[track_caller]
    pub fn picture(&mut self, kind: &str) -> Vec<u8> {
        let picture = self.session.script(PICTURE, &[json!(kind)]);
        STANDARD.decode(picture.as_str().unwrap_or_else(|| panic!("{picture}"))).unwrap()
    }

    /// Runs a script that may wait for conditions, and must not fail.
    #[track_caller]
    fn waiting(&mut self, script: &str, args: &[Value]) -> Value {
        let out = self.session.script(&format!("{UNTIL}{script}"), args);
        assert!(out["error"].is_null(), "{}", out["error"]);
        out
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
const UNTIL: &str = include_str!("thunderbird/until.js");
const WRITE_TO: &str = include_str!("thunderbird/write_to.js");
const SEND_ENCRYPTED: &str = include_str!("thunderbird/send_encrypted.js");
const FIND: &str = include_str!("thunderbird/find.js");
const PICTURE: &str = include_str!("thunderbird/picture.js");

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// As preferences have texts.
fn text(value: &str) -> String {
    format!("\"{value}\"")
}
