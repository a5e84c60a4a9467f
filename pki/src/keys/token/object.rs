//! Finding keys on a token, by what a URI names.

use cryptoki::{
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};
use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    nid::Nid,
    pkey::{Id, PKey, Public},
    rsa::Rsa,
};

use super::{TokenFault, pool::Stop};
use crate::{der, der_reader, keys::KeyUri};

/// The one private key that the URI names.
pub(super) fn private(session: &Session, uri: &KeyUri) -> Result<ObjectHandle, Stop> {
    let mut found = session.find_objects(&template(uri, ObjectClass::PRIVATE_KEY))?.into_iter();
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(Stop::Fault(TokenFault::NoKey(uri.to_string()))),
        (Some(_), Some(_)) => Err(Stop::Fault(TokenFault::SeveralKeys(uri.to_string()))),
    }
}

fn template(uri: &KeyUri, class: ObjectClass) -> Vec<Attribute> {
    let mut template = vec![Attribute::Class(class)];
    template.extend(uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
    template.extend(uri.id.as_ref().map(|id| Attribute::Id(id.clone())));
    template
}

/// The public key that lies beside the private one.
pub(super) fn public(session: &Session, uri: &KeyUri) -> Result<PKey<Public>, Stop> {
    let missing = || Stop::Fault(TokenFault::NoKey(format!("{uri} with its public key")));
    let object = session.find_objects(&template(uri, ObjectClass::PUBLIC_KEY))?.first().copied().ok_or_else(missing)?;
    let wanted =
        [AttributeType::Modulus, AttributeType::PublicExponent, AttributeType::EcParams, AttributeType::EcPoint];
    let (mut modulus, mut exponent, mut curve, mut point) = (None, None, None, None);
    for attribute in session.get_attributes(object, &wanted)? {
        match attribute {
            Attribute::Modulus(value) => modulus = Some(value),
            Attribute::PublicExponent(value) => exponent = Some(value),
            Attribute::EcParams(value) => curve = Some(value),
            Attribute::EcPoint(value) => point = Some(value),
            _ => {}
        }
    }
    let key = match (modulus, exponent, curve, point) {
        (Some(modulus), Some(exponent), ..) => rsa(&modulus, &exponent),
        (_, _, Some(curve), Some(point)) => on_curve(&curve, &point),
        _ => None,
    };
    key.ok_or_else(missing)
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<PKey<Public>> {
    let key = Rsa::from_public_components(BigNum::from_slice(modulus).ok()?, BigNum::from_slice(exponent).ok()?);
    PKey::from_rsa(key.ok()?).ok()
}

/// CKA_EC_PARAMS and CKA_EC_POINT: the point is wrapped in an OCTET STRING, or bare with some modules.
fn on_curve(curve: &[u8], point: &[u8]) -> Option<PKey<Public>> {
    let unwrapped = der_reader::Reader::only(point, der::tag::OCTET_STRING).map_or(point, |inner| inner.value);
    let named = |dotted: &str| der::oid(dotted).is_some_and(|oid| oid == curve);
    let printable = |name: &str| der::tlv(der::tag::PRINTABLE_STRING, name.as_bytes()) == curve;
    if named("1.3.101.112") || printable("edwards25519") {
        return PKey::public_key_from_raw_bytes(unwrapped, Id::ED25519).ok();
    }
    let nid = match () {
        () if named("1.2.840.10045.3.1.7") => Nid::X9_62_PRIME256V1,
        () if named("1.3.132.0.34") => Nid::SECP384R1,
        () => return None,
    };
    let group = EcGroup::from_curve_name(nid).ok()?;
    let mut context = BigNumContext::new().ok()?;
    let point = EcPoint::from_bytes(&group, unwrapped, &mut context).ok()?;
    let key = EcKey::from_public_key(&group, &point).ok()?;
    key.check_key().ok()?;
    PKey::from_ec_key(key).ok()
}
