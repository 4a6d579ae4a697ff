//! Certificates from files, chosen by the name that a client asks for (SNI, RFC 6066 §3).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Names of the files in a folder, as Kubernetes has them in a secret of type `tls`.
const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The certificates in use.
#[derive(Debug)]
pub(super) struct Certificates {
    folders: Vec<PathBuf>,
    current: ArcSwap<Set>,
    /// The files as they were when they were last looked at.
    seen: Mutex<Files>,
}

/// Chain and key of each folder, or why they cannot be read.
type Files = Vec<Result<(Vec<u8>, Vec<u8>), String>>;

#[derive(Debug)]
struct Set {
    /// By name in lower case; `*.example.com` as `.example.com`.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    first: Arc<CertifiedKey>,
}

impl Certificates {
    pub(super) fn load(folders: &[PathBuf]) -> anyhow::Result<Self> {
        let files = read(folders);
        let set = Set::of(folders, &files)?;
        Ok(Self {
            folders: folders.to_vec(),
            current: ArcSwap::from_pointee(set),
            seen: Mutex::new(files),
        })
    }

    /// Takes over files that have changed, all or none of them.
    pub(super) fn refresh(&self) {
        let files = read(&self.folders);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == files {
            return;
        }
        match Set::of(&self.folders, &files) {
            Ok(set) => {
                tracing::info!(names = set.by_name.len(), "certificates were changed");
                self.current.store(Arc::new(set));
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "changed certificates cannot be used: the former ones stay"
            ),
        }
        *seen = files;
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().find(hello.server_name()))
    }
}

impl Set {
    fn of(folders: &[PathBuf], files: &Files) -> anyhow::Result<Self> {
        let (mut by_name, mut first) = (HashMap::new(), None);
        for (folder, files) in folders.iter().zip(files) {
            let place = || format!("{}, {CHAIN} and {KEY}", folder.display());
            let (chain, key) = files
                .as_ref()
                .map_err(|why| anyhow::anyhow!("{why}"))
                .with_context(place)?;
            let (key, leaf) = certificate(chain, key).with_context(place)?;
            tell_end(folder, &leaf);
            for name in names(&leaf).with_context(place)? {
                // Who comes first has the name.
                by_name.entry(name).or_insert_with(|| Arc::clone(&key));
            }
            first.get_or_insert(key);
        }
        let first = first.context("no folder is named")?;
        Ok(Self { by_name, first })
    }

    fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let name = name.unwrap_or_default().to_ascii_lowercase();
        // A wildcard stands for one label (RFC 6125 §6.4.3).
        let parent = name.split_once('.').map(|(_, rest)| format!(".{rest}"));
        let exact = self.by_name.get(&name);
        let found = exact.or_else(|| self.by_name.get(&parent?));
        Arc::clone(found.unwrap_or(&self.first))
    }
}

fn read(folders: &[PathBuf]) -> Files {
    let read = |file: PathBuf| {
        let complain = |error| format!("{}: {error}", file.display());
        std::fs::read(&file).map_err(complain)
    };
    let both = |folder: &PathBuf| Ok((read(folder.join(CHAIN))?, read(folder.join(KEY))?));
    folders.iter().map(both).collect()
}

/// A usable certificate, and what it says.
fn certificate(chain: &[u8], key: &[u8]) -> anyhow::Result<(Arc<CertifiedKey>, Certificate)> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .context("the certificates are no PEM")?;
    let key = PrivateKeyDer::from_pem_slice(key).context("the key is no PEM")?;
    let leaf = chain.first().context("there is no certificate")?;
    let leaf = Certificate::from_der(leaf).context("the first certificate cannot be read")?;
    let certified = CertifiedKey::from_der(chain, key, &default_provider())
        .context("certificate and key do not belong together")?;
    Ok((Arc::new(certified), leaf))
}

/// Tells monitoring when it is not valid any more.
fn tell_end(folder: &Path, leaf: &Certificate) {
    let end = leaf.tbs_certificate.validity.not_after.to_unix_duration();
    let folder = folder.display().to_string();
    metrics::gauge!("edge_certificate_end_seconds", "folder" => folder).set(end.as_secs_f64());
}

/// The names that a certificate is for.
fn names(leaf: &Certificate) -> anyhow::Result<Vec<String>> {
    let names = leaf.tbs_certificate.get::<SubjectAltName>()?;
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let names: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
            _ => None,
        })
        .map(|name| name.strip_prefix('*').map(str::to_owned).unwrap_or(name))
        .collect();
    ensure!(!names.is_empty(), "the certificate is for no DNS name");
    Ok(names)
}
