//! Who somebody is: by the certificate of the connection, or by an account and its password.

use std::{net::IpAddr, sync::Arc};

use annuaire::ldap::{Bind, Code, Ending, Rights};

use super::{Face, accounts::Known};
use crate::{
    admission::caller::identify,
    allowance::{Allowed, Peer},
    gateway::Gateway,
    net::{places::Room, tls::TlsFacts},
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

/// What those may have who said who they are.
fn rights(snapshot: &Snapshot, whole: bool) -> Rights {
    let limits = &snapshot.config.ldap.limits;
    Rights { entries: limits.entries_known, paged: (!whole).then_some(limits.paged_known) }
}

/// Passwords that one address may try in a minute, and twice as many at once. What was right a moment ago costs
/// nothing; what was not costs a tenth of a second of a core.
const PASSWORDS: Allowed = Allowed { requests_per_minute: 10, answers_per_hour: 1000 };
/// Certificates of one address in a minute: a hospital's address books show theirs at each keystroke.
const CERTIFICATES: Allowed = Allowed { requests_per_minute: 600, answers_per_hour: 1000 };
/// Passwords that wait to be hashed, in all and of one address: who comes later is told at once.
const WAITING: Room = Room { all: 32, each: 4 };

/// Who somebody proved to be.
pub(super) struct Caller {
    /// How the session calls them: an account's name, an identifier.
    pub(super) name: String,
    pub(super) rights: Rights,
    pub(super) proof: Proof,
}

/// What it rests on, to be looked at again when the world changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// The password of an account.
    Account(Known),
    /// The certificate of the connection, as whoever it named.
    Certificate(String),
}

impl Proof {
    /// Whose allowance is counted: an account is not the holder of a certificate that says the same.
    pub(super) fn peer(&self) -> Peer {
        Peer::Named(match self {
            Self::Account(known) => format!("account {}", known.name),
            Self::Certificate(name) => format!("certificate {name}"),
        })
    }

    /// Whether it would be taken now as well: nobody's rights outlive their account, or their certificate's.
    pub(super) async fn still_holds(&self, gateway: &Arc<Gateway>, tls: Option<&TlsFacts>) -> bool {
        match self {
            Self::Account(known) => gateway.snapshot().ldap.accounts.have(known),
            Self::Certificate(name) => {
                by_certificate(gateway, tls, None).await.is_ok_and(|caller| caller.name == *name)
            }
        }
    }
}

/// Judges a bind.
///
/// # Errors
/// What is answered: 48 and 49 only where another password or certificate would help, since address books forget
/// theirs then (annuaire §5.1).
pub(super) async fn judge(
    gateway: &Arc<Gateway>,
    face: &Arc<Face>,
    peer: IpAddr,
    tls: Option<&TlsFacts>,
    bind: Bind,
) -> Result<Caller, Ending> {
    let outcome = match bind {
        Bind::External { wanted } => match face.certificates.ask(&Peer::at(peer), CERTIFICATES, gateway.now()) {
            Ok(()) => by_certificate(gateway, tls, wanted.as_deref()).await,
            Err(seconds) => Err(too_many(seconds)),
        },
        Bind::Simple { name, password } => by_password(gateway, face, peer, name, password).await,
    };
    outcome.map_err(|(refusal, ending)| {
        if let Some(refusal) = refusal {
            gateway.knocks.count(peer, "ldap", &refusal, gateway.now());
        }
        ending
    })
}

fn too_many(seconds: u64) -> Refused {
    (None, Ending::new(Code::Busy, format!("too many attempts from here: come back in {seconds} seconds")))
}

type Refused = (Option<Refusal>, Ending);

async fn by_certificate(
    gateway: &Arc<Gateway>,
    tls: Option<&TlsFacts>,
    wanted: Option<&str>,
) -> Result<Caller, Refused> {
    let shown = tls.map(|facts| facts.peer.clone()).unwrap_or_default();
    if shown.is_empty() {
        let text = "no certificate was shown: choose one in your program, or bind with an account";
        let refusal = Refusal::new(RefusalId::CertificateRequired, "EXTERNAL without a certificate");
        return Err((Some(refusal), Ending::new(Code::InappropriateAuthentication, text)));
    }
    let world = Arc::clone(gateway);
    let judged = gateway.compute(move || {
        let snapshot = world.snapshot();
        identify(&snapshot, &shown, world.now()).map(|caller| (caller.identifier(), rights(&snapshot, false)))
    });
    let (name, rights) = match judged.await {
        Err(error) => return Err((None, Ending::new(Code::Unavailable, later(&error)))),
        Ok(Err(refusal)) => {
            let code = if refusal.is_temporary() { Code::Unavailable } else { Code::InvalidCredentials };
            let text = format!("the certificate is not accepted [{}]", refusal.id.row().id);
            return Err((Some(refusal), Ending::new(code, text)));
        }
        Ok(Ok(known)) => known,
    };
    // Whoever proves one identity may not ask for another (RFC 4422 appendix A).
    let own = |wanted: &str| match wanted.strip_prefix("dn:") {
        Some(entry) => annuaire::ldap::is_name_of(entry, &name, &gateway.snapshot().config.ldap.base),
        None => wanted.strip_prefix("u:").unwrap_or(wanted) == name,
    };
    if wanted.is_some_and(|wanted| !own(wanted)) {
        let text = "the certificate names somebody else: leave the authorization identity out";
        return Err((None, Ending::new(Code::InvalidCredentials, text)));
    }
    let proof = Proof::Certificate(name.clone());
    Ok(Caller { name, rights, proof })
}

async fn by_password(
    gateway: &Arc<Gateway>,
    face: &Arc<Face>,
    peer: IpAddr,
    name: String,
    password: zeroize::Zeroizing<Vec<u8>>,
) -> Result<Caller, Refused> {
    let snapshot = gateway.snapshot();
    let caller = |known: Known| {
        let rights = rights(&snapshot, known.whole);
        Caller { name: known.name.clone(), rights, proof: Proof::Account(known) }
    };
    let accounts = &snapshot.ldap.accounts;
    if let Some(known) = face.remembered.knows(accounts, &name, &password, gateway.now()) {
        return Ok(caller(known));
    }
    if accounts.is_empty() {
        let text = "there are no accounts here: show a certificate";
        return Err((None, Ending::new(Code::InvalidCredentials, text)));
    }
    face.passwords.ask(&Peer::at(peer), PASSWORDS, gateway.now()).map_err(too_many)?;
    let Some(turn) = face.hashing.enter(peer, WAITING) else { return Err(too_many(5)) };
    // A tenth of a second and 32 MB: one at a time, beside the places where mail is sealed and opened.
    let one = Arc::clone(&face.hashes)
        .acquire_owned()
        .await
        .map_err(|error| (None, Ending::new(Code::Unavailable, later(&error.to_string()))))?;
    let (world, about, memory) = (Arc::clone(gateway), name.clone(), Arc::clone(face));
    let judged = tokio::task::spawn_blocking(move || {
        // A connection that is gone does not stop the hash: its place is free when the work is done.
        let _held = (turn, one);
        let snapshot = world.snapshot();
        let accounts = &snapshot.ldap.accounts;
        let known = accounts.check(&about, &password)?;
        memory.remembered.remember(accounts, &about, &password, world.now());
        Some(known)
    });
    match judged.await {
        Err(error) => Err((None, Ending::new(Code::Unavailable, later(&error.to_string())))),
        Ok(None) => {
            // What was typed as a name may be a password: of names that nobody has, only that there was one.
            let shown = if accounts.names(&name) { name.as_str() } else { "of no such name" };
            let refusal =
                Refusal::new(RefusalId::IdentityUnknown, format!("LDAP account {shown}: wrong name or password"));
            Err((Some(refusal), Ending::new(Code::InvalidCredentials, "name or password are wrong")))
        }
        Ok(Some(known)) => Ok(caller(known)),
    }
}

fn later(error: &str) -> String {
    tracing::warn!(error, "a bind could not be judged");
    "this cannot be judged at the moment: try again".to_owned()
}

#[cfg(test)]
mod tests;
