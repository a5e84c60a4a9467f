//! Requests to the FHIR face: one for each parameter, modifier, chain and way of asking.

// JSON that is asked for what it has not says null; what is counted is counted in tens.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use http::Request;

use crate::targets::fhir::{BASE, answer};

/// Questions, each with its name.
const ASKED: &[(&str, &str)] = &[
    ("family", "GET /Practitioner?family=lefevre&given:exact=B%C3%A9n%C3%A9dicte&_count=5"),
    ("contains", "GET /Practitioner?name:contains=fevr,mart&_total=accurate"),
    ("similar", "GET /Practitioner?phonetic=lefaivre&name:text=lefebvre"),
    ("content", "GET /Practitioner?_content=dr+lefevre+cardio+nord"),
    ("content-gone", "GET /Organization?_content=zwickyz@nulle-part.test"),
    ("exact", "GET /Practitioner?name:exact=B%C3%A9n%C3%A9dicte+LEF%C3%88VRE-TEST"),
    ("active", "GET /Practitioner?active=true&_summary=count"),
    ("inactive", "GET /Organization?active=false"),
    ("missing", "GET /Practitioner?mailbox-mss:missing=true&number-smartcard:missing=false&_count=5"),
    ("missing-code", "GET /PractitionerRole?specialty:missing=true&data-registration-authority:missing=false"),
    ("missing-place", "GET /Organization?partof:missing=false&name:missing=false&identifier:missing=false"),
    ("not", "GET /PractitionerRole?role:not=10,21&_count=5"),
    ("identifier", "GET /Practitioner?identifier=8+997+0000+0201,https://rpps.esante.gouv.fr|99700000203"),
    ("identifier-system", "GET /Practitioner?identifier=urn:oid:1.2.250.1.71.4.2.1|&_count=5"),
    ("identifier-type", "GET /Organization?identifier-type=FINEG,SIRET,INTRN,IDNST,SIREN,x"),
    ("identifier-of-type", "GET /Practitioner?identifier:of-type=x|RPPS|99700000201"),
    ("identifier-types", "GET /Practitioner?identifier-type=RPPS,0,3"),
    ("structure", "GET /Organization?identifier=990000101,https://finess.esante.gouv.fr|995000000"),
    ("structure-system", "GET /Organization?identifier=https://sirene.fr|"),
    ("mailbox", "GET /Practitioner?mailbox-mss=benedicte.lefevre&mailbox-mss-type=PER"),
    ("mailbox-exact", "GET /Organization?mailbox-mss:exact=urgences@chu-nord.test"),
    ("mailbox-contains", "GET /Organization?mailbox-mss:contains=%40chu-nord&mailbox-mss-type=TRE_R257-TypeBAL|ORG"),
    ("mailbox-sign", "GET /Practitioner?mailbox-mss:contains=%40&_count=5"),
    ("mailbox-any", "GET /HealthcareService?mailbox-mss-type=MSSANTE"),
    ("mailbox-type-wrong", "GET /Practitioner?mailbox-mss-type=FAX"),
    ("qualification", "GET /Practitioner?qualification-code=10,SM04&specialty=SM04"),
    ("qualification-system", "GET /Practitioner?qualification-code=TRE_G15-ProfessionSante|10&specialty:text=cardio"),
    ("qualification-text", "GET /Practitioner?qualification-code:text=medecin"),
    ("qualification-odd", "GET /Practitioner?qualification-code=DE28&qualification-code:not=XX99"),
    ("role", "GET /PractitionerRole?role=10&specialty=SM04&organization.address-city=saint+etienne&_include=*"),
    ("role-mode", "GET /PractitionerRole?role=TRE_R23-ModeExercice|S&role:text=medecin"),
    ("role-parameters", "GET /PractitionerRole?active=true&identifier=99700000201&mailbox-mss=b&location=x"),
    ("chain", "GET /PractitionerRole?practitioner.family=lefevre&organization:Organization.name=chu+nord"),
    ("chain-typed", "GET /PractitionerRole?organization.type=SA01&organization.identifier=990000101"),
    ("chain-twice", "GET /PractitionerRole?organization.partof.name=chu"),
    ("chain-services", "GET /HealthcareService?organization.address-postalcode=42&name=cardio"),
    ("chain-sites", "GET /Organization?partof.name:contains=nord"),
    ("chain-deep", "GET /PractitionerRole?organization.partof.partof.partof.name=x"),
    ("reference", "GET /PractitionerRole?organization=Organization/001-1990000101&practitioner=003-899700000201"),
    ("reference-identifier", "GET /PractitionerRole?practitioner:identifier=99700000201"),
    ("reference-place", "GET /HealthcareService?organization:identifier=990000101"),
    ("reference-wrong", "GET /PractitionerRole?organization=Practitioner/003-1"),
    ("partof", "GET /Organization?partof=990000001&partof:identifier=990000001"),
    ("has", "GET /Practitioner?_has:PractitionerRole:practitioner:role=10&_count=5"),
    ("has-not", "GET /Practitioner?_has:PractitionerRole:practitioner:specialty:not=SM04"),
    ("has-places", "GET /Organization?_has:PractitionerRole:organization:practitioner.family=lefevre"),
    ("has-services", "GET /Organization?_has:HealthcareService:organization:name=cardio"),
    ("has-sites", "GET /Organization?_has:Organization:partof:_id=001-1990000101"),
    ("has-wrong", "GET /Practitioner?_has:Patient:x:name=a"),
    (
        "has-many",
        "GET /Practitioner?_has:PractitionerRole:practitioner:role=10&_has:PractitionerRole:practitioner:role=10&_has:PractitionerRole:practitioner:role=10&_has:PractitionerRole:practitioner:role=10&_has:PractitionerRole:practitioner:role=10",
    ),
    ("id", "GET /Practitioner?_id=003-899700000201,003-8..0123456789abcdef"),
    ("id-digest", "GET /HealthcareService?_id=004-0123456789012345678901234567890..0123456789abcdef"),
    ("updated", "GET /Practitioner?_lastUpdated=ge2027-01-15&_count=5"),
    (
        "updated-many",
        "GET /PractitionerRole?_lastUpdated=gt2026,lt2028-01,ap2027-01-15,eq2027-01-15T08:00Z,ne2027,le2027,sa2027",
    ),
    ("updated-wrong", "GET /Organization?_lastUpdated=hier"),
    ("updated-services", "GET /HealthcareService?_lastUpdated=gt2027-01-14T07:59:59%2B01:00"),
    ("updated-missing", "GET /Practitioner?_lastUpdated:missing=false&_sort=-_lastUpdated&_count=5"),
    ("modifier-none", "GET /Practitioner?_content:text=a"),
    ("modifier-type", "GET /PractitionerRole?organization:Organization=001-1990000101"),
    ("service-contains", "GET /HealthcareService?name:contains=ardio&_count=5"),
    ("service-exact", "GET /HealthcareService?name:exact=Cardiologie"),
    ("hidden-wrong", "GET /Practitioner?_page=q.AAAA"),
    ("hidden-more", "GET /Practitioner?_page=q.AAAA&family=a"),
    ("updated-places", "GET /Organization?_lastUpdated=gt2027-01-14"),
    ("card", "GET /Practitioner?number-smartcard=8000000001&type-smartcard=CPS"),
    ("authority", "GET /Practitioner?data-registration-authority=CNOM&_profile=x"),
    (
        "profile",
        "GET /Practitioner?_profile=https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-practitioner&_count=5",
    ),
    ("town", "GET /Organization?address-insee=42218&address=rue&address-state=42&address-line:contains=albert"),
    ("type", "GET /Organization?type=SA01,GEOGRAPHICAL-ENTITY&type:text=public"),
    ("unheld", "GET /HealthcareService?characteristic=x&service-type:missing=true"),
    ("device", "GET /Device?organization=x"),
    ("sort", "GET /Practitioner?_sort=family,-given,name,_id&_count=5"),
    ("sort-updated", "GET /Organization?_sort=-_lastUpdated,address-city,address-postalcode,name&_count=3"),
    ("sort-services", "GET /HealthcareService?_sort=name"),
    ("sort-wrong", "GET /PractitionerRole?_sort=family"),
    ("elements", "GET /Practitioner?_elements=name,Practitioner.telecom&_count=3&_pretty=true"),
    ("summary", "GET /Organization?_summary=true&_count=3"),
    ("summary-text", "GET /Organization?_summary=text&_count=3&_total=none"),
    ("summary-wrong", "GET /Organization?_summary=no"),
    (
        "include",
        "GET /PractitionerRole?_include=PractitionerRole:practitioner&_include=PractitionerRole:organization:Organization&_count=5",
    ),
    (
        "iterate",
        "GET /PractitionerRole?_include:iterate=Organization:partof&_include=PractitionerRole:organization&_count=5",
    ),
    ("reverse", "GET /Organization?_revinclude=*&_include=*&_count=5"),
    ("reverse-people", "GET /Practitioner?_revinclude=PractitionerRole:practitioner&_count=5"),
    ("include-wrong", "GET /Practitioner?_include=Patient:x"),
    ("count", "GET /Practitioner?_count=0&_total=accurate"),
    ("count-wrong", "GET /Practitioner?_count=-1"),
    ("total-wrong", "GET /Practitioner?_total=all"),
    (
        "costly",
        "GET /PractitionerRole?organization.type=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,1,2,3,4,5,6,7,8,9,0&organization._lastUpdated=gt2026,gt2026,gt2026,gt2026,gt2026,gt2026,gt2026,gt2026,gt2026,gt2026,gt2026,gt2026",
    ),
    (
        "atoms",
        "GET /PractitionerRole?role:not=1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0&role:not=1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0",
    ),
    (
        "judged",
        "GET /PractitionerRole?role:not=1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0&role:not=1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9&_count=500",
    ),
    ("scans", "GET /Practitioner?name:contains=a,b,c,d,e,f,g,h,i,j,k,l,m"),
    ("unknown", "GET /Practitioner?colour=red"),
    ("lenient", "GET /Practitioner?colour=red&family=lefevre\nprefer: handling=lenient"),
    ("modifier", "GET /Practitioner?family:near=x"),
    ("empty", "GET /Practitioner?family=&given=a"),
    ("escaped", "GET /Organization?name=chu%5C,nord%5C%7Cx%5C"),
    ("broken", "GET /Organization?name=%zz"),
    ("not-utf8", "GET /Organization?name=%FF"),
    ("control", "GET /Organization?name=a%00"),
    (
        "form",
        "POST /Practitioner/_search?_count=5\ncontent-type: application/x-www-form-urlencoded\n\nfamily=lefevre&_elements=name",
    ),
    ("form-wrong", "POST /Practitioner/_search\ncontent-type: text/plain\n\nfamily=lefevre"),
    ("form-empty", "POST /Practitioner/_search\n\n"),
    ("xml", "GET /Practitioner?_format=xml"),
    ("format", "GET /Practitioner?_format=application%2Ffhir%2Bjson&family=lefevre"),
    ("accept", "GET /Practitioner\naccept: text/html, application/xml;q=0.9"),
    ("head", "HEAD /Practitioner/003-899700000201"),
    ("read", "GET /Practitioner/003-899700000201?_elements=name"),
    ("read-role", "GET /PractitionerRole/005-899700000201-0123456789"),
    ("read-place", "GET /Organization/001-1990000101?_summary=true"),
    ("read-known", "GET /Organization/001-1990000101\nif-none-match: *"),
    ("read-nobody", "GET /Practitioner/003-899799999999"),
    ("read-other", "GET /Patient/1"),
    ("version", "GET /Practitioner/003-899700000201/_history/0123456789abcdef"),
    ("history", "GET /_history?_count=5"),
    ("history-since", "GET /Practitioner/_history?_since=2027-01-14T07:00:00Z&_count=3&_format=json"),
    ("history-early", "GET /_history?_since=2020"),
    ("history-wrong", "GET /_history?_since=hier"),
    ("history-unknown", "GET /_history?_sort=x"),
    ("history-count", "GET /_history?_count=x"),
    ("history-services", "GET /HealthcareService/_history"),
    ("history-roles", "GET /PractitionerRole/_history"),
    ("history-one", "GET /Practitioner/003-899700000202/_history"),
    ("history-place", "GET /Organization/001-1990000101/_history"),
    ("history-none", "GET /Practitioner/003-1/_history"),
    ("history-page", "GET /_history?_page=x"),
    ("export", "GET /$export?_type=Practitioner,Organization&_since=2027-01-14&_outputFormat=ndjson"),
    ("export-one", "GET /Organization/$export"),
    ("export-wrong", "GET /$export?_type=Patient"),
    ("export-since", "GET /$export?_since=hier"),
    ("export-lenient", "GET /$export?_colour=red\nprefer: handling=lenient"),
    ("export-status", "GET /$export-status?job=x"),
    ("export-unknown", "GET /$export?colour=red"),
    ("metadata", "GET /metadata"),
    ("tight", "GET /Practitioner?name:contains=a,e,i,o,u&_sort=name\nx-face: tight"),
    ("tight-not", "GET /PractitionerRole?role:not=21,22,23&organization.name=chu\nx-face: tight"),
    ("tight-all", "GET /Organization?_sort=name&_total=accurate\nx-face: tight"),
    ("tight-history", "GET /_history\nx-face: tight"),
    ("tight-one", "GET /Practitioner/003-899700000202/_history\nx-face: tight"),
    ("tight-include", "GET /PractitionerRole?_include=*&_count=20\nx-face: tight"),
    ("ahead", "GET /Practitioner?family=lefevre&_count=5\nx-face: ahead"),
    ("ahead-read", "GET /Organization/001-1990000101\nx-face: ahead"),
    ("ahead-history", "GET /_history\nx-face: ahead"),
    ("ahead-one", "GET /Practitioner/003-899700000201/_history\nx-face: ahead"),
    ("ahead-updated", "GET /Practitioner?_lastUpdated=gt2027-01-14\nx-face: ahead"),
    ("ahead-version", "GET /Practitioner/003-899700000201/_history/0123456789abcdef\nx-face: ahead"),
    ("nowhere", "GET /a/b/c/d/e"),
    ("delete", "DELETE /Practitioner/003-1"),
    ("patch", "PATCH /Practitioner/003-899700000201\ncontent-type: application/fhir+json\n\n{}"),
    ("patch-found", "PATCH /Practitioner?identifier=1\n\n{}"),
];

/// The seeds, and those that begin with what this server wrote itself: a page, a file of an export, a version.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&'static str, Vec<u8>)> =
        ASKED.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect();
    let own = |link: &str| format!("GET {}", link.strip_prefix(BASE).unwrap_or(link)).into_bytes();
    let read =
        |path: &str| -> serde_json::Value { serde_json::from_slice(answer(&get(path)).body()).unwrap_or_default() };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    for (name, path) in [
        ("page", "/Practitioner?_count=5"),
        ("page-judged", "/PractitionerRole?role:not=21&_count=5"),
        ("page-history", "/_history?_count=1"),
    ] {
        all.push((name, own(&text(&read(path)["link"][1]["url"]))));
    }
    let posted = Request::post("/Practitioner/_search").header("content-type", "application/x-www-form-urlencoded");
    let posted = posted.body(b"active=true&_count=3".to_vec()).unwrap_or_default();
    let posted: serde_json::Value = serde_json::from_slice(answer(&posted).body()).unwrap_or_default();
    all.push(("form-page", own(&text(&posted["link"][1]["url"]))));
    for (name, text) in [
        ("parameters", format!("GET /Organization?{}", "active=true&".repeat(70))),
        ("values", format!("GET /Organization?name={}", "a,".repeat(101))),
        ("value-long", format!("GET /Organization?name={}", "a".repeat(4100))),
        ("name-long", format!("GET /Organization?{}=a", "a".repeat(130))),
        ("spent", format!("GET /PractitionerRole?role:not={}&_summary=count", "1,".repeat(98))),
        ("spent-text", format!("GET /Practitioner?qualification-code:not={}&_sort=name", "zz,".repeat(98))),
        (
            "form-long",
            format!(
                "POST /Practitioner/_search\ncontent-type: application/x-www-form-urlencoded\n\nactive=true&_count=2&family:not-there=a&name={}",
                "e".repeat(200)
            ),
        ),
        (
            "form-pages",
            "POST /Practitioner/_search\ncontent-type: application/x-www-form-urlencoded\n\nactive=true&_count=2"
                .to_owned(),
        ),
    ] {
        all.push((name, text.into_bytes()));
    }
    let page = text(&read("/Practitioner?_count=5")["link"][1]["url"]).replace("/Practitioner?", "/Organization?");
    all.push(("page-of-another", own(&page)));
    let start = answer(&get("/$export?_since=2020"));
    let status = start.headers()["content-location"].to_str().unwrap_or_default().to_owned();
    let files = read(status.strip_prefix(BASE).unwrap_or_default());
    all.push(("export-list", own(&status)));
    for (name, n) in [("export-people", 0), ("export-roles", 1), ("export-places", 2), ("export-services", 3)] {
        all.push((name, own(&text(&files["output"][n]["url"]))));
    }
    let version = text(&read("/Organization/001-1990000101")["meta"]["versionId"]);
    all.push(("version-known", own(&format!("/Organization/001-1990000101/_history/{version}"))));
    let role = text(&read("/PractitionerRole?_count=1")["entry"][0]["resource"]["id"]);
    all.push(("role-known", own(&format!("/PractitionerRole/{role}"))));
    all.push(("role-found", own(&format!("/PractitionerRole?_id={role}"))));
    all
}

fn get(path: &str) -> Request<Vec<u8>> {
    Request::builder().uri(path).body(Vec::new()).unwrap_or_default()
}
