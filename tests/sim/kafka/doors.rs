//! The webhooks of all instances, behind one address.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use goldwire::webhook::Reception;
use rand::RngExt as _;

use crate::host::Host;

/// Where requests may go.
#[derive(Debug, Default)]
pub(crate) struct Doors(Mutex<BTreeMap<usize, (Arc<Host>, Reception)>>);

impl Doors {
    /// An instance takes requests.
    pub(crate) fn open(&self, host: &Arc<Host>, reception: Reception) {
        let door = (Arc::clone(host), reception);
        self.0.lock().unwrap().insert(host.slot, door);
    }

    /// One of those that are there.
    pub(crate) fn pick(&self) -> Option<(Arc<Host>, Reception)> {
        let doors = self.0.lock().unwrap();
        let open: Vec<_> = doors.values().filter(|(host, _)| !host.is_gone()).collect();
        let index = match open.len() {
            0 => return None,
            1 => 0,
            several => open[0].0.lock().rng.random_range(0..several),
        };
        Some(open[index].clone())
    }
}
