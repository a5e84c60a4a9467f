//! `sceau seal`: protects one message.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use ident::{Address, Clock, SystemClock};
use mail::{Limits, Profile, SealFault, SealRequest};
use pki::{
    certificate::Certificate,
    cms::CmsError,
    keys::{FileKey, SigningKey as _},
};

use super::{Exit, material};
use crate::config::Problem;

/// Our name in `Authentication-Results` of a message on its way out: there is no gateway here, and
/// what claims to be a local result must not leave.
const AUTHSERV_ID: &str = "localhost";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Certificate that signs (PEM or DER); it is sent along, its issuers are not
    #[arg(long, value_name = "FILE")]
    signer_cert: PathBuf,
    /// Its private key (PEM or DER); the passphrase of an encrypted one comes from SCEAU_PASSPHRASE
    #[arg(long, value_name = "FILE")]
    signer_key: PathBuf,
    /// Certificates to encrypt to
    #[arg(long, num_args = 1.., value_name = "CERT")]
    to: Vec<PathBuf>,
    /// Who else may read this copy: the one recipient that no field names (a blind copy)
    #[arg(long, value_name = "ADDRESS", value_parser = Address::parse)]
    recipient: Option<Address>,
    /// Form of what is written: `gateway` (AES-256-GCM, the whole message wrapped), `client`
    /// (AES-256-CBC, protected headers, RSA PKCS#1 v1.5, for mail programs), `signed-only`
    #[arg(long, value_enum, default_value_t = Form::Gateway)]
    profile: Form,
    /// Outer subject: the real one stays inside
    #[arg(long, default_value = mail::DEFAULT_SUBJECT)]
    subject: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Gateway,
    Client,
    SignedOnly,
}

impl From<Form> for Profile {
    fn from(form: Form) -> Self {
        match form {
            Form::Gateway => Self::Gateway,
            Form::Client => Self::Client,
            Form::SignedOnly => Self::SignedOnly,
        }
    }
}

pub(super) fn run(args: Args) -> Exit {
    seal(&args).unwrap_or_else(|problem| material::report(&problem))
}

fn seal(args: &Args) -> Result<Exit, Problem> {
    let signer = material::key_pair(&args.signer_cert, &args.signer_key)?;
    let readers = readers(args)?;
    check_signer(args, &signer)?;
    let limits = Limits::default();
    let (message, repaired) = material::wire_form(material::mail(limits.message)?);
    if repaired {
        eprintln!("sceau: the mail had bare LF line ends; they were written as CRLF before sealing");
    }
    let facts = match mail::read(&message, &limits) {
        Ok(facts) => facts,
        Err(fault) => return Ok(refused(&fault.into())),
    };
    let recipients: Vec<Address> = facts.to.iter().chain(&facts.cc).chain(&args.recipient).cloned().collect();
    if facts.bcc_present {
        eprintln!(
            "sceau: Bcc was taken out; seal a copy apart for each blind recipient, with its address after --recipient"
        );
    }
    if recipients.is_empty() {
        eprintln!("sceau: nobody is named as recipient, and gateways refuse such a copy: name one with --recipient");
    }
    let sealed = mail::seal(&SealRequest {
        message: &message,
        recipients: &recipients,
        signer: &signer,
        to: &readers.iter().collect::<Vec<_>>(),
        profile: args.profile.into(),
        // Other tools read it: theirs is the form that they know.
        inside: mail::Inside::Base64,
        at: SystemClock.now(),
        assurance: None,
        extra: &[],
        authserv_id: AUTHSERV_ID,
        subject: &args.subject,
        limits: &limits,
    });
    match sealed {
        Ok(sealed) => Ok(written(&sealed.bytes)),
        Err(fault) => Ok(refused(&fault)),
    }
}

/// Hands the result over, all of it or an error.
pub(super) fn written(bytes: &[u8]) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("sceau: standard output cannot be written: {error}");
            Exit::Undetermined
        }
    }
}

fn readers(args: &Args) -> Result<Vec<Certificate>, Problem> {
    match (args.profile, args.to.first()) {
        (Form::SignedOnly, Some(first)) => {
            return Err(Problem::of(first, "--profile signed-only does not encrypt: leave --to out"));
        }
        (Form::Gateway | Form::Client, None) => {
            return Err(Problem::of("arguments", "--to names the certificates to encrypt to: at least one"));
        }
        _ => {}
    }
    let now = SystemClock.now();
    let mut readers: Vec<Certificate> = Vec::new();
    for path in &args.to {
        // Only the first: what follows in a file are its issuers.
        let (reader, _) = material::leaf(path)?;
        if !reader.may_encrypt() {
            return Err(Problem::of(path, "its key usage does not allow to encrypt to it"));
        }
        if now > reader.not_after() || now < reader.not_before() {
            eprintln!("sceau: {}: the certificate is outside its dates", path.display());
        }
        if !readers.contains(&reader) {
            readers.push(reader);
        }
    }
    Ok(readers)
}

fn check_signer(args: &Args, signer: &FileKey) -> Result<(), Problem> {
    if !signer.certificate().may_sign() || signer.schemes().is_empty() {
        return Err(Problem::of(&args.signer_cert, "its key or key usage does not allow to sign messages"));
    }
    let now = SystemClock.now();
    if now > signer.certificate().not_after() || now < signer.certificate().not_before() {
        eprintln!("sceau: {}: the certificate is outside its dates", args.signer_cert.display());
    }
    Ok(())
}

fn refused(fault: &SealFault) -> Exit {
    match fault {
        SealFault::Mail(fault) => {
            let text = fault.text();
            eprintln!("sceau: [{}] {}\nsceau: {}", fault.code(), text.fr, text.en);
        }
        // A key that cannot be encrypted for is a wrong argument, not a wrong mail.
        SealFault::Cms(CmsError::RecipientKey { .. }) => {
            eprintln!("sceau: --to: {fault}");
            return Exit::Usage;
        }
        other => eprintln!("sceau: not sealed: {other}"),
    }
    Exit::No
}
