//! Who may see what. Stored rows come out of the store [`Guarded`]; only the
//! checks here open them, and what is not yours is answered as what is not
//! there.

use evidence_ledger::Digest;

use crate::{
    caller::{Caller, Role},
    event::{Disclosure, Scope},
    ids::{BundleId, ClaimantId, ItemId, RepresentationId},
    refusal::{Reason, Refusal},
    rows::{
        Access, Adjustment, Bundle, Case, Claimant, Decision, Delegation, Grant, Item, ItemState,
        Note, Organisation, Policy, Representation, Request,
    },
    time::Moment,
    world::World,
};

/// A row read from the store that has not been checked against its reader.
#[derive(Debug)]
pub struct Guarded<T>(T);

impl<T> Guarded<T> {
    /// For the store, as it reads.
    pub fn new(row: T) -> Self {
        Self(row)
    }
}

/// Rows that organisations may see, and which organisations.
pub trait ForOrganisations {
    fn is_seen_by(&self, caller: &Caller) -> bool;
}

/// Rows that are a claimant's.
pub trait ForClaimant {
    fn claimant(&self) -> &ClaimantId;
    /// Whether the claimant may know of it.
    fn is_shown(&self) -> bool {
        true
    }
}

impl<T: ForOrganisations> Guarded<T> {
    /// Opens the row for an organisation.
    pub fn open(self, caller: &Caller) -> Result<T, Refusal> {
        if self.0.is_seen_by(caller) {
            Ok(self.0)
        } else {
            Err(Refusal::not_found())
        }
    }
}

impl<T: ForClaimant> Guarded<T> {
    /// Opens the row for the claimant's side.
    pub fn open_for(self, view: &ClaimantView) -> Result<T, Refusal> {
        if *self.0.claimant() == view.claimant && self.0.is_shown() {
            Ok(self.0)
        } else {
            Err(Refusal::not_found())
        }
    }
}

/// Proof that the caller may act for this claimant in this scope.
#[derive(Debug, Clone)]
pub struct ClaimantView {
    claimant: ClaimantId,
    representation: Option<RepresentationId>,
}

impl ClaimantView {
    pub fn claimant(&self) -> &ClaimantId {
        &self.claimant
    }

    pub fn representation(&self) -> Option<&RepresentationId> {
        self.representation.as_ref()
    }
}

/// Checks that the portal acts for the claimant, or for someone whom the
/// claimant has named with this scope. `named` is that someone's row.
pub fn claimant_view(
    caller: &Caller,
    claimant: Option<&Claimant>,
    representation: Option<&RepresentationId>,
    named: Option<&Representation>,
    scope: Scope,
    now: Moment,
) -> Result<ClaimantView, Refusal> {
    if !caller.is(Role::Portal) {
        return Err(Refusal::not_found());
    }
    let claimant = claimant.ok_or_else(Refusal::not_found)?;
    if let Some(id) = representation {
        let named = named
            .filter(|row| row.id == *id && row.claimant == claimant.id)
            .ok_or_else(Refusal::not_found)?;
        if !named.is_live(now) || !named.scopes.contains(&scope) {
            let detail = "The naming does not allow this, or has ended.";
            return Err(Refusal::new(Reason::RepresentationOutOfScope, detail));
        }
    }
    Ok(ClaimantView {
        claimant: claimant.id.clone(),
        representation: representation.cloned(),
    })
}

/// Proof that a document may be read. Store reads of document bytes need one.
#[derive(Debug, Clone)]
pub struct Permit {
    item: ItemId,
    size: u64,
    digest: Digest,
}

impl Permit {
    pub fn item(&self) -> &ItemId {
        &self.item
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    fn of(item: &Item) -> Self {
        Self {
            item: item.id.clone(),
            size: item.size,
            digest: item.digest,
        }
    }
}

/// The recipient may read an item of a bundle it pulled, as long as the
/// consent lives: a withdrawal, or a narrowing, stops a pull under way.
/// `world` holds the bundle and the item with what they follow.
pub fn document_in_bundle(
    world: &World,
    caller: &Caller,
    bundle: &BundleId,
    item: &ItemId,
    now: Moment,
) -> Result<Permit, Refusal> {
    let bundle = world
        .bundle(bundle)
        .filter(|row| row.is_seen_by(caller))
        .ok_or_else(Refusal::not_found)?;
    let item = world
        .item(item)
        .filter(|row| bundle.items.contains_key(&row.id))
        .ok_or_else(Refusal::not_found)?;
    crate::rules::grants::covers_item(world, item, &caller.org, &bundle.purpose, now)?;
    if item.state.is_available() {
        Ok(Permit::of(item))
    } else {
        Err(Refusal::new(
            Reason::ItemNotAvailable,
            "The item has been taken back since the pull.",
        ))
    }
}

/// The claimant may read what is held about them and not withheld.
pub fn document_for_claimant(
    view: &ClaimantView,
    item: Guarded<Item>,
) -> Result<(Item, Permit), Refusal> {
    let item = item.open_for(view)?;
    readable_by_claimant(&item)?;
    let permit = Permit::of(&item);
    Ok((item, permit))
}

/// Not what was sent in error, may do harm to their machine, or is gone.
pub(crate) fn readable_by_claimant(item: &Item) -> Result<(), Refusal> {
    match item.state {
        ItemState::Received
        | ItemState::Screened
        | ItemState::Delivered
        | ItemState::Considered
        | ItemState::Superseded => Ok(()),
        ItemState::Quarantined | ItemState::Withdrawn | ItemState::Erased => Err(Refusal::new(
            Reason::ItemNotAvailable,
            "The item cannot be read any more.",
        )),
    }
}

/// Whoever may see items may see the claimant's notes on them.
pub fn notes_on(items: &[Item], notes: Vec<Guarded<Note>>) -> Vec<Note> {
    let on_one = |note: &Note| items.iter().any(|item| item.id == note.item);
    notes
        .into_iter()
        .map(|note| note.0)
        .filter(on_one)
        .collect()
}

/// The recipient may see the adjustments of the claimant whose case it has:
/// its decision must acknowledge them.
pub fn adjustments_for(case: &Case, adjustments: Vec<Guarded<Adjustment>>) -> Vec<Adjustment> {
    adjustments
        .into_iter()
        .map(|row| row.0)
        .filter(|row| row.claimant == case.claimant)
        .collect()
}

impl ForOrganisations for Organisation {
    fn is_seen_by(&self, _: &Caller) -> bool {
        true
    }
}

impl ForOrganisations for Policy {
    fn is_seen_by(&self, _: &Caller) -> bool {
        true
    }
}

impl ForOrganisations for Grant {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        caller.is(Role::Portal)
            || self.disclosers.contains(&caller.org)
            || self.intermediaries.contains(&caller.org)
            || self.recipient == caller.org
            || self.captured_by == caller.org
    }
}

impl ForOrganisations for Delegation {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        caller.is(Role::Portal)
            || self.discloser.as_ref() == Some(&caller.org)
            || self.intermediary == caller.org
            || self.by == caller.org
    }
}

impl ForOrganisations for Representation {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        caller.is(Role::Portal) || self.by == caller.org
    }
}

impl ForOrganisations for Case {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        self.recipient == caller.org
    }
}

impl ForOrganisations for Request {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        self.recipient == caller.org
            || self.discloser == caller.org
            || self.intermediaries.contains(&caller.org)
    }
}

impl ForOrganisations for Item {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        self.discloser == caller.org
            || self.intermediary.as_ref() == Some(&caller.org)
            // The recipient learns of an item once it belongs to one of its cases.
            || (self.recipient == caller.org && !self.cases.is_empty())
    }
}

impl ForOrganisations for Bundle {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        self.recipient == caller.org
    }
}

impl ForOrganisations for Decision {
    fn is_seen_by(&self, caller: &Caller) -> bool {
        self.recipient == caller.org
    }
}

macro_rules! for_claimant {
    ($($row:ident),*) => {$(
        impl ForClaimant for $row {
            fn claimant(&self) -> &ClaimantId { &self.claimant }
        }
    )*};
}

for_claimant!(
    Grant,
    Case,
    Request,
    Decision,
    Note,
    Adjustment,
    Access,
    Representation,
    Delegation
);

impl ForClaimant for Item {
    fn claimant(&self) -> &ClaimantId {
        &self.claimant
    }

    fn is_shown(&self) -> bool {
        self.disclosure == Disclosure::Open
    }
}
