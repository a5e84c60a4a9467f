//! The third operator: a real Postfix with mutual TLS and no S/MIME.
//!
//! Debian's package, run as a private instance: its own configuration, queue and data folders, on
//! loopback ports of its own. The machine's own instance below `/etc/postfix` is neither read nor
//! touched. A small launcher (`launch.sh`) ties its life to ours: when this process goes away, however
//! it goes, the launcher's standard input ends and Postfix is stopped by its pid.

use std::{
    fmt::Write as _,
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use ident::{Address, Domain, Fingerprint};
use thiserror::Error;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::space::write_file;

/// Where Debian keeps the daemon; other distributions keep it elsewhere.
const MASTERS: [&str; 3] = ["/usr/lib/postfix/sbin/master", "/usr/libexec/postfix/master", "/usr/lib/postfix/master"];
/// How long a start or a stop may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that is not ready yet.
const PAUSE: Duration = Duration::from_millis(50);
const LAUNCHER: &str = include_str!("launch.sh");

/// Why the third operator could not be started.
#[derive(Debug, Error)]
pub enum PostfixError {
    /// The package is not there.
    #[error(
        "Postfix is not installed: apt-get install -y postfix (choose \"No configuration\"; no service needs to run)"
    )]
    Missing,
    /// Postfix changes users, so it wants root.
    #[error("Postfix must be started by root, or by somebody whom sudo lets without a password (try: sudo -v)")]
    NeedsRoot,
    /// The folder's name would have to be quoted in Postfix's files, or its own user cannot enter it.
    #[error("{0}: Postfix needs a folder of plain letters, digits and -_. that its own user may enter")]
    Folder(PathBuf),
    /// A file could not be written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// It stopped, or did not answer in time.
    #[error("Postfix did not start; its log says:\n{0}")]
    Start(String),
    /// It did not stop in time.
    #[error("Postfix did not stop in time")]
    Stop,
}

/// A partner that the third operator exchanges mail with.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its mail domain.
    pub domain: Domain,
    /// The host that its certificate must name.
    pub host: String,
    /// Where its exchange port listens.
    pub exchange: SocketAddr,
    /// The client certificate with which it comes.
    pub client: Fingerprint,
}

/// What the third operator is to be.
#[derive(Debug, Clone)]
pub struct PostfixSettings {
    /// Private folder; made if it is missing.
    pub folder: PathBuf,
    /// Its host name.
    pub host: String,
    /// Its mail domain.
    pub domain: Domain,
    /// The mailboxes that exist there.
    pub mailboxes: Vec<Address>,
    /// Port for other operators: STARTTLS and a client certificate are required.
    pub exchange: SocketAddr,
    /// Port for its own users' mail programs; loopback only, no TLS.
    pub internal: SocketAddr,
    /// Where its mailboxes are kept (LMTP).
    pub store: SocketAddr,
    /// PEM: server certificate, then intermediates. Also what it presents as a client.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: authorities of servers.
    pub authorities: PathBuf,
    /// Everybody else in the trusted space.
    pub peers: Vec<Peer>,
}

/// A running Postfix. Dropping it stops it too, only less patiently than [`Postfix::stop`].
#[derive(Debug)]
pub struct Postfix {
    folder: PathBuf,
    child: Child,
}

impl Postfix {
    /// Writes the configuration and starts the daemon; returns when both ports greet.
    ///
    /// # Errors
    /// [`PostfixError`], with the end of Postfix's log when it did not start.
    pub async fn start(settings: &PostfixSettings) -> Result<Self, PostfixError> {
        let (master, mut launcher) = Self::startable().await?;
        let folder = prepare(settings)?;
        let child = launcher
            .args(["-c", LAUNCHER, "launch.sh"])
            .arg(&folder)
            .arg(master)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::from(open_log(&folder.join("launch.log"))?))
            .spawn()
            .map_err(|e| PostfixError::File(master.to_owned(), e))?;
        let mut postfix = Self { folder, child };
        for port in [settings.exchange, settings.internal] {
            postfix.await_greeting(port).await?;
        }
        Ok(postfix)
    }

    /// Whether it could be started here at all.
    ///
    /// # Errors
    /// [`PostfixError::Missing`], [`PostfixError::NeedsRoot`]
    pub async fn check() -> Result<(), PostfixError> {
        Self::startable().await.map(|_| ())
    }

    /// The daemon, and a shell that may start it.
    async fn startable() -> Result<(&'static Path, Command), PostfixError> {
        let master = MASTERS.iter().map(Path::new).find(|p| p.exists()).ok_or(PostfixError::Missing)?;
        Ok((master, as_root().await?))
    }

    /// The daemon's log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("postfix.log")
    }

    /// The pid of its master process, once it runs.
    pub fn master_pid(&self) -> Option<u32> {
        fs::read_to_string(self.folder.join("queue/pid/master.pid")).ok()?.trim().parse().ok()
    }

    /// Stops the daemon and waits until it is gone.
    ///
    /// # Errors
    /// [`PostfixError::Stop`] when it takes longer than half a minute.
    pub async fn stop(mut self) -> Result<(), PostfixError> {
        // The launcher sees the end of its input and stops the master by its pid.
        drop(self.child.stdin.take());
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.map_err(|_| PostfixError::Stop).map(|_| ())
    }

    async fn await_greeting(&mut self, port: SocketAddr) -> Result<(), PostfixError> {
        let deadline = Instant::now().checked_add(PATIENCE);
        loop {
            if greets(port).await {
                return Ok(());
            }
            let ended = self.child.try_wait().ok().flatten().is_some();
            if ended || deadline.is_none_or(|d| Instant::now() >= d) {
                return Err(PostfixError::Start(self.last_words()));
            }
            sleep(PAUSE).await;
        }
    }

    fn last_words(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let all = read("launch.log") + &read("postfix.log");
        let lines: Vec<_> = all.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// A shell that runs as root.
async fn as_root() -> Result<Command, PostfixError> {
    if rustix::process::geteuid().is_root() {
        return Ok(Command::new("sh"));
    }
    let mut asked = Command::new("sudo");
    let may = asked.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !may.status().await.is_ok_and(|status| status.success()) {
        return Err(PostfixError::NeedsRoot);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "sh"]);
    Ok(sudo)
}

async fn greets(port: SocketAddr) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(port).await.ok()?;
        let mut code = [0u8; 3];
        stream.read_exact(&mut code).await.ok()?;
        (&code == b"220").then_some(())
    };
    timeout(Duration::from_secs(5), greeting).await.ok().flatten().is_some()
}

/// Makes the folder and every file in it but the queue, which the launcher makes.
fn prepare(settings: &PostfixSettings) -> Result<PathBuf, PostfixError> {
    let folder = std::path::absolute(&settings.folder).map_err(|e| PostfixError::File(settings.folder.clone(), e))?;
    let etc = folder.join("etc");
    fs::create_dir_all(&etc).map_err(|e| PostfixError::File(etc.clone(), e))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
    let text = folder.to_str().filter(|t| t.bytes().all(plain)).ok_or_else(|| PostfixError::Folder(folder.clone()))?;
    open_to_others(&folder, 0o711)?;
    if !enterable(&folder) {
        return Err(PostfixError::Folder(folder));
    }
    write(&etc, "main.cf", &main_cf(settings, text), 0o644)?;
    write(&etc, "master.cf", &master_cf(settings), 0o644)?;
    write(&etc, "mailboxes", &lines(settings.mailboxes.iter().map(|m| format!("{} here", m.key()))), 0o644)?;
    let routes = settings.peers.iter().map(|p| format!("{} smtp:{}", p.domain, next_hop(p.exchange)));
    write(&etc, "transport", &lines(routes), 0o644)?;
    let names = settings.peers.iter().map(|p| format!("{} secure match={}", next_hop(p.exchange), p.host));
    write(&etc, "tls-policy", &lines(names), 0o644)?;
    let clients = settings.peers.iter().map(|p| format!("{} permit", colons(&p.client)));
    write(&etc, "peers", &lines(clients), 0o644)?;
    for (from, name, mode) in [
        (&settings.certificate, "tls.pem", 0o644),
        (&settings.key, "tls.key", 0o600),
        (&settings.authorities, "authorities.pem", 0o644),
    ] {
        let content = fs::read_to_string(from).map_err(|e| PostfixError::File(from.clone(), e))?;
        write(&etc, name, &content, mode)?;
    }
    Ok(folder)
}

fn main_cf(settings: &PostfixSettings, folder: &str) -> String {
    let PostfixSettings { host, domain, store, .. } = settings;
    format!(
        "# The third operator of the demonstration: mutual TLS, no S/MIME.
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = {host}
mydomain = {domain}
myorigin = {domain}
inet_protocols = ipv4
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
message_size_limit = 36700160
notify_classes =
# What is ours, and where it is kept.
mydestination =
local_recipient_maps =
local_transport = error:5.1.1 no local users
alias_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes
virtual_transport = lmtp:inet:{store}
# Everybody else goes to the listed partner or nowhere.
transport_maps = texthash:{folder}/etc/transport
default_transport = error:5.7.1 domain outside the trusted space
relay_domains =
# Partners come over TLS with the certificate that we know them by.
smtpd_tls_security_level = encrypt
smtpd_tls_req_ccert = yes
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_fingerprint_digest = sha256
smtpd_tls_cert_file = {folder}/etc/tls.pem
smtpd_tls_key_file = {folder}/etc/tls.key
smtpd_tls_CAfile = {folder}/etc/authorities.pem
smtpd_tls_received_header = yes
smtpd_tls_session_cache_database =
smtpd_forbid_bare_newline = yes
smtpd_client_restrictions = check_ccert_access texthash:{folder}/etc/peers, reject
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_non_fqdn_recipient, reject_unlisted_recipient
smtpd_data_restrictions = reject_unauth_pipelining
# We go to partners in the same way, and check the name that they must have.
smtp_tls_security_level = secure
smtp_tls_policy_maps = texthash:{folder}/etc/tls-policy
smtp_tls_mandatory_protocols = >=TLSv1.2
smtp_tls_cert_file = {folder}/etc/tls.pem
smtp_tls_key_file = {folder}/etc/tls.key
smtp_tls_CAfile = {folder}/etc/authorities.pem
smtp_tls_session_cache_database =
# A demonstration has no patience.
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 10s
"
    )
}

fn master_cf(settings: &PostfixSettings) -> String {
    let mut out = format!("{} inet n - n - - smtpd\n{} inet n - n - - smtpd\n", settings.exchange, settings.internal);
    for option in [
        "syslog_name=postfix/internal",
        "smtpd_tls_security_level=none",
        "smtpd_tls_req_ccert=no",
        "smtpd_client_restrictions=permit_mynetworks,reject",
        "smtpd_relay_restrictions=permit_mynetworks,reject",
        "smtpd_recipient_restrictions=permit_mynetworks,reject",
    ] {
        let _ = writeln!(out, "  -o {option}");
    }
    // service, type, private, limit of processes, program
    for (service, kind, private, wake, limit, program) in [
        ("cleanup", "unix", "n", "-", "0", "cleanup"),
        ("qmgr", "unix", "n", "300", "1", "qmgr"),
        ("tlsmgr", "unix", "-", "1000?", "1", "tlsmgr"),
        ("rewrite", "unix", "-", "-", "-", "trivial-rewrite"),
        ("bounce", "unix", "-", "-", "0", "bounce"),
        ("defer", "unix", "-", "-", "0", "bounce"),
        ("trace", "unix", "-", "-", "0", "bounce"),
        ("verify", "unix", "-", "-", "1", "verify"),
        ("flush", "unix", "n", "1000?", "0", "flush"),
        ("proxymap", "unix", "-", "-", "-", "proxymap"),
        ("smtp", "unix", "-", "-", "-", "smtp"),
        ("lmtp", "unix", "-", "-", "-", "lmtp"),
        ("showq", "unix", "n", "-", "-", "showq"),
        ("error", "unix", "-", "-", "-", "error"),
        ("retry", "unix", "-", "-", "-", "error"),
        ("anvil", "unix", "-", "-", "1", "anvil"),
        ("scache", "unix", "-", "-", "1", "scache"),
        ("postlog", "unix-dgram", "n", "-", "1", "postlogd"),
    ] {
        let _ = writeln!(out, "{service} {kind} {private} - n {wake} {limit} {program}");
    }
    out
}

/// `[address]:port`: no DNS is asked.
fn next_hop(address: SocketAddr) -> String {
    format!("[{}]:{}", address.ip(), address.port())
}

/// A fingerprint as Postfix writes it.
fn colons(fingerprint: &Fingerprint) -> String {
    fingerprint.as_bytes().iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

fn lines(items: impl Iterator<Item = String>) -> String {
    items.map(|item| item + "\n").collect()
}

fn write(folder: &Path, name: &str, content: &str, mode: u32) -> Result<(), PostfixError> {
    let path = folder.join(name);
    write_file(&path, content.as_bytes(), mode).map_err(|e| PostfixError::File(path, e))
}

/// Whether everybody may go through this folder and all above it.
pub(super) fn enterable(folder: &Path) -> bool {
    let open = |p: &Path| fs::metadata(p).is_ok_and(|m| m.permissions().mode() & 0o001 != 0);
    std::path::absolute(folder).is_ok_and(|folder| folder.ancestors().all(open))
}

fn open_to_others(folder: &Path, mode: u32) -> Result<(), PostfixError> {
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).map_err(|e| PostfixError::File(folder.to_owned(), e))
}

fn open_log(path: &Path) -> Result<fs::File, PostfixError> {
    fs::File::create(path).map_err(|e| PostfixError::File(path.to_owned(), e))
}

#[cfg(test)]
#[path = "postfix_tests.rs"]
mod tests;
