//! Joining the group once more.
//!
//! Guarantee (G2): a member that joins with another client has lost everything before.

use rdkafka::error::RDKafkaErrorCode;

use super::member::Thread;
use crate::kafka::{FENCED, Fenced, Holds, VACANT, retire};

impl Thread {
    /// Joins the group with another client: the one that was refused is of no use.
    pub(super) fn go_on_joining(&mut self) {
        if self.halted || !self.rejoin.is_due() {
            return;
        }
        match self.joins.join(&self.member.topic) {
            Ok(consumer) => {
                retire(self.member.replace(consumer));
            }
            Err(why) => {
                let sink = &self.of.sink;
                tracing::error!(
                    sink,
                    "no other member could be made: {why}; will be tried again"
                );
                self.rejoin.refused();
            }
        }
    }

    /// Another client joined with the member's name: everything is lost, and joins again soon.
    pub(super) fn fenced(&mut self, code: RDKafkaErrorCode) {
        match self.rejoin.fenced() {
            Fenced::Known => return,
            Fenced::TooOften => return self.halt(code),
            Fenced::JoinsAgain => {}
        }
        let (sink, group) = (&self.of.sink, &self.of.group);
        tracing::warn!(sink, group, "{FENCED}");
        self.lose_all();
    }

    /// Joins as another member if the group may have given this one up unnoticed.
    pub(super) fn doubt(&mut self) {
        if self.halted || !self.member.may_be_given_up() || !self.rejoin.doubted() {
            return;
        }
        let (sink, group) = (&self.of.sink, &self.of.group);
        tracing::warn!(
            sink,
            group,
            "this process stood still for so long that the group may have given its partitions to \
             others: they count as lost; joins again"
        );
        self.lose_all();
    }

    /// Sees to it that no partition stays without a member.
    pub(super) fn fill_vacancies(&mut self) {
        let moves = !self.arriving.is_empty() || !self.leaving.is_empty();
        let holds = Holds::of(moves, !self.owned.is_empty());
        let Some(vacancy) = self.vacancy.as_mut().filter(|_| !self.halted) else {
            return;
        };
        if let Some(partitions) = vacancy.go_on(&self.member.consumer(), holds) {
            let (sink, group) = (&self.of.sink, &self.of.group);
            tracing::warn!(sink, group, ?partitions, "{VACANT}");
        }
    }

    fn lose_all(&mut self) {
        let leaving = std::mem::take(&mut self.leaving);
        let mut all = std::mem::take(&mut self.owned);
        all.extend(leaving.iter().flat_map(|leaving| &leaving.partitions));
        self.arriving.clear();
        // Before the group is asked for another generation: nothing of it is committed in that.
        self.lose(&all.into_iter().collect::<Vec<_>>());
    }
}
