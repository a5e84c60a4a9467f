//! An authority of the test's own that both hospitals trust for organisations: for certificates that come
//! later than the space, expire, are revoked, or follow another policy.

use std::path::PathBuf;
use std::time::Duration;

use ident::Timestamp;
use pki::certificate::Certificate;
use pki::issue::{
    Authority, AuthorityRequest, CertificateRequest, CrlRequest, Issued, KeyAlgorithm, Profile, Reason, Revocation,
    ServerMailUse, Validity,
};
use sceau::demo::cast::Place;

use crate::world::World;

const DAY: Duration = Duration::from_secs(86_400);

/// A root with an issuing authority under it.
pub struct Mint {
    root: Authority,
    issuing: Authority,
    folder: PathBuf,
    now: Timestamp,
    revoked: Vec<Revocation>,
    lists: u64,
}

/// A mail certificate of a hospital's domain, with the files of its key.
pub struct Minted {
    /// What was issued.
    pub issued: Issued,
    /// PEM file.
    pub certificate: PathBuf,
    /// PEM file of the key.
    pub key: PathBuf,
}

impl Minted {
    /// SHA-256 in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.parsed().fingerprint().to_string()
    }

    /// As our own reader sees it.
    #[must_use]
    pub fn parsed(&self) -> Certificate {
        self.issued.certificate().unwrap()
    }
}

impl Mint {
    /// Makes the authority and has both hospitals trust it from their next start on.
    #[must_use]
    #[track_caller]
    pub fn trusted_in(world: &World, now: Timestamp) -> Self {
        let request =
            |name: &str| AuthorityRequest::new(name, KeyAlgorithm::P256, Validity::days(now.minus(DAY), 3650));
        let root = Authority::root(&request("RACINE MONNAIE")).unwrap();
        let issuing = root.intermediate(&request("MONNAIE ORGANISATIONS")).unwrap();
        let folder = world.folder().join("mint");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("root.pem"), root.certificate_pem()).unwrap();
        std::fs::write(folder.join("issuing.pem"), issuing.certificate_pem()).unwrap();
        let pinned = Certificate::from_der(root.certificate_der()).unwrap().fingerprint();
        for place in [Place::A, Place::B] {
            world.edit(place, "sceau.toml", "intermediates = [", "intermediates = [\"../mint/issuing.pem\", ");
            world.edit(place, "sceau.toml", "crls = [", "crls = [\"../mint/root.crl\", \"../mint/issuing.crl\", ");
            let anchor = format!(
                "[[trust.anchor]]\npurpose = \"organisations\"\nfile = \"../mint/root.pem\"\nsha256 = \"{pinned}\"\n\n[annuaire]"
            );
            world.edit(place, "sceau.toml", "[annuaire]", &anchor);
        }
        let mut mint = Self { root, issuing, folder, now, revoked: Vec::new(), lists: 0 };
        mint.publish();
        mint
    }

    /// A mail certificate of the hospital's domain that is good now.
    #[must_use]
    pub fn mail(&self, name: &str, place: Place, usage: ServerMailUse) -> Minted {
        self.mail_with(name, place, usage, |_| ())
    }

    /// The same, changed before it is issued.
    #[must_use]
    #[track_caller]
    pub fn mail_with(
        &self,
        name: &str,
        place: Place,
        usage: ServerMailUse,
        change: impl FnOnce(&mut CertificateRequest),
    ) -> Minted {
        let domain = place.domain().unwrap().to_string();
        let profile =
            Profile::ServerMail { name: domain, structure: place.structure().unwrap(), usage, emails: vec![] };
        let mut request =
            CertificateRequest::new(profile, KeyAlgorithm::P256, Validity::days(self.now.minus(DAY), 365));
        change(&mut request);
        let issued = self.issuing.issue(&request).unwrap();
        let (certificate, key) = (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}.key")));
        std::fs::write(&certificate, issued.certificate_pem()).unwrap();
        std::fs::write(&key, &*issued.key_pem().unwrap()).unwrap();
        Minted { issued, certificate, key }
    }

    /// The same, its time over for a month.
    #[must_use]
    pub fn expired(&self, name: &str, place: Place, usage: ServerMailUse) -> Minted {
        let over = Validity::expired(self.now, 30);
        self.mail_with(name, place, usage, |request| request.validity = over)
    }

    /// Puts it on the authority's next list.
    pub fn revoke(&mut self, minted: &Minted) {
        let (serial, at) = (minted.issued.serial().to_vec(), self.now.minus(DAY));
        self.revoked.push(Revocation { serial, reason: Reason::KeyCompromise, at });
        self.publish();
    }

    fn publish(&mut self) {
        self.lists += 1;
        for (authority, revoked, name) in
            [(&self.root, Vec::new(), "root.crl"), (&self.issuing, self.revoked.clone(), "issuing.crl")]
        {
            let (this_update, next_update) = (self.now.minus(Duration::from_secs(60)), self.now.plus(DAY * 7));
            let list = authority.crl(&CrlRequest { revoked, this_update, next_update, number: self.lists }).unwrap();
            std::fs::write(self.folder.join(name), list.pem()).unwrap();
        }
    }
}
