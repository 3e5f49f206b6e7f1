//! The world as one lane sees it: its CRM, its Reltio, its way to tell others.

use std::sync::Arc;

use async_trait::async_trait;
use goldwire::event::{Object, Subject};
use goldwire::reltio::{Answer, Found, Golden, ReltioError};
use goldwire::sink::salesforce::{Org, Record, Sought, Table, Write, Written};
use goldwire::sink::{SinkError, Tell};
use rand::seq::IndexedRandom;
use serde_json::json;

use super::truth::{self, Says};
use super::world::{Without, World};

/// The world as one lane sees it.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) world: Arc<World>,
    pub(crate) entity: String,
}

impl Side {
    fn object(uri: &str) -> Arc<Object> {
        Arc::new(Object::parse(json!({ "uri": uri }).to_string().as_bytes()).unwrap())
    }

    /// What an entity without the rule "look up" takes for granted.
    fn answer(&self, asked: Option<&str>, owner: Option<String>) -> Answer {
        let owner = if self.world.is_without(Without::LookUp) {
            Some(self.entity.clone())
        } else {
            owner
        };
        let found = match owner {
            None => Found::Nothing,
            Some(owner) if asked.is_none_or(|asked| asked == owner) => {
                Found::Alive(Self::object(&owner))
            }
            Some(owner) => Found::Survivor(Self::object(&owner)),
        };
        Answer {
            date: self.world.now(),
            found,
        }
    }
}

#[async_trait]
impl Org for Side {
    async fn find(&self, _: &Table, sought: Sought) -> Result<Vec<Record>, SinkError> {
        self.world.pause(&self.entity).await;
        Ok(self.world.find(&sought))
    }

    async fn write(&self, _: &Table, write: Write) -> Result<Written, SinkError> {
        self.world.request(&self.entity, &write).await
    }
}

#[async_trait]
impl Golden for Side {
    async fn read(&self, uri: &str) -> Result<Answer, ReltioError> {
        self.world.pause(&self.entity).await;
        let owner = self.world.reltio.survivor(uri, self.world.lagging());
        Ok(self.answer(Some(uri), owner))
    }

    async fn by_crosswalk(&self, _: &str, value: &str) -> Result<Answer, ReltioError> {
        self.world.pause(&self.entity).await;
        let owner = self.world.reltio.names(value, self.world.lagging());
        Ok(self.answer(None, owner))
    }
}

#[async_trait]
impl Tell for Side {
    async fn tell(
        &self,
        subject: &Subject,
        hops: u32,
        targets: &[String],
    ) -> Result<(), SinkError> {
        {
            let mut mutable = self.world.lock();
            mutable.hops = mutable.hops.max(hops);
        }
        if self.world.is_without(Without::Tell) {
            return Ok(());
        }
        let with = !self.world.is_without(Without::Contacts);
        let late = *[0, 100, 1000, 5000]
            .choose(&mut self.world.lock().rng)
            .unwrap();
        let record = truth::Record {
            version: None,
            commit_time: None,
            at: self.world.now() + late,
            says: Says::Asks,
            read: None,
            hops,
            targets: if with { targets.to_vec() } else { Vec::new() },
        };
        self.world.arrive(subject.uri(), record.at, record);
        Ok(())
    }
}
