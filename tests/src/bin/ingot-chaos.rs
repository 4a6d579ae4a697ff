//! The fault matrix of realtime as a program: `make chaos`. It fails if a message was lost, came
//! twice or came out of order.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ingot_config::SettingValue;
use ingot_e2e::chaos::{Account, Chaos, Fault, Load};
use ingot_schema::RealtimeSource;

#[derive(Debug, Parser)]
#[command(
    name = "ingot-chaos",
    about = "Breaks one part of a cluster after the other, and counts messages"
)]
struct Arguments {
    /// Only faults whose name has this text
    #[arg(long, default_value = "")]
    only: String,
    /// Where relays hear of messages: `listen` or `wal`
    #[arg(long, default_value = "listen", value_parser = RealtimeSource::parse)]
    source: RealtimeSource,
    /// Sockets that listen
    #[arg(long, default_value_t = 60)]
    subscribers: usize,
    /// Channels
    #[arg(long, default_value_t = 20)]
    channels: usize,
    /// Seconds of calm before and after each fault
    #[arg(long, default_value_t = 4)]
    calm: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("ingot-chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints the table line by line. Returns whether every line is flawless.
async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let load = Load {
        subscribers: arguments.subscribers,
        channels: arguments.channels,
        calm: Duration::from_secs(arguments.calm),
    };
    let mut chaos = Chaos::start(load, arguments.source).await?;
    say(Account::heading());
    let mut flawless = true;
    for fault in Fault::ALL {
        let is_possible = fault != Fault::LogEnded || arguments.source == RealtimeSource::Wal;
        if is_possible && fault.name().contains(&arguments.only) {
            let account = chaos.run(fault).await?;
            flawless &= account.is_flawless();
            say(&account.to_string());
        }
    }
    Ok(flawless)
}

#[allow(clippy::print_stdout, reason = "the table is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}
