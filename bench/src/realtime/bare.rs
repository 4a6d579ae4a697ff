//! A server that greets clients as a Socket.IO server does and then writes to each of them, one
//! after the other: what a broadcast costs at least, for nothing here is more than the system call.
//! `GET /emit` lets it broadcast to all; after `GET /feed` every line names the room of a message.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// What our nodes add to a payload: channel, ids, time.
const META: usize = 240;

/// Sockets by what they asked for when they subscribed.
type Rooms = Mutex<HashMap<String, Vec<TcpStream>>>;

/// Serves until the process is killed.
pub(crate) fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let rooms = Arc::new(Rooms::default());
    for stream in TcpListener::bind(address)?.incoming() {
        let (stream, rooms) = (stream?, Arc::clone(&rooms));
        std::thread::spawn(move || handle(stream, &rooms));
    }
    Ok(())
}

fn handle(mut stream: TcpStream, rooms: &Rooms) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut target = String::new();
    reader.read_line(&mut target)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    if let Some((_, query)) = target.split_once("/emit?") {
        emit(rooms, query)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        return Ok(());
    }
    if target.contains("/feed") {
        return feed(rooms, reader);
    }
    stream.write_all(SWITCHING)?;
    stream.write_all(&frame("0{}")?)?;
    // The client waits for each answer, so every frame of it comes alone.
    let mut asked = [0; 4096];
    reader.read(&mut asked).context("no greeting")?;
    stream.write_all(&frame("40{}")?)?;
    let length = reader.read(&mut asked)?;
    let asked = String::from_utf8_lossy(asked.get(..length).unwrap_or_default());
    let (_, room) = asked.split_once('[').context("no subscription")?;
    stream.write_all(&frame("430[{}]")?)?;
    let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
    rooms.entry(room.to_owned()).or_default().push(stream);
    Ok(())
}

fn feed(rooms: &Rooms, mut lines: impl BufRead) -> anyhow::Result<()> {
    let frame = message(1024)?;
    let mut room = String::new();
    while lines.read_line(&mut room)? > 0 {
        let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sockets) = rooms.get_mut(room.trim_end()) {
            sockets.retain_mut(|socket| socket.write_all(&frame).is_ok());
        }
        room.clear();
    }
    Ok(())
}

fn emit(rooms: &Rooms, query: &str) -> anyhow::Result<()> {
    let [rate, seconds, bytes] = ["rate=", "seconds=", "bytes="].map(|name| {
        let value = query.split(['&', ' ']).find_map(|p| p.strip_prefix(name));
        value.and_then(|value| value.parse::<u32>().ok())
    });
    let rate = rate.context("rate")?;
    let frame = message(usize::try_from(bytes.context("bytes")?)?)?;
    let begin = Instant::now();
    for number in 0..rate * seconds.context("seconds")? {
        let due = begin + Duration::from_secs(1) / rate * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        for sockets in rooms.values_mut() {
            sockets.retain_mut(|socket| socket.write_all(&frame).is_ok());
        }
    }
    Ok(())
}

/// As long as one of our nodes makes it.
fn message(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let text = "x".repeat(bytes + META);
    frame(&format!("42[\"m\",{{\"text\":\"{text}\"}}]"))
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
