use super::super::{
    super::bundle::scene::Scene, OVERRIDE_BY, OVERRIDE_REASON, PANEL_CLINICIAN, PANEL_REFERENCE,
};
use super::{one_item, text};
use crate::{
    Reason,
    event::{DecisionOutcome, Panel},
};

#[test]
fn nobody_is_refused_while_others_are_late_unless_a_senior_says_why() {
    let mut scene = Scene::new();
    let request = scene.request();
    scene.kit.pass_days(29);
    let bundle = scene.pull();
    let adverse = |scene: &mut Scene| {
        let mut draft = scene.draft(&bundle);
        draft.body.overdue = [request.clone()].into();
        draft.body.outcome = DecisionOutcome::Adverse;
        draft
    };
    let draft = adverse(&mut scene);
    assert_eq!(scene.refused(draft), Reason::DecisionWhileOverdue);
    let mut draft = adverse(&mut scene);
    draft.body.senior_override = true;
    text(&mut draft.texts, OVERRIDE_BY);
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionWhileOverdue,
        "no reason"
    );
    let mut draft = adverse(&mut scene);
    draft.body.senior_override = true;
    text(&mut draft.texts, OVERRIDE_REASON);
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionWhileOverdue,
        "nobody named"
    );
    let mut draft = adverse(&mut scene);
    draft.body.senior_override = true;
    text(&mut draft.texts, OVERRIDE_BY);
    text(&mut draft.texts, OVERRIDE_REASON);
    scene.decide(draft);
    let mut draft = adverse(&mut scene);
    draft.body.outcome = DecisionOutcome::PartlyFavourable;
    scene.decide(draft);
}

#[test]
fn adverse_for_lack_of_evidence_needs_a_panel() {
    let (mut scene, _, _) = one_item();
    let bundle = scene.pull();
    let today = scene.today();
    let lacking = |scene: &mut Scene, panel: Option<Panel>| {
        let mut draft = scene.draft(&bundle);
        draft.body.outcome = DecisionOutcome::Adverse;
        draft.body.for_lack_of_evidence = true;
        draft.body.panel = panel;
        draft
    };
    let panel = Panel {
        referred_on: today,
        mental_health_clinician: false,
    };
    let draft = lacking(&mut scene, None);
    assert_eq!(scene.refused(draft), Reason::DecisionPanelMissing);
    let draft = lacking(&mut scene, Some(panel.clone()));
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionPanelMissing,
        "no reference"
    );
    let tomorrow = Panel {
        referred_on: today.tomorrow().expect("a day"),
        ..panel.clone()
    };
    let mut draft = lacking(&mut scene, Some(tomorrow));
    text(&mut draft.texts, PANEL_REFERENCE);
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionPanelMissing,
        "not referred yet"
    );
    let mut draft = lacking(&mut scene, Some(panel));
    text(&mut draft.texts, PANEL_REFERENCE);
    scene.decide(draft);
    let mut draft = lacking(&mut scene, None);
    draft.body.for_lack_of_evidence = false;
    scene.decide(draft);
}

#[test]
fn a_mental_health_case_needs_a_mental_health_clinician_on_the_panel() {
    let mut scene = Scene::of(true);
    let bundle = scene.pull();
    let today = scene.today();
    let lacking = |scene: &mut Scene, clinician: bool, named: bool| {
        let mut draft = scene.draft(&bundle);
        draft.body.outcome = DecisionOutcome::Adverse;
        draft.body.for_lack_of_evidence = true;
        draft.body.panel = Some(Panel {
            referred_on: today,
            mental_health_clinician: clinician,
        });
        text(&mut draft.texts, PANEL_REFERENCE);
        if named {
            text(&mut draft.texts, PANEL_CLINICIAN);
        }
        draft
    };
    for (clinician, named) in [(false, false), (false, true), (true, false)] {
        let draft = lacking(&mut scene, clinician, named);
        assert_eq!(
            scene.refused(draft),
            Reason::DecisionPanelMissing,
            "{clinician} {named}"
        );
    }
    let draft = lacking(&mut scene, true, true);
    scene.decide(draft);
}
