//! Everything that decisions rest on, loaded together and never changed: a reload makes a new
//! one and swaps it in, or keeps the old one and says why.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use annuaire::{Generation, Published, PublishedMailbox, Registry};
use ident::{Address, Domain, Fingerprint, PersonId, Timestamp};
use pki::{
    book::{Book, BookEntry, BookOwner, BookUse, Ledger},
    certificate::Certificate,
    keys::{DecryptionKey, SigningKey},
    partner_file::operators_of,
    path::{Purpose, RevocationMode, Validator, ValidatorBuilder},
    status::RevocationStore,
    trust_list::{TrustList, TrustListProfile},
};

use crate::{
    capabilities::CapabilityStore,
    config::{self, AnchorPurpose, Environment, InnerProtocol, Loaded, Partner, Problem, read_bytes},
    directory::{self, When},
    keys::{DomainKeys, KeyRing},
    ldap,
    mailboxes::FileStamp,
    net::tls::TlsIdentity,
    partners, refresh,
    rest::Vault,
    sealed_before::SealedBefore,
    stamping::Stamps,
    trust::{self, Administrator, GrantRules, Held, OrderBook, Orders},
};

/// Largest certificate or key file.
const MAX_PEM: u64 = 1024 * 1024;
/// Largest CRL.
const MAX_LIST: u64 = 256 * 1024 * 1024;

/// One consistent view of the world. Cheap to copy: what changes alone (the trust list, an order) is
/// changed in a copy that takes the place of the one before.
#[derive(Clone)]
pub struct Snapshot {
    /// Who runs this gateway, names, limits: as configured.
    pub config: Arc<config::Config>,
    /// Our own domains.
    pub domains: Arc<BTreeMap<Domain, OwnDomain>>,
    /// Path validation with anchors, intermediates and CRLs.
    pub validator: Arc<Validator>,
    /// What is fetched about revocation while we run: one store for all snapshots, read by the validator.
    pub status: Arc<RevocationStore>,
    /// The trusted domains.
    pub trust_list: Arc<TrustList>,
    /// What is remembered of it, and what is not as it should be.
    pub held: Arc<Held>,
    /// What operators ordered: blocks, exceptions, confirmations.
    pub orders: Arc<Orders>,
    /// Who may, two at a time, make an exception from the list.
    pub administrators: Arc<Vec<Administrator>>,
    /// Partners' certificates, and our own domains' ones.
    pub book: Arc<Book>,
    /// What the book is made of besides the trust list.
    known: Arc<Known>,
    /// Rules per partner domain.
    pub partners: Arc<BTreeMap<Domain, Partner>>,
    /// Inner mail servers: certificate → domains that it vouches for.
    pub vouching: Arc<BTreeMap<Fingerprint, Vec<Domain>>>,
    /// The directory, if one is configured and can be read.
    pub generation: Option<Arc<Generation>>,
    /// The registries of all our domains as one: whoever shows the directory must not show what one of them hides.
    /// What other operators published here is in it, after ours.
    pub registry: Arc<Registry>,
    /// What other operators published here.
    pub published: Arc<Published>,
    /// What is wrong with either.
    pub troubles: Arc<directory::Troubles>,
    /// Our TLS identity.
    pub tls: TlsIdentity,
    /// The one that browsers are shown.
    pub http_tls: Option<TlsIdentity>,
    /// What the LDAP face rests on besides.
    pub ldap: Arc<ldap::Held>,
    /// Domains that are never sent to unsealed again.
    pub sealed_before: Arc<SealedBefore>,
    /// What others read, as their signatures said.
    pub capabilities: Arc<CapabilityStore>,
    /// Our keys, and the tokens that some are on.
    pub keys: Arc<KeyRing>,
    /// Time stamps beside signatures, if they are configured.
    pub stamps: Option<Arc<Stamps>>,
}

/// What the book is made of: with another trust list it is another book.
#[derive(Debug, Default)]
struct Known {
    /// Certificates that the configuration itself holds for others' domains.
    configured: Vec<BookEntry>,
    /// What partners published and was approved.
    ledger: Ledger,
    /// Octets of the ledger on disk.
    octets: u64,
}

impl Known {
    fn read(loaded: &Loaded) -> Result<Self, Problem> {
        let file = partners::LedgerFile::below(&loaded.data());
        let octets = file.length();
        let ledger = file.read().map_err(|error| Problem::of(loaded.data(), error.to_string()))?;
        Ok(Self { configured: Vec::new(), ledger, octets })
    }
}

/// One of our own domains.
pub struct OwnDomain {
    /// The domain.
    pub name: Domain,
    /// Its mailboxes.
    pub registry: Arc<Registry>,
    /// Which version of the file they are from.
    pub(crate) registry_stamp: FileStamp,
    /// What signs for it and what opens mail sealed for it.
    pub keys: DomainKeys,
    /// The inner mail server.
    pub inner: config::Inner,
    /// The one certificate that the inner server may show; without it TLS is not required of it.
    pub inner_certificate: Option<Fingerprint>,
}

impl OwnDomain {
    /// What signs at this moment.
    pub fn signing_at(&self, at: Timestamp) -> Option<&Arc<dyn SigningKey>> {
        self.keys.signing.at(at)
    }

    /// What others seal for at this moment.
    pub fn reading_certificate_at(&self, at: Timestamp) -> Option<&Certificate> {
        self.keys.reading.certificate_at(at)
    }

    /// Whether the inner server answers once per recipient.
    pub fn is_lmtp(&self) -> bool {
        self.inner.protocol == InnerProtocol::Lmtp
    }
}

impl Snapshot {
    /// Loads everything that the configuration names.
    ///
    /// # Errors
    /// Every problem found, not only the first.
    pub fn load(loaded: &Loaded, at: Timestamp) -> Result<Self, Vec<Problem>> {
        Self::load_with(loaded, None, When::Now, at)
    }

    /// The same beside the world in force, which holds the newest revocation data already: its tokens stay
    /// logged in, and its keys stay where new ones are bad ([`KeyRing::kept`]).
    ///
    /// # Errors
    /// Every problem found, not only the first.
    pub fn load_beside(loaded: &Loaded, before: &Self, at: Timestamp) -> Result<Self, Vec<Problem>> {
        Self::load_with(loaded, Some(before), When::Now, at)
    }

    /// The same with the directory that is in service, where another one would have to be read
    /// ([`directory::Troubles::waits`]).
    ///
    /// # Errors
    /// Every problem found, not only the first.
    pub(crate) fn load_all_else_beside(loaded: &Loaded, before: &Self, at: Timestamp) -> Result<Self, Vec<Problem>> {
        Self::load_with(loaded, Some(before), When::Later, at)
    }

    fn load_with(loaded: &Loaded, before: Option<&Self>, directory: When, at: Timestamp) -> Result<Self, Vec<Problem>> {
        let at_start = before.is_none();
        let status = before.map(|before| Arc::clone(&before.status)).unwrap_or_default();
        let config = &loaded.config;
        let mut problems = config::faults(config, &loaded.folder);
        let tls = keep(
            &mut problems,
            TlsIdentity::load(&loaded.path(&config.server.certificate), &loaded.path(&config.server.key)),
        );
        let http_tls = config.http.listen.and_then(|_| keep(&mut problems, crate::http::identity(loaded)));
        let ldap = keep(&mut problems, ldap::Held::load(loaded));
        let validator = keep(&mut problems, validator(loaded, &status));
        if let Some(validator) = validator.as_ref().filter(|_| at_start) {
            refresh::recall(loaded, &status, validator, at);
        }
        let keys = validator
            .as_ref()
            .map(|validator| KeyRing::load(loaded, before.map(|before| &*before.keys), validator, at, &mut problems));
        let keys = keys.unwrap_or_default();
        let domains = own_domains(loaded, &keys, before, &mut problems);
        let held = validator.as_ref().and_then(|validator| {
            let profile = list_profile(config);
            keep(&mut problems, trust::current(loaded, trust::rules(loaded, &profile, validator), at))
        });
        let administrators = administrators(loaded, &mut problems);
        let orders = keep(&mut problems, orders(loaded, &administrators, at));
        let known = keep(&mut problems, Known::read(loaded));
        let configured = configured_book(loaded, &mut problems);
        let vouching = vouching(loaded, &mut problems);
        // No fault of the directory is a reason not to serve.
        let directory = directory::Held::of(loaded, before, directory);
        let stamps = keep(&mut problems, Stamps::load(loaded)).flatten();
        keep(&mut problems, vault(loaded));
        let data = loaded.data();
        let sealed_before =
            keep(&mut problems, SealedBefore::open(&data).map_err(|error| Problem::of(&data, error.to_string())));
        let capabilities =
            keep(&mut problems, CapabilityStore::open(&data, at).map_err(|error| Problem::of(data, error.to_string())));
        let partners = config.partners.iter().map(|partner| (partner.domain.clone(), partner.clone())).collect();
        let memories = sealed_before.zip(capabilities);
        match (tls, ldap, validator, held, known, orders, memories) {
            (
                Some(tls),
                Some(ldap),
                Some(validator),
                Some(held),
                Some(known),
                Some(orders),
                Some((sealed_before, capabilities)),
            ) if problems.is_empty() => Ok(Self {
                tls: stapling(tls, &validator, at),
                http_tls: http_tls.map(|tls| stapling(tls, &validator, at)),
                ldap: Arc::new(ldap.stapling(|tls| stapling(tls, &validator, at))),
                partners: Arc::new(partners),
                config: Arc::new(config.clone()),
                book: Arc::new(book(&configured, &known.ledger, &held.list, &domains, at)),
                known: Arc::new(Known { configured, ..known }),
                registry: shown_still(shown(&domains, &directory.published), before),
                published: Arc::new(directory.published),
                troubles: Arc::new(directory.troubles),
                domains: Arc::new(domains),
                validator: Arc::new(validator),
                status,
                trust_list: Arc::clone(&held.list),
                held: Arc::new(held),
                orders: Arc::new(orders),
                administrators: Arc::new(administrators),
                vouching: Arc::new(vouching),
                generation: directory.generation,
                sealed_before: Arc::new(sealed_before),
                capabilities: Arc::new(capabilities),
                keys: Arc::new(keys),
                stamps: stamps.map(Arc::new),
            }),
            _ => Err(problems),
        }
    }

    /// The same world under another list: whose published certificates count depends on whom it names.
    #[must_use]
    pub fn under(&self, held: Held, at: Timestamp) -> Self {
        let book = book(&self.known.configured, &self.known.ledger, &held.list, &self.domains, at);
        Self { book: Arc::new(book), trust_list: Arc::clone(&held.list), held: Arc::new(held), ..self.clone() }
    }

    /// The same world under other orders.
    #[must_use]
    pub fn ordered(&self, orders: Orders) -> Self {
        Self { orders: Arc::new(orders), ..self.clone() }
    }

    /// The same world with the directory as it is on disk now.
    #[must_use]
    pub(crate) fn with_directory(&self, loaded: &Loaded, when: When) -> Self {
        let directory = directory::Held::of(loaded, Some(self), when);
        Self {
            registry: shown_still(shown(&self.domains, &directory.published), Some(self)),
            published: Arc::new(directory.published),
            troubles: Arc::new(directory.troubles),
            generation: directory.generation,
            ..self.clone()
        }
    }

    /// The same world, in which operators published more.
    #[must_use]
    pub fn publishing(&self, mailboxes: Vec<PublishedMailbox>) -> Self {
        let mut published = (*self.published).clone();
        mailboxes.into_iter().for_each(|mailbox| published.take(mailbox));
        Self { registry: Arc::new(shown(&self.domains, &published)), published: Arc::new(published), ..self.clone() }
    }

    /// The same world, in which these of our domains have other mailboxes.
    #[must_use]
    pub(crate) fn registering(&self, mut registries: BTreeMap<Domain, (Arc<Registry>, FileStamp)>) -> Self {
        let domain = |own: &OwnDomain| {
            let as_before = || (Arc::clone(&own.registry), own.registry_stamp);
            let (registry, registry_stamp) = registries.remove(&own.name).unwrap_or_else(as_before);
            let (name, keys, inner) = (own.name.clone(), own.keys.clone(), own.inner.clone());
            let inner_certificate = own.inner_certificate;
            (name.clone(), OwnDomain { name, registry, registry_stamp, keys, inner, inner_certificate })
        };
        let domains = self.domains.values().map(domain).collect();
        Self { registry: Arc::new(shown(&domains, &self.published)), domains: Arc::new(domains), ..self.clone() }
    }

    /// By what exceptions from the list are judged.
    pub fn grant_rules(&self) -> GrantRules<'_> {
        GrantRules {
            administrators: &self.administrators,
            gateway: &self.config.server.hostname,
            longest: self.config.trust.break_glass_longest.0,
        }
    }

    /// One of our own domains.
    pub fn own(&self, domain: &Domain) -> Option<&OwnDomain> {
        self.domains.get(domain)
    }

    /// Own mailboxes of a person, over all our domains.
    pub fn mailboxes_of(&self, person: &PersonId) -> Vec<Address> {
        self.domains
            .values()
            .flat_map(|own| own.registry.owned_by(person))
            .filter(|mailbox| mailbox.is_open())
            .map(|mailbox| mailbox.address.clone())
            .collect()
    }

    /// Whether a certificate is the one that we show ourselves.
    pub fn is_ourselves(&self, certificate: &Certificate) -> bool {
        self.tls.certificate().fingerprint() == certificate.fingerprint()
    }

    /// Certificates that a signature may name without carrying them: our partners' and our own.
    pub fn known_certificates(&self) -> Vec<Certificate> {
        self.book
            .entries()
            .iter()
            .filter(|entry| entry.usage == BookUse::Signs)
            .map(|entry| entry.certificate.clone())
            .collect()
    }

    /// The same, and those that no longer sign: withdrawn, rejected, waiting for approval.
    pub fn ever_known_certificates(&self) -> Vec<Certificate> {
        let all = self.book.ever().filter(|entry| entry.usage == BookUse::Signs);
        all.map(|entry| entry.certificate.clone()).collect()
    }

    /// Octets of the partners' ledger that this snapshot knows.
    pub fn ledger_octets(&self) -> u64 {
        self.known.octets
    }

    /// The certificates that the configuration itself holds for a domain and its mailboxes.
    pub fn configured_certificates(&self, domain: &Domain) -> Vec<Fingerprint> {
        let about = self.known.configured.iter().filter(|entry| entry.owner.domain() == domain);
        about.map(|entry| entry.certificate.fingerprint()).collect()
    }

    /// What the directory says of a recipient: worth knowing, never a refusal (promise 5).
    pub fn directory_note(&self, address: &Address) -> Option<String> {
        let generation = self.generation.as_ref()?;
        let known = if generation.mailbox(address).is_some() { "listed" } else { "not listed" };
        Some(format!("{known} in generation {}", generation.id()))
    }

    /// The decryption keys that open mail for these recipients, current ones first. Not those of other domains of
    /// ours: what was sealed for one hospital is not read in another, though both are served here (A16).
    pub fn decryption_keys(&self, recipients: &[Address]) -> Vec<&dyn DecryptionKey> {
        let mut keys: Vec<(usize, &dyn DecryptionKey)> = Vec::new();
        for own in self.domains.values().filter(|own| recipients.iter().any(|to| *to.domain() == own.name)) {
            keys.extend(own.keys.reading.keys().enumerate());
        }
        keys.sort_by_key(|(age, _)| *age);
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

/// What faces show beside the extracts: our own domains first, whose registries are the authority.
fn shown(domains: &BTreeMap<Domain, OwnDomain>, published: &Published) -> Registry {
    Registry::union(domains.values().map(|own| &*own.registry).chain([&published.registry()]))
}

/// The one in force if it is the same: what is known about it, and was read for those who ask, is known still.
fn shown_still(registry: Registry, before: Option<&Snapshot>) -> Arc<Registry> {
    let before = before.map(|before| &before.registry).filter(|before| ***before == registry);
    before.map_or_else(|| Arc::new(registry), Arc::clone)
}

/// The storage key named by the configuration.
///
/// # Errors
/// A [`Problem`] that says what the file must hold.
pub fn vault(loaded: &Loaded) -> Result<Vault, Problem> {
    let path = loaded.path(&loaded.config.server.storage_key);
    let text = config::read_text(&path)?;
    Vault::from_text(&text).map_err(|what| Problem::of(path, what))
}

fn keep<T>(problems: &mut Vec<Problem>, outcome: Result<T, Problem>) -> Option<T> {
    outcome.map_err(|problem| problems.push(problem)).ok()
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Problem> {
    let found = Certificate::list_from_pem(&read_bytes(path, MAX_PEM)?)
        .map_err(|error| Problem::of(path, error.to_string()))?;
    if found.is_empty() { Err(Problem::of(path, "holds no PEM certificate")) } else { Ok(found) }
}

pub(crate) fn one_certificate(path: &Path) -> Result<Certificate, Problem> {
    certificates(path)?.into_iter().next().ok_or_else(|| Problem::of(path, "holds no PEM certificate"))
}

fn own_domains(
    loaded: &Loaded,
    keys: &KeyRing,
    before: Option<&Snapshot>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Domain, OwnDomain> {
    let mut domains = BTreeMap::new();
    for own in &loaded.config.domains {
        let path = loaded.path(&own.registry);
        // Before the content: a change between the two is read again.
        let registry_stamp = FileStamp::of(&path);
        // That of a hospital group takes a second to read: not again while it is the same.
        let held = before.and_then(|before| before.own(&own.name));
        let held = held.filter(|held| registry_stamp.is_known() && held.registry_stamp == registry_stamp);
        let registry = match held {
            Some(held) => Some(Arc::clone(&held.registry)),
            None => {
                let read = Registry::read(&path).map_err(|error| Problem::of(path, error.to_string()));
                keep(problems, read).map(Arc::new)
            }
        };
        let inner = own.inner.clone();
        let shown = inner.certificate.as_ref().map(|file| keep(problems, one_certificate(&loaded.path(file))));
        let inner_certificate = shown.flatten().map(|certificate| certificate.fingerprint());
        if let (Some(registry), Some(keys)) = (registry, keys.of(&own.name)) {
            let (name, keys) = (own.name.clone(), keys.clone());
            domains.insert(name.clone(), OwnDomain { name, registry, registry_stamp, keys, inner, inner_certificate });
        }
    }
    domains
}

/// Our TLS identity, which shows clients what is held about our certificate.
fn stapling(tls: TlsIdentity, validator: &Validator, at: Timestamp) -> TlsIdentity {
    let path = validator.path(tls.certificate(), &[], Purpose::Any, at);
    match (validator.revocation_store(), path.as_ref().and_then(|path| path.get(1))) {
        (Some(store), Some(issuer)) => tls.stapling(Arc::clone(store), issuer.clone()),
        _ => tls,
    }
}

fn validator(loaded: &Loaded, status: &Arc<RevocationStore>) -> Result<Validator, Problem> {
    let trust = &loaded.config.trust;
    let mut builder = ValidatorBuilder::new()
        .test_category(loaded.config.operator.environment == Environment::Test)
        .revocation(RevocationMode::Required { grace: trust.grace.0 })
        .store(Arc::clone(status));
    for anchor in &trust.anchors {
        let path = loaded.path(&anchor.file);
        let certificate = one_certificate(&path)?;
        if certificate.fingerprint() != anchor.sha256 {
            return Err(Problem::of(
                path,
                format!("has SHA-256 {}, but the configuration pins {}", certificate.fingerprint(), anchor.sha256),
            ));
        }
        let purpose = match anchor.purpose {
            AnchorPurpose::Persons => Purpose::Person,
            AnchorPurpose::Organisations => Purpose::Organisation,
            AnchorPurpose::Servers => Purpose::Server,
        };
        let mut issuers = Vec::new();
        for file in &anchor.issuers {
            issuers.extend(certificates(&loaded.path(file))?);
        }
        builder = match issuers.is_empty() {
            true => builder.anchor(purpose, certificate),
            false => builder.anchor_with_issuers(purpose, certificate, issuers),
        };
    }
    for file in &trust.intermediates {
        for certificate in certificates(&loaded.path(file))? {
            builder = builder.intermediate(certificate);
        }
    }
    for file in &trust.crls {
        let path = loaded.path(file);
        builder = builder.crl(&read_bytes(&path, MAX_LIST)?).map_err(|error| Problem::of(path, error.to_string()))?;
    }
    builder.build().map_err(|error| Problem::of(&loaded.folder, error.to_string()))
}

/// What a genuine list looks like, by the configuration.
pub(crate) fn list_profile(config: &config::Config) -> TrustListProfile {
    let profile = &config.trust.profile;
    TrustListProfile {
        root: profile.root.clone(),
        namespace: profile.namespace.clone(),
        signer_cn: profile.signer_cn.clone(),
        signer_ou: profile.signer_ou.clone(),
    }
}

/// Two entries of one person would open the glass alone.
fn administrators(loaded: &Loaded, problems: &mut Vec<Problem>) -> Vec<Administrator> {
    let mut found: Vec<Administrator> = Vec::new();
    for known in &loaded.config.trust.administrators {
        let path = loaded.path(&known.certificate);
        let Some(certificate) = keep(problems, one_certificate(&path)) else { continue };
        let administrator = Administrator { name: known.name.clone(), certificate };
        if found.iter().any(|other| other.is(&administrator)) {
            problems.push(Problem::of(path, format!("[[trust.administrator]] {} is there twice", known.name)));
        }
        found.push(administrator);
    }
    found
}

fn orders(loaded: &Loaded, administrators: &[Administrator], at: Timestamp) -> Result<Orders, Problem> {
    let book = OrderBook::below(&loaded.data());
    let rules = GrantRules {
        administrators,
        gateway: &loaded.config.server.hostname,
        longest: loaded.config.trust.break_glass_longest.0,
    };
    book.read(rules, at).map_err(|error| Problem::of(book.path(), error.to_string()))
}

/// Whose certificate, and what for, a table of the configuration says.
pub(crate) fn owner_and_use(loaded: &Loaded, known: &config::BookCertificate) -> Result<(BookOwner, BookUse), Problem> {
    let owner = match (&known.domain, &known.address) {
        (Some(domain), None) => BookOwner::Domain(domain.clone()),
        (None, Some(address)) => BookOwner::Address(address.clone()),
        _ => {
            let path = loaded.path(&known.certificate);
            return Err(Problem::of(path, "the entry of this certificate names either `domain` or `address`"));
        }
    };
    let usage = match known.r#use {
        config::BookUse::Signs => BookUse::Signs,
        config::BookUse::Reads => BookUse::Reads,
    };
    Ok((owner, usage))
}

fn configured_book(loaded: &Loaded, problems: &mut Vec<Problem>) -> Vec<BookEntry> {
    let mut entries = Vec::new();
    for known in &loaded.config.book {
        let path = loaded.path(&known.certificate);
        let Some((owner, usage)) = keep(problems, owner_and_use(loaded, known)) else { continue };
        for certificate in keep(problems, certificates(&path)).into_iter().flatten() {
            let provenance = format!("configuration: {}", path.display());
            entries.push(BookEntry { owner: owner.clone(), usage, certificate, provenance });
        }
    }
    entries
}

/// The configuration's certificates first, then what partners published and was approved, then our own.
fn book(
    configured: &[BookEntry],
    ledger: &Ledger,
    trust_list: &TrustList,
    domains: &BTreeMap<Domain, OwnDomain>,
    at: Timestamp,
) -> Book {
    let named = |domain: &Domain| operators_of(trust_list, domain);
    let ours = |domain: &Domain| domains.contains_key(domain);
    let (published, others) = partners::sorted(ledger, &named, &ours);
    let mut entries = configured.to_vec();
    entries.extend(published);
    for own in domains.values() {
        let entry = |usage, certificate: &Certificate| BookEntry {
            owner: BookOwner::Domain(own.name.clone()),
            usage,
            certificate: certificate.clone(),
            provenance: "our own domain".to_owned(),
        };
        entries.extend(own.keys.signing.certificates().map(|certificate| entry(BookUse::Signs, certificate)));
        entries.extend(own.reading_certificate_at(at).map(|certificate| entry(BookUse::Reads, certificate)));
    }
    Book::new(entries).with_others(others).with_stated(partners::stated(ledger, &named, &ours))
}

fn vouching(loaded: &Loaded, problems: &mut Vec<Problem>) -> BTreeMap<Fingerprint, Vec<Domain>> {
    let mut vouching = BTreeMap::new();
    for client in &loaded.config.clients {
        if let Some(certificate) = keep(problems, one_certificate(&loaded.path(&client.certificate))) {
            let domains: &mut Vec<Domain> = vouching.entry(certificate.fingerprint()).or_default();
            domains.extend(client.vouches_for.iter().cloned());
        }
    }
    vouching
}
