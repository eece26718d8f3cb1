use std::collections::BTreeSet;

use jiff::civil::date;

use super::super::bundle::scene::Scene;
use super::*;
use crate::{
    Reason, Role,
    command::{
        CreateDelegation, EndDelegation, NarrowGrant, SetPolicy, UpdateOrganisation, WithdrawGrant,
    },
    event::{Capture, Disclosure, Event, Nation},
    ids::DelegationId,
    testkit::{Kit, TODAY},
    time::Period,
};

mod cases;
mod requests;
mod turns;

fn open_case_command(scene: &mut Scene) -> OpenCase {
    OpenCase {
        id: CaseId::from_random(scene.kit.draw()),
        claimant: scene.claimant.clone(),
        grant: scene.grant.clone(),
        assessment_type: "wca".to_owned(),
        nation: Nation::Scotland,
        reference: "UC/55".to_owned(),
        mental_health: false,
        chain_seed: scene.kit.digest(),
        official_seed: scene.kit.digest(),
    }
}

fn open_request_command(scene: &mut Scene) -> OpenRequest {
    OpenRequest {
        id: RequestId::from_random(scene.kit.draw()),
        case: scene.case.clone(),
        grant: scene.grant.clone(),
        discloser: scene.hospital.org.clone(),
        kinds: ["care-plan".to_owned()].into(),
        period: Period::default(),
        question: "How far can they walk?".to_owned(),
        assurance: "Consent seen on paper.".to_owned(),
        payer: "DWP".to_owned(),
    }
}

fn names(outcome: &Outcome) -> Vec<&'static str> {
    outcome
        .emitted
        .iter()
        .map(|emitted| emitted.event.name())
        .collect()
}

fn set_purposes(kit: &mut Kit, document: &str) {
    let operator = kit.operator();
    kit.done(
        &operator,
        SetPolicy {
            name: policy::PURPOSES.to_owned(),
            document: document.to_owned(),
        },
    );
}

fn wca_policy(more: &str) -> String {
    format!("[[purposes]]\nid = \"wca\"\ntitle = \"WCA\"\nlongest_days = 366\n{more}\n")
}

fn withdraw(scene: &mut Scene) {
    let grant = scene.grant.clone();
    let dwp = scene.dwp.clone();
    scene.kit.done(
        &dwp,
        WithdrawGrant {
            grant,
            capture: Capture::ByPhone,
            note: String::new(),
        },
    );
}

fn narrow(scene: &Scene) -> NarrowGrant {
    NarrowGrant {
        grant: scene.grant.clone(),
        remove_disclosers: [].into(),
        remove_kinds: [].into(),
        remove_purposes: [].into(),
        period: None,
        expires_on: None,
    }
}

/// A GP practice that the claimant's grant names beside the hospital.
fn scene_with_practice() -> (Scene, Caller) {
    let mut scene = Scene::new();
    let practice = scene.kit.org(&[Role::Discloser]);
    let (claimant, dwp, hospital) = (
        scene.claimant.clone(),
        scene.dwp.clone(),
        scene.hospital.clone(),
    );
    scene.grant = scene.kit.grant(&claimant, &[&hospital, &practice], &dwp);
    (scene, practice)
}
