//! Frames that nobody would send: whatever comes, the node goes on, and other sockets notice nothing.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::format_push_string,
    reason = "dice with few sides, thrown in a test"
)]

mod scene;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ingot_testkit::TestService;
use reqwest::Method;
use scene::raw::Raw;
use scene::{Scene, USER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is changed at random: frames of every kind, sound and unsound.
const SEEDS: [&str; 26] = [
    "0",
    "1",
    "2",
    "2probe",
    "3",
    "40",
    "40{\"token\":\"x\"}",
    "40/foo,{}",
    "41",
    "42[\"realtime:subscribe\",{\"channel\":\"orders\"}]",
    "421[\"realtime:subscribe\",{\"channel\":\"orders\",\"since\":\"5d0dbf2c-1f9c-4d0e-8a53-0a5f3d4b6a01\"}]",
    "42[\"realtime:unsubscribe\",{\"channel\":\"orders\"}]",
    "42[\"realtime:publish\",{\"channel\":\"orders\",\"event\":\"presence:join\",\"payload\":{\"member\":{}}}]",
    "42[\"realtime:publish\",{\"channel\":\"orders\",\"event\":\"notification\",\"payload\":[]}]",
    "42[\"realtime:publish\",{\"channel\":\"orders\",\"event\":\"data:update\",\"payload\":null}]",
    "42[\"presence:leave\",{\"member\":{\"presenceId\":\"a\"}}]",
    "42[\"disconnect\"]",
    "4312[{\"ok\":true}]",
    "44{\"message\":\"no\"}",
    "451-[\"realtime:publish\",{\"_placeholder\":true,\"num\":0}]",
    "4599999999999-[\"e\",{\"_placeholder\":true,\"num\":99999999999}]",
    "461-5[{\"_placeholder\":true,\"num\":0}]",
    "4299999999999999999999[\"realtime:subscribe\",{}]",
    "5",
    "6",
    "bAAEC",
];
/// Frames of each kind.
const FRAMES: usize = 600;
/// Frames on one connection; most end it.
const EACH: usize = 6;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Numbers that look random, the same at every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }

    /// A frame that was sound once, with some of it changed.
    fn frame(&mut self) -> String {
        let mut frame: Vec<char> = SEEDS[self.next(SEEDS.len())].chars().collect();
        for _ in 0..self.next(4) {
            let place = self.next(frame.len() + 1);
            match self.next(6) {
                0 => frame.truncate(place),
                1 => frame.insert(
                    place,
                    ['[', '{', '"', '\\', '\0', 'é', '😀', '9', '-', '/'][self.next(10)],
                ),
                2 if place < frame.len() => drop(frame.remove(place)),
                3 if place < frame.len() => frame[place] = char::from(b' ' + self.next(95) as u8),
                4 => frame.extend(SEEDS[self.next(SEEDS.len())].chars()),
                _ => frame
                    .splice(place..place, "[".repeat(200).chars())
                    .for_each(drop),
            }
        }
        frame.into_iter().collect()
    }

    /// A WebSocket frame as bytes, rarely a sound one.
    fn bytes(&mut self) -> Vec<u8> {
        let payload: Vec<u8> = match self.next(3) {
            0 => self.frame().into_bytes(),
            1 => (0..self.next(300)).map(|_| self.next(256) as u8).collect(),
            _ => vec![0xff, 0xfe],
        };
        // Whole or not, with reserved bits or not, of any kind; masked with zeros or not at all.
        let mut bytes =
            vec![[0x81, 0x82, 0x01, 0x00, 0x88, 0x89, 0x8a, 0xf1, 0x83, 0x09][self.next(10)]];
        let mask = [0x80, 0x80, 0x80, 0][self.next(4)];
        match self.next(8) {
            0 => bytes.extend([mask | 0x7e, 0xff, 0xff]),
            1 => bytes.extend([mask | 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            2 => bytes.push(mask | 0x05),
            _ if payload.len() < 126 => bytes.push(mask | payload.len() as u8),
            _ => bytes.extend([mask | 0x7e, (payload.len() >> 8) as u8, payload.len() as u8]),
        }
        if mask != 0 {
            bytes.extend([0; 4]);
        }
        bytes.extend(payload);
        bytes
    }
}

async fn websocket_texts(scene: &Scene, node: &TestService, dice: &mut Dice) -> anyhow::Result<()> {
    for connection in 0..FRAMES / EACH {
        // Before the namespace and in it.
        let mut raw = if connection % 2 == 0 {
            Raw::open(scene, node).await?
        } else {
            Raw::join(scene, node).await?
        };
        for _ in 0..EACH {
            if raw.send(&dice.frame()).await.is_err() {
                break;
            }
        }
    }
    Ok(())
}

async fn websocket_bytes(scene: &Scene, node: &TestService, dice: &mut Dice) -> anyhow::Result<()> {
    for _ in 0..FRAMES / EACH {
        let mut stream = TcpStream::connect(node.address()).await?;
        let mut request = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\n\
            connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
            sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            .to_owned();
        for (name, value) in scene.headers().as_object().into_iter().flatten() {
            request += &format!("{name}: {}\r\n", value.as_str().unwrap_or_default());
        }
        request += "\r\n";
        let mut bytes = request.into_bytes();
        for _ in 0..EACH {
            bytes.extend(dice.bytes());
        }
        // In pieces, so that frames come cut.
        for piece in bytes.chunks(1 + dice.next(700)) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"HTTP/1.1 101");
    }
    Ok(())
}

async fn polling(node: &TestService, dice: &mut Dice) -> anyhow::Result<()> {
    for _ in 0..FRAMES / EACH / 4 {
        let open = node
            .request(Method::GET, "/socket.io/?EIO=4&transport=polling")
            .send()
            .await?
            .text()
            .await?;
        let sid: String = open.chars().skip(8).take_while(|c| *c != '"').collect();
        for _ in 0..EACH {
            let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
            let packets: Vec<String> = (0..dice.next(4)).map(|_| dice.frame()).collect();
            let answer = node
                .request(Method::POST, &path)
                .body(packets.join("\u{1e}"))
                .send()
                .await?;
            assert!(answer.status().as_u16() < 500, "{packets:?}");
        }
        // Oddities of the address.
        let query = dice
            .frame()
            .replace(|c: char| !c.is_ascii_graphic() || c == '#', "%00");
        for path in [
            format!("/socket.io/?EIO=4&transport=polling&sid={query}"),
            format!("/socket.io/?{query}"),
            format!("/socket.io/?EIO={query}&transport=websocket"),
        ] {
            let answer = node.request(Method::GET, &path).send().await?;
            assert!(answer.status().as_u16() < 500, "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn odd_frames_harm_nobody() -> anyhow::Result<()> {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    let mut scene = Scene::new().await?;
    let node = scene.node().await?;
    let mut bystander = Raw::join(&scene, &node).await?;
    let subscribe = r#"421["realtime:subscribe",{"channel":"orders"}]"#;
    bystander.send(subscribe).await?;
    assert!(bystander.text().await?.starts_with(r#"431[{"ok":true"#));

    let mut dice = Dice(0x5eed_1234_5678_9abc);
    tokio::time::timeout(Duration::from_mins(2), async {
        websocket_texts(&scene, &node, &mut dice).await?;
        websocket_bytes(&scene, &node, &mut dice).await?;
        polling(&node, &mut dice).await
    })
    .await??;

    // Nothing but this reached the bystander, and the node serves as before.
    scene.publish("orders", "after", "{}").await?;
    let next = bystander.text().await?;
    assert!(next.starts_with(r#"42["after",{"meta""#), "{next}");
    let mut late = Raw::join(&scene, &node).await?;
    late.send(subscribe).await?;
    let answer = late.text().await?;
    assert!(
        answer.contains(&format!(r#""presenceId":"{USER}""#)),
        "{answer}"
    );
    let forged: i64 = sqlx::query_scalar(
        "select count(*) from realtime.messages
        where event_name ~ '^(presence:|realtime:|notification$|data:update$|disconnect$)'",
    )
    .fetch_one(&mut scene.project.superuser().await?)
    .await?;
    assert_eq!(forged, 0);
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
    node.stop().await
}
