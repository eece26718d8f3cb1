//! For this crate's tests: a small exchange in memory. Commands are decided on
//! exactly the rows that they say they need, as the store loads them, and what
//! they emit is applied both there and to the whole state, which must agree.

use std::collections::{BTreeMap, BTreeSet};

use evidence_ledger::{
    Alg, Claims, Digest, Payload, Salt, SigningKey, Statement, aside_digest, sha256, to_canonical,
};
use jiff::{Timestamp, civil::Date};
use ring::rand::SystemRandom;

use crate::{
    Aside, Caller, Command, Event, Moment, Needs, Outcome, Reason, Record, Refusal, Role, World,
    apply::{Logged, apply, subject},
    command::{CreateGrant, RegisterClaimant, RegisterKey, RegisterOrganisation, SetPolicy},
    decide,
    event::{Capture, typ},
    ids::{ClaimantId, GrantId, OrgId},
    policy,
    rows::Grant,
    signed::{Signed, Verified},
    time::{Period, days_after},
    world::policy_key,
};

/// The day of every new [`Kit`]: 2026-11-02, a Monday.
pub const TODAY: Date = jiff::civil::date(2026, 11, 2);

pub struct Kit {
    /// Everything there is.
    pub world: World,
    pub now: Moment,
    /// Of everything logged, in order.
    pub entries: Vec<Digest>,
    operator: Caller,
    keys: BTreeMap<OrgId, SigningKey>,
    rng: SystemRandom,
    drawn: u64,
}

impl Kit {
    /// The shipped policies, an operator, nobody else.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test makes its own random source"
    )]
    pub fn new() -> Self {
        let now = "2026-11-02T10:00:00Z"
            .parse::<Timestamp>()
            .expect("a moment");
        let operator = Caller {
            org: OrgId::from_random([0xff; 16]),
            roles: [Role::Operator].into(),
        };
        let mut kit = Self {
            world: World::default(),
            now: now.into(),
            entries: Vec::new(),
            operator: operator.clone(),
            keys: BTreeMap::new(),
            rng: SystemRandom::new(),
            drawn: 0,
        };
        kit.register(operator.org, &operator.roles);
        for (name, document) in policy::DEFAULTS {
            kit.done(
                &kit.operator(),
                SetPolicy {
                    name: name.to_owned(),
                    document: document.to_owned(),
                },
            );
        }
        kit
    }

    /// Sixteen bytes not given before, for an id: `GrantId::from_random(kit.draw())`.
    pub fn draw(&mut self) -> [u8; 16] {
        self.drawn += 1;
        u128::from(self.drawn).to_be_bytes()
    }

    pub fn digest(&mut self) -> Digest {
        sha256(&self.draw())
    }

    pub fn operator(&self) -> Caller {
        self.operator.clone()
    }

    /// A new organisation with these roles and a signing key.
    pub fn org(&mut self, roles: &[Role]) -> Caller {
        let caller = Caller {
            org: OrgId::from_random(self.draw()),
            roles: roles.iter().copied().collect(),
        };
        self.register(caller.org.clone(), &caller.roles);
        let der = SigningKey::generate_pkcs8(Alg::EdDsa, &self.rng).expect("a key");
        let key = SigningKey::from_pkcs8(Alg::EdDsa, &der, &self.rng).expect("the key just made");
        let registration = RegisterKey {
            organisation: caller.org.clone(),
            key: key.public().clone(),
            not_before: self.now,
            not_after: self.now.plus_seconds(365 * 24 * 60 * 60),
        };
        self.keys.insert(caller.org.clone(), key);
        self.done(&self.operator(), registration);
        caller
    }

    fn register(&mut self, id: OrgId, roles: &BTreeSet<Role>) {
        let registration = RegisterOrganisation {
            identifier: format!("ods:{}", &id.as_str()[20..]),
            name: format!("Organisation {id}"),
            id,
            roles: roles.clone(),
        };
        self.done(&self.operator(), registration);
    }

    /// A new claimant with an NHS number.
    pub fn claimant(&mut self, by: &Caller) -> ClaimantId {
        let id = ClaimantId::from_random(self.draw());
        let registration = RegisterClaimant {
            id: id.clone(),
            name: "Sam Ahmed".to_owned(),
            date_of_birth: jiff::civil::date(1980, 1, 2),
            nhs_number: Some("9434765919".to_owned()),
            nino: None,
            identifiers: [("nhs-number".to_owned(), self.digest().to_string())].into(),
            birth: "birth".to_owned(),
        };
        self.done(by, registration);
        id
    }

    /// A grant of every kind for `wca`, for 90 days, taken by its recipient.
    /// Change it and run it for another.
    pub fn grant_command(
        &mut self,
        claimant: &ClaimantId,
        disclosers: &[&Caller],
        recipient: &Caller,
    ) -> CreateGrant {
        CreateGrant {
            id: GrantId::from_random(self.draw()),
            claimant: claimant.clone(),
            disclosers: disclosers.iter().map(|caller| caller.org.clone()).collect(),
            kinds: ["*".to_owned()].into(),
            recipient: recipient.org.clone(),
            purposes: ["wca".to_owned()].into(),
            period: Period::default(),
            expires_on: days_after(self.now.day(), 90),
            capture: Capture::InWriting,
            witness: "Jo at the front desk".to_owned(),
            lawful_basis: "uk-gdpr-6-1-e".to_owned(),
            representation: None,
        }
    }

    /// Runs [`Kit::grant_command`].
    pub fn grant(
        &mut self,
        claimant: &ClaimantId,
        disclosers: &[&Caller],
        recipient: &Caller,
    ) -> GrantId {
        let command = self.grant_command(claimant, disclosers, recipient);
        let id = command.id.clone();
        self.done(recipient, command);
        id
    }

    /// A statement signed at source by `org` now, and verified.
    pub fn signed(
        &mut self,
        org: &Caller,
        sub: &str,
        event: impl Into<Event>,
        aside: Aside,
    ) -> Verified {
        let (event, salt) = (event.into(), Salt::from(*self.digest().as_bytes()));
        let digest =
            |aside: &Aside| aside_digest(&salt, &to_canonical(aside).expect("texts encode"));
        let payload = Payload {
            event: event.name().to_owned(),
            salt,
            aside: (!aside.is_empty()).then(|| digest(&aside)),
            body: event.body().expect("a body encodes"),
        };
        let claims = Claims {
            iss: org.org.urn(),
            sub: sub.to_owned(),
            iat: self.now.seconds(),
        };
        let payload = payload.encode().expect("a payload encodes");
        let key = self
            .keys
            .get(&org.org)
            .expect("organisations of the kit have keys");
        let statement = Statement::sign(&typ(event.name()), &claims, &payload, key, &self.rng)
            .expect("a small statement");
        let signed = Signed::open(statement.bytes(), aside).expect("well-formed");
        signed
            .verify(self.world.organisation(&org.org), self.now)
            .expect("signed with a registered key")
    }

    /// Decides a command on what it needs, and applies what it leads to.
    pub fn run(
        &mut self,
        caller: &Caller,
        command: impl Into<Command>,
    ) -> Result<Outcome, Refusal> {
        let command = command.into();
        let mut loaded = self.load(&command.needs().key(&caller.org));
        let outcome = decide(&loaded, caller, &command, self.now)?;
        self.world.take_changed();
        for emitted in &outcome.emitted {
            let index = self.entries.len() as u64;
            let logged = Logged {
                index,
                entry: emitted.signed.as_ref().map_or_else(
                    || sha256(format!("{index} {}", emitted.event.name()).as_bytes()),
                    |signed| signed.statement().entry(),
                ),
                at: self.now,
                issuer: emitted
                    .signed
                    .as_ref()
                    .map(|signed| signed.issuer().clone()),
            };
            for world in [&mut loaded, &mut self.world] {
                subject(world, "urn:evidence:log", &emitted.event);
                apply(world, &logged, &emitted.event).expect("what is decided applies");
            }
            self.entries.push(logged.entry);
        }
        assert_eq!(
            loaded.take_changed(),
            self.world.take_changed(),
            "a row of {} was not loaded",
            command.name()
        );
        Ok(outcome)
    }

    /// As [`Kit::run`], for what must succeed; returns the resource's id.
    pub fn done(&mut self, caller: &Caller, command: impl Into<Command>) -> String {
        let command = command.into();
        let name = command.name();
        match self.run(caller, command) {
            Ok(outcome) => outcome.resource,
            Err(refusal) => panic!("{name} was refused: {refusal}"),
        }
    }

    /// As [`Kit::run`], for what must be refused; nothing changes.
    pub fn refused(&mut self, caller: &Caller, command: impl Into<Command>) -> Reason {
        let (command, before) = (command.into(), self.entries.len());
        let name = command.name();
        match self.run(caller, command) {
            Ok(outcome) => panic!("{name} was accepted: {outcome:?}"),
            Err(refusal) => {
                assert_eq!(self.entries.len(), before);
                refusal.reason
            }
        }
    }

    /// Lets days pass.
    pub fn pass_days(&mut self, days: i64) {
        self.now = self.now.plus_seconds(days * 24 * 60 * 60);
    }

    pub fn grant_row(&self, id: &GrantId) -> &Grant {
        self.world.grant(id).expect("the grant is there")
    }

    /// What the store would load.
    fn load(&self, needs: &Needs) -> World {
        let mut claimants: BTreeSet<String> =
            needs.claimants.iter().map(ToString::to_string).collect();
        let owned = |key: &String| self.record(key).and_then(|record| record.index().claimant);
        claimants.extend(needs.owners.iter().filter_map(owned));
        let of_claimants = self
            .world
            .records()
            .filter(|record| {
                record
                    .index()
                    .claimant
                    .is_some_and(|claimant| claimants.contains(&claimant))
            })
            .map(Record::key);
        let policies = policy::DEFAULTS.map(|(name, _)| policy_key(name));
        let mut wanted: Vec<String> = needs
            .keys
            .iter()
            .cloned()
            .chain(policies)
            .chain(of_claimants)
            .collect();
        let mut loaded = World::default();
        while let Some(key) = wanted.pop() {
            if let Some(record) = self.record(&key).filter(|_| !loaded.contains(&key)) {
                wanted.extend(record.follows());
                loaded.load(record.clone());
            }
        }
        loaded
    }

    fn record(&self, key: &str) -> Option<&Record> {
        self.world.records().find(|record| record.key() == key)
    }
}
