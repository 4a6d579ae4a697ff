//! `ingot`: all of Ingot on one machine, for a first look, for development and for tests.
//!
//! `ingot up` runs every service in one process, `ingot cluster` several processes of each, both
//! beside a private PostgreSQL and NATS. What both share: a [`Plan`] says which services run and
//! where, [`Settings`] what they are told; [`InProcess`] runs them as tasks, `processes` as programs.

mod adopt;
mod all_in_one;
mod announcement;
mod background;
mod backup;
mod check;
mod command_line;
mod console;
mod data_folder;
mod doctor;
mod in_process;
mod keys;
mod migrate;
mod plan;
mod processes;
mod readiness;
mod secret_files;
mod secrets;
mod service;
mod settings;
mod up;
mod variables_file;

pub use command_line::main;
pub use in_process::InProcess;
pub use plan::{Counts, Member, Plan};
pub use readiness::{Report, wait_until_ready};
pub use secret_files::{create as create_secret_files, kubernetes_secrets};
pub use secrets::Secrets;
pub use service::Service;
pub use settings::Settings;
pub use variables_file::read_variables;
