//! A listener's certificate, which is read again when its files change, and the handshake.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use super::files::{Found, Tls, server_config};
use crate::listener::Wire;

/// How often the files are looked at. By content and not by time: what mounts secrets into a
/// container swaps whole directories, whose files may be older than those before.
const RHYTHM: Duration = Duration::from_secs(5);

/// The certificate of one listener.
#[derive(Debug)]
pub struct Certificates {
    /// Where it stands in the configuration: `webhook.tls`.
    section: String,
    tls: Tls,
    serving: RustlsConfig,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// What is in use.
    used: Found,
    /// What was found last and cannot be used, and whether that was told.
    refused: Option<(Found, bool)>,
}

impl Certificates {
    /// Those of the files that `tls` names, for the section of that name.
    ///
    /// # Errors
    /// A line for each file that cannot be used.
    pub fn load(section: impl Into<String>, tls: &Tls) -> Result<Arc<Self>, String> {
        let section = section.into();
        let used = tls.read();
        let config = server_config(&used).map_err(|unusable| tls.lines(&section, &unusable))?;
        Ok(Arc::new(Self {
            section,
            tls: tls.clone(),
            serving: RustlsConfig::from_config(Arc::new(config)),
            seen: Mutex::new(Seen {
                used,
                refused: None,
            }),
        }))
    }

    /// Looks at the files, and takes what they hold if it is new and can be used. Reads files.
    ///
    /// What cannot be used is told when it is found a second time: of two files that are replaced one
    /// after the other, the first alone does not fit.
    pub fn look(&self) {
        let found = self.tls.read();
        let section = &self.section;
        let mut seen = self.seen();
        if found == seen.used {
            seen.refused = None;
            return;
        }
        match server_config(&found) {
            Ok(config) => {
                self.serving.reload_from_config(Arc::new(config));
                *seen = Seen {
                    used: found,
                    refused: None,
                };
                tracing::info!("{section}: the files changed; the new certificate is in use");
            }
            Err(unusable) => {
                let again = seen.refused.take().filter(|(before, _)| *before == found);
                let told = again.as_ref().is_some_and(|(_, told)| *told);
                if again.is_some() && !told {
                    let why = self.tls.lines(section, &unusable);
                    tracing::error!("the certificate before stays in use: {why}");
                }
                seen.refused = Some((found, again.is_some()));
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the files every few seconds, until the answer is dropped.
    pub(crate) fn watch(self: &Arc<Self>) -> AbortOnDropHandle<()> {
        let certificates = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut rhythm = tokio::time::interval(RHYTHM);
            rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rhythm.tick().await;
                let certificates = Arc::clone(&certificates);
                let looked = tokio::task::spawn_blocking(move || certificates.look());
                if looked.await.is_err() {
                    tracing::error!("the certificate's files were not looked at");
                }
            }
        }))
    }

    /// What makes the handshakes; one that takes longer than `longest` is cut off.
    pub(crate) fn greeting(&self, longest: Duration) -> Greeting {
        Greeting(RustlsAcceptor::new(self.serving.clone()).handshake_timeout(longest))
    }
}

/// Makes the handshake.
#[derive(Debug, Clone)]
pub(crate) struct Greeting(RustlsAcceptor);

impl<S: Send + 'static> Accept<Wire, S> for Greeting {
    type Stream = <RustlsAcceptor as Accept<Wire, S>>::Stream;
    type Service = S;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, S)>>;

    fn accept(&self, wire: Wire, service: S) -> Self::Future {
        let peer = wire.peer().clone();
        let greeting = self.0.accept(wire, service);
        greeting.inspect(move |_| peer.greeted()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_files_are_looked_at_within_ten_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls {
            cert_file: folder.path().join("cert.pem"),
            key_file: folder.path().join("key.pem"),
        };
        let write = || {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(&tls.cert_file, made.cert.pem()).unwrap();
            std::fs::write(&tls.key_file, made.signing_key.serialize_pem()).unwrap();
            tls.read()
        };
        let first = write();
        let certificates = Certificates::load("webhook.tls", &tls).unwrap();
        let _watch = certificates.watch();
        tokio::time::sleep(RHYTHM * 4).await;
        assert_eq!(certificates.seen().used, first);
        let second = write();
        tokio::time::sleep(RHYTHM * 2).await;
        assert_eq!(certificates.seen().used, second);
    }
}
