//! Roots and issuing authorities by purpose, and who gets which certificate.

use std::{thread, time::Duration};

use ident::Timestamp;
use pki::issue::{
    Authority, AuthorityRequest, CertificateRequest, CrlRequest, IssueError, Issued, KeyAlgorithm, Profile, Reason,
    Revocation, RevocationList, Validity,
};

use super::space::{SpaceError, join, side_by_side};

/// How long a professional certificate lives: three years (PKI-8).
const LEAF_DAYS: u32 = 1095;
/// How long authorities live.
const AUTHORITY_DAYS: u32 = 3650;
/// How long our lists say that they hold: a demonstration may stay up for some days.
const LIST_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// One root with the authority under it.
#[derive(Debug)]
pub struct Branch {
    /// `persons`, `organisations`, `servers`: also the start of its file names.
    pub purpose: &'static str,
    /// The root.
    pub root: Authority,
    /// What issues.
    pub issuing: Authority,
    revoked: Vec<Revocation>,
}

/// A branch's two lists.
#[derive(Debug)]
pub struct Lists {
    /// Of the root.
    pub root: RevocationList,
    /// Of the issuing authority.
    pub issuing: RevocationList,
}

impl Branch {
    fn new(purpose: &'static str, names: [&str; 2], key: KeyAlgorithm, now: Timestamp) -> Result<Self, IssueError> {
        let request = |name: &str| AuthorityRequest::new(name, key, Validity::days(now, AUTHORITY_DAYS));
        let [root, issuing] = names;
        let root = Authority::root(&request(root))?;
        let issuing = root.intermediate(&request(issuing))?;
        Ok(Self { purpose, root, issuing, revoked: vec![] })
    }

    /// Issues a certificate of three years from now on.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn issue(&self, profile: Profile, key: KeyAlgorithm, now: Timestamp) -> Result<Issued, IssueError> {
        self.issuing.issue(&CertificateRequest::new(profile, key, Validity::days(now, LEAF_DAYS)))
    }

    /// Issues a certificate whose three years ended a month ago.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn issue_expired(&self, profile: Profile, key: KeyAlgorithm, now: Timestamp) -> Result<Issued, IssueError> {
        self.issuing.issue(&CertificateRequest::new(profile, key, Validity::expired(now, 30)))
    }

    /// Puts a certificate on the issuing authority's next list: lost or stolen, an hour before `now`.
    pub fn revoke(&mut self, serial: Vec<u8>, now: Timestamp) {
        let at = now.minus(Duration::from_secs(3600));
        self.revoked.push(Revocation { serial, reason: Reason::KeyCompromise, at });
    }

    /// Signs both lists as of `now`.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn lists(&self, now: Timestamp, number: u64) -> Result<Lists, IssueError> {
        let request = |revoked| CrlRequest {
            revoked,
            this_update: now.minus(Duration::from_secs(3600)),
            next_update: now.plus(LIST_LIFE),
            number,
        };
        Ok(Lists { root: self.root.crl(&request(vec![]))?, issuing: self.issuing.crl(&request(self.revoked.clone()))? })
    }
}

/// The three branches of the trust space, and a fourth that nobody trusts.
#[derive(Debug)]
pub struct Authorities {
    /// Cards.
    pub persons: Branch,
    /// Structures: applications, seals, mail domains.
    pub organisations: Branch,
    /// TLS servers.
    pub servers: Branch,
    /// Bears the names of the persons' branch, with keys of its own.
    pub other: Branch,
}

impl Authorities {
    /// Makes all of them, side by side: RSA keys take their time.
    ///
    /// # Errors
    /// [`SpaceError`]
    pub fn new(key: KeyAlgorithm, now: Timestamp) -> Result<Self, SpaceError> {
        const PERSONS: [&str; 2] = ["RACINE SCEAU FORT", "SCEAU FORT PERSONNES"];
        const ORGANISATIONS: [&str; 2] = ["RACINE SCEAU STANDARD", "SCEAU STANDARD ORGANISATIONS"];
        const SERVERS: [&str; 2] = ["RACINE SCEAU ELEMENTAIRE", "SCEAU ELEMENTAIRE SERVEURS"];
        let branch = |purpose, names| move || Branch::new(purpose, names, key, now);
        thread::scope(|scope| {
            let persons = side_by_side(scope, branch("persons", PERSONS))?;
            let organisations = side_by_side(scope, branch("organisations", ORGANISATIONS))?;
            let servers = side_by_side(scope, branch("servers", SERVERS))?;
            let other = Branch::new("other", PERSONS, KeyAlgorithm::P256, now)?;
            let [persons, organisations, servers] = [join(persons)??, join(organisations)??, join(servers)??];
            Ok(Self { persons, organisations, servers, other })
        })
    }

    /// The three that the space trusts.
    pub fn trusted(&self) -> [&Branch; 3] {
        [&self.persons, &self.organisations, &self.servers]
    }
}
