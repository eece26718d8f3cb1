//! Defends the whole journey: consent, request, push, receipt, bundle, decision, the claimant's
//! record; and each thing that may happen on the way.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use evidence_domain::{
    Aside, event::CertifiedCopy, event::Disclosure, event::DisclosureDeclared, ids::ItemId,
};
use evidence_tests::{World, ok, on_both, refused, world::use_::pull};
use evidence_wire::v1::{self, ItemState, RequestState, pull_response::Part};
use jiff::civil::date;
use tokio::time::timeout;

/// Larger than what rides in the database, so that it goes to the document store.
fn large() -> Vec<u8> {
    (0..3_000_000_u32)
        .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap_or(0))
        .collect()
}

on_both! {
    /// One claimant from consent to decision, seen from every side.
    async fn whole(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let early = world.letter(&world.gp, &grant, None, b"early letter").await?;
        let case = world.case(&grant, "wca").await?;
        let request = world.request(&case, &grant, &world.trust).await?;
        let acknowledged = ok!(world.trust.requests().acknowledge_request(v1::AcknowledgeRequestRequest {
            request_id: world.key(),
            evidence_request_id: request.request_id.clone(),
        }));
        ensure!(acknowledged.request.context("no request")?.state() == RequestState::Acknowledged);
        let document = large();
        let mut evidence = world.evidence(&grant, Some(&request), &document);
        evidence.completes = true;
        let push = world.push(&world.trust, &request.subject, evidence)?;
        let letter = world.give(&world.trust, &push, &document).await?;
        let answered = ok!(world.dwp.requests().get_request(v1::GetRequestRequest { evidence_request_id: request.request_id.clone() }));
        ensure!(answered.state() == RequestState::Answered && answered.items == [letter.to_string()]);
        let own = world.own_statement(&grant, "On most days I cannot stand for long.").await?;
        let note = ok!(world.portal.record().add_note(v1::AddNoteRequest {
            request_id: world.key(),
            viewer: world.viewer(&grant),
            item_id: letter.to_string(),
            text: "This is not what I said.".to_owned(),
        }));
        world.keep(note.receipt)?;
        let adjustment = ok!(world.portal.record().state_adjustment(v1::StateAdjustmentRequest {
            request_id: world.key(),
            viewer: world.viewer(&grant),
            text: "Letters in large print.".to_owned(),
        }));
        world.keep(adjustment.receipt)?;
        let pulled = world.pull(&case).await?;
        ensure!(pulled.items() == [early.to_string(), letter.to_string(), own.item_id.clone()].into());
        ensure!(pulled.documents[&letter.to_string()] == document);
        ensure!(pulled.manifest.adjustments.len() == 1);
        let noted = pulled.manifest.items.iter().find(|item| item.item.as_ref().is_some_and(|item| item.item_id == letter.as_str()));
        ensure!(noted.context("no letter")?.notes.len() == 1, "a note travels with its item");
        world.acknowledge(&case, &pulled).await?;
        let mut decide = world.decide(&case, &pulled)?;
        decide.discount(&early, Some("It is about a time before the period."));
        let decision = world.record(&decide).await?;
        let uses = ok!(world.dwp.decisions().get_uses(v1::GetUsesRequest { decision_id: decision.decision_id.clone() }));
        ensure!(uses.uses.len() == 3 && uses.uses.iter().all(|each| !each.sentence.is_empty()));
        the_claimant_sees_it(world, &grant, &decision, 3).await
    }

    /// A VCSE scans a letter and certifies the copy; and relays what a council signed.
    async fn relayed_and_copied(world: &mut World) -> Result<()> {
        let claimant = world.claimant().await?;
        let disclosers = vec![world.council.id.to_string(), world.trust.id.to_string()];
        let grant = world.grant_with(v1::CreateGrantRequest { disclosers, ..world.grant_request(&claimant) }).await?;
        let case = world.case(&grant, "pip").await?;
        let delegation = world.delegate(&world.council, &grant, &world.vcse).await?;
        let request = world.request(&case, &grant, &world.council).await?;
        let evidence = world.evidence(&grant, Some(&request), b"care plan");
        let item = evidence.item.clone();
        let push = world.push(&world.council, &request.subject, evidence)?;
        let relay = world.relay(&item, &push, Some(&delegation))?;
        let push = world.relayed(&world.vcse, &request.subject, push, relay)?;
        world.give(&world.vcse, &push, b"care plan").await?;
        let shown = ok!(world.council.evidence().get_item(v1::GetItemRequest { item_id: item.to_string() }));
        ensure!(shown.intermediary == world.vcse.id.as_str());
        let by_claimant = world.delegate(&world.portal, &grant, &world.vcse).await?;
        let mut copy = world.evidence(&grant, None, b"scanned letter");
        copy.certified_copy = Some(CertifiedCopy {
            method: "scan".to_owned(),
            origin: Some(world.trust.id.clone()),
            delegation: Some(by_claimant.delegation_id.parse()?),
        });
        let push = world.push(&world.vcse, &grant.subject, copy)?;
        let copied = world.give(&world.vcse, &push, b"scanned letter").await?;
        let pulled = world.pull(&case).await?;
        ensure!(pulled.items() == [item.to_string(), copied.to_string()].into());
        let certified = |item: &v1::ManifestItem| item.item.as_ref().is_some_and(|item| item.certified_copy);
        ensure!(pulled.manifest.items.iter().filter(|item| certified(item)).count() == 1);
        ensure!(pulled.manifest.items.iter().filter(|item| item.relay_receipt.is_some()).count() == 1);
        let ended = ok!(world.council.consent().end_delegation(v1::EndDelegationRequest {
            request_id: world.key(),
            delegation_id: delegation.delegation_id.clone(),
        }));
        world.keep(ended.receipt)?;
        Ok(())
    }

    /// A newer letter takes an older one's place; another is taken back.
    async fn superseded_and_withdrawn(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let case = world.case(&grant, "wca").await?;
        let old = world.letter(&world.trust, &grant, None, b"old").await?;
        let wrong = world.letter(&world.trust, &grant, None, b"wrong person").await?;
        let mut newer = world.evidence(&grant, None, b"new");
        newer.supersedes = Some(old.clone());
        let push = world.push(&world.trust, &grant.subject, newer)?;
        let new = world.give(&world.trust, &push, b"new").await?;
        let withdrawn = ok!(world.trust.evidence().withdraw_item(v1::WithdrawItemRequest {
            request_id: world.key(),
            item_id: wrong.to_string(),
            reason: "wrong_person".to_owned(),
        }));
        world.keep(withdrawn.receipt)?;
        let shown = ok!(world.trust.evidence().get_item(v1::GetItemRequest { item_id: old.to_string() }));
        ensure!(shown.state() == ItemState::Superseded && shown.superseded_by == new.as_str());
        ensure!(world.pull(&case).await?.items() == [new.to_string()].into());
        Ok(())
    }

    /// A question to the recipient pauses the clock; a request is declined, another cancelled.
    async fn clarified_declined_cancelled(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let case = world.case(&grant, "wca").await?;
        let asked = world.request(&case, &grant, &world.gp).await?;
        let id = || asked.request_id.clone();
        let question = "Which period do you mean?".to_owned();
        let paused = ok!(world.gp.requests().ask_clarification(v1::AskClarificationRequest { request_id: world.key(), evidence_request_id: id(), question }));
        world.keep(paused.receipt)?;
        let paused = paused.request.context("no request")?;
        ensure!(paused.state() == RequestState::Paused && paused.turn == world.dwp.id.as_str());
        let answer = "The last six months.".to_owned();
        let going = ok!(world.dwp.requests().answer_clarification(v1::AnswerClarificationRequest { request_id: world.key(), evidence_request_id: id(), answer }));
        world.keep(going.receipt)?;
        let going = going.request.context("no request")?;
        ensure!(going.turn == world.gp.id.as_str() && going.clarifications.len() == 1);
        let declined = ok!(world.gp.requests().decline_request(v1::DeclineRequestRequest { request_id: world.key(), evidence_request_id: id(), reason: "no_record_held".to_owned(), note: String::new() }));
        world.keep(declined.receipt)?;
        let declined = declined.request.context("no request")?;
        ensure!(declined.state() == RequestState::Declined && declined.r#final && declined.turn.is_empty());
        let other = world.request(&case, &grant, &world.council).await?;
        let cancelled = ok!(world.dwp.requests().cancel_request(v1::CancelRequestRequest { request_id: world.key(), evidence_request_id: other.request_id, note: String::new() }));
        world.keep(cancelled.receipt)?;
        ensure!(cancelled.request.context("no request")?.state() == RequestState::Cancelled);
        Ok(())
    }

    /// A system that was away gets exactly what it has not had, also across a crash.
    async fn watch_misses_nothing(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let case = world.case(&grant, "wca").await?;
        let mut stream = ok!(world.trust.requests().watch(v1::WatchRequest::default()));
        let first = world.request(&case, &grant, &world.trust).await?;
        let mut seen = Vec::new();
        while seen.last().is_none_or(|event: &v1::WatchEvent| event.event != "request-opened") {
            seen.push(timeout(Duration::from_secs(20), stream.message()).await??.context("the stream ended")?);
        }
        ensure!(seen.last().is_some_and(|event| event.evidence_request_id == first.request_id));
        let token = seen.last().map(|event| event.resume_token.clone()).context("nothing was seen")?;
        world.gateway.kill9().await?;
        world.gateway.serve().await?;
        world.letter(&world.trust, &grant, Some(&first), b"letter").await?;
        world.request(&case, &grant, &world.trust).await?;
        let rest = events(world, &token, 2).await?;
        ensure!(rest.iter().map(|event| event.event.as_str()).collect::<Vec<_>>() == ["evidence", "request-opened"]);
        let all = events(world, "", seen.len() + 2).await?;
        let entries: BTreeSet<_> = all.iter().map(|event| event.entry.clone()).collect();
        ensure!(entries.len() == all.len(), "an event came twice");
        ensure!(seen.iter().chain(&rest).map(|event| &event.entry).eq(all.iter().map(|event| &event.entry)));
        Ok(())
    }

    /// A pull that broke off goes on where it was, without a second bundle.
    async fn bundle_resumes(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let case = world.case(&grant, "wca").await?;
        let document = large();
        let item = world.letter(&world.trust, &grant, None, &document).await?;
        let mut stream = ok!(world.dwp.bundles().pull(world.pull_request(&case)));
        let mut bundle = String::new();
        let mut bytes = Vec::new();
        while bytes.is_empty() {
            match stream.message().await?.and_then(|message| message.part).context("the stream ended")? {
                Part::Manifest(manifest) => bundle = manifest.bundle.context("no bundle")?.bundle_id,
                Part::Chunk(chunk) => bytes.extend(chunk.data),
            }
        }
        drop(stream);
        ensure!(bytes.len() < document.len(), "the first message holds the whole document");
        let rest = v1::PullRequest {
            bundle_id: bundle.clone(),
            from_item_id: item.to_string(),
            from_offset: bytes.len() as u64,
            ..Default::default()
        };
        let pulled = pull(&world.dwp, rest).await?;
        bytes.extend(&pulled.documents[&item.to_string()]);
        ensure!(bytes == document);
        let listed = ok!(world.dwp.bundles().list_bundles(v1::ListBundlesRequest { case_id: case.case_id.clone(), ..Default::default() }));
        ensure!(listed.bundles.len() == 1 && listed.bundles[0].bundle_id == bundle);
        Ok(())
    }

    /// Evidence given once serves another assessment that the claimant has allowed.
    async fn reused_across_assessments(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let item = world.letter(&world.trust, &grant, None, b"letter").await?;
        for assessment in ["wca", "pip"] {
            let case = world.case(&grant, assessment).await?;
            let pulled = world.pull(&case).await?;
            ensure!(pulled.items() == [item.to_string()].into());
            world.acknowledge(&case, &pulled).await?;
            world.record(&world.decide(&case, &pulled)?).await?;
        }
        Ok(())
    }

    /// Withdrawing consent stops requests, pushes and pulls at once; what was used stays proven.
    async fn withdrawal_stops_everything(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let case = world.case(&grant, "wca").await?;
        let request = world.request(&case, &grant, &world.trust).await?;
        world.letter(&world.trust, &grant, Some(&request), b"letter").await?;
        let pulled = world.pull(&case).await?;
        world.withdraw_grant(&grant).await?;
        let asked = refused!(world.dwp.requests().open_request(world.request_request(&case, &grant, &world.gp)));
        ensure!(asked == "grant_withdrawn", "{asked}");
        let evidence = world.evidence(&grant, Some(&request), b"late");
        let push = world.push(&world.trust, &request.subject, evidence)?;
        let pushed = world.refused(world.submit(&world.trust, &push, b"late").await?)?;
        ensure!(pushed == "grant_withdrawn", "{pushed}");
        let again = refused!(world.dwp.bundles().pull(world.pull_request(&case)));
        ensure!(again == "grant_withdrawn", "{again}");
        let bundle_id = pulled.bundle().bundle_id.clone();
        let rest = refused!(pull_to_end(&world.dwp, v1::PullRequest { bundle_id, ..Default::default() }));
        ensure!(rest == "grant_withdrawn", "{rest}");
        Ok(())
    }

    /// What a professional withholds is the recipient's to use and shows nowhere to the claimant.
    async fn withheld_from_the_claimant(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let case = world.case(&grant, "wca").await?;
        let mut harmful = world.evidence(&grant, None, b"harmful");
        harmful.disclosure = Disclosure::Withheld;
        let push = world.push(&world.trust, &grant.subject, harmful)?;
        let item = world.give(&world.trust, &push, b"harmful").await?;
        let pulled = world.pull(&case).await?;
        ensure!(pulled.manifest.items.iter().all(|item| item.withheld));
        world.record(&world.decide(&case, &pulled)?).await?;
        let record = ok!(world.portal.record().get_record(v1::GetRecordRequest { viewer: world.viewer(&grant) }));
        ensure!(record.items.is_empty());
        let asked = v1::ReadItemRequest { viewer: world.viewer(&grant), item_id: item.to_string(), from_offset: 0 };
        ensure!(refused!(world.portal.record().read_item(asked)) == "not_found");
        let declared = DisclosureDeclared { item: item.clone(), disclosure: Disclosure::Open, profession: "doctor".to_owned(), declared_on: date(2026, 7, 2) };
        let aside: Aside = [("professional", "Dr A"), ("registration", "1234567"), ("reasons", "No longer harmful.")].map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let declaration = Some(world.sign(&world.trust, &grant.subject, declared, aside)?);
        let opened = ok!(world.trust.evidence().declare_disclosure(v1::DeclareDisclosureRequest { declaration }));
        world.keep(opened.receipt)?;
        ensure!(read(world, &grant, &item).await? == b"harmful");
        Ok(())
    }
}

/// What is held, who saw it and how it was used, as the claimant is shown.
async fn the_claimant_sees_it(
    world: &World,
    grant: &v1::Grant,
    decision: &v1::Decision,
    items: usize,
) -> Result<()> {
    let viewer = || world.viewer(grant);
    let record = ok!(world
        .portal
        .record()
        .get_record(v1::GetRecordRequest { viewer: viewer() }));
    ensure!(
        (
            record.items.len(),
            record.requests.len(),
            record.cases.len(),
            record.adjustments.len()
        ) == (items, 1, 1, 1)
    );
    for item in &record.items {
        world.keep(item.receipt.clone())?;
    }
    let first: ItemId = record.items[0].item_id.parse()?;
    read(world, grant, &first).await?;
    let accesses = ok!(world
        .portal
        .record()
        .list_accesses(v1::ListAccessesRequest {
            viewer: viewer(),
            ..Default::default()
        }))
    .accesses;
    let actions: BTreeSet<_> = accesses
        .iter()
        .map(|access| access.action.as_str())
        .collect();
    ensure!(actions == ["pulled", "viewed"].into(), "{actions:?}");
    let pulled = accesses
        .iter()
        .find(|access| access.action == "pulled")
        .context("no pull")?;
    ensure!(
        pulled.organisation_name == world.dwp.name
            && pulled.items.len() == items
            && pulled.purpose == "wca"
    );
    let decisions = ok!(world
        .portal
        .record()
        .list_decisions(v1::ListDecisionsRequest { viewer: viewer() }))
    .decisions;
    ensure!(decisions.len() == 1 && decisions[0].decision_id == decision.decision_id);
    ensure!(decisions[0].uses.len() == items);
    Ok(())
}

/// A document as the claimant reads it.
async fn read(world: &World, grant: &v1::Grant, item: &ItemId) -> Result<Vec<u8>> {
    let asked = v1::ReadItemRequest {
        viewer: world.viewer(grant),
        item_id: item.to_string(),
        from_offset: 0,
    };
    let mut stream = ok!(world.portal.record().read_item(asked));
    let mut bytes = Vec::new();
    while let Some(part) = stream.message().await? {
        bytes.extend(part.data);
    }
    Ok(bytes)
}

/// The next events for the trust after a token.
async fn events(world: &World, token: &str, count: usize) -> Result<Vec<v1::WatchEvent>> {
    let mut stream = ok!(world.trust.requests().watch(v1::WatchRequest {
        resume_token: token.to_owned()
    }));
    let mut events = Vec::new();
    while events.len() < count {
        events.push(
            timeout(Duration::from_secs(20), stream.message())
                .await??
                .context("the stream ended")?,
        );
    }
    Ok(events)
}

async fn pull_to_end(
    org: &evidence_tests::Org,
    request: v1::PullRequest,
) -> Result<(), tonic::Status> {
    pull(org, request).await.map(drop)
}
