//! What the cast writes: an ordinary mail with a PDF attached, as practice software would compose it.

use std::time::{Duration, SystemTime};

use ident::{Address, Timestamp};
use lettre::{
    Message,
    message::{
        Attachment, Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType},
    },
};
use thiserror::Error;

/// Why a letter could not be composed.
#[derive(Debug, Error)]
#[error("the letter could not be composed: {0}")]
pub struct LetterError(String);

/// One letter.
#[derive(Debug, Clone)]
pub struct Letter<'a> {
    /// Name and address in From.
    pub from: (&'a str, &'a Address),
    /// Address in Sender, when somebody writes for somebody else.
    pub sender: Option<&'a Address>,
    /// To.
    pub to: &'a [Address],
    /// Subject.
    pub subject: &'a str,
    /// Text.
    pub text: &'a str,
    /// Lines of the attached report; none: no attachment.
    pub report: &'a [&'a str],
    /// Message-ID without angle brackets.
    pub id: &'a str,
    /// Date.
    pub at: Timestamp,
}

impl Letter<'_> {
    /// Composes it.
    ///
    /// # Errors
    /// [`LetterError`] when an address or a header cannot be written.
    pub fn compose(&self) -> Result<Message, LetterError> {
        let (name, from) = self.from;
        let date = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(u64::try_from(self.at.seconds()).unwrap_or_default()))
            .ok_or_else(|| LetterError("the date is out of range".to_owned()))?;
        let mut builder = Message::builder()
            .from(Mailbox::new(Some(name.to_owned()), address(from)?))
            .subject(self.subject)
            .message_id(Some(format!("<{}>", self.id)))
            .date(date);
        if let Some(sender) = self.sender {
            builder = builder.sender(Mailbox::new(None, address(sender)?));
        }
        for to in self.to {
            builder = builder.to(Mailbox::new(None, address(to)?));
        }
        let text = SinglePart::plain(self.text.replace('\n', "\r\n"));
        let composed = if self.report.is_empty() {
            builder.singlepart(text)
        } else {
            let kind = ContentType::parse("application/pdf").map_err(|e| LetterError(e.to_string()))?;
            // A PDF may be nothing but ASCII; practice software sends it as base64 all the same.
            let content = Body::new_with_encoding(pdf(self.report), ContentTransferEncoding::Base64)
                .map_err(|_| LetterError("the report cannot be encoded".to_owned()))?;
            let report = Attachment::new("compte-rendu.pdf".to_owned()).body(content, kind);
            builder.multipart(MultiPart::mixed().singlepart(text).singlepart(report))
        };
        composed.map_err(|e| LetterError(e.to_string()))
    }
}

fn address(address: &Address) -> Result<lettre::Address, LetterError> {
    address.to_string().parse().map_err(|e| LetterError(format!("{address}: {e}")))
}

/// A PDF of one page with these lines in Helvetica: five objects and their table (ISO 32000-1 §7.5).
pub fn pdf(lines: &[&str]) -> Vec<u8> {
    let mut page = String::from("BT /F1 12 Tf 16 TL 60 780 Td\n");
    for line in lines {
        page += "(";
        page.extend(line.chars().filter(|c| !c.is_control()).map(|c| match c {
            '(' | ')' | '\\' => format!("\\{c}"),
            c if c.is_ascii() => c.to_string(),
            // WinAnsiEncoding agrees with Latin-1 on all French letters but œ.
            c => u8::try_from(u32::from(c)).map_or_else(|_| "?".to_owned(), |octet| format!("\\{octet:03o}")),
        }));
        page += ") Tj T*\n";
    }
    page += "ET";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut table = String::from("0000000000 65535 f \n");
    for (object, number) in objects.iter().zip(1u32..) {
        table += &format!("{:010} 00000 n \n", out.len());
        out += &format!("{number} 0 obj\n{object}\nendobj\n");
    }
    let start = out.len();
    out += &format!("xref\n0 6\n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_pdf_points_at_its_objects() {
        let text = String::from_utf8(pdf(&["Compte rendu (fictif)", "Échographie : œdème"])).unwrap();
        assert!(text.contains("(Compte rendu \\(fictif\\)) Tj"));
        assert!(text.contains("(\\311chographie : ?d\\350me) Tj"));
        let start: usize = text.split("startxref\n").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        assert!(text.get(start..).unwrap().starts_with("xref\n0 6\n"));
        for (number, line) in text.get(start..).unwrap().lines().skip(3).take(5).enumerate() {
            let offset: usize = line.split(' ').next().unwrap().parse().unwrap();
            assert!(text.get(offset..).unwrap().starts_with(&format!("{} 0 obj\n", number + 1)), "{line}");
        }
        let stream = text.split("stream\n").nth(1).unwrap().strip_suffix("\nend").unwrap();
        assert!(text.contains(&format!("/Length {} >>", stream.len())));
    }

    #[test]
    fn a_letter_has_one_from_and_its_report() {
        let (from, to) = (
            Address::parse("anne.martin-test@ch-a.mssante.test").unwrap(),
            Address::parse("claire.moreau-test@ch-b.mssante.test").unwrap(),
        );
        let letter = Letter {
            from: ("Dr Anne MARTIN-TEST", &from),
            sender: None,
            to: &[to],
            subject: "Compte rendu d'échographie",
            text: "Chère consœur,\nvoici le compte rendu.",
            report: &["Compte rendu fictif"],
            id: "essai-1@ch-a.mssante.test",
            at: Timestamp::from_seconds(1_790_000_000),
        };
        let text = String::from_utf8(letter.compose().unwrap().formatted()).unwrap();
        assert_eq!(text.matches("From: ").count(), 1);
        assert!(text.contains("Message-ID: <essai-1@ch-a.mssante.test>\r\n"), "{text}");
        assert!(text.contains("Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"), "{text}");
        assert!(text.contains("Date: Mon, 21 Sep 2026 14:13:20 +0000"), "{text}");
    }
}
