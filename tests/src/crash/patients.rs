//! A domain of patients' mailboxes, whose local parts are national numbers, added to a trusted space:
//! hospital B serves it.

use ident::{Clock, Domain, SystemClock};
use pki::keys::FileKey;
use pki::trust_list::{OperatorName, TrustListDraft, TrustListEntry, TrustListProfile, sign_trust_list};
use sceau::demo::cast::Place;
use sceau::demo::space::{LIST_SIGNER_CN, LIST_SIGNER_OU};

use crate::world::World;

/// The domain.
pub const DOMAIN: &str = "patient.mssante.test";

/// Adds the domain to the trust list and to both hospitals, with a mailbox for this number.
pub fn add(world: &World, number: &str) {
    publish_list(world);
    for place in [Place::A, Place::B] {
        world.append(place, "sceau.toml", &format!("[patients]\ndomains = [\"{DOMAIN}\"]"));
    }
    let inner = world.ports(Place::B).inner;
    world.append(
        Place::B,
        "sceau.toml",
        &format!(
            "[[domain]]\nname = \"{DOMAIN}\"\nregistry = \"patients.toml\"\n\
             signing = {{ certificate = \"signing.pem\", key = \"signing.key\" }}\n\
             decryption = [{{ certificate = \"decryption.pem\", key = \"decryption.key\" }}]\n\
             inner = {{ protocol = \"lmtp\", address = \"{inner}\" }}"
        ),
    );
    let registry = format!(
        "[[mailbox]]\naddress = \"{number}@{DOMAIN}\"\ntype = \"APP\"\nname = \"Patient fictif\"\nstructure = \"{}\"\n",
        Place::B.structure().unwrap().id
    );
    std::fs::write(world.folder().join("ch-b/patients.toml"), registry).unwrap();
    let exchange = world.ports(Place::B).exchange;
    let mut partner = format!(
        "[[partner]]\ndomain = \"{DOMAIN}\"\nsmime = \"required\"\n\n\
         [[route]]\ndomain = \"{DOMAIN}\"\nhost = \"{}\"\naddress = \"{exchange}\"\n",
        Place::B.host()
    );
    for usage in ["signs", "reads"] {
        partner += &format!(
            "\n[[book]]\ndomain = \"{DOMAIN}\"\nuse = \"{usage}\"\ncertificate = \"../book/ch-b-{usage}.pem\"\n"
        );
    }
    world.append(Place::A, "sceau.toml", &partner);
}

/// Signs the list anew with the space's own signer, one domain longer.
fn publish_list(world: &World) {
    let now = SystemClock.now();
    let read = |name: &str| std::fs::read(world.folder().join("trust-list").join(name)).unwrap();
    let signer = FileKey::from_pem(&read("signer.key"), &read("signer.pem"), None).unwrap();
    let mut served: Vec<(Domain, Place)> =
        Place::ALL.into_iter().map(|place| (place.domain().unwrap(), place)).collect();
    served.push((Domain::parse(DOMAIN).unwrap(), Place::B));
    let entries = served
        .into_iter()
        .map(|(domain, place)| {
            let structure = place.structure().unwrap();
            let name = format!(
                "CN={},OU={},O={},ST={},C=FR",
                place.host(),
                structure.id,
                structure.name,
                structure.department
            );
            TrustListEntry {
                description: structure.name,
                operators: vec![OperatorName::parse(&name).unwrap()],
                responsible: format!("responsable@{domain}"),
                support: format!("aide@{domain}"),
                updated: now.rfc3339(),
                domain,
            }
        })
        .collect();
    let profile = TrustListProfile {
        root: "ListeBlancheMSSante".to_owned(),
        namespace: "https://listeblanche.mssante.fr/schema".to_owned(),
        signer_cn: LIST_SIGNER_CN.to_owned(),
        signer_ou: LIST_SIGNER_OU.to_owned(),
    };
    let list = sign_trust_list(&TrustListDraft { profile, generated: now, entries }, &signer, now).unwrap();
    std::fs::write(world.space.trust_list(), list).unwrap();
}
