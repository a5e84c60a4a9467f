use super::*;

fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let mut octets = format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes();
    octets.extend_from_slice(body);
    octets
}

async fn fault(act: Act, limits: Limits) -> Fault {
    let server = Server::new(act).await;
    let place = server.place("http", "a.crl");
    fault_of(&place, fetch_with(rules(&place), limits, &place, None).await)
}

async fn said(fields: &str, body: &[u8]) -> Fault {
    fault(Act::Say(answer(fields, body)), patient()).await
}

#[tokio::test]
async fn an_answer_comes_with_its_tags_and_is_asked_for_again_conditionally() {
    let fields = "Content-Length: 3\r\nContent-Type: application/pkix-crl\r\nETag: \"v1\"\r\nSet-Cookie: a=b\r\n\
                  Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n";
    let server = Server::new(Act::Say(answer(fields, b"abc"))).await;
    let place = server.place("http", "a.crl?x=1");
    let Answer::New { octets, tags } = fetch_with(rules(&place), patient(), &place, None).await.unwrap() else {
        panic!("nothing new")
    };
    assert_eq!(octets, b"abc");
    assert_eq!(tags.etag.as_deref(), Some("\"v1\""));

    let unchanged = Server::new(Act::Say(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec())).await;
    let place = unchanged.place("http", "a.crl");
    assert_eq!(fetch_with(rules(&place), patient(), &place, Some(&tags)).await.unwrap(), Answer::Unchanged);
    let question = unchanged.questions().remove(0).to_lowercase();
    assert!(question.contains("if-none-match: \"v1\"") && question.contains("if-modified-since: sat, 21 nov 2026"));
    assert!(question.contains("accept-encoding: identity") && !question.contains("cookie"), "{question}");
    let first = server.questions().remove(0);
    assert!(first.starts_with("GET /a.crl?x=1 HTTP/1.1\r\n") && !first.contains("if-none-match"), "{first}");
    assert!(first.contains(&format!("host: {HOST}:{}", server.address.port())), "{first}");
}

#[tokio::test]
async fn a_question_is_posted() {
    let server = Server::new(Act::Say(answer("Content-Type: application/ocsp-response\r\n", b"no"))).await;
    let place = server.place("http", "ocsp");
    let fetcher = Fetcher::new(rules(&place), patient(), Arc::new(Lines::new().unwrap()));
    let request =
        Request { place: &place, kind: Kind::OcspAnswer, most: MOST, held: None, question: Some(b"question") };
    let Answer::New { octets, .. } = fetcher.fetch(&request, &Nobody).await.unwrap() else { panic!("nothing new") };
    assert_eq!(octets, b"no");
    let asked = server.questions().remove(0);
    assert!(asked.starts_with("POST /ocsp HTTP/1.1\r\n") && asked.ends_with("\r\n\r\nquestion"), "{asked}");
    assert!(asked.contains("content-type: application/ocsp-request"), "{asked}");
}

/// An answer that does not end, ends when the limit is reached.
#[tokio::test]
async fn an_endless_body_is_cut_at_its_limit() {
    let octets = vec![b'x'; 4096];
    let until_close = Act::Endless(answer("", b""), octets.clone());
    assert!(matches!(fault(until_close, patient()).await, Fault::TooLarge(MOST)));
    let mut chunk = b"1000\r\n".to_vec();
    chunk.extend_from_slice(&octets);
    chunk.extend_from_slice(b"\r\n");
    let chunked = Act::Endless(answer("Transfer-Encoding: chunked\r\n", b""), chunk);
    assert!(matches!(fault(chunked, patient()).await, Fault::TooLarge(MOST)));
    // What announces too much is not even read.
    let announced = Act::SayAndWait(answer("Content-Length: 9999999999\r\n", b""));
    assert!(matches!(fault(announced, patient()).await, Fault::TooLarge(MOST)));
}

#[tokio::test]
async fn slow_servers_meet_their_deadlines() {
    let short = Duration::from_millis(100);
    let silent = Act::SayAndWait(Vec::new());
    let limits = Limits { first_octet: short, ..patient() };
    assert!(matches!(fault(silent, limits).await, Fault::Timeout(Wait::FirstOctet)));
    let half_a_header = Act::SayAndWait(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec());
    assert!(matches!(fault(half_a_header, limits).await, Fault::Timeout(Wait::FirstOctet)));
    let half_a_body = Act::SayAndWait(answer("Content-Length: 100\r\n", b"some"));
    let limits = Limits { total: short, ..patient() };
    assert!(matches!(fault(half_a_body, limits).await, Fault::Timeout(Wait::Whole)));
}

#[tokio::test]
async fn an_endless_header_is_refused() {
    let fields = Act::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-A: b\r\n".to_vec());
    assert_eq!(fault(fields, patient()).await.code(), "protocol");
    let line = Act::Endless(b"HTTP/1.1 200 OK\r\nX-A: ".to_vec(), vec![b'x'; 1000]);
    assert_eq!(fault(line, patient()).await.code(), "protocol");
    let nonsense = Act::Say(b"220 smtp.exemple.test ESMTP\r\n".to_vec());
    assert_eq!(fault(nonsense, patient()).await.code(), "protocol");
}

#[tokio::test]
async fn what_stops_in_the_middle_is_nothing() {
    assert!(matches!(said("Content-Length: 100\r\n", b"half").await, Fault::Truncated));
    assert!(matches!(said("Transfer-Encoding: chunked\r\n", b"4\r\nhalf\r\n").await, Fault::Truncated));
    assert!(matches!(fault(Act::Say(Vec::new()), patient()).await, Fault::Truncated));
}

#[tokio::test]
async fn an_error_page_is_not_a_list() {
    assert!(
        matches!(said("Content-Type: text/html; charset=utf-8\r\n", b"<p>").await, Fault::Type(media) if media == "text/html")
    );
    assert!(matches!(fault(Act::Say(b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec()), patient()).await, Fault::Status(404)));
    // Unchanged, says somebody whom we had not told what we hold.
    let unasked = Act::Say(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec());
    assert!(matches!(fault(unasked, patient()).await, Fault::Status(304)));
}

/// Ten megabytes of zeros in ten kilobytes: nobody asked for compression, and nobody unpacks it.
#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let bomb = "Content-Encoding: gzip\r\nContent-Type: application/pkix-crl\r\n";
    assert!(matches!(said(bomb, b"\x1f\x8b").await, Fault::Encoded(how) if how == "gzip"));
}

fn redirect(to: &str) -> Act {
    Act::Say(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n").into_bytes())
}

#[tokio::test]
async fn redirects_end_and_stay_inside() {
    let server = Server::with(|_| redirect("/again")).await;
    let place = server.place("http", "a.crl");
    let outcome = fetch_with(rules(&place), patient(), &place, None).await;
    assert!(matches!(fault_of(&place, outcome), Fault::Redirects(3)));
    assert_eq!(server.questions().len(), 4);

    let to = |target: &'static str| fault(redirect(target), patient());
    assert!(matches!(to("http://evil.test/a.crl").await, Fault::SiteNotAllowed(site) if site == "evil.test:80"));
    assert!(matches!(to("http://169.254.169.254/latest").await, Fault::SiteNotAllowed(_)));
    assert!(matches!(to("//igc.exemple.test:22/").await, Fault::SiteNotAllowed(_)));
    assert!(matches!(to("file:///etc/passwd").await, Fault::Redirect(..)));
    assert!(matches!(to("ldap://igc.exemple.test/cn=x").await, Fault::Redirect(..)));
    let secure = Place::parse("https://igc.exemple.test/a").unwrap();
    let plain = rules(&secure).redirect(&secure, "http://igc.exemple.test/a").unwrap_err();
    assert!(matches!(plain, Fault::Redirect(_, "it is not encrypted")));
}

#[tokio::test]
async fn a_redirect_to_an_allowed_place_is_followed() {
    let target = Server::new(Act::Say(answer("", b"here"))).await;
    let goal = target.place("http", "b.crl");
    let first = Server::new(redirect(goal.as_str())).await;
    let place = first.place("http", "a.crl");
    let outcome = fetch_with(rules(&place).place(&goal), patient(), &place, None).await.unwrap();
    assert!(matches!(outcome, Answer::New { octets, .. } if octets == b"here"));
}

/// A name that somebody else answers for must not lead us to ourselves or to our neighbours.
#[tokio::test]
async fn names_do_not_lead_inside() {
    let server = Server::new(Act::Say(answer("", b"secret"))).await;
    for host in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let place = Place::parse(&format!("http://{host}:{}/", server.address.port())).unwrap();
        let outcome = fetch_with(Rules::new().place(&place), patient(), &place, None).await;
        assert!(matches!(fault_of(&place, outcome), Fault::PrivateAddress(_)), "{host}");
    }
    let place = server.place("http", "a.crl");
    let outcome = fetch_with(Rules::new(), patient(), &place, None).await;
    assert!(matches!(fault_of(&place, outcome), Fault::SiteNotAllowed(_)));
    assert!(server.questions().is_empty(), "somebody was asked");
}

#[tokio::test]
async fn an_https_server_must_be_who_it_says() {
    // Not TLS at all.
    let server = Server::new(Act::Say(answer("", b"abc"))).await;
    let place = server.place("https", "liste.xml");
    assert_eq!(fault_of(&place, fetch_with(rules(&place), patient(), &place, None).await).code(), "tls");
}
