//! OpenLDAP's slapd over its memory-mapped database, indexed for every question that it is asked.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use openssl::base64::encode_block;
use tests::{place::free_endpoint, process::Running};

use crate::data::Row;

/// Its settings, printed with the figures.
pub(crate) const SETTINGS: [&str; 10] = [
    "idlexp 22",
    "threads 4",
    "tool-threads 2",
    "loglevel 0",
    "dbnosync (while loading)",
    "index objectClass,uid eq",
    "index mail eq,sub",
    "index sn,givenName,cn eq,sub,approx",
    "index l,postalCode,businessCategory,employeeType eq,sub",
    "index_substr_if_minlen 2",
];

/// A slapd of our own.
pub(crate) struct Slapd {
    process: Running,
    pub(crate) at: SocketAddr,
    /// Octets of its database.
    pub(crate) octets: u64,
}

impl Slapd {
    pub(crate) fn load(folder: &Path, identity: (&Path, &Path), rows: &mut dyn Iterator<Item = Row>) -> Self {
        let database = folder.join("mdb");
        std::fs::create_dir_all(&database).unwrap();
        let configuration = folder.join("slapd.conf");
        std::fs::write(&configuration, settings(folder, &database, identity)).unwrap();
        let ldif = folder.join("people.ldif");
        write(&ldif, rows);
        let mut load = Command::new("/usr/sbin/slapadd");
        load.args(["-q", "-o", "schema-check=no", "-o", "value-check=no", "-f"])
            .arg(&configuration)
            .arg("-l")
            .arg(&ldif);
        let mut child = load.spawn().expect("slapadd");
        let began = std::time::Instant::now();
        let mut told = 0;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
            if began.elapsed().as_secs() / 30 > told {
                told = began.elapsed().as_secs() / 30;
                eprintln!("  slapadd: {} s, {} MB", began.elapsed().as_secs(), size(&database) >> 20);
            }
        };
        assert!(status.success(), "slapadd: {status}");
        std::fs::remove_file(&ldif).unwrap();
        let at = free_endpoint();
        // A level at which nothing is written of searches: it does not pay for a log that it is not asked for.
        let process = Running::start("slapd", "/usr/sbin/slapd", |command| {
            command.arg("-f").arg(&configuration).args(["-h", &format!("ldaps://{at}"), "-d", "sync"]);
        });
        process.wait_for_line(&["slapd starting"]);
        Self { process, at, octets: size(&database) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    // The file has holes: what counts is what is there.
    std::fs::metadata(folder.join("data.mdb")).map_or(0, |file| file.blocks() * 512)
}

fn settings(folder: &Path, database: &Path, (certificate, key): (&Path, &Path)) -> String {
    let schema = ["core", "cosine", "inetorgperson"].map(|name| format!("include /etc/ldap/schema/{name}.schema\n"));
    format!(
        "{}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {folder}/slapd.pid\nargsfile {folder}/slapd.args\n\
         threads 4\ntool-threads 2\nsizelimit 500\nloglevel 0\nindex_substr_if_minlen 2\n\
         TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\nTLSVerifyClient never\n\
         backend mdb\nidlexp 22\n\
         database mdb\nsuffix \"dc=annuaire\"\ndirectory {database}\nmaxsize 34359738368\ndbnosync\n\
         index objectClass,uid eq\nindex mail eq,sub\nindex sn,givenName,cn eq,sub,approx\n\
         index l,postalCode,businessCategory,employeeType eq,sub\naccess to * by * read\n",
        schema.concat(),
        folder = folder.display(),
        database = database.display(),
        certificate = certificate.display(),
        key = key.display(),
    )
}

fn write(path: &Path, rows: &mut dyn Iterator<Item = Row>) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    out.write_all(
        b"dn: dc=annuaire\nobjectClass: dcObject\nobjectClass: organization\ndc: annuaire\no: annuaire\n\n\
          dn: ou=people,dc=annuaire\nobjectClass: organizationalUnit\nou: people\n\n",
    )
    .unwrap();
    let mut entry = String::new();
    for row in rows {
        entry.clear();
        let mut say = |name: &str, value: &str| {
            let plain = value.bytes().all(|octet| (0x20..0x7f).contains(&octet));
            if plain && !value.starts_with([' ', ':', '<']) && !value.ends_with(' ') && !value.is_empty() {
                let _ = writeln!(entry, "{name}: {value}");
            } else if !value.is_empty() {
                let _ = writeln!(entry, "{name}:: {}", encode_block(value.as_bytes()).replace('\n', ""));
            }
        };
        say("dn", &format!("uid={},ou=people,dc=annuaire", row.id));
        say("objectClass", "inetOrgPerson");
        say("uid", &row.id);
        say("displayName", &row.name());
        for (name, text) in [("sn", &row.family), ("givenName", &row.given), ("cn", &row.name())] {
            let folded = annuaire::fold(text);
            say(name, if folded.is_empty() { "-" } else { &folded });
        }
        say("employeeType", &annuaire::fold(&row.profession));
        let lists = [
            ("businessCategory", Row::folded(&row.specialities)),
            ("l", Row::folded(&row.towns)),
            ("st", Row::folded(&row.departments)),
            ("o", Row::folded(&row.structures)),
            ("postalCode", Row::folded(&row.postcodes)),
            ("street", Row::folded(&row.streets)),
            ("mail", row.mailboxes.clone()),
        ];
        for (name, values) in lists {
            values.iter().for_each(|value| say(name, value));
        }
        entry.push('\n');
        out.write_all(entry.as_bytes()).unwrap();
    }
    out.flush().unwrap();
}
