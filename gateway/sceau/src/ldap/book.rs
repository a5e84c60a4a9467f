//! Certificates of the book, for who wants to write to a mailbox: those that admission would seal for, and no others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use annuaire::ldap::Certificates;
use ident::{Address, Domain, Fingerprint, Timestamp};
use pki::book::BookEntry;

use crate::{admission::recipient::usable, snapshot::Snapshot};

/// Most certificates that are given for one mailbox.
const MOST: usize = 16;
/// How long a verdict is good: an answer shows hundreds of mailboxes of one domain, and judging takes milliseconds.
const REMEMBERED: Duration = Duration::from_secs(300);

/// The book of a world at a moment.
pub(super) struct BookOf<'a> {
    pub(super) snapshot: &'a Arc<Snapshot>,
    pub(super) verdicts: &'a Verdicts,
    pub(super) at: Timestamp,
}

impl Certificates for BookOf<'_> {
    fn readers(&self, address: &str) -> Vec<Vec<u8>> {
        let Ok(address) = Address::parse(address) else { return Vec::new() };
        let entries = self.snapshot.book.readers(&address).into_iter();
        let good = entries.filter(|entry| self.verdicts.judge(self.snapshot, address.domain(), entry, self.at));
        good.take(MOST).map(|entry| entry.certificate.der().to_vec()).collect()
    }
}

/// What was found of certificates a moment ago, in one world.
#[derive(Default)]
pub(super) struct Verdicts(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    world: Weak<Snapshot>,
    since: Option<Timestamp>,
    usable: HashMap<(Domain, Fingerprint), bool>,
}

impl Verdicts {
    fn judge(&self, snapshot: &Arc<Snapshot>, domain: &Domain, entry: &BookEntry, at: Timestamp) -> bool {
        let key = (domain.clone(), entry.certificate.fingerprint());
        if let Some(known) = self.of(snapshot, at, |usable| usable.get(&key).copied()) {
            return known;
        }
        let good = usable(snapshot, domain, entry, at).is_ok();
        self.of(snapshot, at, |usable| usable.insert(key, good));
        good
    }

    /// The verdicts of this world; those of another one, or of another time, are forgotten.
    fn of<T>(
        &self,
        snapshot: &Arc<Snapshot>,
        at: Timestamp,
        what: impl FnOnce(&mut HashMap<(Domain, Fingerprint), bool>) -> T,
    ) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = known.since.is_some_and(|since| since <= at && at.since(since) < REMEMBERED);
        if !fresh || !std::ptr::eq(known.world.as_ptr(), Arc::as_ptr(snapshot)) {
            *known = Remembered { world: Arc::downgrade(snapshot), since: Some(at), usable: HashMap::new() };
        }
        what(&mut known.usable)
    }
}

#[cfg(test)]
mod tests {
    use pki::issue::{KeyAlgorithm, Profile, ServerMailUse};

    use super::*;
    use crate::{
        demo::{cast::Place, space::Space},
        ldap::house::{House, NOW},
    };

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn entry(space: &Space, name: &str, pem: &[u8]) -> String {
        let file = space.configuration(Place::A).with_file_name(format!("{name}.pem"));
        std::fs::write(&file, pem).unwrap();
        format!("\n[[book]]\naddress = \"{CLAIRE}\"\nuse = \"reads\"\ncertificate = \"{name}.pem\"\n")
    }

    const CLAIRE: &str = "claire.moreau-test@ch-b.mssante.test";

    /// Names of the certificates that are shown for her.
    fn shown(house: &House, names: &HashMap<Vec<u8>, &'static str>) -> Vec<&'static str> {
        let (snapshot, verdicts) = (house.gateway.snapshot(), &house.face.verdicts);
        let book = BookOf { snapshot: &snapshot, verdicts, at: house.gateway.now() };
        let mut shown: Vec<&str> =
            book.readers(CLAIRE).iter().map(|der| names.get(der).copied().unwrap_or("another")).collect();
        shown.sort_unstable();
        shown
    }

    /// What admission would not seal for is not given to anybody else to encrypt with.
    #[test]
    fn only_certificates_that_admission_would_use_are_shown() {
        let mut names = HashMap::new();
        let mut house = House::made(|space, authorities| {
            let profile = |usage| Profile::ServerMail {
                name: Place::B.domain().unwrap().to_string(),
                structure: Place::B.structure().unwrap(),
                usage,
                emails: vec![Address::parse(CLAIRE).unwrap()],
            };
            let organisations = &mut authorities.organisations;
            let mut more = String::new();
            for (name, usage) in [
                ("good", ServerMailUse::Confidentiality),
                ("later-revoked", ServerMailUse::Confidentiality),
                ("revoked", ServerMailUse::Confidentiality),
                ("signs-only", ServerMailUse::Sign),
            ] {
                let issued = organisations.issue(profile(usage), KeyAlgorithm::Rsa2048, NOW).unwrap();
                if name == "revoked" {
                    organisations.revoke(issued.serial().to_vec(), NOW);
                }
                names.insert(issued.certificate_der().to_vec(), name);
                more.push_str(&entry(space, name, issued.certificate_pem().as_bytes()));
            }
            let reads = profile(ServerMailUse::Confidentiality);
            let expired = organisations.issue_expired(reads, KeyAlgorithm::Rsa2048, NOW).unwrap();
            names.insert(expired.certificate_der().to_vec(), "expired");
            more.push_str(&entry(space, "expired", expired.certificate_pem().as_bytes()));
            let list = organisations.lists(NOW, 2).unwrap().issuing.pem();
            std::fs::write(space.folder.join("crl/organisations.crl"), list).unwrap();
            more
        });
        assert_eq!(shown(&house, &names), ["good", "later-revoked"]);
        let later = names.iter().find(|(_, name)| **name == "later-revoked").unwrap().0.clone();
        let later = pki::certificate::Certificate::from_der(&later).unwrap();
        house.authorities.organisations.revoke(later.serial().to_vec(), NOW);
        let list = house.authorities.organisations.lists(NOW, 3).unwrap().issuing.pem();
        std::fs::write(house.space.folder.join("crl/organisations.crl"), list).unwrap();
        house.gateway.reload().unwrap();
        assert_eq!(shown(&house, &names), ["good"], "another world, other verdicts");
        // The lists are too old by then: nothing can be told of anybody.
        house.clock.advance(DAY * 300);
        assert!(shown(&house, &names).is_empty(), "undetermined is not shown, nor what was found long ago");
    }
}
