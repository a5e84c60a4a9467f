//! What an operator may write in the configuration file. Unknown keys are refused.
//!
//! Paths are relative to the folder of the configuration file. Secrets are never in the file
//! itself: it names files, which a service manager may place (`LoadCredential=`).

use std::{net::SocketAddr, path::PathBuf};

use ident::{Address, Domain, Fingerprint};
use serde::Deserialize;

use super::{
    Administrator, Annuaire, Checkpoints, KeyFiles, Refresh, Shrinkage, SigningFiles, TokenSection,
    duration::{Size, Span},
    partners::{Partner, Partners, Publish},
};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who runs this gateway.
    pub operator: Operator,
    /// This machine: name, folders, TLS identity.
    pub server: Server,
    /// Ports to listen on.
    #[serde(default, rename = "listener")]
    pub listeners: Vec<Listener>,
    /// Our own mail domains.
    #[serde(default, rename = "domain")]
    pub domains: Vec<OwnDomain>,
    /// PKCS#11 tokens that keys are on.
    #[serde(default, rename = "token")]
    pub tokens: Vec<TokenSection>,
    /// How checkpoints of the trail are signed.
    #[serde(default)]
    pub checkpoints: Checkpoints,
    /// Whom we trust and how.
    pub trust: Trust,
    /// Certificates that sign for partners, or read for them.
    #[serde(default, rename = "book")]
    pub book: Vec<BookCertificate>,
    /// Inner mail servers that vouch for their users.
    #[serde(default, rename = "client")]
    pub clients: Vec<VouchingClient>,
    /// Rules for partners that differ from the default rule.
    #[serde(default, rename = "partner")]
    pub partners: Vec<Partner>,
    /// How partners' files of certificates are taken.
    #[serde(default)]
    pub partner_files: Partners,
    /// Our own file of certificates.
    #[serde(default)]
    pub publish: Publish,
    /// Where a domain's mail goes when it is not to be asked from DNS.
    #[serde(default, rename = "route")]
    pub routes: Vec<Route>,
    /// The professional directory.
    #[serde(default)]
    pub annuaire: Annuaire,
    /// What becomes of what cannot be opened.
    #[serde(default)]
    pub opening: super::Opening,
    /// Bounds on what comes in.
    #[serde(default)]
    pub limits: Limits,
    /// How what goes out is tried.
    #[serde(default)]
    pub delivery: Delivery,
    /// Domains whose local parts are patients' national numbers.
    #[serde(default)]
    pub patients: Patients,
    /// How long the records of the trail are kept.
    #[serde(default)]
    pub trail: super::Retention,
    /// What is fetched in the background.
    #[serde(default)]
    pub refresh: Refresh,
    /// What holds for every message that we seal.
    #[serde(default)]
    pub seal: super::Seal,
    /// Where monitoring asks how we are.
    #[serde(default)]
    pub health: super::Health,
    /// Where the directory answers over HTTP.
    #[serde(default)]
    pub http: super::Http,
    /// Where the directory answers over LDAP.
    #[serde(default)]
    pub ldap: super::Ldap,
}

/// Who runs this gateway: shown in refusals and notifications.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Name that senders know.
    pub name: String,
    /// Mail address, telephone number or page where a person can be reached, ASCII.
    pub help: String,
    /// `production` refuses test certificates; `test` accepts nothing else's anchors silently.
    #[serde(default)]
    pub environment: Environment,
}

/// Whether test-category certificates may be used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Test certificates are refused everywhere.
    #[default]
    Production,
    /// Test certificates are accepted.
    Test,
}

/// This machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Fully qualified host name: greeting, `Received`, `Authentication-Results`.
    pub hostname: Domain,
    /// Folder of the queue, the trail and the spool.
    pub data: PathBuf,
    /// PEM file: server certificate, then its intermediates.
    pub certificate: PathBuf,
    /// PEM file: its private key.
    pub key: PathBuf,
    /// File of 32 random octets, as 64 hexadecimal digits: encrypts what rests here in our own charge.
    pub storage_key: PathBuf,
}

/// One port.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// What it is for.
    pub kind: ListenerKind,
    /// Address and port.
    pub address: SocketAddr,
    /// Whether TLS starts at once (465) or by STARTTLS (587, 25).
    #[serde(default)]
    pub tls: TlsStart,
}

/// Who speaks on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerKind {
    /// Practice software and our own inner mail servers (RFC 6409).
    Submission,
    /// Other operators of the trusted space.
    Exchange,
}

/// How TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsStart {
    /// After the STARTTLS command (RFC 3207).
    #[default]
    Starttls,
    /// With the first octet (RFC 8314).
    Implicit,
}

/// One of our own mail domains.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnDomain {
    /// The domain.
    pub name: Domain,
    /// Registry of its mailboxes.
    pub registry: PathBuf,
    /// What signs for the domain: a key, or several whose certificates overlap, the preferred one first.
    pub signing: SigningFiles,
    /// What opens mail sealed for the domain: the current key first, older ones after it.
    pub decryption: Vec<KeyFiles>,
    /// The inner mail server.
    pub inner: Inner,
}

/// The inner mail server that keeps our users' mailboxes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inner {
    /// LMTP gives one answer per recipient; SMTP is for servers that have nothing else.
    #[serde(default)]
    pub protocol: InnerProtocol,
    /// Where it listens.
    pub address: SocketAddr,
    /// PEM file of the certificate that it must show: TLS is then required, with this peer and no other.
    pub certificate: Option<PathBuf>,
    /// The network between us is ours alone: opened mail may cross it without TLS. Not needed on loopback.
    #[serde(default)]
    pub clear: bool,
    /// Put the verdict in front of the text as well, for mail programs that show none of our header fields.
    #[serde(default)]
    pub banner: bool,
}

/// Protocol towards the inner mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InnerProtocol {
    /// RFC 2033.
    #[default]
    Lmtp,
    /// RFC 5321.
    Smtp,
}

/// Whom we trust and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The signed list of trusted domains.
    pub list: PathBuf,
    /// What the list must look like and who signs it.
    pub profile: ListProfile,
    /// Roots, each for a purpose.
    #[serde(rename = "anchor")]
    pub anchors: Vec<Anchor>,
    /// PEM files of issuing authorities.
    #[serde(default)]
    pub intermediates: Vec<PathBuf>,
    /// CRL files, PEM or DER.
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// How long after its `nextUpdate` a CRL may still vouch for what it does not list.
    #[serde(default = "default_grace")]
    pub grace: Span,
    /// How often the files above are read again.
    #[serde(default = "default_reload")]
    pub reload: Span,
    /// How old the list may be before the alarm.
    #[serde(default = "default_list_age")]
    pub alarm_after: Span,
    /// When a list has shrunk so much that mail waits for a second look.
    #[serde(default)]
    pub shrinkage: Shrinkage,
    /// Who may trust somebody whom the list does not name, two at a time.
    #[serde(default, rename = "administrator")]
    pub administrators: Vec<Administrator>,
    /// How long such an exception may last.
    #[serde(default = "default_break_glass")]
    pub break_glass_longest: Span,
}

/// Names that the published list uses (kept as settings: they are not established, WL-8).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListProfile {
    /// Root element.
    #[serde(default = "default_list_root")]
    pub root: String,
    /// Its namespace.
    #[serde(default = "default_list_namespace")]
    pub namespace: String,
    /// CN of the signing certificate.
    pub signer_cn: String,
    /// OU of the signing certificate.
    pub signer_ou: String,
}

/// A pinned root.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// What it may vouch for.
    pub purpose: AnchorPurpose,
    /// PEM file.
    pub file: PathBuf,
    /// SHA-256 that the file's certificate must have: the operator confirmed it once.
    pub sha256: Fingerprint,
    /// PEM files of the only authorities that issue certificates of this purpose under the root. Needed
    /// where one root vouches for persons and for something else.
    #[serde(default)]
    pub issuers: Vec<PathBuf>,
}

/// What a root may vouch for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorPurpose {
    /// Cards and software certificates of persons.
    Persons,
    /// Certificates of structures.
    Organisations,
    /// TLS servers.
    Servers,
}

/// A certificate of a partner.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookCertificate {
    /// Domain that it speaks for.
    pub domain: Option<Domain>,
    /// Or one address.
    pub address: Option<Address>,
    /// What it does there.
    pub r#use: BookUse,
    /// PEM file.
    pub certificate: PathBuf,
}

/// What a certificate in the book does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookUse {
    /// Verifies what the partner signed.
    Signs,
    /// Mail is sealed for it.
    Reads,
}

/// A client certificate whose holder vouches for the users of whole domains.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VouchingClient {
    /// Its PEM certificate.
    pub certificate: PathBuf,
    /// Domains whose mailboxes it may write from.
    pub vouches_for: Vec<Domain>,
}

/// Whether mail to a partner, and from it, must be sealed: signed and encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmimeRule {
    /// No certificate, no mail. From it nothing but signed and encrypted mail.
    Required,
    /// Sealed when a certificate is held, else over mutual TLS. From it, signed at least once it is known to sign.
    WhenPossible,
    /// Signed and not encrypted, in both directions, over mutual TLS: for an operator that has to read what passes.
    Signed,
    /// Always unsealed over mutual TLS.
    Never,
}

/// Form of what we seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealProfile {
    /// Gateway to gateway: AES-256-GCM.
    #[default]
    Gateway,
    /// What plain mail clients read: AES-256-CBC around a signature.
    Client,
}

impl SealProfile {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Client => "client",
        }
    }

    /// The same in the words of `mail`.
    pub const fn of_mail(self) -> mail::Profile {
        match self {
            Self::Gateway => mail::Profile::Gateway,
            Self::Client => mail::Profile::Client,
        }
    }
}

/// A fixed next hop.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// For this recipient domain.
    pub domain: Domain,
    /// Name that the peer's certificate must carry.
    pub host: Domain,
    /// Address and port.
    pub address: SocketAddr,
}

/// Bounds on what comes in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest message.
    pub message: Size,
    /// What all copies of one message may come to together: each blind recipient has one apart.
    pub copies: Size,
    /// Recipients of one message.
    pub recipients: usize,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_peer: usize,
    /// Longest silence of a peer inside a session.
    pub idle: Span,
    /// Longest life of a session.
    pub session: Span,
    /// Longest life of a session whose peer has not proved who it is.
    pub stranger: Span,
    /// Messages of one operator within an hour that could not be opened; its next ones wait for the next hour.
    pub unreadable_per_hour: u32,
}

/// How what goes out is tried.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Time until the first new attempt.
    pub first_retry: Span,
    /// Longest time between attempts.
    pub last_retry: Span,
    /// When a message is given up.
    pub lifetime: Span,
    /// When the sender is told of a delay: once, then once more.
    pub delay_notices: Vec<Span>,
    /// Connections at once to one destination.
    pub connections_per_destination: usize,
    /// Connections at once in all.
    pub connections: usize,
}

/// Domains whose local parts are patients' national numbers: never in logs or trail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Patients {
    /// The domains.
    pub domains: Vec<Domain>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: Size(25 * 1024 * 1024),
            copies: Size(1024 * 1024 * 1024),
            recipients: 1000,
            connections: 2000,
            connections_per_peer: 100,
            idle: Span(std::time::Duration::from_secs(300)),
            session: Span(std::time::Duration::from_secs(1800)),
            stranger: Span(std::time::Duration::from_secs(120)),
            unreadable_per_hour: 50,
        }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        let minutes = |n: u64| Span(std::time::Duration::from_secs(n.saturating_mul(60)));
        Self {
            first_retry: minutes(5),
            last_retry: minutes(67),
            lifetime: minutes(5 * 24 * 60),
            delay_notices: vec![minutes(60), minutes(240)],
            connections_per_destination: 20,
            connections: 200,
        }
    }
}

impl Default for Patients {
    fn default() -> Self {
        Self { domains: Domain::parse("patient.mssante.fr").into_iter().collect() }
    }
}

fn default_grace() -> Span {
    Span(std::time::Duration::from_secs(24 * 3600))
}

fn default_reload() -> Span {
    Span(std::time::Duration::from_secs(300))
}

fn default_list_age() -> Span {
    Span(std::time::Duration::from_secs(48 * 3600))
}

fn default_break_glass() -> Span {
    Span(std::time::Duration::from_secs(24 * 3600))
}

fn default_list_root() -> String {
    "ListeBlancheMSSante".to_owned()
}

fn default_list_namespace() -> String {
    "https://listeblanche.mssante.fr/schema".to_owned()
}
