//! The face as the listener knows it: what was refused before it was asked becomes an OperationOutcome, too.

use http::request::Parts;

use super::{
    Answered, Fhir,
    outcome::{Problem, outcome},
};
use crate::face::{Context, Face, Operator, Refused, Request, Response};

impl Face for Fhir {
    fn answer(&self, request: &Request, context: &Context<'_>) -> Response {
        Self::answer(self, request, context)
    }

    fn refuse(&self, refused: Refused, request: &Parts, _operator: Operator<'_>) -> Response {
        let text = refused.text();
        let problem = Problem::with(refused.status(), code(refused), text.fr, text.en);
        let resource = outcome(std::slice::from_ref(&problem.issue));
        let head = request.method == http::Method::HEAD;
        Answered::resource(problem.status, resource).written(&request.headers, head, false)
    }
}

/// The code of the value set issue-type.
const fn code(refused: Refused) -> &'static str {
    match refused {
        Refused::TooMany { .. } => "throttled",
        Refused::NoData | Refused::Busy => "transient",
        Refused::TooLarge => "too-long",
        Refused::TooSlow => "timeout",
        Refused::NotKnown => "forbidden",
        Refused::Failed => "exception",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::Settings;

    #[test]
    fn every_refusal_of_the_listener_is_an_operation_outcome() {
        let fhir = Fhir::new(Settings::default());
        let operator = Operator { name: "CH EXEMPLE-TEST", help: "dsi@ch-exemple.test" };
        let (parts, _) = http::Request::get("/Practitioner").body(()).unwrap().into_parts();
        for refused in Refused::ALL {
            let response = fhir.refuse(refused, &parts, operator);
            assert_eq!(response.status(), refused.status());
            let outcome: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(outcome["resourceType"], "OperationOutcome");
            let issue = &outcome["issue"][0];
            assert_eq!((&issue["severity"], &issue["code"]), (&"error".into(), &code(refused).into()));
            assert_eq!(issue["details"]["text"], refused.text().fr.as_str());
            assert_eq!(issue["diagnostics"], refused.text().en.as_str());
        }
    }
}
