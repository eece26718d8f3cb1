//! Defends the door: every bad input has its stable reason and leaves nothing behind but, for
//! evidence, the logged refusal. That nothing else is kept shows in the log's size and the document
//! folder here, and in the invariant checker: every row and document comes from a statement.

mod refusals;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use ciborium::Value;
use evidence_domain::{
    Role,
    event::DecisionOutcome,
    event::{Evidence, Panel},
    ids::{GrantId, ItemId, OrgId},
    rules::decision::PANEL_REFERENCE,
    time::{Period, days_after},
};
use evidence_gateway::clock::Clock;
use evidence_ledger::Alg;
use evidence_tests::{
    Org, World, ok, on_both,
    org::sign_with,
    random, refused,
    world::{evidence::parts, use_::pull},
};
use evidence_wire::{common::timestamp, v1};
use jiff::civil::date;
use refusals::{
    Before, LETTER, Trial, chunk, decision_refused, files, forged, held, push, push_item, refuses,
    send, texts, with,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

on_both! {
    /// Signatures, keys, encodings.
    async fn statements(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let good = |world: &World| world.push(&world.trust, &grant.subject, world.evidence(&grant, None, LETTER));
        let evidence = world.evidence(&grant, None, LETTER);
        let unknown_key = Org::new_key(Alg::Es256)?;
        let signed = sign_with(&unknown_key, &world.trust.id.urn(), &grant.subject, evidence.clone(), texts(), world.now())?;
        refuses(world, &world.trust, push(signed), LETTER, "key_unknown").await?;
        let nobody = OrgId::from_random(random());
        let signed = sign_with(&unknown_key, &nobody.urn(), &grant.subject, evidence.clone(), texts(), world.now())?;
        let unknown = push(signed);
        let relay = world.relay(&evidence.item, &unknown, None)?;
        let unknown = world.relayed(&world.vcse, &grant.subject, unknown, relay)?;
        refuses(world, &world.vcse, unknown, LETTER, "organisation_unknown").await?;
        for alg in [-35_i64, -8] {
            let mut forged = forged(&good(world)?)?;
            forged.set(1, Value::from(alg));
            refuses(world, &world.trust, with(&good(world)?, forged.sign(&world.trust.key)?.bytes()?)?, LETTER, "algorithm_not_accepted").await?;
        }
        let mut other = forged(&good(world)?)?;
        other.signature = forged(&good(world)?)?.signature;
        refuses(world, &world.trust, with(&good(world)?, other.bytes()?)?, LETTER, "signature_invalid").await?;
        let mut critical = forged(&good(world)?)?;
        critical.set(2, Value::Array(vec![Value::from(99)]));
        critical.set(99, Value::from(1));
        refuses(world, &world.trust, with(&good(world)?, critical.sign(&world.trust.key)?.bytes()?)?, LETTER, "statement_header_unknown").await?;
        let trailing = [forged(&good(world)?)?.bytes()?, vec![0]].concat();
        refuses(world, &world.trust, with(&good(world)?, trailing)?, LETTER, "statement_malformed").await?;
        let bytes = forged(&good(world)?)?.bytes()?;
        let long_tag = [&[0xd8, 18], &bytes[1..]].concat();
        refuses(world, &world.trust, with(&good(world)?, long_tag)?, LETTER, "statement_malformed").await?;
        let mut payload = forged(&good(world)?)?;
        payload.payload.push(0);
        refuses(world, &world.trust, with(&good(world)?, payload.sign(&world.trust.key)?.bytes()?)?, LETTER, "statement_payload_invalid").await?;
        let mut texts = good(world)?;
        texts.evidence.as_mut().context("no statement")?.aside.insert("title".to_owned(), "Another".to_owned());
        refuses(world, &world.trust, texts, LETTER, "aside_mismatch").await?;
        world.give(&world.trust, &good(world)?, LETTER).await?;
        Ok(())
    }

    /// A key that has run out, or is for later.
    async fn keys_out_of_time(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        for (from, to, reason) in [(-9, -1, "key_expired"), (1, 9, "key_not_yet_valid")] {
            let key = Org::new_key(Alg::Es256)?;
            let at = |days: i64| Some(timestamp(world.now().plus_seconds(days * 86_400)));
            ok!(world.operator.directory().register_key(v1::RegisterKeyRequest {
                request_id: world.key(),
                organisation_id: world.trust.id.to_string(),
                cose_key: key.public().to_cose_key(),
                not_before: at(from),
                not_after: at(to),
            }));
            let evidence = world.evidence(&grant, None, LETTER);
            let signed = sign_with(&key, &world.trust.id.urn(), &grant.subject, evidence, texts(), world.now())?;
            refuses(world, &world.trust, push(signed), LETTER, reason).await?;
        }
        Ok(())
    }

    /// Other bytes, fewer, more, or none for too long; small documents and large.
    async fn documents(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        for size in [1_000, 300_000] {
            let document = vec![7; size];
            let new = || world.push(&world.trust, &grant.subject, world.evidence(&grant, None, &document));
            refuses(world, &world.trust, new()?, &vec![8; size], "digest_mismatch").await?;
            refuses(world, &world.trust, new()?, &document[1..], "size_mismatch").await?;
            refuses(world, &world.trust, new()?, &[&document[..], &[7]].concat(), "size_mismatch").await?;
            let before = Before::of(world).await?;
            let (send, receive) = mpsc::channel(8);
            let mut begun = parts(&new()?, &document);
            begun.pop();
            for part in begun {
                send.send(part).await?;
            }
            let mut answers = ok!(world.trust.evidence().submit(ReceiverStream::new(receive)));
            let stalled = world.refused(answers.message().await?.context("no answer")?)?;
            ensure!(stalled == "upload_stalled", "{stalled}");
            let ended = answers.message().await.err().context("the stream went on")?;
            ensure!(evidence_tests::world::reason(&ended) == "upload_stalled");
            before.and_only(world, 1).await?;
        }
        let empty = world.push(&world.trust, &grant.subject, world.evidence(&grant, None, b""))?;
        refuses(world, &world.trust, empty, b"", "document_empty").await?;
        let mut huge = world.evidence(&grant, None, LETTER);
        huge.size = 1 << 40;
        refuses(world, &world.trust, world.push(&world.trust, &grant.subject, huge)?, LETTER, "document_too_large").await
    }

    /// What a resumable upload answers to gaps, overlaps, silence and an early end.
    async fn uploads(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let document = vec![7; 2_500_000];
        let push = world.push(&world.trust, &grant.subject, world.evidence(&grant, None, &document))?;
        let upload = ok!(world.trust.evidence().start_upload(v1::StartUploadRequest { push: Some(push) }));
        let id = &upload.upload_id;
        let before = Before::of(world).await?;
        ensure!(send(world, id, 5, b"x").await == "upload_offset_wrong");
        ensure!(send(world, id, 0, &[&document[..], b"x"].concat()).await == "size_mismatch");
        let complete = || v1::CompleteUploadRequest { upload_id: id.clone() };
        ensure!(refused!(world.trust.evidence().complete_upload(complete())) == "upload_incomplete");
        let (sender, receive) = mpsc::channel(1);
        sender.send(chunk(id, held(world, id).await?, &[])).await?;
        ensure!(refused!(world.trust.evidence().send_upload(ReceiverStream::new(receive))) == "upload_stalled");
        ensure!(refused!(world.gp.evidence().query_upload(v1::QueryUploadRequest { upload_id: id.clone() })) == "not_found");
        before.log(world, 0).await?;
        let from = held(world, id).await?;
        ensure!(send(world, id, from, &document[usize::try_from(from)?..]).await == "ok");
        let answer = ok!(world.trust.evidence().complete_upload(complete()));
        let item = world.accepted(answer, &document)?;
        let again = ok!(world.trust.evidence().complete_upload(complete()));
        ensure!(world.accepted(again, &document)? == item);
        Ok(())
    }

    /// About another case, request or grant than the push.
    async fn about_something_else(world: &mut World) -> Result<()> {
        let (grant, other) = (world.grant().await?, world.grant().await?);
        let case = world.case(&grant, "wca").await?;
        let request = world.request(&case, &grant, &world.trust).await?;
        let of_gp = world.request(&case, &grant, &world.gp).await?;
        let mut trial = Trial { world, org: &world.trust };
        let asked = world.evidence(&grant, Some(&request), LETTER);
        trial.refuses(&other.subject, asked.clone(), "statement_wrong_subject").await?;
        trial.refuses(&grant.subject, asked.clone(), "statement_wrong_subject").await?;
        let crossed = Evidence { grant: other.grant_id.parse()?, ..asked.clone() };
        trial.refuses(&request.subject, crossed, "statement_wrong_subject").await?;
        let not_ours = Evidence { request: Some(of_gp.request_id.parse()?), ..asked.clone() };
        trial.refuses(&request.subject, not_ours, "not_found").await?;
        let absent = Evidence { grant: GrantId::from_random(random()), ..world.evidence(&grant, None, LETTER) };
        trial.refuses(&grant.subject, absent, "not_found").await?;
        let unasked = Evidence { kind: "letter-of-thanks".to_owned(), ..asked };
        trial.refuses(&request.subject, unasked, "request_does_not_cover_kind").await?;
        let push = world.push(&world.gp, &grant.subject, world.evidence(&grant, None, LETTER))?;
        refuses(world, &world.trust, push, LETTER, "statement_wrong_issuer").await?;
        trial.org = &world.other_trust;
        trial.refuses(&grant.subject, world.evidence(&grant, None, LETTER), "not_found").await
    }

    /// A grant that does not cover it, or no longer.
    async fn grants(world: &mut World) -> Result<()> {
        let claimant = world.claimant().await?;
        let grant = world.grant_with(v1::CreateGrantRequest {
            kinds: vec!["care-plan".to_owned()],
            purposes: vec!["wca".to_owned()],
            period: Some(v1::Period { from: "2026-01-01".to_owned(), to: "2026-03-31".to_owned() }),
            disclosers: vec![world.trust.id.to_string()],
            ..world.grant_request(&claimant)
        }).await?;
        let march = Period { from: Some(date(2026, 3, 1)), to: Some(date(2026, 3, 31)) };
        let covered = || Evidence { kind: "care-plan".to_owned(), period: march, ..world.evidence(&grant, None, LETTER) };
        let trial = Trial { world, org: &world.trust };
        trial.refuses(&grant.subject, Evidence { kind: "clinical-letter".to_owned(), ..covered() }, "grant_does_not_cover_kind").await?;
        let summer = Period { from: Some(date(2026, 3, 1)), to: Some(date(2026, 7, 1)) };
        trial.refuses(&grant.subject, Evidence { period: summer, ..covered() }, "grant_does_not_cover_period").await?;
        let before = Before::of(world).await?;
        ensure!(refused!(world.dwp.requests().open_case(world.case_request(&grant, "pip"))) == "grant_does_not_cover_purpose");
        before.and_only(world, 0).await?;
        let case = world.case(&grant, "wca").await?;
        let before = Before::of(world).await?;
        let asked = v1::OpenRequestRequest { kinds: vec!["care-plan".to_owned()], period: grant.period.clone(), ..world.request_request(&case, &grant, &world.gp) };
        ensure!(refused!(world.dwp.requests().open_request(asked)) == "grant_does_not_cover_organisation");
        let sanction = v1::CreateGrantRequest { purposes: vec!["sanctions".to_owned()], ..world.grant_request(&claimant) };
        ensure!(refused!(world.portal.consent().create_grant(sanction)).starts_with("purpose_"));
        before.and_only(world, 0).await?;
        let push = world.push(&world.trust, &grant.subject, covered())?;
        let relay = world.relay(&push_item(&push)?, &push, None)?;
        let push = world.relayed(&world.vcse, &grant.subject, push, relay)?;
        refuses(world, &world.vcse, push, LETTER, "not_found").await?;
        world.withdraw_grant(&grant).await?;
        trial.refuses(&grant.subject, covered(), "grant_withdrawn").await
    }

    /// Withdrawn while the bytes are on their way.
    async fn withdrawn_during_an_upload(world: &mut World) -> Result<()> {
        let document = vec![7; 1_500_000];
        let grant = world.grant().await?;
        let push = world.push(&world.trust, &grant.subject, world.evidence(&grant, None, &document))?;
        let files = files(world)?;
        let upload = ok!(world.trust.evidence().start_upload(v1::StartUploadRequest { push: Some(push) }));
        ensure!(send(world, &upload.upload_id, 0, &document).await == "ok");
        world.withdraw_grant(&grant).await?;
        let answer = ok!(world.trust.evidence().complete_upload(v1::CompleteUploadRequest { upload_id: upload.upload_id.clone() }));
        ensure!(world.refused(answer)? == "grant_withdrawn");
        ensure!(self::files(world)? == files, "parts are left");
        for size in [1_000, 300_000] {
            let grant = world.grant().await?;
            let document = vec![7; size];
            let push = world.push(&world.trust, &grant.subject, world.evidence(&grant, None, &document))?;
            let (send, receive) = mpsc::channel(8);
            let mut begun = parts(&push, &document);
            let end = begun.pop().context("an end")?;
            for part in begun {
                send.send(part).await?;
            }
            let mut answers = ok!(world.trust.evidence().submit(ReceiverStream::new(receive)));
            world.withdraw_grant(&grant).await?;
            send.send(end).await?;
            let answer = tokio::time::timeout(Duration::from_secs(20), answers.message()).await??;
            ensure!(world.refused(answer.context("no answer")?)? == "grant_withdrawn");
            ensure!(self::files(world)? == files, "parts are left");
        }
        Ok(())
    }

    /// The same push twice has one receipt; another under its key is refused.
    async fn pushed_twice(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let keyed = |key: &str| Ok::<_, anyhow::Error>(v1::Push {
            request_id: key.to_owned(),
            ..world.push(&world.trust, &grant.subject, world.evidence(&grant, None, LETTER))?
        });
        let first = keyed("one")?;
        let item = world.give(&world.trust, &first, LETTER).await?;
        let before = Before::of(world).await?;
        for again in [first.clone(), v1::Push { request_id: String::new(), ..first }] {
            let answer = world.submit(&world.trust, &again, LETTER).await?;
            let Some(v1::submit_response::Outcome::Receipt(receipt)) = &answer.outcome else { anyhow::bail!("no receipt") };
            ensure!(receipt.replay);
            ensure!(world.accepted(answer, LETTER)? == item);
        }
        before.and_only(world, 0).await?;
        refuses(world, &world.trust, keyed("one")?, LETTER, "idempotency_key_reused").await?;
        let taken = Evidence { item, ..world.evidence(&grant, None, LETTER) };
        Trial { world, org: &world.trust }.refuses(&grant.subject, taken, "item_id_taken").await?;
        let refused_once = v1::Push { request_id: "two".to_owned(), ..world.push(&world.trust, "urn:evidence:x", world.evidence(&grant, None, LETTER))? };
        refuses(world, &world.trust, refused_once, LETTER, "statement_wrong_subject").await?;
        world.give(&world.trust, &keyed("two")?, LETTER).await?;
        Ok(())
    }

    /// A decision that leaves something out.
    async fn decisions(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let item = world.letter(&world.trust, &grant, None, LETTER).await?;
        let case = world.case_with(v1::OpenCaseRequest { mental_health: true, ..world.case_request(&grant, "wca") }).await?;
        ok!(world.portal.record().state_adjustment(v1::StateAdjustmentRequest { request_id: world.key(), viewer: world.viewer(&grant), text: "Large print.".to_owned() }));
        let pulled = world.pull(&case).await?;
        let good = world.decide(&case, &pulled)?;
        let before = Before::of(world).await?;
        let mut without = good.clone();
        without.body.uses.clear();
        decision_refused(world, &without, "decision_item_missing").await?;
        let mut unknown = good.clone();
        unknown.body.uses.insert(ItemId::from_random(random()), evidence_domain::event::Use::Considered);
        decision_refused(world, &unknown, "decision_item_unknown").await?;
        let mut silent = good.clone();
        silent.discount(&item, None);
        decision_refused(world, &silent, "decision_reason_missing").await?;
        let mut deaf = good.clone();
        deaf.body.adjustments.clear();
        decision_refused(world, &deaf, "decision_adjustment_missing").await?;
        let mut alone = good.clone();
        (alone.body.outcome, alone.body.for_lack_of_evidence) = (DecisionOutcome::Adverse, true);
        decision_refused(world, &alone, "decision_panel_missing").await?;
        alone.body.panel = Some(Panel { referred_on: world.now().day(), mental_health_clinician: false });
        alone.aside.insert(PANEL_REFERENCE.to_owned(), "panel 1".to_owned());
        decision_refused(world, &alone, "decision_panel_missing").await?;
        before.and_only(world, 0).await?;
        world.letter(&world.gp, &grant, None, b"came since").await?;
        decision_refused(world, &good, "decision_item_missing").await?;
        let newer = world.pull(&case).await?;
        let mut stale = world.decide(&case, &newer)?;
        stale.body.bundle = good.body.bundle.clone();
        decision_refused(world, &stale, "decision_chain_stale").await?;
        world.record(&world.decide(&case, &newer)?).await?;
        Ok(())
    }

    /// What only time brings: a request is overdue, then the grant runs out.
    async fn months_later(world: &mut World) -> Result<()> {
        let grant = world.grant().await?;
        let case = world.case(&grant, "wca").await?;
        let late = world.request(&case, &grant, &world.trust).await?;
        let start = world.now().timestamp();
        world.gateway.stop().await?;
        let clock = Clock::stopped_at(start);
        let running = world.gateway.serve_at(clock.clone()).await?;
        clock.advance(jiff::SignedDuration::from_hours(24 * 40))?;
        let pulled = world.pull(&case).await?;
        let mut decide = world.decide(&case, &pulled)?;
        let before = Before::of(world).await?;
        decision_refused(world, &decide, "decision_overdue_missing").await?;
        decide.body.overdue.insert(late.request_id.parse()?);
        decide.body.outcome = DecisionOutcome::Adverse;
        decision_refused(world, &decide, "decision_while_overdue").await?;
        before.and_only(world, 0).await?;
        decide.body.outcome = DecisionOutcome::Favourable;
        world.record(&decide).await?;
        clock.advance(jiff::SignedDuration::from_hours(24 * 270))?;
        ensure!(days_after(world.now().day(), 309).to_string() > grant.expires_on);
        Trial { world, org: &world.trust }.refuses(&grant.subject, world.evidence(&grant, None, LETTER), "grant_expired").await?;
        let before = Before::of(world).await?;
        ensure!(refused!(pull(&world.dwp, world.pull_request(&case))) == "grant_expired");
        before.and_only(world, 0).await?;
        running.stop();
        Ok(running.stopped().await?)
    }

    /// Numbers of people that fail their checks, and a person's details that do not agree.
    async fn people(world: &mut World) -> Result<()> {
        let number = world.nhs_number();
        let person = |nhs: &str, nino: &str| v1::RegisterClaimantRequest {
            request_id: world.key(),
            name: "Joan Testcase".to_owned(),
            date_of_birth: "1979-03-14".to_owned(),
            nhs_number: nhs.to_owned(),
            national_insurance_number: nino.to_owned(),
        };
        ok!(world.portal.consent().register_claimant(person(&number, "")));
        let before = Before::of(world).await?;
        for bad in ["1234567890", "0000000000", "12345", "999000000x"] {
            let reason = refused!(world.portal.consent().register_claimant(person(bad, "")));
            ensure!(reason == "nhs_number_invalid", "{reason}");
        }
        for bad in ["BG123456A", "AB12345", "AB123456E", "DA123456A"] {
            let reason = refused!(world.portal.consent().register_claimant(person("", bad)));
            ensure!(reason == "nino_invalid", "{reason}");
        }
        let other = v1::RegisterClaimantRequest { date_of_birth: "1980-01-01".to_owned(), ..person(&number, "") };
        ensure!(refused!(world.portal.consent().register_claimant(other)) == "identity_conflict");
        ensure!(refused!(world.portal.consent().register_claimant(person("", ""))) == "invalid_field");
        before.and_only(world, 0).await
    }

    /// A certificate that no organisation has, and an organisation that is suspended.
    async fn callers(world: &mut World) -> Result<()> {
        let stranger = world.gateway.ca.client("stranger")?;
        let channel = evidence_tests::client::channel(&world.gateway.address, &world.gateway.ca, &stranger)?;
        let before = Before::of(world).await?;
        let mut ledger = v1::ledger_service_client::LedgerServiceClient::new(channel);
        ensure!(refused!(ledger.list_log_keys(v1::ListLogKeysRequest {})) == "certificate_not_accepted");
        before.and_only(world, 0).await?;
        let roles = vec![evidence_wire::access::role_number(Role::Discloser)];
        ok!(world.operator.directory().update_organisation(v1::UpdateOrganisationRequest {
            request_id: world.key(),
            organisation_id: world.other_trust.id.to_string(),
            name: world.other_trust.name.clone(),
            roles: roles.clone(),
            suspended: true,
        }));
        ensure!(refused!(world.other_trust.ledger().list_log_keys(v1::ListLogKeysRequest {})) == "organisation_suspended");
        ok!(world.operator.directory().update_organisation(v1::UpdateOrganisationRequest {
            request_id: world.key(),
            organisation_id: world.other_trust.id.to_string(),
            name: world.other_trust.name.clone(),
            roles,
            suspended: false,
        }));
        Ok(())
    }
}
