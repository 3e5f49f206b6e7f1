//! Three instances of one application under paused time, against fakes of the real targets.

mod power_bi;
mod tableau;
mod world;
