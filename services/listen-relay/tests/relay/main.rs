//! The relay against real PostgreSQL and NATS: order, catching up, taking over, counting.

mod encryption;
mod leading;
mod log;
mod order;
mod scene;
mod upkeep;
