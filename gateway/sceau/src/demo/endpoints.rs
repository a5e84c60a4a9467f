//! What others need to join in: who listens where, which cards exist, how to try it by hand. As JSON.

use std::path::Path;

use serde::Serialize;

use super::{
    cast::{Behaviour, CardFate, CastError, Place},
    space::{CARD_PASSWORD, CardHolder, HospitalPorts, Space, reached},
};

/// The whole answer to "how do I try this with my own software?"
#[derive(Debug, Clone, Serialize)]
pub struct Endpoints {
    /// Where everything lies.
    pub folder: String,
    /// Roots by purpose (PEM).
    pub anchors: Anchors,
    /// The signed list of trusted domains.
    pub trust_list: String,
    /// Hospitals A and B.
    pub gateways: Vec<Gateway>,
    /// The third operator: mutual TLS, no S/MIME.
    pub third_operator: ThirdOperator,
    /// Certificates to come with.
    pub cards: Vec<Card>,
    /// Recipients that provoke an outcome.
    pub misbehaving: Vec<Misbehaving>,
    /// The directory for clinicians, in a browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<String>,
    /// A first message by hand.
    pub try_this: String,
}

/// Roots by purpose.
#[derive(Debug, Clone, Serialize)]
pub struct Anchors {
    /// Of cards.
    pub persons: String,
    /// Of structures.
    pub organisations: String,
    /// Of servers.
    pub servers: String,
}

/// One gateway's ports.
#[derive(Debug, Clone, Serialize)]
pub struct Gateway {
    /// Mail domain.
    pub domain: String,
    /// Name in its certificate.
    pub host: String,
    /// Practice software, STARTTLS.
    pub submission: String,
    /// Practice software, TLS at once.
    pub submission_tls: String,
    /// Other operators.
    pub exchange: String,
    /// Its configuration file.
    pub configuration: String,
}

/// The third operator's port.
#[derive(Debug, Clone, Serialize)]
pub struct ThirdOperator {
    /// Mail domain.
    pub domain: String,
    /// Name in its certificate.
    pub host: String,
    /// Other operators.
    pub exchange: String,
}

/// One card.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// Short name.
    pub key: String,
    /// Who holds it.
    pub holder: String,
    /// Their national id.
    pub id: String,
    /// Their mailbox.
    pub mailbox: Option<String>,
    /// `good`, `revoked`, `expired` or `other_root`.
    pub state: &'static str,
    /// PEM certificate and intermediates.
    pub certificate: String,
    /// PEM key.
    pub private_key: String,
    /// Both as PKCS#12.
    pub pkcs12: String,
    /// Password of that file.
    pub password: &'static str,
}

/// A recipient that misbehaves.
#[derive(Debug, Clone, Serialize)]
pub struct Misbehaving {
    /// Its address.
    pub address: String,
    /// What happens.
    pub what: &'static str,
}

impl Endpoints {
    /// Describes a space.
    ///
    /// # Errors
    /// Never, as the tests show.
    pub fn of(space: &Space) -> Result<Self, CastError> {
        let mut gateways = vec![];
        for (place, ports) in [(Place::A, &space.ports.a), (Place::B, &space.ports.b)] {
            gateways.push(gateway(space, place, ports)?);
        }
        let mut misbehaving = vec![];
        for place in [Place::B, Place::C] {
            for (word, behaviour) in Behaviour::STEERED {
                let address = place.address(&format!("{word}.essai"))?.to_string();
                misbehaving.push(Misbehaving { address, what: behaviour.label() });
            }
        }
        let anchor = |purpose| shown(&space.anchor(purpose));
        Ok(Self {
            folder: shown(&space.folder),
            anchors: Anchors {
                persons: anchor("persons"),
                organisations: anchor("organisations"),
                servers: anchor("servers"),
            },
            trust_list: shown(&space.trust_list()),
            gateways,
            third_operator: ThirdOperator {
                domain: Place::C.domain()?.to_string(),
                host: Place::C.host(),
                exchange: space.ports.c.exchange.to_string(),
            },
            cards: space.holders.iter().map(card).collect(),
            misbehaving,
            pages: space.ports.pages.map(|pages| format!("https://{}/", reached(pages))),
            try_this: swaks(space)?,
        })
    }
}

fn gateway(space: &Space, place: Place, ports: &HospitalPorts) -> Result<Gateway, CastError> {
    Ok(Gateway {
        domain: place.domain()?.to_string(),
        host: place.host(),
        submission: ports.submission.to_string(),
        submission_tls: ports.submission_tls.to_string(),
        exchange: ports.exchange.to_string(),
        configuration: shown(&space.configuration(place)),
    })
}

fn card(holder: &CardHolder) -> Card {
    let person = &holder.person;
    Card {
        key: person.key.to_owned(),
        holder: format!("{} {}", person.given, person.family),
        id: person.id.to_string(),
        mailbox: person.mailbox.as_ref().map(ToString::to_string),
        state: match person.fate {
            CardFate::Good => "good",
            CardFate::Revoked => "revoked",
            CardFate::Expired => "expired",
            CardFate::OtherRoot => "other_root",
        },
        certificate: shown(&holder.card.certificate),
        private_key: shown(&holder.card.key),
        pkcs12: shown(&holder.pkcs12),
        password: CARD_PASSWORD,
    }
}

/// The command that submits a first message as the doctor at A, to the doctor at B.
fn swaks(space: &Space) -> Result<String, CastError> {
    let missing = |key: &str| CastError(key.to_owned());
    let doctor = space.holder("martin").ok_or_else(|| missing("martin"))?;
    let colleague = space.holder("moreau").and_then(|h| h.person.mailbox.clone()).ok_or_else(|| missing("moreau"))?;
    let from = doctor.person.mailbox.as_ref().ok_or_else(|| missing("martin"))?;
    let port = reached(space.ports.a.submission);
    Ok(format!(
        "swaks --server {} --port {} --tls --tls-verify --tls-ca-path {} --tls-cert {} --tls-key {} \
         --from {from} --to {colleague} --header 'Subject: Essai' --body 'Bonjour.'",
        port.ip(),
        port.port(),
        quoted(&space.anchor("servers")),
        quoted(&doctor.card.certificate),
        quoted(&doctor.card.key),
    ))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = shown(path);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_');
    if text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
