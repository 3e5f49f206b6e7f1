//! The world as one lane sees it: its CRM, its Reltio, its way to tell others.

use std::sync::Arc;

use async_trait::async_trait;
use goldwire::event::Subject;
use goldwire::reltio::{Answer, Found, RecordReader, ReltioError};
use goldwire::sink::salesforce::{Org, Record, RecordWrite, Sought, Table, Written};
use goldwire::sink::{SinkError, Tell};
use goldwire::time::Millis;
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::truth::{self, Says};
use super::world::{Without, World};

/// The world as one lane sees it.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) world: Arc<World>,
    pub(crate) entity: String,
}

impl Side {
    /// What an entity without the rule "look up" takes for granted.
    fn answer(&self, asked: Option<&str>, owner: Option<String>, seen: Millis) -> Answer {
        let owner = if self.world.is_without(Without::LookUp) {
            Some(self.entity.clone())
        } else {
            owner
        };
        let object = |owner: &str| {
            let reltio = self.world.reltio();
            reltio.object(owner, &reltio.at(owner, seen), None)
        };
        let found = match owner {
            None => Found::Nothing,
            Some(owner) if asked.is_none_or(|asked| asked == owner) => Found::Alive(object(&owner)),
            Some(owner) => Found::Survivor(object(&owner)),
        };
        Answer {
            date: self.world.now() + self.world.lock().rng.random_range(0..200),
            found,
        }
    }

    /// Whether `id` was created for `entity`, and stands for it.
    fn stands(&self, id: &str, entity: &str) -> bool {
        let entity = Some(entity);
        self.world
            .records()
            .iter()
            .any(|it| it.id == id && it.home.as_deref() == entity && it.ext.as_deref() == entity)
    }
}

#[async_trait]
impl Org for Side {
    async fn find(&self, _: &Table, sought: Sought) -> Result<Vec<Record>, SinkError> {
        self.world.pause(&self.entity).await;
        Ok(self.world.find(&sought))
    }

    async fn write(&self, _: &Table, write: RecordWrite) -> Result<Written, SinkError> {
        if self.world.is_without(Without::FreeFirst) && write.action == "free" {
            return Ok(Written::Done(write.id.unwrap_or_default()));
        }
        self.world.request(&self.entity, &write).await
    }
}

#[async_trait]
impl RecordReader for Side {
    async fn read(&self, uri: &str) -> Result<Answer, ReltioError> {
        self.world.pause(&self.entity).await;
        let seen = self.world.lagging();
        let owner = self.world.reltio().survivor(uri, seen);
        Ok(self.answer(Some(uri), owner, seen))
    }

    async fn by_crosswalk(&self, _: &str, value: &str) -> Result<Answer, ReltioError> {
        self.world.pause(&self.entity).await;
        let seen = self.world.lagging();
        let mut owner = self.world.reltio().names(value, seen);
        let lives = self.world.reltio().at(&self.entity, seen).named().is_some();
        let at_home = |it: &Record| it.id == value && it.home.as_ref() == Some(&self.entity);
        if self.world.is_without(Without::HomeLook)
            && lives
            && self.world.records().iter().any(at_home)
        {
            owner = Some(self.entity.clone());
        }
        Ok(self.answer(None, owner, seen))
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
        let taken = targets.iter().any(|id| self.stands(id, subject.uri()));
        if self.world.is_without(Without::Tell) || self.world.is_without(Without::TellHome) && taken
        {
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
            partial: false,
            hops,
            targets: if with { targets.to_vec() } else { Vec::new() },
        };
        self.world.arrive(subject.uri(), record.at, record);
        Ok(())
    }
}
