//! What went wrong, as an OperationOutcome: in French and in English, naming the parameter, saying what to do.

use http::StatusCode;
use ident::Bilingual;
use serde_json::{Value, json};

/// One remark about an answer, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issue {
    /// `error`, `warning` or `information`.
    pub(super) severity: &'static str,
    /// Code of the value set issue-type.
    pub(super) code: &'static str,
    /// The sentence.
    pub(super) text: Bilingual,
    /// The parameter that it is about.
    pub(super) parameter: Option<String>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// HTTP status.
    pub(super) status: StatusCode,
    /// What to say.
    pub(super) issue: Issue,
}

impl Issue {
    /// Something that the asker should know beside the answer.
    pub(super) fn warning(code: &'static str, fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self { severity: "warning", code, text: Bilingual::new(fr, en), parameter: None }
    }

    /// A remark that changes nothing.
    pub(super) fn information(code: &'static str, fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self { severity: "information", ..Self::warning(code, fr, en) }
    }

    fn value(&self) -> Value {
        let translation = json!([{
            "url": "http://hl7.org/fhir/StructureDefinition/translation",
            "extension": [
                {"url": "lang", "valueCode": "en"},
                {"url": "content", "valueString": self.text.en},
            ],
        }]);
        let mut issue = json!({
            "severity": self.severity,
            "code": self.code,
            "details": {"text": self.text.fr, "_text": {"extension": translation}},
            "diagnostics": self.text.en,
        });
        if let (Some(parameter), Some(fields)) = (&self.parameter, issue.as_object_mut()) {
            fields.insert("expression".into(), json!([format!("http.{parameter}")]));
        }
        issue
    }
}

impl Problem {
    /// The request is wrong.
    pub(super) fn bad(code: &'static str, fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self::with(StatusCode::BAD_REQUEST, code, fr, en)
    }

    /// With another status.
    pub(super) fn with(status: StatusCode, code: &'static str, fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self { status, issue: Issue { severity: "error", ..Issue::warning(code, fr, en) } }
    }

    /// About this parameter.
    pub(super) fn about(mut self, parameter: &str) -> Self {
        self.issue.parameter = Some(shown(parameter));
        self
    }
}

/// The resource that carries these remarks.
pub(super) fn outcome(issues: &[Issue]) -> Value {
    json!({"resourceType": "OperationOutcome", "issue": issues.iter().map(Issue::value).collect::<Vec<_>>()})
}

/// What somebody sent, short enough to be sent back.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
    if short.chars().count() < text.chars().count() {
        short.push('…');
    }
    short
}
