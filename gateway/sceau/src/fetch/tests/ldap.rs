use annuaire::ldap::ber::{Writer, length};

use super::*;

const DN: &str = "cn=AC%20TEST,o=ASIP-SANTE,c=FR?certificateRevocationList;binary";

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Writer::new();
    out.put(tag, &parts.concat());
    out.into_octets()
}

fn message(operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&element(2, &[&[1]]), operation])
}

fn attribute(name: &str, values: &[&[u8]]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| element(4, &[value])).collect();
    element(0x30, &[&element(4, &[name.as_bytes()]), &element(0x31, &[&values])])
}

fn entry(attributes: &[Vec<u8>]) -> Vec<u8> {
    message(&element(0x64, &[&element(4, &[b"cn=AC TEST"]), &element(0x30, &[&attributes.concat()])]))
}

fn crl(value: &[u8]) -> Vec<u8> {
    entry(&[attribute("certificateRevocationList;binary", &[value])])
}

fn done(code: u8) -> Vec<u8> {
    message(&element(0x65, &[&element(0x0a, &[&[code]]), &element(4, &[b""]), &element(4, &[b"no\nsuch"])]))
}

async fn ask(act: Act, limits: Limits) -> Result<Answer, Fault> {
    let server = Server::new(act).await;
    let place = server.place("ldap", DN);
    let outcome = fetch_with(rules(&place), limits, &place, None).await;
    let question = server.seen.lock().unwrap().first().cloned();
    if let Some(question) = question {
        let (length, rest) = length(&question[1..]).unwrap().unwrap();
        assert_eq!(length, rest.len(), "not one whole question");
    }
    match outcome {
        Err(_) => Err(fault_of(&place, outcome)),
        Ok(answer) => Ok(answer),
    }
}

async fn said(parts: &[Vec<u8>]) -> Result<Answer, Fault> {
    ask(Act::SayAndWait(parts.concat()), patient()).await
}

#[tokio::test]
async fn the_attribute_of_an_entry_is_read() {
    let found = said(&[crl(b"list"), done(0)]).await.unwrap();
    assert_eq!(found, Answer::New { octets: b"list".to_vec(), tags: Tags::default() });
    // Other attributes do not matter, nor how the name is spelt.
    let other = [attribute("cn", &[b"AC TEST"]), attribute("CertificateRevocationList", &[b"list"])];
    assert!(said(&[entry(&other), done(0)]).await.is_ok());
}

#[tokio::test]
async fn refusals_are_told() {
    let refused = said(&[done(32)]).await.unwrap_err();
    assert_eq!(refused.to_string(), "the directory answers with result 32: no?such");
    assert!(matches!(said(&[done(0)]).await, Err(Fault::NoAttribute)));
    assert!(matches!(said(&[entry(&[attribute("cn", &[b"x"])]), done(0)]).await, Err(Fault::NoAttribute)));
}

#[tokio::test]
async fn lies_end_bounded() {
    let fault = |parts: Vec<Vec<u8>>| async move { said(&parts).await.unwrap_err() };
    // Four gigabytes, says the length.
    assert!(matches!(fault(vec![vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]]).await, Fault::TooLarge(MOST)));
    assert!(matches!(fault(vec![vec![0x30, 0x88, 1, 1, 1, 1, 1, 1, 1, 1]]).await, Fault::Protocol(_)));
    assert!(matches!(fault(vec![vec![0x30, 0x80]]).await, Fault::Protocol(_)));
    assert!(matches!(fault(vec![b"HTTP/1.1 400 Bad Request\r\n".to_vec()]).await, Fault::Protocol(_)));
    assert!(matches!(fault(vec![crl(&[0; 2 * MOST]), done(0)]).await, Fault::TooLarge(MOST)));
    // The inside promises more than the outside has.
    assert!(matches!(fault(vec![vec![0x30, 3, 2, 0x7f, 1]]).await, Fault::Protocol(_)));
    assert!(matches!(fault(vec![crl(b"a"), crl(b"b"), done(0)]).await, Fault::Protocol(_)));
    let two = entry(&[attribute("certificateRevocationList", &[b"a", b"b"])]);
    assert!(matches!(fault(vec![two, done(0)]).await, Fault::Protocol(_)));
    // A million constructed elements inside each other: read without recursion.
    assert!(fault(vec![message(&[0x30; 60_000])]).await.code() == "protocol");
}

#[tokio::test]
async fn endless_entries_end() {
    let many = ask(Act::Endless(Vec::new(), entry(&[attribute("cn", &[b"x"])])), patient()).await;
    assert!(many.is_err());
    let searched = ask(Act::Endless(Vec::new(), crl(b"list")), patient()).await;
    assert!(matches!(searched, Err(Fault::Protocol(_))));
}

#[tokio::test]
async fn referrals_are_not_followed() {
    assert!(matches!(said(&[done(10)]).await, Err(Fault::Referral)));
    let reference = message(&element(0x73, &[&element(4, &[b"ldap://evil.test/cn=x"])]));
    assert!(matches!(said(&[reference, done(0)]).await, Err(Fault::Referral)));
}

#[tokio::test]
async fn slow_and_cut_answers_end() {
    let short = Duration::from_millis(100);
    let silent = ask(Act::SayAndWait(Vec::new()), Limits { first_octet: short, ..patient() }).await;
    assert!(matches!(silent, Err(Fault::Timeout(Wait::FirstOctet))));
    let half = crl(&[0; 1000]).split_at(500).0.to_vec();
    let stuck = ask(Act::SayAndWait(half.clone()), Limits { total: short, ..patient() }).await;
    assert!(matches!(stuck, Err(Fault::Timeout(Wait::Whole))));
    assert!(matches!(ask(Act::Say(half), patient()).await, Err(Fault::Truncated)));
    assert!(matches!(ask(Act::Say(crl(b"list")), patient()).await, Err(Fault::Truncated)));
}
