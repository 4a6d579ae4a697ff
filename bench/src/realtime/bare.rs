//! A server that greets clients as a Socket.IO server does and then writes to each of them, one
//! after the other: what a broadcast costs at least, for nothing here is more than the system call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// What our nodes add to a payload: channel, ids, time.
const META: usize = 240;

type Room = Mutex<Vec<TcpStream>>;

/// Serves until the process is killed. `GET /emit?rate=…&seconds=…&bytes=…` broadcasts, as the peer's does.
pub(crate) fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let room = Arc::new(Room::default());
    for stream in TcpListener::bind(address)?.incoming() {
        let (stream, room) = (stream?, Arc::clone(&room));
        std::thread::spawn(move || handle(stream, &room));
    }
    Ok(())
}

fn handle(mut stream: TcpStream, room: &Room) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut target = String::new();
    reader.read_line(&mut target)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    if let Some((_, query)) = target.split_once("/emit?") {
        emit(room, query)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        return Ok(());
    }
    stream.write_all(SWITCHING)?;
    // The client waits for each answer, so every frame of it comes alone.
    for greeting in ["0{}", "40{}", "430[{}]"] {
        stream.write_all(&frame(greeting)?)?;
        if greeting != "430[{}]" {
            let _frame = reader.read(&mut [0; 4096])?;
        }
    }
    room.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(stream);
    Ok(())
}

fn emit(room: &Room, query: &str) -> anyhow::Result<()> {
    let [rate, seconds, bytes] = ["rate=", "seconds=", "bytes="].map(|name| {
        let value = query.split(['&', ' ']).find_map(|p| p.strip_prefix(name));
        value.and_then(|value| value.parse::<u32>().ok())
    });
    let rate = rate.context("rate")?;
    let text = "x".repeat(usize::try_from(bytes.context("bytes")?)? + META);
    let frame = frame(&format!("42[\"m\",{{\"text\":\"{text}\"}}]"))?;
    let begin = Instant::now();
    for number in 0..rate * seconds.context("seconds")? {
        let due = begin + Duration::from_secs(1) / rate * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut sockets = room.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain_mut(|socket| socket.write_all(&frame).is_ok());
    }
    Ok(())
}

/// A whole text (RFC 6455 §5.2).
fn frame(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(length) if length < 126 => frame.push(length),
        _ => {
            frame.push(126);
            frame.extend(u16::try_from(text.len())?.to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    Ok(frame)
}
