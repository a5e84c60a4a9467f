//! Who somebody is: by the certificate of the connection, or by an account and its password.

use std::{net::IpAddr, sync::Arc};

use annuaire::ldap::{Bind, Code, Ending, Rights};

use super::Face;
use crate::{
    admission::caller::identify,
    gateway::Gateway,
    net::tls::TlsFacts,
    refusal::{Refusal, RefusalId},
    snapshot::Snapshot,
};

/// What those may have who said who they are.
fn rights(snapshot: &Snapshot, whole: bool) -> Rights {
    let limits = &snapshot.config.ldap.limits;
    Rights { entries: limits.entries_known, paged: (!whole).then_some(limits.paged_known) }
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
) -> Result<(String, Rights), Ending> {
    let outcome = match bind {
        Bind::External { wanted } => by_certificate(gateway, tls, wanted.as_deref()).await,
        Bind::Simple { name, password } => by_password(gateway, face, name, password).await,
    };
    outcome.map_err(|(refusal, ending)| {
        if let Some(refusal) = refusal {
            gateway.knocks.count(peer, "ldap", &refusal, gateway.now());
        }
        ending
    })
}

type Refused = (Option<Refusal>, Ending);

async fn by_certificate(
    gateway: &Arc<Gateway>,
    tls: Option<&TlsFacts>,
    wanted: Option<&str>,
) -> Result<(String, Rights), Refused> {
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
    let asked = wanted.map(|wanted| wanted.strip_prefix("u:").unwrap_or(wanted));
    if asked.is_some_and(|asked| asked != name) {
        let text = "the certificate names somebody else: leave the authorization identity out";
        return Err((None, Ending::new(Code::InvalidCredentials, text)));
    }
    Ok((name, rights))
}

async fn by_password(
    gateway: &Arc<Gateway>,
    face: &Arc<Face>,
    name: String,
    password: zeroize::Zeroizing<Vec<u8>>,
) -> Result<(String, Rights), Refused> {
    let snapshot = gateway.snapshot();
    let accounts = &snapshot.ldap.accounts;
    if let Some(whole) = face.remembered.knows(accounts, &name, &password, gateway.now()) {
        return Ok((name, rights(&snapshot, whole)));
    }
    let (world, about, memory) = (Arc::clone(gateway), name.clone(), Arc::clone(face));
    // A password costs a tenth of a second and 32 MB: as many at once as there are cores.
    let judged = gateway.compute(move || {
        let snapshot = world.snapshot();
        let accounts = &snapshot.ldap.accounts;
        let whole = accounts.check(&about, &password)?;
        memory.remembered.remember(accounts, &about, &password, world.now());
        Some(whole)
    });
    match judged.await {
        Err(error) => Err((None, Ending::new(Code::Unavailable, later(&error)))),
        Ok(None) => {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            let refusal =
                Refusal::new(RefusalId::IdentityUnknown, format!("LDAP account {shown}: wrong name or password"));
            Err((Some(refusal), Ending::new(Code::InvalidCredentials, "name or password are wrong")))
        }
        Ok(Some(whole)) => Ok((name, rights(&snapshot, whole))),
    }
}

fn later(error: &str) -> String {
    tracing::warn!(error, "a bind could not be judged");
    "this cannot be judged at the moment: try again".to_owned()
}
