//! `sceau pki request`: the certification request that the national profiles want.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use ident::{Address, StructureId};
use openssl::{
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    sign::Signer,
};
use pki::{
    issue::{OrganisationUse, Profile, RequestError, ServerMailUse, Structure, certification_request},
    keys::{KeyError, SignatureScheme},
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    cli::{Exit, material},
    config::{Loaded, Problem, read_bytes},
    keys,
};

/// Largest key file.
const MAX_KEY: u64 = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Use {
    /// Seals of the structure (organisation, SIGN)
    Sign,
    /// What others encrypt to (organisation, CONF)
    Confidentiality,
    /// Software that connects on the structure's behalf (organisation, AUTH_CLI)
    Client,
    /// TLS of the mail server (server, SSL)
    Server,
    /// Signs for a mail domain (server, S/MIME)
    DomainSign,
    /// Reads for a mail domain (server, S/MIME)
    DomainConfidentiality,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Algorithm {
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "rsa-3072")]
    Rsa3072,
    #[value(name = "rsa-4096")]
    Rsa4096,
    #[value(name = "p256")]
    P256,
    #[value(name = "p384")]
    P384,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What the certificate is for
    #[arg(long, value_enum)]
    r#use: Use,
    /// National identifier of the structure, with its leading digit (1 FINESS, 3 SIRET)
    #[arg(long, value_name = "ID")]
    structure: String,
    /// Its legal name
    #[arg(long, value_name = "NAME")]
    organisation: String,
    /// Its department with the number: "Paris (75)"
    #[arg(long, value_name = "NAME")]
    department: String,
    /// Name of the application, host or mail domain
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Mailbox that the certificate names
    #[arg(long, value_name = "ADDRESS")]
    email: Vec<Address>,
    /// Further host names of a server
    #[arg(long, value_name = "HOST")]
    alternative: Vec<String>,
    /// Make a new key in this file, which must not exist
    #[arg(long, value_name = "FILE", conflicts_with = "key", required_unless_present = "key")]
    new_key: Option<PathBuf>,
    /// Kind of the new key; the national authority issues RSA today
    #[arg(long, value_enum, default_value = "rsa-2048")]
    algorithm: Algorithm,
    /// Use this key: a PEM file, or a pkcs11: URI of a token of the configuration
    #[arg(long, value_name = "FILE|URI")]
    key: Option<String>,
    /// Configuration that names the token
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write the request there instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, as_json: bool) -> Result<Exit, Problem> {
    let profile = profile(args)?;
    let made =
        |outcome: Result<String, RequestError>| outcome.map_err(|error| Problem::of("request", error.to_string()));
    let request = match (&args.key, &args.new_key) {
        (Some(uri), _) if uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("pkcs11:")) => {
            let config =
                args.config.as_ref().ok_or_else(|| Problem::of("arguments", "a token's key needs --config"))?;
            let uri = uri.parse().map_err(|error| Problem::of("--key", format!("{error}")))?;
            let key = keys::token_key(&Loaded::read(config)?, uri)?;
            made(certification_request(&profile, key.public_key(), |scheme, body| key.sign(scheme, body)))?
        }
        (Some(file), _) => made(with_file_key(&profile, &read_key(Path::new(file))?))?,
        (None, Some(file)) => {
            let key = generate(args.algorithm).map_err(|error| Problem::of(file, error.to_string()))?;
            let request = made(with_file_key(&profile, &key))?;
            write_key(file, &key)?;
            eprintln!("sceau: the private key is in {}; only the request leaves this machine", file.display());
            request
        }
        (None, None) => return Err(Problem::of("arguments", "--new-key or --key")),
    };
    match &args.out {
        Some(file) => fs::write(file, &request).map_err(|error| Problem::of(file, error.to_string()))?,
        None if as_json => println!("{}", json!({ "request": request })),
        None => print!("{request}"),
    }
    Ok(Exit::Done)
}

fn profile(args: &Args) -> Result<Profile, Problem> {
    let id = StructureId::parse(&args.structure)
        .map_err(|error| Problem::of("--structure", format!("{}: {error}", args.structure)))?;
    let structure = Structure::new(id, &args.organisation, &args.department);
    let (name, emails) = (args.name.clone(), args.email.clone());
    let organisation = |usage| Profile::Organisation {
        structure: structure.clone(),
        label: name.clone(),
        usage,
        emails: emails.clone(),
    };
    let domain =
        |usage| Profile::ServerMail { name: name.clone(), structure: structure.clone(), usage, emails: emails.clone() };
    if args.r#use != Use::Server && !args.alternative.is_empty() {
        return Err(Problem::of("--alternative", "only a server has further host names"));
    }
    if matches!(args.r#use, Use::Server | Use::Client) && !args.email.is_empty() {
        return Err(Problem::of("--email", "this use names no mailbox"));
    }
    Ok(match args.r#use {
        Use::Sign => organisation(OrganisationUse::Sign),
        Use::Confidentiality => organisation(OrganisationUse::Confidentiality),
        Use::Client => organisation(OrganisationUse::AuthClient),
        Use::DomainSign => domain(ServerMailUse::Sign),
        Use::DomainConfidentiality => domain(ServerMailUse::Confidentiality),
        Use::Server => Profile::ServerTls { host: name.clone(), alternatives: args.alternative.clone(), structure },
    })
}

fn with_file_key(profile: &Profile, key: &PKey<Private>) -> Result<String, RequestError> {
    let failed = |_| RequestError::Signing(KeyError::Failed);
    let public = key.public_key_to_der().and_then(|info| PKey::public_key_from_der(&info)).map_err(failed)?;
    certification_request(profile, &public, |scheme, body| {
        let digest = match scheme {
            SignatureScheme::EcdsaSha384 => MessageDigest::sha384(),
            _ => MessageDigest::sha256(),
        };
        let mut signer = Signer::new(digest, key).map_err(|_| KeyError::Failed)?;
        signer.sign_oneshot_to_vec(body).map_err(|_| KeyError::Failed)
    })
}

fn generate(algorithm: Algorithm) -> Result<PKey<Private>, openssl::error::ErrorStack> {
    let rsa = |bits| Rsa::generate(bits).and_then(PKey::from_rsa);
    let curve = |nid| EcKey::generate(&*EcGroup::from_curve_name(nid)?).and_then(PKey::from_ec_key);
    match algorithm {
        Algorithm::Rsa2048 => rsa(2048),
        Algorithm::Rsa3072 => rsa(3072),
        Algorithm::Rsa4096 => rsa(4096),
        Algorithm::P256 => curve(Nid::X9_62_PRIME256V1),
        Algorithm::P384 => curve(Nid::SECP384R1),
    }
}

fn read_key(file: &Path) -> Result<PKey<Private>, Problem> {
    let pem = Zeroizing::new(read_bytes(file, MAX_KEY)?);
    // Always with a passphrase: without one OpenSSL would ask at the terminal.
    let passphrase = Zeroizing::new(std::env::var(material::PASSPHRASE).unwrap_or_default());
    PKey::private_key_from_pem_passphrase(&pem, passphrase.as_bytes()).map_err(|_| {
        let variable = material::PASSPHRASE;
        Problem::of(
            file,
            format!("holds no readable PEM private key; if it is encrypted, put its passphrase in {variable}"),
        )
    })
}

/// Never over another key: that one may be the only one that opens old mail.
fn write_key(file: &Path, key: &PKey<Private>) -> Result<(), Problem> {
    let failed = |what: String| Problem::of(file, what);
    let pem = Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(|error| failed(error.to_string()))?);
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|error| failed(format!("cannot be made: {error}")))?;
    out.write_all(&pem).and_then(|()| out.sync_all()).map_err(|error| failed(error.to_string()))
}
