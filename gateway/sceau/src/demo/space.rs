//! Makes the whole fictional trust space in one folder.
//!
//! ```text
//! anchors/{persons,organisations,servers}.pem      roots, pinned by purpose
//! authorities/{persons,organisations,servers}.pem  issuing authorities
//! crl/{…}-root.crl, crl/{…}.crl                    their lists (PEM)
//! trust-list/list.xml                              the signed list of the three domains
//! annuaire/                                        the five national extracts
//! annuaire-data/                                   what `sceau annuaire load` makes of them
//! book/{ch-a,ch-b}-{signs,reads}.pem               certificates of the two domains
//! cards/NAME/card.{pem,key,p12}                    the cast's cards (signature.{pem,key} for doctors)
//! ch-a/, ch-b/                                     sceau.toml, registry.toml, keys, data/
//! operateur-c/, inconnu/                           TLS identity of the third operator, of a stranger
//! ```

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread::{self, Scope, ScopedJoinHandle},
};

use annuaire::LoadReport;
use ident::{Fingerprint, Timestamp};
use openssl::{rand::rand_bytes, sha::sha256};
use pki::issue::{CardUse, IssueError, Issued, KeyAlgorithm, OrganisationUse, Profile, ServerMailUse, Structure};
use thiserror::Error;

use super::{
    authorities::{Authorities, Branch},
    cast::{self, CardFate, CastError, Person, Place, Role},
    extracts,
    hospital::{self, PinnedRoot},
    trust_list,
};

/// Password of every exported card.
pub const CARD_PASSWORD: &str = "carte-de-test";
/// CN of the certificate that signs the trust list.
pub const LIST_SIGNER_CN: &str = "Liste Blanche SCEAU-TEST";
/// OU of that certificate.
pub const LIST_SIGNER_OU: &str = "399999999900011";

/// Why the space could not be made.
#[derive(Debug, Error)]
pub enum SpaceError {
    /// A certificate, key or list could not be made.
    #[error("a certificate of the demonstration could not be made: {0}")]
    Issue(#[from] IssueError),
    /// A name of the cast is malformed.
    #[error(transparent)]
    Cast(#[from] CastError),
    /// A file could not be written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// No free port.
    #[error("no free port on {0}: {1}")]
    Port(IpAddr, io::Error),
    /// The system gives no more threads.
    #[error("no thread: {0}")]
    Thread(io::Error),
    /// The trust list could not be signed.
    #[error("the trust list could not be signed: {0}")]
    TrustList(String),
    /// The directory could not be made or loaded.
    #[error("the directory could not be made: {0}")]
    Annuaire(String),
    /// OpenSSL gave no random octets.
    #[error("no random octets: {0}")]
    Random(#[from] openssl::error::ErrorStack),
}

/// Where a hospital listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HospitalPorts {
    /// Practice software, STARTTLS.
    pub submission: SocketAddr,
    /// Practice software, TLS from the first octet.
    pub submission_tls: SocketAddr,
    /// Other operators.
    pub exchange: SocketAddr,
    /// Its inner mail store (LMTP), loopback.
    pub inner: SocketAddr,
}

/// Where the third operator listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorPorts {
    /// Other operators.
    pub exchange: SocketAddr,
    /// Its own users' mail programs, loopback.
    pub internal: SocketAddr,
    /// Its mail store (LMTP), loopback.
    pub inner: SocketAddr,
}

/// Every port of the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Hospital A.
    pub a: HospitalPorts,
    /// Hospital B.
    pub b: HospitalPorts,
    /// Third operator.
    pub c: OperatorPorts,
    /// The directory's pages of hospital A (HTTPS), if there are any.
    pub pages: Option<SocketAddr>,
}

impl Ports {
    /// Twelve ports that are free now; the hospitals' own are on `listen`, all others on loopback.
    ///
    /// # Errors
    /// [`SpaceError::Port`]
    pub fn free(listen: IpAddr) -> Result<Self, SpaceError> {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        // All are held until all are known, so that none is given twice.
        let mut held = vec![];
        let mut take = |ip: IpAddr| -> Result<SocketAddr, SpaceError> {
            let listener = TcpListener::bind((ip, 0)).map_err(|e| SpaceError::Port(ip, e))?;
            let address = listener.local_addr().map_err(|e| SpaceError::Port(ip, e))?;
            held.push(listener);
            Ok(address)
        };
        let mut hospital = || -> Result<HospitalPorts, SpaceError> {
            Ok(HospitalPorts {
                submission: take(listen)?,
                submission_tls: take(listen)?,
                exchange: take(listen)?,
                inner: take(loopback)?,
            })
        };
        let (a, b) = (hospital()?, hospital()?);
        let c = OperatorPorts { exchange: take(loopback)?, internal: take(loopback)?, inner: take(loopback)? };
        Ok(Self { a, b, c, pages: Some(take(listen)?) })
    }
}

/// Where to connect to reach a port: who listens everywhere is reached on loopback.
pub fn reached(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

/// What space to make.
#[derive(Debug, Clone)]
pub struct SpaceSettings {
    /// Where; made if it is missing.
    pub folder: PathBuf,
    /// The present moment.
    pub now: Timestamp,
    /// Seed of the fictional directory.
    pub seed: u64,
    /// People in it, the cast not counted.
    pub people: u32,
    /// Kind of every key: RSA as on real cards, or P-256 where speed matters more.
    pub key: KeyAlgorithm,
    /// Where everybody listens.
    pub ports: Ports,
}

#[cfg(test)]
impl SpaceSettings {
    /// A small space on loopback whose keys cost little.
    pub(crate) fn small(folder: &Path, now: Timestamp, people: u32) -> Self {
        let ports = Ports::free(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        Self { folder: folder.to_owned(), now, seed: 1, people, key: KeyAlgorithm::P256, ports }
    }
}

/// Files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// PEM: certificate, then intermediates.
    pub certificate: PathBuf,
    /// PEM: private key.
    pub key: PathBuf,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
}

/// Somebody of the cast with the files of their card.
#[derive(Debug, Clone)]
pub struct CardHolder {
    /// Who.
    pub person: Person,
    /// What authenticates them.
    pub card: IdentityFiles,
    /// The same as PKCS#12, under [`CARD_PASSWORD`].
    pub pkcs12: PathBuf,
    /// What signs their documents; professionals with a good card have it.
    pub signature: Option<IdentityFiles>,
}

/// The finished space.
#[derive(Debug, Clone)]
pub struct Space {
    /// Where it lies.
    pub folder: PathBuf,
    /// Where everybody listens.
    pub ports: Ports,
    /// The cast.
    pub holders: Vec<CardHolder>,
    /// TLS identity of the third operator.
    pub operator: IdentityFiles,
    /// TLS identity of an operator with a good certificate whom the list does not name.
    pub stranger: IdentityFiles,
    /// Certificate of hospital A's inner mail server, which vouches for its users.
    pub inner_client: IdentityFiles,
    /// Certificate of an application of hospital A (AUTH_CLI).
    pub application: IdentityFiles,
    /// Gateways of A and B.
    pub gateways: [IdentityFiles; 2],
    /// What the load of the directory said.
    pub directory: LoadReport,
}

impl Space {
    /// Makes everything.
    ///
    /// # Errors
    /// [`SpaceError`]
    pub fn create(settings: &SpaceSettings) -> Result<Self, SpaceError> {
        Self::create_with_authorities(settings).map(|(space, _)| space)
    }

    /// Makes everything, and gives the authorities that can issue and revoke more.
    ///
    /// # Errors
    /// [`SpaceError`]
    pub fn create_with_authorities(settings: &SpaceSettings) -> Result<(Self, Authorities), SpaceError> {
        let mut builder = Builder { settings, authorities: Authorities::new(settings.key, settings.now)? };
        let space = builder.build()?;
        Ok((space, builder.authorities))
    }

    /// The configuration file of a hospital.
    pub fn configuration(&self, place: Place) -> PathBuf {
        self.folder.join(place.folder()).join("sceau.toml")
    }

    /// The signed list of trusted domains.
    pub fn trust_list(&self) -> PathBuf {
        self.folder.join("trust-list").join("list.xml")
    }

    /// One of the cast by short name.
    pub fn holder(&self, key: &str) -> Option<&CardHolder> {
        self.holders.iter().find(|holder| holder.person.key == key)
    }

    /// PEM of the root for a purpose: `persons`, `organisations` or `servers`.
    pub fn anchor(&self, purpose: &str) -> PathBuf {
        self.folder.join("anchors").join(format!("{purpose}.pem"))
    }
}

struct Builder<'a> {
    settings: &'a SpaceSettings,
    authorities: Authorities,
}

impl Builder<'_> {
    fn build(&mut self) -> Result<Space, SpaceError> {
        let people = cast::people()?;
        let (holders, servers, clients) = self.issue_all(&people)?;
        for person in people.iter().filter(|person| person.fate == CardFate::Revoked) {
            if let Some((_, serial)) = holders.iter().find(|(holder, _)| holder.person.key == person.key) {
                self.authorities.persons.revoke(serial.clone(), self.settings.now);
            }
        }
        let holders = holders.into_iter().map(|(holder, _)| holder).collect();
        let [gateway_a, gateway_b, operator, stranger] = servers;
        let [inner_client, application] = clients;
        let roots = self.publish_authorities()?;
        self.publish_trust_list()?;
        let below = |name: &str| self.settings.folder.join(name);
        let directory = extracts::make(self.settings, &people, &below("annuaire"), &below("annuaire-data"))?;
        for (place, other) in [(Place::A, Place::B), (Place::B, Place::A)] {
            let text = hospital::configuration(place, other, &self.settings.ports, &roots)?;
            self.write(&[place.folder(), "sceau.toml"], text.as_bytes(), Secrecy::Public)?;
        }
        Ok(Space {
            folder: self.settings.folder.clone(),
            ports: self.settings.ports,
            holders,
            operator,
            stranger,
            inner_client,
            application,
            gateways: [gateway_a, gateway_b],
            directory,
        })
    }

    /// Everybody's keys and certificates, made side by side.
    #[allow(clippy::type_complexity)] // three groups of one shape each, unpacked at once
    fn issue_all(
        &self,
        people: &[Person],
    ) -> Result<(Vec<(CardHolder, Vec<u8>)>, [IdentityFiles; 4], [IdentityFiles; 2]), SpaceError> {
        let unknown = Structure::new(cast::structure_id("399999999900029")?, "OPERATEUR INCONNU-TEST", "Paris (75)");
        thread::scope(|scope| {
            let cards: Vec<_> =
                people.iter().map(|p| side_by_side(scope, || self.card(p))).collect::<Result<_, _>>()?;
            let gateway_a = side_by_side(scope, || self.hospital(Place::A, people))?;
            let gateway_b = side_by_side(scope, || self.hospital(Place::B, people))?;
            let operator = self.server(Place::C.folder(), &Place::C.host(), Place::C.structure()?)?;
            let stranger = self.server("inconnu", "smtp.inconnu.mssante.test", unknown)?;
            let inner_client = self.client("messagerie", "MESSAGERIE INTERNE")?;
            let application = self.client("application", "DOSSIER PATIENT-TEST")?;
            let cards = cards.into_iter().map(|card| join(card)?).collect::<Result<_, SpaceError>>()?;
            let servers = [join(gateway_a)??, join(gateway_b)??, operator, stranger];
            Ok((cards, servers, [inner_client, application]))
        })
    }

    /// The card's files and its serial number.
    fn card(&self, person: &Person) -> Result<(CardHolder, Vec<u8>), SpaceError> {
        let (key, now) = (self.settings.key, self.settings.now);
        let profile = person.profile(CardUse::Authentication)?;
        let issued = match person.fate {
            CardFate::Good | CardFate::Revoked => self.authorities.persons.issue(profile, key, now)?,
            CardFate::Expired => self.authorities.persons.issue_expired(profile, key, now)?,
            CardFate::OtherRoot => self.authorities.other.issue(profile, key, now)?,
        };
        let folder = format!("cards/{}", person.key);
        let card = self.identity(&folder, "card", &issued)?;
        let name = format!("{} {} (test)", person.given, person.family);
        let pkcs12 = self.write(&[&folder, "card.p12"], &issued.to_pkcs12(&name, CARD_PASSWORD)?, Secrecy::Secret)?;
        let signs = person.role == Role::Doctor && person.fate == CardFate::Good;
        let signature = if signs {
            let issued = self.authorities.persons.issue(person.profile(CardUse::Signature)?, key, now)?;
            Some(self.identity(&folder, "signature", &issued)?)
        } else {
            None
        };
        Ok((CardHolder { person: person.clone(), card, pkcs12, signature }, issued.serial().to_vec()))
    }

    /// Keys, registry and book certificates of a hospital; gives its TLS identity.
    fn hospital(&self, place: Place, people: &[Person]) -> Result<IdentityFiles, SpaceError> {
        let (key, now, folder) = (self.settings.key, self.settings.now, place.folder());
        let domain = place.domain()?.to_string();
        for (usage, name, book) in
            [(ServerMailUse::Sign, "signing", "signs"), (ServerMailUse::Confidentiality, "decryption", "reads")]
        {
            let profile =
                Profile::ServerMail { name: domain.clone(), structure: place.structure()?, usage, emails: vec![] };
            let issued = self.authorities.organisations.issue(profile, key, now)?;
            self.identity(folder, name, &issued)?;
            let book = format!("{folder}-{book}.pem");
            self.write(&["book", &book], issued.certificate_pem().as_bytes(), Secrecy::Public)?;
        }
        let mut storage = [0u8; 32];
        rand_bytes(&mut storage)?;
        let hexadecimal: String = storage.iter().map(|b| format!("{b:02x}")).collect();
        self.write(&[folder, "storage.key"], (hexadecimal + "\n").as_bytes(), Secrecy::Secret)?;
        let registry = hospital::registry(place, people)?;
        self.write(&[folder, "registry.toml"], registry.as_bytes(), Secrecy::Public)?;
        self.make_folder(&self.settings.folder.join(folder).join("data"))?;
        self.server(folder, &place.host(), place.structure()?)
    }

    fn server(&self, folder: &str, host: &str, structure: Structure) -> Result<IdentityFiles, SpaceError> {
        let profile = Profile::ServerTls { host: host.to_owned(), alternatives: vec![], structure };
        let issued = self.authorities.servers.issue(profile, self.settings.key, self.settings.now)?;
        self.identity(folder, "tls", &issued)
    }

    /// A client certificate of hospital A as an organisation.
    fn client(&self, name: &str, label: &str) -> Result<IdentityFiles, SpaceError> {
        let profile = Profile::Organisation {
            structure: Place::A.structure()?,
            label: label.to_owned(),
            usage: OrganisationUse::AuthClient,
            emails: vec![],
        };
        let issued = self.authorities.organisations.issue(profile, self.settings.key, self.settings.now)?;
        self.identity(Place::A.folder(), name, &issued)
    }

    fn publish_authorities(&self) -> Result<Vec<PinnedRoot>, SpaceError> {
        let mut roots = vec![];
        let mut servers = String::new();
        for branch in self.authorities.trusted() {
            let Branch { purpose, root, issuing, .. } = branch;
            let lists = branch.lists(self.settings.now, 1)?;
            let own = format!("{purpose}.pem");
            for (folder, name, content) in [
                ("anchors", own.clone(), root.certificate_pem()),
                ("authorities", own, issuing.certificate_pem()),
                ("crl", format!("{purpose}-root.crl"), lists.root.pem()),
                ("crl", format!("{purpose}.crl"), lists.issuing.pem()),
            ] {
                self.write(&[folder, &name], content.as_bytes(), Secrecy::Public)?;
            }
            if *purpose == "servers" {
                servers = issuing.certificate_pem() + &root.certificate_pem();
            }
            roots.push(PinnedRoot { purpose, fingerprint: Fingerprint::new(sha256(root.certificate_der())) });
        }
        // One file for programs that take authorities and roots together (Postfix, swaks).
        self.write(&["anchors", "servers-chain.pem"], servers.as_bytes(), Secrecy::Public)?;
        Ok(roots)
    }

    fn publish_trust_list(&self) -> Result<(), SpaceError> {
        let now = self.settings.now;
        // The published profile knows rsa-sha256 only.
        let signer = self.authorities.organisations.issue(trust_list::signer()?, KeyAlgorithm::Rsa2048, now)?;
        self.identity("trust-list", "signer", &signer)?;
        let list = trust_list::signed(&signer, now)?;
        self.write(&["trust-list", "list.xml"], &list, Secrecy::Public)?;
        Ok(())
    }

    fn identity(&self, folder: &str, name: &str, issued: &Issued) -> Result<IdentityFiles, SpaceError> {
        let certificate = format!("{name}.pem");
        let certificate = self.write(&[folder, &certificate], issued.presented_pem().as_bytes(), Secrecy::Public)?;
        let key = self.write(&[folder, &format!("{name}.key")], &issued.key_pem()?, Secrecy::Secret)?;
        let fingerprint = Fingerprint::new(sha256(issued.certificate_der()));
        Ok(IdentityFiles { certificate, key, fingerprint })
    }

    fn write(&self, path: &[&str], content: &[u8], secrecy: Secrecy) -> Result<PathBuf, SpaceError> {
        let path: PathBuf = std::iter::once(self.settings.folder.as_path()).chain(path.iter().map(Path::new)).collect();
        if let Some(folder) = path.parent() {
            self.make_folder(folder)?;
        }
        let mode = if secrecy == Secrecy::Secret { 0o600 } else { 0o644 };
        write_file(&path, content, mode).map_err(|e| SpaceError::File(path.clone(), e))?;
        Ok(path)
    }

    fn make_folder(&self, folder: &Path) -> Result<(), SpaceError> {
        fs::create_dir_all(folder).map_err(|e| SpaceError::File(folder.to_owned(), e))
    }
}

/// Starts a piece of work beside the others.
pub(super) fn side_by_side<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, SpaceError> {
    thread::Builder::new().spawn_scoped(scope, work).map_err(SpaceError::Thread)
}

/// Waits for a piece of work.
pub(super) fn join<T>(handle: ScopedJoinHandle<'_, T>) -> Result<T, SpaceError> {
    handle.join().map_err(|_| SpaceError::Thread(io::Error::other("a thread did not end well")))
}

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    Public,
    Secret,
}

/// Writes a file that has its mode from its first moment on.
pub(super) fn write_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    use std::io::Write as _;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(content)
}

#[cfg(test)]
#[path = "space_tests.rs"]
mod tests;
