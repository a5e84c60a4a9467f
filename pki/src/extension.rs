//! The certificate extensions that we act on, each read strictly.

use ident::{Address, CardNumber, Domain};

use crate::{
    certificate::Fault,
    der::tag,
    der_reader::{self, Element, Malformed, Read, Reader},
    mail_constraints::MailConstraints,
    name::Name,
};

/// Object identifiers of extensions and purposes.
pub(crate) mod oids {
    pub(crate) const SUBJECT_KEY_ID: &str = "2.5.29.14";
    pub(crate) const KEY_USAGE: &str = "2.5.29.15";
    pub(crate) const SUBJECT_ALT_NAME: &str = "2.5.29.17";
    pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
    pub(crate) const CRL_NUMBER: &str = "2.5.29.20";
    pub(crate) const REASON_CODE: &str = "2.5.29.21";
    pub(crate) const DELTA_CRL: &str = "2.5.29.27";
    pub(crate) const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
    pub(crate) const CERTIFICATE_ISSUER: &str = "2.5.29.29";
    pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";
    pub(crate) const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
    pub(crate) const CERTIFICATE_POLICIES: &str = "2.5.29.32";
    pub(crate) const POLICY_MAPPINGS: &str = "2.5.29.33";
    pub(crate) const AUTHORITY_KEY_ID: &str = "2.5.29.35";
    pub(crate) const POLICY_CONSTRAINTS: &str = "2.5.29.36";
    pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
    pub(crate) const FRESHEST_CRL: &str = "2.5.29.46";
    pub(crate) const AUTHORITY_INFO_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
    /// id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): nobody publishes the status of this responder.
    pub(crate) const OCSP_NOCHECK: &str = "1.3.6.1.5.5.7.48.1.5";
    /// TLS feature (RFC 7633).
    pub(crate) const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    pub(crate) const INHIBIT_ANY_POLICY: &str = "2.5.29.54";
    /// Private extension: number of the card (pki reference §7).
    pub(crate) const CARD_NUMBER: &str = "1.2.250.1.71.1.2.3";
    /// Private extension: product category; 0x80 to 0x83 are the test twins (PKI-10).
    pub(crate) const CATEGORY: &str = "1.2.250.1.71.1.2.5";
    /// otherName SmtpUTF8Mailbox (RFC 9598).
    pub(crate) const SMTP_UTF8_MAILBOX: &str = "1.3.6.1.5.5.7.8.9";
}

/// Extensions whose meaning we, or OpenSSL on our behalf, apply. Any other critical one is refused.
const UNDERSTOOD: &[&str] = &[
    oids::SUBJECT_KEY_ID,
    oids::KEY_USAGE,
    oids::SUBJECT_ALT_NAME,
    oids::BASIC_CONSTRAINTS,
    oids::NAME_CONSTRAINTS,
    oids::CRL_DISTRIBUTION_POINTS,
    oids::CERTIFICATE_POLICIES,
    oids::POLICY_MAPPINGS,
    oids::AUTHORITY_KEY_ID,
    oids::POLICY_CONSTRAINTS,
    oids::EXTENDED_KEY_USAGE,
    oids::FRESHEST_CRL,
    oids::INHIBIT_ANY_POLICY,
    oids::OCSP_NOCHECK,
    oids::CATEGORY,
    oids::CARD_NUMBER,
];

/// One extension as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Extension<'a> {
    pub(crate) oid: String,
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

/// Most extensions in one certificate or list; real ones have about twelve.
const MAX_EXTENSIONS: usize = 64;

/// Splits `Extensions`, a SEQUENCE that must not be empty.
pub(crate) fn split(sequence: Element<'_>) -> Read<Vec<Extension<'_>>> {
    let mut reader = sequence.inside();
    let mut out = Vec::new();
    while !reader.is_empty() {
        let mut members = reader.expect(tag::SEQUENCE)?.inside();
        let oid = der_reader::oid(members.expect(tag::OID)?.value)?;
        let critical = match members.optional(tag::BOOLEAN)? {
            Some(element) => der_reader::boolean(element.value)?,
            None => false,
        };
        let value = members.expect(tag::OCTET_STRING)?.value;
        members.end()?;
        if out.len() >= MAX_EXTENSIONS {
            return Err(Malformed);
        }
        out.push(Extension { oid, critical, value });
    }
    if out.is_empty() { Err(Malformed) } else { Ok(out) }
}

/// Whether any identifier occurs twice.
pub(crate) fn has_duplicates(extensions: &[Extension<'_>]) -> bool {
    let mut seen: Vec<&str> = extensions.iter().map(|extension| extension.oid.as_str()).collect();
    seen.sort_unstable();
    seen.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}

/// Basic constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) authority: bool,
}

/// DistributionPointName.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PointName {
    /// fullName: each GeneralName as encoded.
    Full(Vec<Vec<u8>>),
    /// nameRelativeToCRLIssuer: the content of the RDN.
    Relative(Vec<u8>),
}

/// Where the revocation status of a certificate is published (RFC 5280 §4.2.1.13).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DistributionPoint {
    /// Its name, if it has one.
    pub(crate) name: Option<PointName>,
    /// Reason flags, bit 0 lowest; `None` is all reasons.
    pub(crate) reasons: Option<u16>,
    /// Directory names of an issuer of the list that is not the issuer of the certificate.
    pub(crate) issuers: Vec<Name>,
}

/// What the extensions say.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) key_usage: Option<u16>,
    pub(crate) extended_key_usage: Option<Vec<String>>,
    /// Whether that extension is critical.
    pub(crate) extended_key_usage_critical: bool,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    pub(crate) authority_key_id: Option<Vec<u8>>,
    pub(crate) emails: Vec<Address>,
    pub(crate) dns_names: Vec<String>,
    pub(crate) distribution_points: Vec<DistributionPoint>,
    /// FreshestCRL: where deltas are published.
    pub(crate) delta_points: Vec<DistributionPoint>,
    /// Addresses of OCSP responders, from the authority information access.
    pub(crate) responders: Vec<String>,
    /// The authority publishes no status of this responder.
    pub(crate) unchecked_responder: bool,
    /// A server with this certificate promises to staple an answer about it.
    pub(crate) must_staple: bool,
    pub(crate) unknown_critical: bool,
    pub(crate) has_name_constraints: bool,
    pub(crate) mail_constraints: MailConstraints,
    pub(crate) policy_constraints_not_critical: bool,
    policies: Vec<Vec<u8>>,
    mapped_policies: Vec<Vec<u8>>,
    pub(crate) test_category: bool,
    pub(crate) card_number: Option<CardNumber>,
}

impl Extensions {
    /// Interprets what we know, and says what is wrong.
    pub(crate) fn interpret(list: &[Extension<'_>]) -> (Self, Vec<Fault>) {
        let mut out = Self::default();
        let mut faults = Vec::new();
        if has_duplicates(list) {
            faults.push(Fault::DuplicateExtension);
        }
        for extension in list {
            if extension.critical && !UNDERSTOOD.contains(&extension.oid.as_str()) {
                out.unknown_critical = true;
            }
            if let Err(fault) = out.take(extension) {
                faults.push(fault);
            }
        }
        if faults.iter().any(|fault| matches!(fault, Fault::MalformedEmail | Fault::MalformedHost)) {
            out.emails.clear();
            out.dns_names.clear();
        }
        (out, faults)
    }

    /// Whether a policy is mapped that the certificate does not assert by name. OpenSSL then follows the
    /// mapping even where anyPolicy is inhibited, and forgets it below another anyPolicy.
    pub(crate) fn maps_out_of_any_policy(&self) -> bool {
        self.mapped_policies.iter().any(|mapped| !self.policies.contains(mapped))
    }

    fn take(&mut self, extension: &Extension<'_>) -> Result<(), Fault> {
        let value = extension.value;
        let malformed = |Malformed| Fault::MalformedExtension;
        match extension.oid.as_str() {
            oids::KEY_USAGE => {
                let usage = Reader::only(value, tag::BIT_STRING).and_then(|e| der_reader::named_bits(e.value));
                let usage = usage.map_err(malformed)?;
                // RFC 5280 §4.2.1.3: at least one bit.
                if usage == 0 {
                    return Err(Fault::MalformedExtension);
                }
                self.key_usage = Some(usage);
            }
            oids::EXTENDED_KEY_USAGE => {
                self.extended_key_usage = Some(purposes(value).map_err(malformed)?);
                self.extended_key_usage_critical = extension.critical;
            }
            oids::BASIC_CONSTRAINTS => self.basic_constraints = Some(basic_constraints(value).map_err(malformed)?),
            oids::SUBJECT_KEY_ID => {
                let id = Reader::only(value, tag::OCTET_STRING).map_err(malformed)?.value;
                self.subject_key_id = Some(id.to_vec());
            }
            oids::AUTHORITY_KEY_ID => self.authority_key_id = authority_key_id(value).map_err(malformed)?,
            oids::SUBJECT_ALT_NAME => self.alternative_names(value)?,
            oids::CRL_DISTRIBUTION_POINTS => {
                self.distribution_points = distribution_points(value).map_err(malformed)?;
            }
            // Only where deltas are fetched: what cannot be read is not fetched.
            oids::FRESHEST_CRL => self.delta_points = distribution_points(value).unwrap_or_default(),
            oids::AUTHORITY_INFO_ACCESS => self.responders = responders(value).unwrap_or_default(),
            oids::TLS_FEATURE => self.must_staple = asks_for_staple(value).map_err(malformed)?,
            oids::OCSP_NOCHECK => self.unchecked_responder = true,
            oids::NAME_CONSTRAINTS => {
                self.has_name_constraints = true;
                self.mail_constraints = MailConstraints::read(value).map_err(malformed)?;
            }
            oids::CERTIFICATE_POLICIES => self.policies = first_identifiers(value).map_err(malformed)?,
            oids::POLICY_MAPPINGS => self.mapped_policies = first_identifiers(value).map_err(malformed)?,
            oids::POLICY_CONSTRAINTS => self.policy_constraints_not_critical = !extension.critical,
            oids::CATEGORY => self.test_category = is_test_category(value),
            oids::CARD_NUMBER => self.card_number = card_number(value),
            _ => {}
        }
        Ok(())
    }

    fn alternative_names(&mut self, value: &[u8]) -> Result<(), Fault> {
        let mut names = Reader::only(value, tag::SEQUENCE).map_err(|Malformed| Fault::MalformedExtension)?.inside();
        if names.is_empty() {
            return Err(Fault::MalformedExtension);
        }
        while !names.is_empty() {
            let name = names.next().map_err(|Malformed| Fault::MalformedExtension)?;
            match name.tag {
                0x81 => self.emails.push(rfc822_name(name.value).ok_or(Fault::MalformedEmail)?),
                0x82 => self.dns_names.push(dns_name(name.value).ok_or(Fault::MalformedHost)?),
                0xa0 => {
                    if let Some(mailbox) = smtp_utf8_mailbox(name.value).map_err(|Malformed| Fault::MalformedEmail)? {
                        self.emails.push(mailbox);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a TLS feature extension names status_request (5) or status_request_v2 (17) (RFC 7633 §4.1).
fn asks_for_staple(value: &[u8]) -> Read<bool> {
    let mut features = Reader::only(value, tag::SEQUENCE)?.inside();
    let mut found = false;
    while !features.is_empty() {
        found |= matches!(features.expect(tag::INTEGER)?.value, [5 | 17]);
    }
    Ok(found)
}

/// The first identifier of each member: the policy of a PolicyInformation, the issuer's of a mapping.
fn first_identifiers(value: &[u8]) -> Read<Vec<Vec<u8>>> {
    let mut reader = Reader::only(value, tag::SEQUENCE)?.inside();
    let mut out = Vec::new();
    while !reader.is_empty() {
        out.push(reader.expect(tag::SEQUENCE)?.inside().expect(tag::OID)?.value.to_vec());
    }
    if out.is_empty() { Err(Malformed) } else { Ok(out) }
}

fn purposes(value: &[u8]) -> Read<Vec<String>> {
    let mut reader = Reader::only(value, tag::SEQUENCE)?.inside();
    let mut out = Vec::new();
    while !reader.is_empty() {
        out.push(der_reader::oid(reader.expect(tag::OID)?.value)?);
    }
    if out.is_empty() { Err(Malformed) } else { Ok(out) }
}

fn basic_constraints(value: &[u8]) -> Read<BasicConstraints> {
    let mut reader = Reader::only(value, tag::SEQUENCE)?.inside();
    let authority = match reader.optional(tag::BOOLEAN)? {
        Some(element) => der_reader::boolean(element.value)?,
        None => false,
    };
    if let Some(length) = reader.optional(tag::INTEGER)? {
        der_reader::small(length.value)?;
    }
    reader.end()?;
    Ok(BasicConstraints { authority })
}

/// keyIdentifier only: issuer and serial are a second spelling that OpenSSL checks too.
pub(crate) fn authority_key_id(value: &[u8]) -> Read<Option<Vec<u8>>> {
    let mut reader = Reader::only(value, tag::SEQUENCE)?.inside();
    let id = reader.optional(0x80)?.map(|element| element.value.to_vec());
    while !reader.is_empty() {
        reader.next()?;
    }
    Ok(id)
}

/// Strict: one `@`, no quotes, ASCII, a real domain. `Address` refuses controls, blanks and NUL by itself.
fn rfc822_name(value: &[u8]) -> Option<Address> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii())?;
    address(text).ok()
}

/// A quoted local part may hold another `@`, and readers differ about which of them counts.
fn address(text: &str) -> Read<Address> {
    let plain = text.bytes().filter(|b| *b == b'@').count() == 1 && !text.contains('"');
    Address::parse(text).ok().filter(|_| plain).ok_or(Malformed)
}

/// Whether the content of an otherName is of the type SmtpUTF8Mailbox.
pub(crate) fn is_smtp_utf8_mailbox(other_name: &[u8]) -> Read<bool> {
    Ok(der_reader::oid(Reader::new(other_name).expect(tag::OID)?.value)? == oids::SMTP_UTF8_MAILBOX)
}

/// RFC 9598 §3: a UTF8String whose local part is not plain ASCII (plain ones belong in rfc822Name) and
/// whose domain is written in A-labels.
fn smtp_utf8_mailbox(value: &[u8]) -> Read<Option<Address>> {
    let mut reader = Reader::new(value);
    let kind = der_reader::oid(reader.expect(tag::OID)?.value)?;
    let explicit = reader.expect(0xa0)?;
    reader.end()?;
    if kind != oids::SMTP_UTF8_MAILBOX {
        return Ok(None);
    }
    let text = der_reader::text(&Reader::only(explicit.value, tag::UTF8_STRING)?)?;
    let address = address(&text)?;
    let as_a_label = text.rsplit_once('@').is_some_and(|(_, domain)| domain.is_ascii());
    if address.needs_smtputf8() && as_a_label { Ok(Some(address)) } else { Err(Malformed) }
}

/// A host name in lower case; a wildcard is one whole first label.
fn dns_name(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii())?.to_ascii_lowercase();
    let host = text.strip_prefix("*.").unwrap_or(&text);
    let single = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (single || Domain::parse(host).is_ok_and(|domain| domain.as_str() == host)).then_some(text)
}

/// One octet, bare or as a nested OCTET STRING. What cannot be read counts as test: refused in production.
fn is_test_category(value: &[u8]) -> bool {
    let inner = Reader::only(value, tag::OCTET_STRING).map_or(value, |element| element.value);
    !matches!(inner, [0x00..=0x7f])
}

/// A string (or bare text); where the card's issuer stands in front, a slash divides them.
fn card_number(value: &[u8]) -> Option<CardNumber> {
    let mut reader = Reader::new(value);
    let text = match reader.next() {
        Ok(element) if reader.is_empty() => match element.tag {
            tag::OCTET_STRING => String::from_utf8(element.value.to_vec()).ok()?,
            _ => der_reader::text(&element).ok()?,
        },
        _ => String::from_utf8(value.to_vec()).ok()?,
    };
    CardNumber::parse(text.rsplit('/').next()?.trim())
}

fn distribution_points(value: &[u8]) -> Read<Vec<DistributionPoint>> {
    let mut reader = Reader::only(value, tag::SEQUENCE)?.inside();
    let mut out = Vec::new();
    while !reader.is_empty() {
        let mut members = reader.expect(tag::SEQUENCE)?.inside();
        let mut point = DistributionPoint::default();
        if let Some(name) = members.optional(0xa0)? {
            point.name = Some(point_name(name.value)?);
        }
        if let Some(reasons) = members.optional(0x81)? {
            point.reasons = Some(der_reader::named_bits(reasons.value)?);
        }
        if let Some(issuers) = members.optional(0xa2)? {
            point.issuers = directory_names(issuers.value)?;
        }
        members.end()?;
        out.push(point);
    }
    if out.is_empty() { Err(Malformed) } else { Ok(out) }
}

/// The addresses of OCSP responders in an AuthorityInfoAccess.
fn responders(value: &[u8]) -> Read<Vec<String>> {
    let mut reader = Reader::only(value, tag::SEQUENCE)?.inside();
    let mut out = Vec::new();
    while !reader.is_empty() {
        let mut members = reader.expect(tag::SEQUENCE)?.inside();
        let method = der_reader::oid(members.expect(tag::OID)?.value)?;
        let place = members.next()?;
        members.end()?;
        if method == "1.3.6.1.5.5.7.48.1" {
            out.extend(uri(&place));
        }
    }
    Ok(out)
}

/// A GeneralName that is an address, as text.
pub(crate) fn uri(name: &Element<'_>) -> Option<String> {
    let text = std::str::from_utf8(name.value).ok()?;
    (name.tag == 0x86 && text.bytes().all(|octet| octet.is_ascii_graphic())).then(|| text.to_owned())
}

impl DistributionPoint {
    /// The addresses among its names: the same list at different places.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let Some(PointName::Full(names)) = &self.name else { return Vec::new() };
        names.iter().filter_map(|name| uri(&Reader::new(name).next().ok()?)).collect()
    }
}

/// Reads the content of a DistributionPointName.
pub(crate) fn point_name(content: &[u8]) -> Read<PointName> {
    let mut reader = Reader::new(content);
    let choice = reader.next()?;
    reader.end()?;
    match choice.tag {
        0xa0 => {
            let mut names = choice.inside();
            let mut out = Vec::new();
            while !names.is_empty() {
                out.push(names.next()?.whole.to_vec());
            }
            if out.is_empty() { Err(Malformed) } else { Ok(PointName::Full(out)) }
        }
        0xa1 => Ok(PointName::Relative(choice.value.to_vec())),
        _ => Err(Malformed),
    }
}

/// The directory names of a GeneralNames content; other kinds are skipped.
pub(crate) fn directory_names(content: &[u8]) -> Read<Vec<Name>> {
    let mut reader = Reader::new(content);
    let mut out = Vec::new();
    while !reader.is_empty() {
        let name = reader.next()?;
        if name.tag == 0xa4 {
            out.push(Name::read(name.value)?);
        }
    }
    Ok(out)
}
