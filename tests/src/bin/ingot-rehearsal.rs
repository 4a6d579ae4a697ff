//! Operators' and machines' doings to a cluster under load, as a program: `make rehearsal`. It
//! fails if a client can tell.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ingot_e2e::chaos::Load;
use ingot_e2e::rehearsal::{Lan, Outcome, Rehearsal, Scene};

#[derive(Debug, Parser)]
#[command(
    name = "ingot-rehearsal",
    about = "Rolls, scales, loses and cuts off parts of a cluster, each with a network address of its own"
)]
struct Arguments {
    /// Only scenes whose name has this text
    #[arg(long, default_value = "")]
    only: String,
    /// Sockets that listen
    #[arg(long, default_value_t = 40)]
    subscribers: usize,
    /// Channels
    #[arg(long, default_value_t = 20)]
    channels: usize,
    /// Seconds of calm before and after each scene
    #[arg(long, default_value_t = 3)]
    calm: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Some(why) = Lan::impediment() {
        say(&format!("ingot-rehearsal: {why}"));
        return ExitCode::FAILURE;
    }
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("ingot-rehearsal: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints the table line by line. Returns whether every line is flawless.
async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut rehearsal = Rehearsal::start(Load {
        subscribers: arguments.subscribers,
        channels: arguments.channels,
        calm: Duration::from_secs(arguments.calm),
    })
    .await?;
    say(Outcome::heading());
    let mut flawless = true;
    for scene in Scene::ALL {
        if scene.name().contains(&arguments.only) {
            let outcome = rehearsal.play(scene).await?;
            say(&outcome.to_string());
            if !outcome.is_flawless() {
                flawless = false;
                say(&format!("\n{}", rehearsal.last_words()));
            }
            if let Some(complaint) = outcome.requests.complaint {
                say(&format!("\nfirst failure: {complaint}\n"));
            }
        }
    }
    rehearsal.end().await?;
    Ok(flawless)
}

#[allow(clippy::print_stdout, reason = "the table is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}
