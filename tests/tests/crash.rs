//! Defends the promise that a receipt, once given, holds, and that who retries gets the one
//! receipt: the gateway and PostgreSQL are killed at random moments under load.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use evidence_domain::ids::ItemId;
use evidence_tests::{
    Engine, Gateway, World,
    postgres::Cluster,
    random,
    world::evidence::{parts, submit_on},
};
use evidence_wire::v1::{
    self, evidence_service_client::EvidenceServiceClient, submit_response::Outcome,
};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, interval_at, timeout},
};
use tonic::transport::Channel;

/// Callers that push beside one another.
const CALLERS: usize = 4;
/// How long the gateway lives before it is killed, at the most.
const LONGEST: Duration = Duration::from_millis(400);

/// A generator whose seed is printed, so that a run can be had again (xorshift64*).
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = std::env::var("EVIDENCE_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from_be_bytes(random())) | 1;
        println!("EVIDENCE_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, longest: Duration) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let roll = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        longest.mul_f64(f64::from(u32::try_from(roll).unwrap_or(0)) / f64::from(u32::MAX))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_of_the_gateway_on_sqlite() -> Result<()> {
    Box::pin(gateway_killed(World::start(Engine::Sqlite).await?, 50)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_of_the_gateway_on_postgres() -> Result<()> {
    Box::pin(gateway_killed(World::start(Engine::Postgres).await?, 50)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_of_postgres() -> Result<()> {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await??;
    let mut gateway = Gateway::new(Engine::Postgres, Some(&cluster.url()), "")?;
    gateway.init().await?;
    gateway.serve().await?;
    let mut world = World::with(gateway).await?;
    let load = Load::start(&world).await?;
    let mut dice = Dice::new();
    for _ in 0..10 {
        load.progress().await?;
        after(dice.below(LONGEST)).await;
        cluster = tokio::task::spawn_blocking(move || {
            cluster.kill9()?;
            cluster.restart()?;
            Ok::<_, anyhow::Error>(cluster)
        })
        .await??;
        // A gateway that cannot tell whether a commit took has stopped.
        if !world.gateway.answers(&world.operator).await {
            world.gateway.kill9().await?;
            world.gateway.serve().await?;
        }
    }
    load.finish(&world).await?;
    world.finish().await
}

async fn gateway_killed(mut world: World, times: usize) -> Result<()> {
    let load = Load::start(&world).await?;
    let mut dice = Dice::new();
    for _ in 0..times {
        load.progress().await?;
        after(dice.below(LONGEST)).await;
        world.gateway.kill9().await?;
        world.gateway.serve().await?;
    }
    load.finish(&world).await?;
    world.finish().await
}

/// Callers that push, and push again what they have no receipt for, until they are told to stop.
struct Load {
    callers: JoinSet<Result<Vec<Given>>>,
    stop: Arc<AtomicBool>,
    given: Arc<AtomicUsize>,
}

/// A push, and the one answer to it.
struct Given {
    push: v1::Push,
    document: Vec<u8>,
    answer: v1::SubmitResponse,
}

impl Load {
    async fn start(world: &World) -> Result<Self> {
        let (stop, given) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let grant = world.grant().await?;
            let mut work = Vec::new();
            for number in 0..1_500_usize {
                // Now and then one that goes to the document store.
                let size = if number % 16 == caller { 70_000 } else { 2_000 };
                let document = [random::<32>().to_vec(), vec![7; size]].concat();
                let push = world.push(
                    &world.trust,
                    &grant.subject,
                    world.evidence(&grant, None, &document),
                )?;
                work.push((push, document));
            }
            let client = world.trust.evidence();
            callers.spawn(push_all(
                client,
                work,
                Arc::clone(&stop),
                Arc::clone(&given),
            ));
        }
        Ok(Self {
            callers,
            stop,
            given,
        })
    }

    /// Waits until a push has come through since now: each crash finds work under way.
    async fn progress(&self) -> Result<()> {
        let before = self.given.load(Ordering::SeqCst);
        let mut looks = interval(Duration::from_millis(10));
        for _ in 0..3_000 {
            if self.given.load(Ordering::SeqCst) > before || self.callers.is_empty() {
                return Ok(());
            }
            looks.tick().await;
        }
        bail!("no push came through for half a minute")
    }

    /// Lets the callers end, and pushes everything once more: the same receipts come back.
    async fn finish(mut self, world: &World) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        let mut items: BTreeMap<ItemId, u64> = BTreeMap::new();
        while let Some(given) = self.callers.join_next().await {
            for given in given?? {
                let first = receipt(&given.answer)?.clone();
                let item = world.accepted(given.answer.clone(), &given.document)?;
                ensure!(
                    items.insert(item, first.index).is_none(),
                    "an item has two answers"
                );
                let again = world
                    .submit(&world.trust, &given.push, &given.document)
                    .await?;
                let again = receipt(&again)?;
                ensure!(
                    again.replay && again.receipt == first.receipt,
                    "a retry has another receipt"
                );
            }
        }
        println!("{} pushes have their one receipt", items.len());
        ensure!(!items.is_empty());
        Ok(())
    }
}

async fn push_all(
    client: EvidenceServiceClient<Channel>,
    work: Vec<(v1::Push, Vec<u8>)>,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> Result<Vec<Given>> {
    let mut given = Vec::new();
    for (push, document) in work {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let answer = until_answered(&client, &push, &document).await?;
        count.fetch_add(1, Ordering::SeqCst);
        given.push(Given {
            push,
            document,
            answer,
        });
    }
    Ok(given)
}

/// Sends the same push until it is answered, whatever goes wrong.
async fn until_answered(
    client: &EvidenceServiceClient<Channel>,
    push: &v1::Push,
    document: &[u8],
) -> Result<v1::SubmitResponse> {
    let mut tries = interval(Duration::from_millis(20));
    for _ in 0..2_000 {
        let sent = submit_on(client.clone(), parts(push, document));
        match timeout(Duration::from_secs(10), sent).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(_)) | Err(_) => drop(tries.tick().await),
        }
    }
    bail!("a push was never answered")
}

fn receipt(answer: &v1::SubmitResponse) -> Result<&v1::Receipt> {
    match answer.outcome.as_ref().context("an empty answer")? {
        Outcome::Receipt(receipt) => Ok(receipt),
        Outcome::Refusal(refusal) => bail!("refused: {} {}", refusal.reason, refusal.message),
    }
}

/// The random moment is the point: whatever is under way when it comes is cut off.
async fn after(span: Duration) {
    let period = Duration::from_secs(1);
    interval_at(Instant::now() + span, period).tick().await;
}
