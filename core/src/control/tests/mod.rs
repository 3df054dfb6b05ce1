mod faults;
mod forming;
mod liveness;
mod world;
