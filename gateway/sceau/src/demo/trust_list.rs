//! The signed list of the three domains.

use ident::Timestamp;
use pki::{
    issue::{Issued, OrganisationUse, Profile, Structure},
    trust_list::{OperatorName, TrustListDraft, TrustListEntry, TrustListProfile, sign_trust_list},
};

use super::{
    cast::{self, CastError, Place},
    space::{LIST_SIGNER_CN, LIST_SIGNER_OU, SpaceError},
};

/// Root element of the list (WL-8).
const ROOT: &str = "ListeBlancheMSSante";
/// Its namespace (WL-3).
const NAMESPACE: &str = "https://listeblanche.mssante.fr/schema";

/// Who signs it: an organisation's SIGN certificate.
pub(super) fn signer() -> Result<Profile, CastError> {
    Ok(Profile::Organisation {
        structure: Structure::new(cast::structure_id(LIST_SIGNER_OU)?, "AUTORITE FICTIVE SCEAU", "Paris (75)"),
        label: LIST_SIGNER_CN.to_owned(),
        usage: OrganisationUse::Sign,
        emails: vec![],
    })
}

/// The list as of `now`.
pub(super) fn signed(signer: &Issued, now: Timestamp) -> Result<Vec<u8>, SpaceError> {
    let profile = TrustListProfile {
        root: ROOT.to_owned(),
        namespace: NAMESPACE.to_owned(),
        signer_cn: LIST_SIGNER_CN.to_owned(),
        signer_ou: LIST_SIGNER_OU.to_owned(),
    };
    let entries = Place::ALL.into_iter().map(|place| entry(place, now)).collect::<Result<_, _>>()?;
    let key = signer.file_key().map_err(|e| SpaceError::TrustList(e.to_string()))?;
    sign_trust_list(&TrustListDraft { profile, generated: now, entries }, &key, now)
        .map_err(|e| SpaceError::TrustList(e.to_string()))
}

fn entry(place: Place, now: Timestamp) -> Result<TrustListEntry, CastError> {
    let (domain, structure) = (place.domain()?, place.structure()?);
    // The order and the form of WL-5.
    let name = format!("CN={},OU={},O={},ST={},C=FR", place.host(), structure.id, structure.name, structure.department);
    let operator = OperatorName::parse(&name).map_err(|_| CastError(name))?;
    Ok(TrustListEntry {
        description: structure.name,
        operators: vec![operator],
        responsible: format!("responsable@{domain}"),
        support: format!("aide@{domain}"),
        updated: now.rfc3339(),
        domain,
    })
}
