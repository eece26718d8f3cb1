//! `cargo xtask bench submit [seconds] [documents in flight]`: receipts in hand per second for
//! 4 KiB documents over mTLS with durable commits, on both engines. The client signs each
//! statement, sends it, and checks that a receipt came; it shares the machine with the gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use evidence_tests::{Engine, World, client::channel, random, world::evidence::parts};
use evidence_wire::v1::{
    self, evidence_service_client::EvidenceServiceClient, submit_response::Outcome,
};
use hdrhistogram::Histogram;
use tokio::{
    sync::{Mutex, Semaphore, mpsc},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;

const DOCUMENT: usize = 4 * 1024;
const CONNECTIONS: usize = 4;
const STREAMS: usize = 8;
const CLAIMANTS: usize = 50;
/// Ticks in a second, as `/proc` counts processor time on Linux.
const TICKS: f64 = 100.0;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let numbers: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let seconds = numbers.first().copied().unwrap_or(10);
    let in_flight = usize::try_from(numbers.get(1).copied().unwrap_or(256))?;
    println!(
        "4 KiB documents, {CONNECTIONS} connections, {STREAMS} streams, {in_flight} in flight, {seconds} s, client included"
    );
    println!(
        "engine     receipts/s   p50 ms   p99 ms   gateway CPU s   client CPU s   gateway peak MiB"
    );
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let world = World::start(engine).await?;
        let measured = run(&world, Duration::from_secs(seconds), in_flight).await?;
        println!("{measured}");
    }
    Ok(())
}

struct Measured {
    engine: Engine,
    per_second: f64,
    p50: f64,
    p99: f64,
    gateway_cpu: f64,
    client_cpu: f64,
    peak_mib: f64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:<10} {:>10.0} {:>8.1} {:>8.1} {:>15.1} {:>14.1} {:>18.0}",
            format!("{:?}", self.engine).to_lowercase(),
            self.per_second,
            self.p50,
            self.p99,
            self.gateway_cpu,
            self.client_cpu,
            self.peak_mib,
        )
    }
}

async fn run(world: &World, time: Duration, in_flight: usize) -> Result<Measured> {
    let mut grants = Vec::with_capacity(CLAIMANTS);
    for _ in 0..CLAIMANTS {
        grants.push(world.grant().await?);
    }
    let gateway = world.gateway.pid().context("the gateway runs")?;
    let (cpu, own) = (cpu_seconds(gateway)?, cpu_seconds(std::process::id())?);
    let taken = Arc::new(Mutex::new(Histogram::<u64>::new(3)?));
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let streams = (0..STREAMS).map(|number| {
        let (grants, taken, stop) = (&grants, Arc::clone(&taken), &stop);
        let trust = channel(
            &world.gateway.address,
            &world.gateway.ca,
            &world.trust.identity,
        );
        async move {
            stream(
                world,
                trust?,
                number,
                grants,
                in_flight / STREAMS,
                taken,
                stop,
            )
            .await
        }
    });
    let timer = async {
        let never = futures::future::pending::<()>();
        // Runs out: that is what it is for.
        let _ = tokio::time::timeout(time, never).await;
        stop.store(true, Ordering::Relaxed);
        Ok(())
    };
    let all = futures::future::try_join_all(streams);
    futures::future::try_join(all, timer).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let taken = taken.lock().await;
    let ms = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1_000.0;
    Ok(Measured {
        engine: world.gateway.engine,
        per_second: f64::from(u32::try_from(taken.len())?) / elapsed,
        p50: ms(taken.value_at_quantile(0.5)),
        p99: ms(taken.value_at_quantile(0.99)),
        gateway_cpu: cpu_seconds(gateway)? - cpu,
        client_cpu: cpu_seconds(std::process::id())? - own,
        peak_mib: peak_mib(gateway)?,
    })
}

/// One stream, kept full: the next document is signed when a receipt makes room.
async fn stream(
    world: &World,
    channel: tonic::transport::Channel,
    number: usize,
    grants: &[v1::Grant],
    in_flight: usize,
    taken: Arc<Mutex<Histogram<u64>>>,
    stop: &AtomicBool,
) -> Result<()> {
    let (parts_in, outbound) = mpsc::channel(3 * in_flight);
    let room = Arc::new(Semaphore::new(in_flight));
    let begun: Mutex<std::collections::HashMap<String, Instant>> = Mutex::default();
    let mut client = EvidenceServiceClient::new(channel);
    let mut answers = client
        .submit(ReceiverStream::new(outbound))
        .await?
        .into_inner();
    let send = async {
        let mut turn = number;
        while !stop.load(Ordering::Relaxed) {
            room.acquire().await?.forget();
            let grant = &grants[turn % grants.len()];
            turn += STREAMS;
            let mut document = vec![0_u8; DOCUMENT];
            document[..32].copy_from_slice(&random::<32>());
            let start = Instant::now();
            let evidence = world.evidence(grant, None, &document);
            begun.lock().await.insert(evidence.item.to_string(), start);
            let push = world.push(&world.trust, &grant.subject, evidence)?;
            for part in parts(&push, &document) {
                parts_in.send(part).await?;
            }
        }
        drop(parts_in);
        Ok(())
    };
    let receive = async {
        while let Some(answer) = answers.message().await? {
            let Some(Outcome::Receipt(receipt)) = answer.outcome else {
                bail!("a push was refused: {:?}", answer.outcome);
            };
            // Verifying is the receiver's to do when it likes; a sample shows that they hold.
            if receipt.index % 16 == 0 {
                world.log.verify(&receipt)?;
            }
            let start = begun
                .lock()
                .await
                .remove(&answer.item_id)
                .context("an item that was sent")?;
            taken
                .lock()
                .await
                .record(u64::try_from(start.elapsed().as_micros())?)?;
            room.add_permits(1);
        }
        Ok(())
    };
    futures::future::try_join(send, receive).await?;
    if !begun.lock().await.is_empty() {
        bail!("a push got no receipt");
    }
    Ok(())
}

/// Processor time of a process so far, user and system.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after) = stat.rsplit_once(')').context("a command in brackets")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: f64 = fields
        .get(11..13)
        .context("the times")?
        .iter()
        .filter_map(|t| t.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS)
}

fn peak_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .context("the peak")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .context("a number")?
        .parse()?;
    Ok(kib / 1024.0)
}
