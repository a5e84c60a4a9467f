//! Postfix as the mail server that others run: the inner server of a hospital that submits with a
//! vouching certificate, the third operator with mutual TLS, the stranger without a certificate.
//!
//! Each instance has its own folder, queue and log; the machine's own Postfix is neither read nor
//! touched. Postfix insists on being started by root.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openssl::x509::X509;

use crate::certs::Credentials;
use crate::place::{Scratch, free_endpoint};
use crate::process::{Running, run, tool};

/// What its listener with TLS asks of a client.
#[derive(Clone, Debug)]
struct Listener {
    at: Option<SocketAddr>,
    server: Credentials,
    chain: Vec<X509>,
    client_roots: Vec<X509>,
}

/// How it sends to a domain.
#[derive(Clone, Debug)]
struct Route {
    domain: String,
    to: SocketAddr,
}

/// How it secures what it sends.
#[derive(Clone, Debug)]
enum OutboundTls {
    Never,
    /// TLS where offered, nothing checked: how a stranger sends.
    Opportunistic,
    /// TLS, the server's certificate checked against these roots and this host name.
    Verified {
        roots: Vec<X509>,
        host: String,
        on_connect: bool,
    },
}

/// A Postfix to be, put together step by step.
#[derive(Clone, Debug)]
pub struct PostfixOptions {
    hostname: String,
    mailboxes: Vec<String>,
    listener: Option<Listener>,
    routes: Vec<Route>,
    outbound: OutboundTls,
    identity: Option<(Credentials, Vec<X509>)>,
    settings: Vec<String>,
    services: Vec<String>,
}

impl PostfixOptions {
    /// One that knows no domain and no route yet.
    #[must_use]
    pub fn new(hostname: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            mailboxes: Vec::new(),
            listener: None,
            routes: Vec::new(),
            outbound: OutboundTls::Never,
            identity: None,
            settings: Vec::new(),
            services: Vec::new(),
        }
    }

    /// Has a mailbox of this address, and so receives for its domain.
    #[must_use]
    pub fn mailbox(mut self, address: &str) -> Self {
        self.mailboxes.push(address.to_owned());
        self
    }

    /// Opens the exchange listener: TLS is required, and so is a client certificate under one of
    /// `client_roots`.
    #[must_use]
    pub fn listens_with_mutual_tls(mut self, server: &Credentials, chain: &[X509], client_roots: &[X509]) -> Self {
        self.listener = Some(Listener {
            at: None,
            server: server.clone(),
            chain: chain.to_vec(),
            client_roots: client_roots.to_vec(),
        });
        self
    }

    /// Opens that listener here instead of at a free endpoint.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        if let Some(listener) = &mut self.listener {
            listener.at = Some(address);
        }
        self
    }

    /// Sends mail for `domain` (`*` for every domain not named) to this endpoint.
    #[must_use]
    pub fn route(mut self, domain: &str, to: SocketAddr) -> Self {
        self.routes.push(Route { domain: domain.to_owned(), to });
        self
    }

    /// Uses TLS where offered and checks nothing.
    #[must_use]
    pub fn tls_where_offered(mut self) -> Self {
        self.outbound = OutboundTls::Opportunistic;
        self
    }

    /// Requires TLS with a server of this name under these roots; `on_connect` for port 465.
    #[must_use]
    pub fn tls_verified(mut self, host: &str, roots: &[X509], on_connect: bool) -> Self {
        self.outbound = OutboundTls::Verified { roots: roots.to_vec(), host: host.to_owned(), on_connect };
        self
    }

    /// Shows this certificate to the servers that it sends to.
    #[must_use]
    pub fn identity(mut self, identity: &Credentials, chain: &[X509]) -> Self {
        self.identity = Some((identity.clone(), chain.to_vec()));
        self
    }

    /// One more line of `main.cf`.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// One more line of `master.cf`.
    #[must_use]
    pub fn service(mut self, line: &str) -> Self {
        self.services.push(line.to_owned());
        self
    }
}

/// A running Postfix of our own.
#[derive(Debug)]
pub struct Postfix {
    // Before the folder: it must have ended when the folder goes.
    process: Running,
    folder: Scratch,
    inject: SocketAddr,
    exchange: Option<SocketAddr>,
}

impl Postfix {
    /// Starts one and waits until it listens.
    #[must_use]
    #[track_caller]
    pub fn start(options: &PostfixOptions) -> Self {
        let folder = Scratch::new("postfix");
        let inject = free_endpoint();
        let exchange = options.listener.as_ref().map(|listener| listener.at.unwrap_or_else(free_endpoint));
        let configuration = folder.folder("conf", 0o755);
        folder.folder("spool", 0o755);
        folder.folder("mail", 0o777);
        let (user, group) = (id_of("-u"), id_of("-g"));
        std::os::unix::fs::chown(folder.folder("data", 0o755), Some(user), Some(group))
            .expect("Postfix can be started by root only: run the tests as root or in a container");

        std::fs::write(configuration.join("master.cf"), master_cf(options, inject, exchange)).unwrap();
        std::fs::write(configuration.join("main.cf"), main_cf(options, &folder, user, group)).unwrap();

        // Makes the queue's folders, and says what is wrong with a configuration.
        let checked = run(tool("postfix").arg("-c").arg(&configuration).arg("check"), b"");
        assert!(checked.code == Some(0), "postfix check: {} {}", checked.text(), checked.errors);
        let process = Running::start("postfix", daemon_folder().join("master"), |command| {
            command.arg("-c").arg(&configuration).arg("-s");
        });
        process.wait_for_line(&["daemon started"]);
        Self { process, folder, inject, exchange }
    }

    /// Where tests put mail into it: plain SMTP, everything is relayed.
    #[must_use]
    pub fn inject(&self) -> SocketAddr {
        self.inject
    }

    /// Process id of its master, whose children do the work.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its listener with mutual TLS.
    #[must_use]
    #[track_caller]
    pub fn exchange(&self) -> SocketAddr {
        self.exchange.expect("this Postfix was given no listener with mutual TLS")
    }

    /// Waits for the end of `count` delivery attempts with this status (`sent`, `deferred`,
    /// `bounced`), and returns their log lines, which carry the peer's reply.
    #[track_caller]
    pub fn wait_for_status(&self, status: &str, count: usize) -> Vec<String> {
        self.process.wait_for_lines(&[&format!("status={status}")], count)
    }

    /// Waits for a log line with all of these parts.
    #[track_caller]
    pub fn wait_for_line(&self, parts: &[&str]) -> String {
        self.process.wait_for_line(parts)
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What has been delivered to this address here, oldest first. A message is there once its
    /// `status=sent` line is in the log.
    #[must_use]
    pub fn mailbox(&self, address: &str) -> Vec<Vec<u8>> {
        let (local, domain) = address.split_once('@').unwrap();
        let folder = self.folder.join("mail").join(domain).join(local).join("new");
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        // Maildir names begin with the second of delivery and carry the microsecond behind it.
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }
}

fn master_cf(options: &PostfixOptions, inject: SocketAddr, exchange: Option<SocketAddr>) -> String {
    let mut services = format!(
        "postlog unix-dgram n - n - 1 postlogd\n\
         {inject} inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n  -o smtpd_tls_req_ccert=no\n  \
         -o mynetworks=127.0.0.0/8\n  -o smtpd_relay_restrictions=permit_mynetworks,reject\n"
    );
    if let Some(exchange) = exchange {
        let _ = writeln!(services, "{exchange} inet n - n - - smtpd");
    }
    services.push_str(
        "cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         verify unix - - n - 1 verify\n\
         proxymap unix - - n - - proxymap\n\
         smtp unix - - n - - smtp\n\
         virtual unix - n n - - virtual\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         discard unix - - n - - discard\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\n\
         anvil unix - - n - 1 anvil\n\
         scache unix - - n - 1 scache\n",
    );
    for service in &options.services {
        let _ = writeln!(services, "{service}");
    }
    services
}

fn main_cf(options: &PostfixOptions, folder: &Scratch, user: u32, group: u32) -> String {
    let home = folder.path().display();
    let parts = || options.mailboxes.iter().map(|address| address.split_once('@').unwrap());
    let domains: Vec<&str> = parts().map(|(_, domain)| domain).collect();
    let mailboxes: String = parts().map(|(local, domain)| format!("{local}@{domain} {domain}/{local}/\n")).collect();
    let mut lines = vec![
        "compatibility_level = 3.6".to_owned(),
        format!("queue_directory = {home}/spool"),
        format!("data_directory = {home}/data"),
        "maillog_file = /dev/stdout".to_owned(),
        "inet_protocols = ipv4".to_owned(),
        // The listeners' addresses are in master.cf; this one must exist on an interface.
        "inet_interfaces = 127.0.0.1".to_owned(),
        format!("myhostname = {}", options.hostname),
        "mydestination =".to_owned(),
        "alias_maps =".to_owned(),
        "mynetworks =".to_owned(),
        "smtpd_relay_restrictions = reject_unauth_destination".to_owned(),
        "notify_classes =".to_owned(),
        "smtp_dns_support_level = disabled".to_owned(),
        // A deferred message is tried again while the test watches.
        "queue_run_delay = 1s".to_owned(),
        "minimal_backoff_time = 1s".to_owned(),
        "maximal_backoff_time = 2s".to_owned(),
        "address_verify_negative_cache = no".to_owned(),
        format!("virtual_mailbox_domains = {}", domains.join(", ")),
        format!("virtual_mailbox_base = {home}/mail"),
        format!("virtual_mailbox_maps = texthash:{}", folder.write("mailboxes", mailboxes).display()),
        format!("virtual_uid_maps = static:{user}"),
        format!("virtual_gid_maps = static:{group}"),
        format!("virtual_minimum_uid = {}", user.min(100)),
    ];
    if let Some(listener) = &options.listener {
        let pair = write_pair(folder, "server", &listener.server, &listener.chain);
        let roots = write_roots(folder, "client-roots", &listener.client_roots);
        lines.extend([
            "smtpd_tls_security_level = encrypt".to_owned(),
            "smtpd_tls_req_ccert = yes".to_owned(),
            format!("smtpd_tls_chain_files = {}", pair.display()),
            format!("smtpd_tls_CAfile = {}", roots.display()),
            "smtpd_tls_received_header = yes".to_owned(),
            "smtpd_tls_loglevel = 1".to_owned(),
        ]);
    }
    if let Some((identity, chain)) = &options.identity {
        let pair = write_pair(folder, "client", identity, chain);
        lines.push(format!("smtp_tls_chain_files = {}", pair.display()));
    }
    lines.extend(match &options.outbound {
        OutboundTls::Never => vec!["smtp_tls_security_level = none".to_owned()],
        OutboundTls::Opportunistic => vec!["smtp_tls_security_level = may".to_owned()],
        OutboundTls::Verified { roots, host, on_connect } => vec![
            "smtp_tls_security_level = secure".to_owned(),
            format!("smtp_tls_secure_cert_match = {host}"),
            format!("smtp_tls_wrappermode = {}", if *on_connect { "yes" } else { "no" }),
            format!("smtp_tls_CAfile = {}", write_roots(folder, "server-roots", roots).display()),
            "smtp_tls_loglevel = 1".to_owned(),
        ],
    });
    let mut table = String::new();
    for route in &options.routes {
        let hop = format!("smtp:[{}]:{}", route.to.ip(), route.to.port());
        let _ = match route.domain.as_str() {
            "*" => writeln!(table, "* {hop}"),
            domain => writeln!(table, "{domain} {hop}"),
        };
    }
    lines.push(format!("transport_maps = texthash:{}", folder.write("transport", table).display()));
    lines.extend(options.settings.iter().cloned());
    lines.push(String::new());
    lines.join("\n")
}

/// Key first, then certificate and chain, in one file that only its owner reads.
fn write_pair(folder: &Scratch, name: &str, credentials: &Credentials, chain: &[X509]) -> PathBuf {
    let mut pem = credentials.key.private_key_to_pem_pkcs8().unwrap();
    pem.extend(credentials.certificate.to_pem().unwrap());
    for certificate in chain {
        pem.extend(certificate.to_pem().unwrap());
    }
    let path = folder.write(&format!("{name}-chain.pem"), pem);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn write_roots(folder: &Scratch, name: &str, roots: &[X509]) -> PathBuf {
    let pem: Vec<u8> = roots.iter().flat_map(|root| root.to_pem().unwrap()).collect();
    folder.write(&format!("{name}.pem"), pem)
}

fn id_of(which: &str) -> u32 {
    let id = run(tool("id").args([which, "postfix"]), b"");
    assert!(id.code == Some(0), "Postfix is not installed: tests/run installs it ({})", id.errors.trim());
    id.text().trim().parse().unwrap()
}

fn daemon_folder() -> PathBuf {
    // -d: the built-in default, so the machine's own configuration is not looked at.
    let asked = run(tool("postconf").args(["-d", "-h", "daemon_directory"]), b"");
    Path::new(asked.text().trim()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Sink, SinkOptions};
    use crate::certs::{Authority, Use};
    use crate::swaks::Swaks;

    fn inject(postfix: &Postfix, to: &str) {
        let sent = Swaks::to(postfix.inject()).from("dr@a.test").recipients(&[to]).send(b"Subject: Essai\n\nBonjour\n");
        assert_eq!(sent.code, Some(0), "{}", sent.text());
    }

    #[test]
    fn relays_with_a_verified_name_and_its_own_certificate() {
        let authority = Authority::new("Test root");
        let roots = [authority.certificate().clone()];
        let server = authority.issue("sink.test", &Use::Server(&["sink.test"], None));
        let client = authority.issue("mta.a.test", &Use::Server(&["mta.a.test"], None));
        let sink = Sink::start(SinkOptions::smtp().mutual_tls(&server, &[], &roots));
        let postfix = Postfix::start(
            &PostfixOptions::new("mta.a.test")
                .route("*", sink.address())
                .tls_verified("sink.test", &roots, false)
                .identity(&client, &[]),
        );
        inject(&postfix, "x@b.test");
        let kept = sink.wait_for(1).remove(0);
        assert_eq!(kept.peer.unwrap().to_der().unwrap(), client.certificate.to_der().unwrap());
        postfix.wait_for_status("sent", 1);
    }

    #[test]
    fn does_not_send_to_a_server_of_another_name() {
        let authority = Authority::new("Test root");
        let roots = [authority.certificate().clone()];
        let server = authority.issue("other.test", &Use::Server(&["other.test"], None));
        let sink = Sink::start(SinkOptions::smtp().mutual_tls(&server, &[], &roots));
        let postfix = Postfix::start(&PostfixOptions::new("mta.a.test").route("*", sink.address()).tls_verified(
            "sink.test",
            &roots,
            false,
        ));
        inject(&postfix, "x@b.test");
        postfix.wait_for_status("deferred", 1);
        assert!(sink.messages().is_empty());
    }

    #[test]
    fn as_third_operator_receives_from_certificate_holders_only() {
        let authority = Authority::new("Test root");
        let roots = [authority.certificate().clone()];
        let server = authority.issue("mx.c.test", &Use::Server(&["mx.c.test"], None));
        let partner = authority.issue("mx.a.test", &Use::Server(&["mx.a.test"], None));
        let third = Postfix::start(
            &PostfixOptions::new("mx.c.test").mailbox("dr.petit@c.test").listens_with_mutual_tls(&server, &[], &roots),
        );
        let known = Postfix::start(
            &PostfixOptions::new("mx.a.test")
                .route("c.test", third.exchange())
                .tls_verified("mx.c.test", &roots, false)
                .identity(&partner, &[]),
        );
        inject(&known, "dr.petit@c.test");
        third.wait_for_status("sent", 1);
        let mail = third.mailbox("dr.petit@c.test");
        assert_eq!(mail.len(), 1);
        let text = String::from_utf8_lossy(&mail[0]);
        assert!(text.contains("\nBonjour\n"), "{text}");

        let stranger =
            Postfix::start(&PostfixOptions::new("mta.z.test").route("*", third.exchange()).tls_where_offered());
        inject(&stranger, "dr.petit@c.test");
        stranger.wait_for_line(&["refused"]);
        assert_eq!(third.mailbox("dr.petit@c.test").len(), 1);
    }
}
